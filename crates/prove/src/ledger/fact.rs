use jiff::Timestamp;
use schema::{
    ActKind, Action, Countermeasure, CountermeasureId, IncidentId, IncidentStatus, Proof, Severity,
    SnapshotId, WatcherClass,
};
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
    /// Snapshots were forgotten.
    SnapshotsForgotten {
        /// See [`Fact::VaultInitialised`].
        vault_id: String,
        /// Which.
        snapshots: Vec<SnapshotId>,
        /// How many of them were protected.
        protected: u64,
        /// On whose word protected ones were forgotten; empty if there were none.
        by: String,
        /// Their reason, likewise.
        because: String,
    },
    /// Forgotten snapshots were taken back.
    SnapshotsTakenBack {
        /// See [`Fact::VaultInitialised`].
        vault_id: String,
        /// Which.
        snapshots: Vec<SnapshotId>,
    },
    /// A prune ended, or was cancelled.
    VaultPruned {
        /// See [`Fact::VaultInitialised`].
        vault_id: String,
        /// Packs that were marked for removal.
        marked: u64,
        /// Marked packs that were removed.
        removed: u64,
        /// Their bytes.
        removed_bytes: u64,
        /// Marked packs that were taken back.
        taken_back: u64,
    },
    /// A passphrase of a vault was added or removed.
    VaultKeyChanged {
        /// See [`Fact::VaultInitialised`].
        vault_id: String,
        /// Name of the key's file.
        key: String,
        /// Whether it opens the vault from now on.
        added: bool,
    },
    /// A medium was prepared for a rotation.
    MediumPrepared {
        /// See [`Fact::VaultInitialised`].
        vault_id: String,
        /// The medium's id.
        medium: String,
        /// The rotation.
        rotation: String,
        /// The set.
        set: String,
    },
    /// A copy of the vault was written to a medium, or could not be.
    MediumWritten {
        /// See [`Fact::VaultInitialised`].
        vault_id: String,
        /// The rotation; empty where nothing says which.
        rotation: String,
        /// The set; empty likewise.
        set: String,
        /// Snapshots of protected data that it holds and that were read back from it; 0 where it failed.
        snapshots: u64,
        /// Bytes that were read back from it.
        bytes_read: u64,
        /// Whether it counts from now on.
        counts: bool,
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
    /// A countermeasure was planned, approved, applied, taken back or refused.
    CountermeasureChanged {
        /// The countermeasure as it stands now.
        countermeasure: Countermeasure,
    },
    /// Somebody looked at something or changed it, or was not let; or what was let for a while is over.
    Access {
        /// The user's name, or the name of the token; empty before anybody said who they are, and where time did it.
        user: String,
        /// Their role; empty as above.
        role: String,
        /// What they did: a word such as `log_in`, `read`, `approve`.
        what: String,
        /// To what: a page or an id, never a patient's.
        object: String,
        /// Whether they were let.
        allowed: bool,
    },
    /// An act was armed for a class of watcher, or made observe-only again.
    Armed {
        /// The act.
        act: ActKind,
        /// The class.
        class: WatcherClass,
        /// Which of the two.
        armed: bool,
        /// The administrator who said so.
        by: String,
    },
    /// The hub began to run.
    HubStarted {
        /// Version of the program.
        version: String,
        /// SHA-256 of its configuration, in hexadecimal.
        config_sha256: String,
    },
    /// The hub ended in order. A start without this before it followed a kill or a crash.
    HubStopped {
        /// What ended it, in words.
        because: String,
    },
    /// Findings added up to an incident.
    IncidentOpened {
        /// Its number.
        id: IncidentId,
        /// How bad it is.
        severity_id: Severity,
        /// The detectors that spoke.
        detectors: Vec<String>,
    },
    /// A person or the hub said where an incident stands.
    IncidentMarked {
        /// Its number.
        id: IncidentId,
        /// Where it stands.
        status: IncidentStatus,
        /// Who said so.
        by: String,
    },
    /// A channel accepted a notice.
    NoticeDelivered {
        /// Name of the channel.
        channel: String,
        /// What it is about.
        incident: Option<IncidentId>,
        /// What the receiver answered.
        proof: String,
    },
    /// The state database was damaged or missing and was made anew.
    StateRecovered {
        /// What was wrong, in words.
        because: String,
        /// Changes that were replayed from the change log.
        changes: u64,
        /// Changes that were acknowledged and could not be replayed.
        missing: u64,
        /// The files that were set aside, without their folder.
        set_aside: Vec<String>,
    },
    /// A scheduled job ended.
    JobFinished {
        /// Its name in the configuration.
        name: String,
        /// When it should have begun.
        due_at: Timestamp,
        /// What came of it: `done`, `found`, `failed` or `interrupted`.
        outcome: String,
    },
    /// A scheduled job did not take place when it was due.
    JobMissed {
        /// Its name in the configuration.
        name: String,
        /// When it should have begun.
        due_at: Timestamp,
    },
    /// The machine's clock and the time that went by differ: somebody or something set it. Times before and after this cannot be
    /// compared; deadlines moved with the clock.
    ClockJumped {
        /// By how many seconds; below zero it was set back.
        by_seconds: i64,
    },
    /// A host that was isolated was let back, since it was rescanned and its store proven.
    HostReconnected {
        /// Its name in the configuration.
        host: String,
        /// The drill that proved its store.
        proof: SnapshotId,
        /// Who let it back.
        by: String,
        /// Until when it is looked at more closely.
        watched_until: Timestamp,
    },
    /// What the hub had put into the packet filter was taken out by somebody else.
    WallChanged {
        /// Whether more than single addresses: the table, a chain, a rule, what is allowed.
        rules: bool,
        /// How many countermeasures were in force no longer.
        gone: u64,
        /// The first of them.
        countermeasures: Vec<CountermeasureId>,
        /// Whether everything is in force again.
        put_back: bool,
        /// What the kernel said, or why it could not be put back.
        because: String,
    },
    /// A guard stopped somebody, put files back and kept evidence.
    GuardStopped {
        /// Name of the watcher.
        watcher: String,
        /// The id of the stop, which is the name of its evidence folder.
        stop: String,
        /// SHA-256 of the list of all files in that folder; `None`: it could not be written to its end.
        evidence_sha256: Option<String>,
        /// Originals that were changed, renamed or removed.
        files_touched: u64,
        /// Of those, files that read as before.
        files_put_back: u64,
        /// Of those, files that could not be put back.
        files_irrecoverable: u64,
    },
    /// Something happened to an approval of a program that encrypts.
    GuardPolicy {
        /// Name of the watcher.
        watcher: String,
        /// The approval.
        approval: String,
        /// What happened: `in_force`, `allowed`, `expired`, `revoked`, `void` or `refused`.
        event: String,
        /// The program.
        tool: String,
        /// Who gave it.
        by: String,
        /// Why.
        because: String,
        /// Files that were let pass.
        files: u32,
    },
    /// A letter to the owner of a network that scans was drafted, approved, sent or answered.
    LetterChanged {
        /// Its number.
        letter: String,
        /// The network's prefix.
        network: String,
        /// How many of its addresses it is about.
        addresses: u64,
        /// How it stands: `draft`, `approved`, `sent` or `replied`.
        state: String,
        /// Who said so.
        by: String,
        /// How it was sent, or what was answered.
        note: String,
    },
    /// How mail is weighed was changed, or a change was taken back.
    MailPolicyChanged {
        /// What, in a few words: a reason's id, or a sender.
        what: String,
        /// Who did it.
        by: String,
        /// Why.
        because: String,
        /// SHA-256 of the policy from then on, in hexadecimal.
        sha256: String,
    },
    /// The wall's policy was changed: who reaches whom.
    WallPolicyChanged {
        /// What happened: `on_trial`, `applied`, `confirmed`, `undone`, `loaded`, or `trial_ended` where nobody confirmed it.
        event: String,
        /// Number of the policy that counts from then on; `None`: none does.
        number: Option<u64>,
        /// SHA-256 of it, in hexadecimal.
        sha256: Option<String>,
        /// Until when it is on trial.
        until: Option<Timestamp>,
        /// How many sentences of it are new or gone.
        changes: u64,
        /// The first of them, in English, each with `+` or `-` before it.
        sentences: Vec<String>,
        /// Who did it.
        by: String,
        /// Why.
        because: String,
    },
    /// Mails that were held back were removed by themselves.
    MailExpired {
        /// Name of the watcher.
        watcher: String,
        /// How many because of their age.
        by_age: u64,
        /// How many for want of room.
        for_room: u64,
        /// The first of them by their ids.
        ids: Vec<String>,
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
