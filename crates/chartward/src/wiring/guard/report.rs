//! What the guard says, as values; the command line puts them into JSON or words. Nothing here names a record.

use std::path::PathBuf;

use jiff::Timestamp;
use observe::files::fanotify::{Tier, Watch};
use observe::files::{Apart, COPY_EACH_MAX, Home};
use schema::{Action, Finding, Lang};
use serde::Serialize;
use serde_json::{Value, json};

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
    /// A client is no longer served.
    CutOff(CutOff),
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
    /// Something could not be seen, kept or judged in time.
    Shortfall(Shortfall),
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
    /// What verdicts rest on; the others were switched off.
    pub(crate) indicators: Vec<&'static str>,
    /// What is held where.
    pub(crate) mounts: Vec<Held>,
    /// How contents are kept.
    pub(crate) keeps: Vec<Keeps>,
    pub(crate) store_bytes_max: u64,
    pub(crate) kept_hours: i64,
    /// Databases, whose servers' opens do not wait, with what covers them.
    pub(crate) databases: Vec<Cover>,
}

impl Ready {
    pub(super) fn permission(watch: &Watch, homes: Vec<(PathBuf, Home)>, settings: &Settings) -> Self {
        let mounts: Vec<Held> = watch.watched().iter().map(Held::new).collect();
        let everywhere = watch.watched().iter().all(|mount| mount.tier == Tier::PreAccess);
        let nowhere = watch.watched().iter().all(|mount| mount.tier == Tier::Opens);
        let mut holds = words(&["open for writing", "open with truncation", "open for mapping into memory"]);
        let mut undoes = words(&["rename", "rename over another file", "removal"]);
        if !nowhere {
            let but = if everywhere { "" } else { ", where tier is pre_access" };
            holds.push(format!("truncation by path{but}"));
        }
        if !everywhere {
            let but = if nowhere { "" } else { ", where tier is opens" };
            undoes.push(format!("truncation by path of files that were opened before{but}"));
        }
        Self {
            mode: "permission",
            armed: settings.response == Response::Armed,
            paths: watch.trees().map(|(path, ..)| path.to_owned()).collect(),
            holds,
            undoes,
            blind_spots: blind_spots(watch, &homes, nowhere),
            mounts,
            keeps: homes.into_iter().map(|(path, home)| Keeps { path, how: home.id() }).collect(),
            store_bytes_max: settings.max_store,
            kept_hours: settings.keep.as_hours(),
            indicators: settings.indicators.names(),
            databases: vec![],
        }
    }

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

    /// Files were open for writing before the start.
    pub(super) fn held_before(&mut self, files: usize) {
        if files > 0 {
            self.blind_spots.push(format!(
                "{files} files were open for writing before the guard started: writes through those descriptors are not held; \
                 what the files held at the start is kept"
            ));
        }
    }
}

fn blind_spots(watch: &Watch, homes: &[(PathBuf, Home)], nowhere: bool) -> Vec<String> {
    let mut spots = words(&[
        "files that nobody had opened since the start when they were removed",
        "a slow encryption whose every file is done by another process: fewer than 3 files within 10 minutes from one control \
         group or one address, 4 within 5 minutes by one user, 6 within a minute by anybody",
        "writes to the block device, and a hostile root, who can end the guard: opens pass then",
        "file systems that are mounted below the tree after the start",
    ]);
    if nowhere {
        spots.push(
            "contents of files that nobody had opened before they were truncated by their path".to_owned(),
        );
    }
    if homes.iter().any(|(_, home)| *home == Home::Copy) {
        spots.push(format!(
            "contents above {} MiB where the file system makes no reflinks, and those of files above 64 KiB that somebody reads in more \
             than 256 pieces and that find no room",
            COPY_EACH_MAX >> 20
        ));
    }
    if watch.trees().any(|(_, apart, _)| apart != Apart::FileSystem) {
        spots.push(
            "a folder that is no file system of its own is mounted onto itself: processes in another mount namespace, and \
             those whose working folder or open descriptor was below it before, go past that mount"
                .to_owned(),
        );
    }
    spots.extend(watch.left_out().map(|foreign| {
        format!(
            "{} ({}): a server or a program answers for it, and may stop to",
            foreign.at.display(),
            foreign.kind
        )
    }));
    spots
}

/// What is held on one mount.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Held {
    pub(crate) at: PathBuf,
    pub(crate) file_system: String,
    /// `opens`, or `pre_access` where truncations wait as well.
    pub(crate) tier: &'static str,
}

impl Held {
    fn new(mount: &observe::files::fanotify::Watched) -> Self {
        Self { at: mount.at.clone(), file_system: mount.file_system.clone(), tier: mount.tier.id() }
    }
}

/// How the contents of one tree are kept.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Keeps {
    pub(crate) path: PathBuf,
    /// `reflink` on the tree's own file system, or `copy` in the store.
    pub(crate) how: &'static str,
}

