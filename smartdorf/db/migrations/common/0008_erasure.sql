-- What was erased at somebody's request or because its purpose has ended, so that a restore can do it again. It names
-- places, devices and quantities as people do, since ids may differ after a restore; NULL: any.
CREATE TABLE erasure (
    id uuid PRIMARY KEY,
    requested_at timestamptz NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    places text[],
    devices text[],
    quantities text[],
    begin timestamptz,                -- event time; NULL: from the beginning
    until timestamptz NOT NULL,       -- what comes later is not concerned
    finished_at timestamptz,          -- NULL: still to be done, or broken off
    rows jsonb,                       -- what went, by table
    CHECK (places IS NOT NULL OR devices IS NOT NULL OR quantities IS NOT NULL)
);
