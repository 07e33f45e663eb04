-- The gaps between the uplinks of a device that ended on one day (UTC), in seconds. Of the last 30 days; written at
-- night, from which the limits of silence are learned.
CREATE TABLE device_gap (
    device_id bigint NOT NULL REFERENCES device ON DELETE CASCADE,
    day date NOT NULL,
    gaps integer NOT NULL,
    lost integer NOT NULL,                    -- frames that are missing by their counter, in short runs
    first_quartile double precision NOT NULL, -- of the time from frame to frame, those counted that were lost
    median double precision NOT NULL,
    third_quartile double precision NOT NULL,
    longest double precision NOT NULL,        -- of the gaps that count; 0: none does
    PRIMARY KEY (device_id, day)
);

-- What was learned from them. A device that has no row yet has the limit that follows from its model.
CREATE TABLE device_rhythm (
    device_id bigint PRIMARY KEY REFERENCES device ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('periodic', 'pauses', 'events', 'unknown')),
    limit_s double precision NOT NULL CHECK (limit_s > 0),  -- a silence that is longer is none of its own
    because text NOT NULL,                    -- what decided the limit
    interval_s double precision,              -- NULL: unknown
    longest_s double precision NOT NULL,
    loss double precision NOT NULL,           -- share of the frames, 0 … 1
    gaps integer NOT NULL,
    days integer NOT NULL
);
