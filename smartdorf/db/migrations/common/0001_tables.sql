-- The tables of smartdorf. Names are singular; times are timestamptz; dev_eui and gateway_id are 16 lower-case hex.
-- Hot tables carry no foreign keys: the one writer resolves every id itself, and a check per row would cost more
-- than the row.

CREATE TABLE tenant (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slug text NOT NULL UNIQUE,
    name text NOT NULL
);

CREATE TABLE place (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id bigint NOT NULL REFERENCES tenant,
    slug text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9][a-z0-9-]*$'),
    name text NOT NULL,
    place_type text NOT NULL,
    latitude double precision CHECK (latitude BETWEEN -90 AND 90),
    longitude double precision CHECK (longitude BETWEEN -180 AND 180),
    tags jsonb NOT NULL DEFAULT '{}',
    parameters jsonb NOT NULL DEFAULT '{}',  -- what decoding needs to know: mounting_height_m, gauge_zero_m …
    limits jsonb NOT NULL DEFAULT '{}',      -- a rule's limits, overridden for this place
    created_at timestamptz NOT NULL DEFAULT now()
);

-- A device exists from its first uplink on; model stays NULL until somebody has onboarded it.
CREATE TABLE device (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dev_eui text NOT NULL UNIQUE CHECK (dev_eui ~ '^[0-9a-f]{16}$'),
    name text NOT NULL DEFAULT '',
    model text,
    profile_name text NOT NULL DEFAULT '',      -- as ChirpStack last called it: helps to recognise the model
    application_name text NOT NULL DEFAULT '',
    tags jsonb NOT NULL DEFAULT '{}',
    parameters jsonb NOT NULL DEFAULT '{}',
    limits jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    onboarded_at timestamptz,
    CHECK ((model IS NULL) = (onboarded_at IS NULL))
);

-- Which device, or which one of its channels (NULL: all), watches a place, from when to when.
CREATE TABLE installation (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id bigint NOT NULL REFERENCES device,
    place_id bigint NOT NULL REFERENCES place,
    channel smallint,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    CHECK (valid_to > valid_from)
);
-- One channel watches one place at a time.
CREATE UNIQUE INDEX installation_current ON installation (device_id, coalesce(channel, -1)) WHERE valid_to IS NULL;
CREATE INDEX installation_place ON installation (place_id);
CREATE INDEX installation_device ON installation (device_id);

