use jiff::Timestamp;
use schema::{Action, Proof, SnapshotId};
use serde::{Deserialize, Serialize};

/// What an entry states. Counts, ids and times only: whoever fills in a text field keeps patients out of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fact {
    /// The ledger begins.
    Genesis {
        /// The key that all its lines are signed with, 64 hexadecimal digits.
        public_key: String,
    },
    /// A vault was made.
    VaultInitialised {
        /// The repository's id from its restic `config`.
        vault_id: String,
    },
    /// A vault was opened with its passphrase.
    VaultOpened {
        /// See [`Fact::VaultInitialised`].
        vault_id: String,
    },
    /// A snapshot was written to its end.
    SnapshotSealed {
        /// See [`Fact::VaultInitialised`].
        vault_id: String,
        /// The snapshot.
        snapshot: SnapshotId,
        /// When its capture began.
        captured_at: Timestamp,
        /// Regular files in it.
        files: u64,
        /// Their bytes.
        bytes: u64,
        /// How many paths are not in it as they should be.
        exceptions: u64,
        /// Patients counted in it.
        patients: u64,
    },
    /// A drill found everything.
    DrillPassed {
        /// What was measured.
        proof: Proof,
    },
    /// A drill found something missing or wrong.
    DrillFailed {
        /// What was measured.
        proof: Proof,
    },
    /// An act was tried.
    ActionTaken {
        /// The act and what became of it.
        action: Action,
    },
    /// An incident began for those who run the place.
    IncidentDeclared {
        /// The name that people use for it.
        title: String,
        /// Whether it is a rehearsal.
        synthetic: bool,
    },
    /// It is over.
    IncidentClosed {
        /// The name that people use for it.
        title: String,
        /// Whether it was a rehearsal.
        synthetic: bool,
    },
    /// A report was written.
    ReportWritten {
        /// The files of the report.
        files: Vec<WrittenFile>,
    },
    /// A verified copy of the ledger was given out.
    LedgerExported {
        /// Entries in the copy.
        entries: u64,
        /// Hash of the last of them.
        head: String,
    },
    /// An unfinished last line was found and moved aside. It had never been acknowledged to anybody.
    TornTail {
        /// The file beside the ledger that holds it now.
        file: String,
        /// Its bytes.
        bytes: u64,
        /// Their SHA-256, in hexadecimal.
        sha256: String,
    },
    /// A fact of a kind or shape that only another version of Chartward knows.
    #[serde(other, skip_serializing)]
    Unknown,
}

/// A file with what it held when it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenFile {
    /// Its name, without the folder.
    pub name: String,
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: String,
}
