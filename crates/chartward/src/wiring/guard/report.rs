//! What the guard says, as values; the command line puts them into JSON or words. Nothing here names a record.

use std::path::PathBuf;

use jiff::Timestamp;
use observe::files::{Apart, COPY_EACH_MAX};
use schema::{Action, Finding};
use serde::Serialize;

use super::policy::News;
use super::shelter::{self, Shelter};
use super::snapshots::Cover;
use super::{Response, Settings};

/// Something that the guard has to say.
#[derive(Debug)]
pub(crate) enum Report {
    /// It protects from now on.
    Ready(Ready),
    /// An attack.
    Finding(Finding),
    /// Something was done to a process.
    Action(Action),
    /// Files were put back.
    Restored(Restored),
    /// Something happened to an approval.
    Policy(News),
    /// Something about a database.
    Database(shelter::Said),
    /// The kernel dropped events.
    Missed {
        /// How often its queue overflowed.
        events: u64,
    },
    /// The guard ends, and these processes of each stopped actor stay frozen.
    StillFrozen {
        /// Process ids, one list for each actor.
        actors: Vec<Vec<i32>>,
    },
}

/// What protection stands from now on, and what it cannot do.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Ready {
    pub(crate) mode: &'static str,
    pub(crate) armed: bool,
    pub(crate) paths: Vec<PathBuf>,
    /// What waits until it was judged.
    pub(crate) holds: Vec<String>,
    /// What happens first and is undone after.
    pub(crate) undoes: Vec<String>,
    pub(crate) blind_spots: Vec<String>,
    /// Databases, whose servers' opens do not wait, with what covers them.
    pub(crate) databases: Vec<Cover>,
}

impl Ready {
    pub(super) fn permission(trees: Vec<(PathBuf, Apart)>, settings: &Settings) -> Self {
        let mut blind_spots = vec![
            "files that were open for writing before the guard started".to_owned(),
            "files that nobody had opened since then when they were removed".to_owned(),
            "files that are only emptied by their path (truncate), when nothing else shows an encryption"
                .to_owned(),
            format!("contents above {} MiB on a file system without reflinks", COPY_EACH_MAX >> 20),
            "writes to the block device, and a hostile root, who can end the guard: opens pass then"
                .to_owned(),
        ];
        if trees.iter().any(|(_, apart)| *apart != Apart::FileSystem) {
            blind_spots.push(
                "a folder that is no file system of its own is mounted onto itself: processes in another mount namespace, and \
                 those whose working folder or open descriptor was below it before, go past that mount"
                    .to_owned(),
            );
        }
        Self {
            mode: "permission",
            armed: settings.response == Response::Armed,
            paths: trees.into_iter().map(|(path, _)| path).collect(),
            holds: words(&["open for writing", "open with truncation", "open for mapping into memory"]),
            undoes: words(&["rename", "rename over another file", "removal"]),
            blind_spots,
            databases: vec![],
        }
    }
}

impl Ready {
    /// Names the databases and what is not done for them.
    pub(super) fn shelter(&mut self, shelter: &Shelter) {
        self.databases.clone_from(&shelter.covers);
        if !shelter.covers.is_empty() {
            let spot = "databases: what their servers write, since nobody looks into it (a DROP TABLE is theirs to obey); what others \
                        overwrite there is seen when they close it, and comes back from a snapshot or the vault";
            self.blind_spots.push(spot.to_owned());
        }
        let held = shelter
            .held
            .iter()
            .map(|why| format!("this kernel cannot exclude a database, whose opens wait: {why}"));
        self.blind_spots.extend(held);
        if shelter.cut {
            let spot = "databases beyond the first 50000 folders, or beyond 64: name them with --database";
            self.blind_spots.push(spot.to_owned());
        }
    }
}

/// What a mirror of the trees covers.
#[derive(Debug, Clone, Copy)]
pub(super) struct MirrorCover {
    pub(super) files: usize,
    pub(super) left_out: u64,
    pub(super) folders_polled: usize,
}

impl Ready {
    pub(super) fn unprivileged(paths: Vec<PathBuf>, cover: MirrorCover, settings: &Settings) -> Self {
        let mut blind_spots = words(&[
            "who wrote: the kernel does not tell an ordinary user, so the writer is guessed from open files and command lines",
            "processes of other users: they can be seen to do harm and cannot be stopped",
            "what changes between two looks: a file that is written to and removed at once leaves no trace",
            "files that are only emptied (truncate), when nothing else shows an encryption",
        ]);
        if cover.left_out > 0 {
            blind_spots.push(format!(
                "{} files that could not be read or found no room in the mirror",
                cover.left_out
            ));
        }
        if cover.folders_polled > 0 {
            blind_spots.push(format!(
                "{} folders are beyond fs.inotify.max_user_watches and are looked at ten times a second instead",
                cover.folders_polled
            ));
        }
        let mut undoes = words(&["overwriting", "rename", "rename over another file", "removal"]);
        undoes.push(format!("for the {} files in the mirror", cover.files));
        Self {
            mode: "unprivileged",
            armed: settings.response == Response::Armed,
            paths,
            holds: vec![],
            undoes,
            blind_spots,
            databases: vec![],
        }
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// What became of the files of one stopped actor.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Restored {
    /// The id by which `chartward guard incidents`, `undo` and `end` know it.
    pub(crate) stop: String,
    /// Originals that it changed, renamed or removed.
    pub(crate) files_touched: u64,
    /// Of those, files that read as before, verified by hash.
    pub(crate) files_put_back: u64,
    /// Of those, files that could not be put back.
    pub(crate) files_irrecoverable: u64,
    /// Of those, files that somebody else wrote to since: left alone.
    pub(crate) files_contested: u64,
    /// Files that it made and that were moved into the evidence.
    pub(crate) files_moved_aside: u64,
    /// From the first harmful act to the actor standing still.
    pub(crate) time_to_stop_ms: u64,
    pub(crate) first_harm_at: Timestamp,
    pub(crate) stopped_at: Timestamp,
    pub(crate) restored_at: Timestamp,
    /// New suffixes that it gave, without the dot.
    pub(crate) suffixes: Vec<String>,
    pub(crate) evidence: PathBuf,
    /// SHA-256 of the evidence's list.
    pub(crate) evidence_sha256: Option<String>,
    /// What could not be kept of the evidence.
    pub(crate) evidence_missing: Vec<String>,
}