/// Something that could not be seen, kept or judged in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shortfall {
    /// Nobody watched in that time: the guard before this one did not end by itself.
    Gap { from: Timestamp, to: Timestamp },
    /// Files are watched and could not be kept.
    StoreFull { files: u64 },
    /// Opens for reading passed unseen: more waited than there are descriptors for.
    Passed { opens: u64 },
    /// Opens were refused for the same reason.
    Denied { opens: u64 },
    /// Descriptors ran out: events were lost and their opens refused by the kernel, or room was made just in time.
    Descriptors { times: u64 },
    /// Somebody with unjudged writes waited too long and was frozen until judged.
    Late { pid: i32 },
    /// Names were lost; so many changes were found afterwards.
    NamesLost { found: usize },
    /// Lines of this guard found no reader in time.
    Lines { lines: u64 },
}

impl Shortfall {
    /// `what` in the line.
    pub(crate) fn id(&self) -> &'static str {
        match self {
            Shortfall::Gap { .. } => "gap",
            Shortfall::StoreFull { .. } => "store_full",
            Shortfall::Passed { .. } => "passed_unjudged",
            Shortfall::Denied { .. } => "denied",
            Shortfall::Descriptors { .. } => "descriptors",
            Shortfall::Late { .. } => "late",
            Shortfall::NamesLost { .. } => "names",
            Shortfall::Lines { .. } => "lines",
        }
    }

    /// As a line. `overflows` stands in all lines of this type.
    pub(crate) fn line(&self) -> Value {
        let mut line = json!({"type": "missed", "overflows": 0, "what": self.id()});
        let more = match self {
            Shortfall::Gap { from, to } => {
                json!({"from": from, "to": to, "milliseconds": i64::try_from(to.duration_since(*from).as_millis()).unwrap_or(i64::MAX)})
            }
            Shortfall::StoreFull { files: count }
            | Shortfall::Passed { opens: count }
            | Shortfall::Denied { opens: count }
            | Shortfall::Descriptors { times: count }
            | Shortfall::Lines { lines: count } => json!({"count": count}),
            Shortfall::Late { pid } => json!({"pid": pid}),
            Shortfall::NamesLost { found } => json!({"count": found}),
        };
        if let (Some(line), Value::Object(more)) = (line.as_object_mut(), more) {
            line.extend(more);
        }
        line
    }

    /// For people.
    pub(crate) fn sentence(&self, lang: Lang) -> String {
        let (en, ja) = match self {
            Shortfall::Gap { from, to } => (
                format!(
                    "nobody watched from {from} to {to}: the guard had ended unexpectedly and was started again"
                ),
                format!("{from} から {to} まで監視が止まっていました（予期せず終了し、再起動しました）"),
            ),
            Shortfall::StoreFull { files } => (
                format!(
                    "{files} files are watched but could not be kept: the store is full or they are too large"
                ),
                format!(
                    "{files}ファイルは監視中ですが、写しを保存できませんでした（保存先の容量不足、または大きすぎるファイル）"
                ),
            ),
            Shortfall::Passed { opens } => (
                format!("{opens} opens for reading passed unseen: too many waited at once"),
                format!("同時に待つ操作が多すぎたため、読み取り{opens}件を確認せずに通しました"),
            ),
            Shortfall::Denied { opens } => (
                format!("{opens} opens were refused: too many waited at once"),
                format!("同時に待つ操作が多すぎたため、{opens}件を拒否しました"),
            ),
            Shortfall::Descriptors { times } => (
                format!(
                    "the guard had no file descriptors left, {times} times: opens may have been refused, and less is remembered now"
                ),
                format!(
                    "監視のファイル記述子が{times}回不足しました。操作を拒否した場合があり、保持する情報を減らしました"
                ),
            ),
            Shortfall::Late { pid } => (
                format!(
                    "process {pid} was frozen until judged: its writes could not be judged within two seconds"
                ),
                format!("プロセス {pid} の書き込みを2秒以内に判定できなかったため、判定まで凍結しました"),
            ),
            Shortfall::NamesLost { found } => (
                format!("the kernel dropped changes of names; {found} were found afterwards"),
                format!("カーネルが名前の変更の通知を取りこぼしました。後から{found}件を確認しました"),
            ),
            Shortfall::Lines { lines } => (
                format!("{lines} lines of the guard were dropped: nobody read them in time"),
                format!("読み取りが間に合わず、監視の出力{lines}行を破棄しました"),
            ),
        };
        lang.pick(en, ja)
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
            indicators: settings.indicators.names(),
            mounts: vec![],
            keeps: vec![],
            store_bytes_max: settings.max_store,
            kept_hours: settings.keep.as_hours(),
            databases: vec![],
        }
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// A client of a file server on this machine that was cut off.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CutOff {
    pub(crate) address: std::net::IpAddr,
    /// Its account, as far as it is known.
    pub(crate) user: Option<String>,
    pub(crate) because: String,
    pub(crate) at: Timestamp,
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
