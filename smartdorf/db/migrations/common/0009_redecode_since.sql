-- Decode anew all that a device has sent since then, not only what gave no values (NULL).
ALTER TABLE redecode_request ADD COLUMN since timestamptz;
