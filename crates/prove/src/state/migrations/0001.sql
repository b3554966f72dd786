-- Times are INTEGER milliseconds since 1970-01-01T00:00:00Z; JSON columns hold the schema crate's values as serde writes them.

CREATE TABLE changes (                    -- the number of the last change that is in the database
    one INTEGER PRIMARY KEY CHECK (one = 1),
    seq INTEGER NOT NULL
) STRICT;

CREATE TABLE settings (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE assets (
    name       TEXT PRIMARY KEY,          -- of the configuration: a host, a store, a share
    kind       TEXT NOT NULL,             -- host | store | share
    address    TEXT,
    state      TEXT NOT NULL,             -- normal | isolated | watched (reconnected, for a week)
    since      INTEGER NOT NULL,
    detail     TEXT NOT NULL DEFAULT ''   -- JSON
) STRICT;

CREATE TABLE incidents (
    id          INTEGER PRIMARY KEY,
    status      TEXT NOT NULL,
    severity_id INTEGER NOT NULL,
    first_at    INTEGER NOT NULL,
    last_at     INTEGER NOT NULL,
    findings    INTEGER NOT NULL,
    json        TEXT NOT NULL             -- schema::Incident
) STRICT;
CREATE INDEX incidents_by_time ON incidents (last_at DESC);
CREATE INDEX incidents_by_status ON incidents (status, last_at DESC);

CREATE TABLE moments (                    -- what people and the hub did in an incident; findings stand in its story
    id          INTEGER PRIMARY KEY,
    incident    INTEGER NOT NULL REFERENCES incidents (id),
    at          INTEGER NOT NULL,
    json        TEXT NOT NULL             -- schema::Moment
) STRICT;
CREATE INDEX moments_by_incident ON moments (incident, at);

CREATE TABLE countermeasures (
    id          INTEGER PRIMARY KEY,
    incident    INTEGER REFERENCES incidents (id),
    kind        TEXT NOT NULL,            -- schema::ActKind
    state       TEXT NOT NULL,            -- schema::CountermeasureState
    planned_at  INTEGER NOT NULL,
    deadline    INTEGER NOT NULL,
    ends_at     INTEGER,                  -- when an applied one is undone by itself
    json        TEXT NOT NULL             -- schema::Countermeasure
) STRICT;
CREATE INDEX countermeasures_by_state ON countermeasures (state, deadline);
CREATE INDEX countermeasures_by_incident ON countermeasures (incident);

CREATE TABLE armed (                      -- what is not here is observe-only
    kind  TEXT NOT NULL,
    class TEXT NOT NULL,
    by    TEXT NOT NULL,
    at    INTEGER NOT NULL,
    PRIMARY KEY (kind, class)
) STRICT;

CREATE TABLE jobs (                       -- each run of a scheduled backup, drill, export or check
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL,            -- of the configuration
    kind        TEXT NOT NULL,            -- backup | drill | check | export
    due_at      INTEGER NOT NULL,
    started_at  INTEGER,
    finished_at INTEGER,
    outcome     TEXT NOT NULL,            -- running | done | found | failed | missed | interrupted
    detail      TEXT NOT NULL DEFAULT ''  -- JSON: the summary line
) STRICT;
CREATE INDEX jobs_by_name ON jobs (name, due_at DESC);

CREATE TABLE snapshots (
    id          TEXT PRIMARY KEY,
    captured_at INTEGER NOT NULL,
    patients    INTEGER NOT NULL,
    files       INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    exceptions  INTEGER NOT NULL
) STRICT;

CREATE TABLE drills (                     -- passed or failed; those passed are the proofs
    id          INTEGER PRIMARY KEY,
    snapshot    TEXT NOT NULL,
    proven_at   INTEGER NOT NULL,
    passed      INTEGER NOT NULL,
    json        TEXT NOT NULL             -- schema::Proof
) STRICT;
CREATE INDEX drills_by_time ON drills (proven_at DESC);

CREATE TABLE promises (                   -- the sentence, as it stood: plotted as the history of RPO and RTO
    at                      INTEGER PRIMARY KEY,
    rpo_seconds             REAL,
    rto_first_chart_seconds REAL,
    rto_full_seconds        REAL,
    alarms                  INTEGER NOT NULL
) STRICT;

CREATE TABLE notices (                    -- the outbox: a notice leaves it when its channel accepted it
    id          INTEGER PRIMARY KEY,
    channel     TEXT NOT NULL,
    incident    INTEGER,
    json        TEXT NOT NULL,            -- act::notify::Notice
    created_at  INTEGER NOT NULL,
    tries       INTEGER NOT NULL DEFAULT 0,
    next_try_at INTEGER,                  -- NULL: delivered, or given up
    delivered_at INTEGER,
    proof       TEXT NOT NULL DEFAULT ''  -- what the receiver answered, or the last error
) STRICT;
CREATE INDEX notices_due ON notices (next_try_at) WHERE next_try_at IS NOT NULL;

CREATE TABLE checkpoints (                -- state of judge's parts with the place in the journal that it includes
    part      TEXT PRIMARY KEY,
    watermark INTEGER NOT NULL,
    json      TEXT NOT NULL
) STRICT;

CREATE TABLE daily (                      -- what the console counts, so that it never has to read the lake
    day       TEXT NOT NULL,              -- YYYY-MM-DD, UTC
    class_uid INTEGER NOT NULL,
    watcher   TEXT NOT NULL,
    detector  TEXT NOT NULL,
    severity_id INTEGER NOT NULL,
    lines     INTEGER NOT NULL,
    PRIMARY KEY (day, class_uid, watcher, detector, severity_id)
) STRICT;

CREATE TABLE users (
    name            TEXT PRIMARY KEY,
    role            TEXT NOT NULL,        -- viewer | operator | clinician | admin
    password        TEXT NOT NULL,        -- argon2id, PHC string
    totp            TEXT,                 -- sealed; NULL until it is set up
    totp_last_step  INTEGER NOT NULL DEFAULT 0,
    lang            TEXT NOT NULL DEFAULT 'ja',
    created_at      INTEGER NOT NULL,
    disabled_at     INTEGER,
    failures        INTEGER NOT NULL DEFAULT 0,
    locked_until    INTEGER
) STRICT;

CREATE TABLE recovery_codes (
    user    TEXT NOT NULL REFERENCES users (name),
    hash    TEXT NOT NULL,
    used_at INTEGER,
    PRIMARY KEY (user, hash)
) STRICT;

CREATE TABLE sessions (
    hash       TEXT PRIMARY KEY,          -- SHA-256 of the cookie
    user       TEXT NOT NULL REFERENCES users (name),
    csrf       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    address    TEXT NOT NULL
) STRICT;

CREATE TABLE tokens (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    hash       TEXT NOT NULL UNIQUE,      -- SHA-256 of the token
    role       TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    used_at    INTEGER,
    revoked_at INTEGER
) STRICT;
