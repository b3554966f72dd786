-- The sample hospital's electronic medical record.
PRAGMA foreign_keys = ON;

CREATE TABLE departments (
    code TEXT PRIMARY KEY,
    name TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE doctors (
    code       TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    kana       TEXT NOT NULL,
    department TEXT NOT NULL REFERENCES departments (code)
) WITHOUT ROWID;

CREATE TABLE wards (
    code TEXT PRIMARY KEY,
    name TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE meals (
    code        TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    restriction TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE patients (
    id               TEXT PRIMARY KEY CHECK (length(id) = 10),
    family_name      TEXT NOT NULL,
    given_name       TEXT NOT NULL,
    family_kana      TEXT NOT NULL,
    given_kana       TEXT NOT NULL,
    sex              TEXT NOT NULL CHECK (sex IN ('M', 'F')),
    birth_date       TEXT NOT NULL,
    postal_code      TEXT NOT NULL,
    address          TEXT NOT NULL,
    phone            TEXT NOT NULL,
    blood_abo        TEXT NOT NULL CHECK (blood_abo IN ('A', 'B', 'O', 'AB')),
    blood_rh         TEXT NOT NULL CHECK (blood_rh IN ('+', '-')),
    insurance_plan   TEXT NOT NULL,
    insurance_number TEXT NOT NULL,
    registered_at    TEXT NOT NULL,
    updated_at       TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE allergies (
    id          INTEGER PRIMARY KEY,
    patient_id  TEXT NOT NULL REFERENCES patients (id),
    kind        TEXT NOT NULL,
    code        TEXT NOT NULL,
    substance   TEXT NOT NULL,
    severity    TEXT NOT NULL,
    reaction    TEXT NOT NULL,
    since       TEXT NOT NULL,
    recorded_at TEXT NOT NULL
);

CREATE TABLE problems (
    id          INTEGER PRIMARY KEY,
    patient_id  TEXT NOT NULL REFERENCES patients (id),
    icd10       TEXT NOT NULL,
    name        TEXT NOT NULL,
    department  TEXT NOT NULL REFERENCES departments (code),
    onset       TEXT NOT NULL,
    resolved    TEXT,
    recorded_at TEXT NOT NULL
);

CREATE TABLE visits (
    id         INTEGER PRIMARY KEY,
    patient_id TEXT NOT NULL REFERENCES patients (id),
    visited_at TEXT NOT NULL,
    department TEXT NOT NULL REFERENCES departments (code),
    doctor     TEXT NOT NULL REFERENCES doctors (code)
);

CREATE TABLE admissions (
    id            INTEGER PRIMARY KEY,
    patient_id    TEXT NOT NULL REFERENCES patients (id),
    admitted_at   TEXT NOT NULL,
    department    TEXT NOT NULL REFERENCES departments (code),
    doctor        TEXT NOT NULL REFERENCES doctors (code),
    ward          TEXT NOT NULL REFERENCES wards (code),
    room          INTEGER NOT NULL,
    bed           INTEGER NOT NULL,
    icd10         TEXT NOT NULL,
    discharged_at TEXT,
    cancelled_at  TEXT
);

CREATE TABLE transfers (
    id           INTEGER PRIMARY KEY,
    admission_id INTEGER NOT NULL REFERENCES admissions (id),
    moved_at     TEXT NOT NULL,
    ward         TEXT NOT NULL REFERENCES wards (code),
    room         INTEGER NOT NULL,
    bed          INTEGER NOT NULL
);

CREATE TABLE orders (
    number       TEXT PRIMARY KEY CHECK (length(number) = 15),
    patient_id   TEXT NOT NULL REFERENCES patients (id),
    kind         TEXT NOT NULL CHECK (kind IN ('prescription', 'injection', 'meal', 'laboratory')),
    ordered_at   TEXT NOT NULL,
    department   TEXT NOT NULL REFERENCES departments (code),
    doctor       TEXT NOT NULL REFERENCES doctors (code),
    ward         TEXT REFERENCES wards (code),
    amended_at   TEXT,
    cancelled_at TEXT
) WITHOUT ROWID;

CREATE TABLE order_items (
    id           INTEGER PRIMARY KEY,
    order_number TEXT NOT NULL REFERENCES orders (number),
    code         TEXT NOT NULL,
    name         TEXT NOT NULL,
    amount       INTEGER NOT NULL,
    unit         TEXT NOT NULL,
    usage        TEXT NOT NULL
);

CREATE TABLE meal_orders (
    order_number TEXT PRIMARY KEY REFERENCES orders (number),
    meal         TEXT NOT NULL REFERENCES meals (code),
    starts_at    TEXT NOT NULL,
    banned       TEXT
) WITHOUT ROWID;

CREATE TABLE administrations (
    id           INTEGER PRIMARY KEY,
    order_number TEXT NOT NULL REFERENCES orders (number),
    started_at   TEXT NOT NULL,
    ended_at     TEXT NOT NULL
);

CREATE TABLE lab_results (
    id           INTEGER PRIMARY KEY,
    order_number TEXT NOT NULL REFERENCES orders (number),
    patient_id   TEXT NOT NULL REFERENCES patients (id),
    code         TEXT NOT NULL,
    code_system  TEXT NOT NULL,
    name         TEXT NOT NULL,
    value        TEXT NOT NULL,
    unit         TEXT NOT NULL,
    reference    TEXT NOT NULL,
    flag         TEXT NOT NULL,
    status       TEXT NOT NULL CHECK (status IN ('P', 'F')),
    collected_at TEXT NOT NULL,
    reported_at  TEXT NOT NULL
);

CREATE TABLE notes (
    id         INTEGER PRIMARY KEY,
    patient_id TEXT NOT NULL REFERENCES patients (id),
    kind       TEXT NOT NULL,
    written_at TEXT NOT NULL,
    doctor     TEXT NOT NULL REFERENCES doctors (code),
    text       TEXT NOT NULL
);

CREATE INDEX patients_by_kana ON patients (family_kana, given_kana);
CREATE INDEX allergies_by_patient ON allergies (patient_id);
CREATE INDEX problems_by_patient ON problems (patient_id);
CREATE INDEX visits_by_patient ON visits (patient_id, visited_at);
CREATE INDEX admissions_by_patient ON admissions (patient_id, admitted_at);
CREATE INDEX admissions_by_ward ON admissions (ward) WHERE discharged_at IS NULL AND cancelled_at IS NULL;
CREATE INDEX transfers_by_admission ON transfers (admission_id);
CREATE INDEX orders_by_patient ON orders (patient_id, ordered_at);
CREATE INDEX order_items_by_order ON order_items (order_number);
CREATE INDEX administrations_by_order ON administrations (order_number);
CREATE INDEX lab_results_by_patient ON lab_results (patient_id, code, collected_at);
CREATE INDEX lab_results_by_order ON lab_results (order_number);
CREATE INDEX notes_by_patient ON notes (patient_id, written_at);
