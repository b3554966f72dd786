//! The vault: a repository in restic's format, version 2 (version 1 is read and written, too), in a local folder.
//!
//! A stock `restic` lists, checks and restores what is written here, and the other way round. The format is described in restic's
//! design document; each file here names its part.
//!
//! # What holds at any moment
//! - A file under a final name is whole: it was written under another name, flushed, then renamed to a name that was free.
//! - The order is packs → their directories → index → snapshot, each durable before the next. A snapshot that is listed can be
//!   restored; a backup that is killed leaves packs that the next one takes over, and no snapshot.
//! - A backup whose lock was lost seals its snapshot only if all that it needs is still there, and a snapshot is read back before it is
//!   acknowledged. `tests/it/durable` asks for all of this after every step that is taken on the disk.
//! - Nothing is overwritten. Nothing is removed but locks, temporary files of backups that died, and what a prune marked a day before;
//!   a forgotten snapshot is moved aside until then.
//! - Damage to a pack costs the files that have content in it; the rest is restored and what is lost is named.
//! - Bytes of the repository never make the engine panic. Lengths are checked against the file and the bounds (pack header 16 MiB, file
//!   content 32 MiB a blob, directory 512 MiB, other files 256 MiB) before memory is taken.
//!
//! # Memory
//! The index takes about 55 bytes a blob. A backup holds at most 6 packs (16 to 25 MiB each), 8 chunks (8 MiB at most, 1 MiB on average) in
//! the queue and one in each thread, and the entries of the directories it is in (about 400 bytes each): below 300 MB, usually half of it.
//! A prune holds 16 bytes and some bits a blob and about 150 bytes a pack beside the index.
//! A restore holds the plan of 20,000 files or 200,000 blobs at a time, about 100 bytes for each directory, and 4 MiB a thread.

mod archive;
mod backend;
mod backup;
mod cache;
mod capture;
mod check;
mod chunker;
mod codec;
mod command;
mod copy;
mod crypto;
mod derived;
mod details;
mod diff;
mod disk;
mod dump;
mod file_kind;
mod files;
mod filter;
mod find;
mod forget;
mod glob;
mod goformat;
mod id;
mod index;
mod key;
mod keys;
mod lock;
mod lock_until;
mod meta;
pub(crate) mod open_at;
mod pack;
mod pack_file;
mod password;
mod pictures;
mod place;
mod progress;
mod prune;
mod range;
mod reads;
mod repository;
mod request;
mod rest;
mod restore;
mod retention;
mod room;
mod roots;
mod skeleton;
mod snapshot;
mod stream;
mod tar;
#[cfg(test)]
mod tests;
mod tree;
mod unset;
#[cfg(any(test, fuzzing))]
pub mod untrusted;
mod walk;
mod work;
mod write;

pub use check::{CheckLevel, CheckReport, CheckRequest, Problem};
pub use command::SourceCommand;
pub use copy::{CopyReport, CopyRequest, ReadBack, folder_on};
pub use details::{Listed, Match};
pub use diff::{Change, Changed, DiffReport, DiffTotals, WithMetadata};
pub use disk::{Disk, LocalDisk};
pub use dump::{DumpReport, NotDumped};
pub use files::{Entry, SnapshotFiles};
pub use filter::{Filter, Marker};
pub use find::{FindReport, FindRequest};
pub use forget::{
    Fate, ForgetGroup, ForgetNote, ForgetPlan, ForgetRequest, Generations, GroupBy, Override, SnapshotFilter,
    Verdict,
};
pub use glob::{Pattern, expand};
pub use id::Id;
pub use key::{KeyCost, KeyInfo};
pub use lock::{Hold, Unlock};
pub use lock_until::WriteLock;
pub use password::Password;
pub use progress::{Phase, Progress};
pub use prune::{CancelReport, MaxUnused, Moment, Packs, PrunePlan, PruneReport, PruneRequest, Uptime};
pub use range::RangeReader;
pub use reads::{Coverage, Portion};
pub use repository::Vault;
pub use request::{
    BackupReport, BackupRequest, Extra, ExtraFiles, FileSeen, Observer, ParentChoice, Pictures,
};
pub use rest::{RestAccess, Trust, VaultAt};
pub use restore::{NotRestored, RestoreReport};
pub use retention::{Period, Reason, Rules, Within};
pub use room::Room;
pub use snapshot::Snapshot;
pub use stream::StreamRequest;
pub use tree::Kind;
pub use unset::{Facet, NotSet};
pub use walk::{Unlisted, Walk};

pub(crate) use check::READ_WITHIN;
pub(crate) use crypto::random as random_bytes;
pub(crate) use retention::day;
pub(crate) use roots::{distinct_texts, path_texts};
pub(crate) use snapshot::refuse_reserved;