CREATE TABLE gateway (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    gateway_id text NOT NULL UNIQUE CHECK (gateway_id ~ '^[0-9a-f]{16}$'),
    first_heard_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE metric (
    id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    unit text NOT NULL,
    kind text NOT NULL
);

-- Every deduplicated uplink with its raw bytes, so that everything else can be made anew from it.
CREATE TABLE uplink (
    time timestamptz NOT NULL,
    deduplication_id uuid NOT NULL,
    device_id bigint NOT NULL,
    dev_addr text NOT NULL,
    f_cnt bigint NOT NULL,
    f_port smallint NOT NULL,
    dr smallint NOT NULL,
    adr boolean NOT NULL,
    confirmed boolean NOT NULL,
    encrypted boolean NOT NULL,       -- end to end: nobody but the join server's own application can read data
    frequency bigint,                 -- Hz
    data bytea NOT NULL,
    object jsonb,                     -- what was decoded and is no measurement; all of ChirpStack's object where there is no codec
    best_rssi smallint,               -- dBm
    best_snr real,                    -- dB
    gateway_count smallint NOT NULL,
    ns_time timestamptz,              -- arrival at the network server
    reported_time timestamptz,        -- the event time where it was implausible and ns_time stands instead
    received_at timestamptz NOT NULL, -- arrival here
    status text NOT NULL CHECK (status IN ('decoded', 'nothing', 'fault', 'unknown_device', 'retransmission')),
    fault text,                       -- reason of a fault
    fault_detail text,
    model text                        -- which model's decoder was used
);
CREATE UNIQUE INDEX uplink_identity ON uplink (deduplication_id, time);
CREATE INDEX uplink_device ON uplink (device_id, time DESC);
-- What is to be decoded anew is found without reading ten years of what was decoded.
CREATE INDEX uplink_undecoded ON uplink (device_id, time, deduplication_id)
    WHERE status IN ('unknown_device', 'fault');

CREATE TABLE reception (
    time timestamptz NOT NULL,
    device_id bigint NOT NULL,
    gateway_id bigint NOT NULL,       -- gateway.id
    f_cnt bigint NOT NULL,
    rssi smallint NOT NULL,           -- dBm
    snr real NOT NULL                 -- dB
);

CREATE TABLE measurement (
    time timestamptz NOT NULL,
    device_id bigint NOT NULL,
    channel smallint NOT NULL,
    metric_id smallint NOT NULL,
    value double precision NOT NULL CHECK (value > '-Infinity' AND value < 'Infinity'),
    quality smallint NOT NULL,        -- bits of smartdorf.model.Quality
    place_id bigint                   -- the place that the channel watched at that time
);
CREATE UNIQUE INDEX measurement_identity ON measurement (device_id, channel, metric_id, time);

-- The newest value of each series, so that maps and "current" panels are one index read.
CREATE TABLE measurement_latest (
    device_id bigint NOT NULL,
    channel smallint NOT NULL,
    metric_id smallint NOT NULL,
    time timestamptz NOT NULL,
    value double precision NOT NULL,
    quality smallint NOT NULL,
    place_id bigint,
    PRIMARY KEY (device_id, channel, metric_id)
) WITH (fillfactor = 70);             -- updated in place by every uplink

CREATE TABLE device_event (
    time timestamptz NOT NULL,
    device_id bigint NOT NULL,
    type text NOT NULL,               -- join, status, log, ack, txack, location
    key text NOT NULL,                -- idempotency within the type
    payload jsonb NOT NULL,
    received_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX device_event_identity ON device_event (type, key, time);
CREATE INDEX device_event_device ON device_event (device_id, time DESC);

-- Expected and received frames of one session: what is missing is last_f_cnt - first_f_cnt + 1 - received.
CREATE TABLE frame_gap (
    device_id bigint NOT NULL,
    dev_addr text NOT NULL,
    started_at timestamptz NOT NULL,  -- a counter that starts anew without a join begins a new row
    first_f_cnt bigint NOT NULL,
    last_f_cnt bigint NOT NULL,
    received bigint NOT NULL,
    retransmissions bigint NOT NULL,
    last_time timestamptz NOT NULL,
    PRIMARY KEY (device_id, dev_addr, started_at)
) WITH (fillfactor = 70);

-- Messages that could not be used, with the reason; `smartdorf quarantine` shows and replays them.
CREATE TABLE quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash bytea NOT NULL UNIQUE,       -- of topic and payload: a redelivery is the same row
    topic text NOT NULL,
    payload bytea NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    source text NOT NULL,
    received_at timestamptz NOT NULL,
    replay_requested_at timestamptz,
    replayed_at timestamptz,          -- when a replay could use it
    attempts integer NOT NULL DEFAULT 0
);
CREATE INDEX quarantine_replay ON quarantine (id) WHERE replay_requested_at IS NOT NULL;

-- Devices whose stored uplinks are to be decoded anew: just onboarded, or their decoder was mended.
CREATE TABLE redecode_request (
    device_id bigint PRIMARY KEY REFERENCES device,
    requested_at timestamptz NOT NULL DEFAULT now()
);

-- Open conditions and their timers: what a restart needs to go on where it was.
CREATE TABLE rule_state (
    rule text NOT NULL,
    subject_kind text NOT NULL CHECK (subject_kind IN ('place', 'device')),
    subject_id bigint NOT NULL,
    phase text NOT NULL CHECK (phase IN ('pending', 'firing')),
    since timestamptz NOT NULL,       -- when the condition began to hold, in event time
    readings integer NOT NULL,
    fired_at timestamptz,
    PRIMARY KEY (rule, subject_kind, subject_id)
);

CREATE TABLE alert (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule text NOT NULL,
    rule_version text NOT NULL,
    subject_kind text NOT NULL,
    subject_id bigint NOT NULL,
    severity text NOT NULL,
    state text NOT NULL CHECK (state IN ('firing', 'resolved')),
    since timestamptz NOT NULL,
    fired_at timestamptz NOT NULL,    -- event time
    resolved_at timestamptz,          -- event time
    title jsonb NOT NULL,             -- by language
    summary jsonb NOT NULL,           -- by language, as it was when it fired
    action jsonb NOT NULL,
    inputs jsonb NOT NULL,            -- the values that made it fire
    CHECK ((state = 'resolved') = (resolved_at IS NOT NULL))
);
-- One open alert per rule and place.
CREATE UNIQUE INDEX alert_open ON alert (rule, subject_kind, subject_id) WHERE state = 'firing';
CREATE INDEX alert_fired ON alert (fired_at DESC);

CREATE TABLE alert_event (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id bigint NOT NULL REFERENCES alert,
    kind text NOT NULL CHECK (kind IN ('fired', 'resolved')),
    time timestamptz NOT NULL,        -- event time
    recorded_at timestamptz NOT NULL,
    summary jsonb NOT NULL,
    inputs jsonb NOT NULL,
    reason text                       -- why, where it was not the data: rule removed, place removed
);
CREATE INDEX alert_event_alert ON alert_event (alert_id);

-- What still has to be told, and what became of it. Written in the transaction of the alert.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_event_id bigint NOT NULL REFERENCES alert_event,
    receiver text NOT NULL,
    stale boolean NOT NULL,           -- happened long before it was known here: told only while it still holds
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'skipped', 'failed')),
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    finished_at timestamptz,
    result text,                      -- the receiver's answer, or why it was skipped or given up
    UNIQUE (alert_event_id, receiver)
);
CREATE INDEX outbox_waiting ON outbox (next_attempt_at) WHERE state = 'waiting';

CREATE TABLE audit_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    action text NOT NULL,             -- device.add, place.add, quarantine.replay …
    subject text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}'
);

-- The service hears at once of every change of devices, places and installations, and of work asked of it.
CREATE FUNCTION notify_smartdorf() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('smartdorf', TG_ARGV[0]);
    RETURN NULL;
END
$$;
CREATE TRIGGER place_changed AFTER INSERT OR UPDATE OR DELETE ON place
    FOR EACH STATEMENT EXECUTE FUNCTION notify_smartdorf('directory');
CREATE TRIGGER installation_changed AFTER INSERT OR UPDATE OR DELETE ON installation
    FOR EACH STATEMENT EXECUTE FUNCTION notify_smartdorf('directory');
CREATE TRIGGER device_changed AFTER UPDATE OF model, name, tags, parameters, limits OR DELETE ON device
    FOR EACH STATEMENT EXECUTE FUNCTION notify_smartdorf('directory');
CREATE TRIGGER redecode_requested AFTER INSERT OR UPDATE ON redecode_request
    FOR EACH STATEMENT EXECUTE FUNCTION notify_smartdorf('request');
CREATE TRIGGER replay_requested AFTER UPDATE OF replay_requested_at ON quarantine
    FOR EACH STATEMENT EXECUTE FUNCTION notify_smartdorf('request');

INSERT INTO tenant (slug, name) VALUES ('village', 'village');
