use std::io;
use std::path::PathBuf;

/// What can go wrong between a vault and a restored record.
///
/// Each variant names the operation and the object; the cause is its source. [`Error::next_step`] says what an operator can do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder of the vault is not there: a disk that is not plugged in, a share that is not mounted.
    #[error("the vault's medium is absent: {} does not exist", dir.display())]
    MediumAbsent {
        /// Where the vault should be.
        dir: PathBuf,
    },
    /// The folder is there and holds no repository.
    #[error("there is no repository in {}", dir.display())]
    NoRepository {
        /// Where the vault should be.
        dir: PathBuf,
    },
    /// The folder holds a repository's `keys` or `data`, and not its `config`, without which it cannot be opened.
    #[error("the file config of the vault in {} is missing; its other folders are there", dir.display())]
    ConfigLost {
        /// Where the vault is.
        dir: PathBuf,
    },
    /// The folder holds a repository that is no copy of the one that is to be copied there.
    #[error("the vault in {} is another one, or its config is damaged", dir.display())]
    OtherVault {
        /// The folder.
        dir: PathBuf,
    },
    /// A new vault was asked for in a folder that is in use.
    #[error("cannot create a vault in {}: the folder is not empty", dir.display())]
    NotEmpty {
        /// The folder.
        dir: PathBuf,
    },
    /// No key file opens with the passphrase.
    #[error("the passphrase does not open the vault in {}", dir.display())]
    WrongPassphrase {
        /// Where the vault is.
        dir: PathBuf,
    },
    /// The repository has a version that this engine does not know.
    #[error("the repository in {} has version {version}, which is not 1 or 2", dir.display())]
    UnsupportedVersion {
        /// Where the vault is.
        dir: PathBuf,
        /// As its config says.
        version: u64,
    },
    /// A key file asks for more work or memory than a key derivation may take.
    #[error("the key file {id} asks for scrypt N={n} r={r} p={p}, beyond the bound")]
    KeyDerivationBound {
        /// Name of the key file.
        id: String,
        /// Cost.
        n: u64,
        /// Block size.
        r: u64,
        /// Parallelism.
        p: u64,
    },
    /// A file of the repository is not what it should be.
    #[error("damaged {what} {id} in the vault: {cause}")]
    Damaged {
        /// `config`, `key`, `index`, `snapshot`, `pack`, `tree`, `blob`.
        what: &'static str,
        /// Its name.
        id: String,
        /// What was found.
        cause: String,
    },
    /// Something that the repository refers to is nowhere in it.
    #[error("missing {what} {id} in the vault")]
    Missing {
        /// `tree`, `blob`, `pack`.
        what: &'static str,
        /// Its name.
        id: String,
    },
    /// Somebody else works on the repository and wants nobody beside them.
    #[error("the vault in {} is locked by {by}", dir.display())]
    Locked {
        /// Where the vault is.
        dir: PathBuf,
        /// User, host, process and time of the lock.
        by: String,
    },
    /// The lock on the repository ran out or was removed while something was about to be removed.
    #[error("the lock on the vault in {} was lost, so nothing more is removed", dir.display())]
    LockLost {
        /// Where the vault is.
        dir: PathBuf,
    },
    /// What is needed cannot be told from what is not.
    #[error("nothing is removed from the vault, since what {needed_by} needs cannot be read")]
    NeedUnknown {
        /// A snapshot.
        needed_by: String,
        /// What is damaged or missing.
        #[source]
        source: Box<Error>,
    },
    /// A prune would have removed the last copy of something; it stopped before it did.
    #[error("nothing is removed from the vault in {}: {blobs} parts of files that snapshots need would have been lost", dir.display())]
    WouldLose {
        /// Where the vault is.
        dir: PathBuf,
        /// How many.
        blobs: u64,
    },
    /// Snapshots that are kept from being forgotten.
    #[error("snapshots that are protected cannot be forgotten: {snapshots}")]
    Protected {
        /// Each with the reason.
        snapshots: String,
    },
    /// The passphrase that opened the vault would no longer open it.
    #[error("the key {id} is the one that this vault was opened with")]
    KeyInUse {
        /// Name of its file.
        id: String,
    },
    /// No key, or more than one, has that id.
    #[error("no key, or more than one, begins with {wanted}")]
    KeyNotFound {
        /// What was asked for.
        wanted: String,
    },
    /// There is no space left for the vault.
    #[error("the vault's medium at {} is full", dir.display())]
    VaultFull {
        /// Where the vault is.
        dir: PathBuf,
        /// As the operating system said it.
        #[source]
        source: io::Error,
    },
    /// The vault can be read and not written to.
    #[error("the vault's medium at {} is read-only", dir.display())]
    ReadOnly {
        /// Where the vault is.
        dir: PathBuf,
        /// As the operating system said it.
        #[source]
        source: io::Error,
    },
    /// No snapshot has that id.
    #[error("no snapshot {wanted} in the vault")]
    SnapshotNotFound {
        /// What was asked for.
        wanted: String,
    },
    /// More than one snapshot begins with these digits.
    #[error("more than one snapshot begins with {wanted}")]
    SnapshotAmbiguous {
        /// What was asked for.
        wanted: String,
    },
    /// A folder that should be protected is not there.
    #[error("cannot look at {}, which should be backed up", path.display())]
    RootMissing {
        /// The path as it was asked for.
        path: PathBuf,
        /// As the operating system said it.
        #[source]
        source: io::Error,
    },
    /// A tag that says of a snapshot what only this engine may say.
    #[error("the tag {tag} is reserved for the snapshots that hold proofs")]
    ReservedTag {
        /// The tag.
        tag: String,
    },
    /// Charts are read from what a drill proved, and no drill did.
    #[error("no snapshot in the vault in {} is proven: no drill has restored one and found everything", dir.display())]
    NotProven {
        /// Where the vault is.
        dir: PathBuf,
    },
    /// Something is not in the snapshot.
    #[error("{} is not in the snapshot", path.display())]
    PathNotFound {
        /// The path in the snapshot.
        path: PathBuf,
    },
    /// Something is larger than the caller or this engine accepts.
    #[error("{what} has {size} bytes, more than the {limit} that are accepted here")]
    TooLarge {
        /// A name or a path.
        what: String,
        /// Its size.
        size: u64,
        /// The bound.
        limit: u64,
    },
    /// A path cannot be used for what it was given.
    #[error("cannot use the path {}: {reason}", path.display())]
    UnusablePath {
        /// The path.
        path: PathBuf,
        /// Why.
        reason: &'static str,
    },
    /// A program whose output should be backed up could not be run.
    #[error("cannot run the source command {command}")]
    SourceNotStarted {
        /// Its name, without arguments: they may hold a passphrase.
        command: String,
        /// As the operating system said it.
        #[source]
        source: io::Error,
    },
    /// A program whose output should be backed up failed, so that its output may be half of what it should be.
    #[error("the source command {command} failed ({status}){}{words}", if words.is_empty() { "" } else { ": " })]
    SourceFailed {
        /// Its name.
        command: String,
        /// How it ended.
        status: String,
        /// The end of what it said.
        words: String,
    },
    /// A stream that should be backed up broke off.
    #[error("cannot read the stream that should be backed up")]
    Stream {
        /// As the operating system said it.
        #[source]
        source: io::Error,
    },
    /// A pattern of paths that cannot be read.
    #[error("{pattern:?} is not a pattern: {reason}")]
    Pattern {
        /// As it was given.
        pattern: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The operating system refused something.
    #[error("cannot {op} {}", path.display())]
    Io {
        /// A verb, such as `write`.
        op: &'static str,
        /// What it was about.
        path: PathBuf,
        /// As the operating system said it.
        #[source]
        source: io::Error,
    },
    /// A vault host could not be reached, or did not do what was asked.
    #[error("cannot {op} {url}")]
    Remote {
        /// A verb, such as `read`.
        op: &'static str,
        /// What it was about, without the key.
        url: String,
        /// What the host said, or the network.
        #[source]
        source: io::Error,
    },
    /// The key does not open the repository of the vault host.
    #[error("the vault host does not accept the name or the key for {url}")]
    RemoteKey {
        /// The repository.
        url: String,
    },
    /// The address, the key or the certificate of a vault host cannot be used.
    #[error("cannot use the vault host {url}: {reason}")]
    RemoteUnusable {
        /// The address as it was given, without a key.
        url: String,
        /// Why.
        reason: String,
    },
    /// A client of the vault host is not what it would have to be.
    #[error("the client {name} {problem}")]
    HostClient {
        /// Its name.
        name: String,
        /// The verb and the rest.
        problem: &'static str,
    },
    /// Another process serves from this folder.
    #[error("the vault host in {} is served by another process already", dir.display())]
    HostServed {
        /// The folder.
        dir: PathBuf,
    },
    /// Files made by this user could not be used by the one who serves.
    #[error("the vault host's folder {} belongs to another user (uid {owner})", dir.display())]
    HostOwner {
        /// The folder.
        dir: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// Somebody changed the receipts of a repository.
    #[error("the receipts of the repository {repository} do not follow from each other at line {line}")]
    ReceiptsBroken {
        /// Whose.
        repository: String,
        /// From 1.
        line: u64,
    },
    /// What a drill would restore is more than there is room for; nothing was begun.
    #[error("the drill needs {needed} bytes and the sandbox {} has room for {free}", dir.display())]
    SandboxSmall {
        /// The folder.
        dir: PathBuf,
        /// Bytes of the files.
        needed: u64,
        /// Bytes that it may take.
        free: u64,
    },
    /// The folder of a drill ran full.
    #[error("there is no room left in the sandbox {}, so the drill could not be carried out", dir.display())]
    SandboxFull {
        /// The folder.
        dir: PathBuf,
    },
    /// Everything was to be captured as of one instant, and there is no way to.
    #[error("there is no snapshot of the file system for {}: {reason}", path.display())]
    NoInstant {
        /// The folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A snapshot of a file system went while it was made.
    #[error("the file system's snapshot {} was removed by somebody else", path.display())]
    InstantLost {
        /// Where it was.
        path: PathBuf,
    },
    /// SQLite refused something.
    #[error("cannot {op} the database {}", path.display())]
    Database {
        /// A verb, such as `copy`.
        op: &'static str,
        /// The database.
        path: PathBuf,
        /// As SQLite said it.
        #[source]
        source: rusqlite::Error,
    },
    /// The text that describes a source cannot be used.
    #[error("cannot use the source {text}: {reason}")]
    SourceText {
        /// As it was written.
        text: String,
        /// Why.
        reason: String,
    },
    /// A source names a secret that nobody handed over.
    #[error("the secret {name:?} that holds a password was not handed over")]
    NotHanded {
        /// Its name.
        name: String,
    },
    /// A program that captures or starts a database is not on this machine.
    #[error("{program} is not on this machine (package {package})")]
    ProgramMissing {
        /// Its name.
        program: String,
        /// Where it comes from.
        package: &'static str,
    },
    /// A program that captures or starts a database failed.
    #[error("{program} failed ({status}): {said}")]
    ProgramFailed {
        /// Its name.
        program: String,
        /// How it ended.
        status: String,
        /// The end of what it said.
        said: String,
    },
    /// A mapping of a database's tables to charts cannot be used.
    #[error("cannot use the mapping, {what}: {reason}")]
    Mapping {
        /// `file`, `source`, or the section.
        what: String,
        /// Why.
        reason: String,
    },
    /// A database said something that makes no sense.
    #[error("{program} gave an answer that is not understood: {answer}")]
    Answer {
        /// Who answered.
        program: &'static str,
        /// The beginning of what it said.
        answer: String,
    },
    /// Another process writes this journal.
    #[error("another process writes {}", path.display())]
    JournalInUse {
        /// The journal.
        path: PathBuf,
    },
    /// The key does not open this journal, or it is none.
    #[error("cannot open {}: {cause}", path.display())]
    JournalKey {
        /// The journal.
        path: PathBuf,
        /// Why.
        cause: &'static str,
    },
    /// A downtime note cannot be taken.
    #[error("the note {id} cannot be taken")]
    NoteRefused {
        /// Which.
        id: String,
        /// Why.
        #[source]
        source: crate::downtime::Fault,
    },
    /// Another note has the id already.
    #[error("there is another note {id} with other content")]
    NoteDiffers {
        /// Which.
        id: String,
    },
    /// A decision about a note cannot be taken.
    #[error("cannot decide on the note: {cause}")]
    Decision {
        /// Why.
        cause: crate::downtime::reconcile::Refusal,
    },
    /// A file does not hold what it should.
    #[error("cannot read {}: {cause}", path.display())]
    NotNotes {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// Compression or the source of randomness failed.
    #[error("cannot {op}")]
    Engine {
        /// A verb and its object.
        op: &'static str,
        /// As the library said it.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// What an operator can do about it, where there is something.
    pub fn next_step(&self) -> Option<&'static str> {
        Some(match self {
            Error::MediumAbsent { .. } => "plug in or mount the backup medium, then try again",
            Error::NoRepository { .. } => {
                "check that this is the right medium; if it is, what was backed up here is gone: use another copy, or `vault init` to begin anew"
            }
            Error::ConfigLost { .. } => {
                "fetch the file `config` from another copy of the vault; the data is still there (if it was `vault init` that was cut short, empty the folder and begin anew)"
            }
            Error::OtherVault { .. } => {
                "use a medium of this vault, or prepare an empty one; what is on this one stays as it is"
            }
            Error::NotEmpty { .. } => "name an empty or a new folder",
            Error::WrongPassphrase { .. } => "use the passphrase on the recovery sheet of this vault",
            Error::KeyDerivationBound { .. } | Error::UnsupportedVersion { .. } => {
                "open the vault with a current stock restic"
            }
            Error::Damaged { what: "key", .. } | Error::Missing { what: "key", .. } => {
                "fetch the `keys` folder from another copy of the vault; without it nobody can open it"
            }
            Error::Damaged { what: "config", .. } => {
                "fetch the file `config` from another copy of the vault; the data is still there"
            }
            Error::Damaged { .. } | Error::Missing { .. } => {
                "run `vault check --read-data` to see what is affected, and fetch the damaged files from another copy of the vault"
            }
            Error::NotHanded { .. } => {
                "store it with `chartward secret set NAME`, from which the hub hands it over, or give `--secret NAME=FILE`"
            }
            Error::Locked { .. } => {
                "wait until it is done; if no such process runs, run `chartward vault unlock` or `restic unlock`"
            }
            Error::LockLost { .. } => "what was done so far is whole; run the same command again",
            Error::NeedUnknown { .. } => {
                "fetch the damaged files from another copy of the vault, or forget that snapshot by its id; then prune again"
            }
            Error::WouldLose { .. } => "run `vault check --read-data`, then prune again",
            Error::Protected { .. } => {
                "keep them; whoever is responsible for the records can override with `--override REASON`, which is recorded"
            }
            Error::KeyInUse { .. } => {
                "open the vault with another passphrase to remove this key, or change the passphrase with `vault key passwd`"
            }
            Error::KeyNotFound { .. } => "list them with `vault key list`",
            Error::VaultFull { .. } => {
                "earlier snapshots are whole; make space on the medium or use a larger one, then back up again"
            }
            Error::ReadOnly { .. } => {
                "everything can be read from it; to write, mount it with write access (`mount -o remount,rw`), or see in the kernel's log why it became read-only"
            }
            Error::ReservedTag { .. } => "choose another tag",
            Error::SnapshotNotFound { .. } | Error::SnapshotAmbiguous { .. } => "list them with `snapshots`",
            Error::NotProven { .. } => {
                "run `chartward drill`; when there is no time for one, name a snapshot with `--snapshot ID` (`--snapshot latest`) and read it unproven"
            }
            Error::SourceFailed { .. } => {
                "no snapshot was made of it; run the command by itself to see what is wrong, then back up again"
            }
            Error::SandboxSmall { .. } => {
                "name a folder with more room with --sandbox, or drill a part of it with --sample"
            }
            Error::SandboxFull { .. } => "name a folder with more room with --sandbox",
            Error::Remote { .. } => {
                "check that the vault host runs and can be reached; what it holds is untouched"
            }
            Error::RemoteKey { .. } => {
                "check the name in the address and the key (CHARTWARD_REST_KEY or --rest-key-file); `chartward vault client list` on the host says whether it was revoked"
            }
            Error::HostOwner { .. } => {
                "run it as the user who owns the folder: `runuser -u chartward-vault -- chartward vault …`, or with setpriv where files have the immutable flag (docs/vault-host.md)"
            }
            Error::ReceiptsBroken { .. } => {
                "nothing is removed until this is understood: compare the file in `receipts` with a copy of it; the repository itself can be checked and read"
            }
            Error::ProgramMissing { .. } => "install that package on this machine, then try again",
            Error::NoInstant { .. } => {
                "put what should be of one instant on btrfs, or back up with `--moment auto`, which reads files until they hold still"
            }
            Error::JournalInUse { .. } => {
                "the viewer that runs writes it: enter notes there, or end it first; reading is possible at any time"
            }
            Error::JournalKey { .. } => {
                "fetch the key file that was made beside it (FILE.key), or give the passphrase that it was made with"
            }
            Error::NoteDiffers { .. } => {
                "keep both: give the second one another id, or look at which one is right"
            }
            Error::RootMissing { .. } => "check the path, and that its file system is mounted",
            _ => return None,
        })
    }

    /// The error with all its causes on one line, for a report that names many.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }
}
