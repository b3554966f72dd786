//! What the guard says, as values; the command line puts them into JSON or words. Nothing here names a record.

use std::path::PathBuf;

use jiff::Timestamp;
use observe::files::fanotify::{Tier, Watch};
use observe::files::{Apart, COPY_EACH_MAX, Home};
use schema::{Action, Finding, Lang, Lapse};
use serde::Serialize;
use serde_json::{Value, json};

use super::policy::News;
use super::shelter::{self, Shelter};
use super::snapshots::Cover;
use super::{Response, Settings};
use crate::wiring::said::Said;

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
    #[serde(flatten)]
    pub(crate) holds: Said,
    /// What happens first and is undone after.
    #[serde(flatten)]
    pub(crate) undoes: Said,
    #[serde(flatten)]
    pub(crate) blind_spots: Said,
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
        let mut holds = Said::new(
            "holds",
            [
                ["open for writing", "書き込みのためのオープン"],
                ["open with truncation", "内容を消すオープン"],
                ["open for mapping into memory", "メモリーへの割り当てのためのオープン"],
            ],
        );
        let mut undoes = Said::new("undoes", [RENAME, RENAME_OVER, REMOVAL]);
        if !nowhere {
            let [en, ja] = if everywhere {
                ["", ""]
            } else {
                [", where tier is pre_access", "（tier が pre_access の場所）"]
            };
            holds.add(format!("truncation by path{en}"), format!("パスを指定した切り詰め{ja}"));
        }
        if !everywhere {
            let [en, ja] =
                if nowhere { ["", ""] } else { [", where tier is opens", "（tier が opens の場所）"] };
            undoes.add(
                format!("truncation by path of files that were opened before{en}"),
                format!("以前に開かれたファイルの、パスを指定した切り詰め{ja}"),
            );
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
            self.blind_spots.add(
                "databases: what their servers write, since nobody looks into it (a DROP TABLE is theirs to obey); what others \
                 overwrite there is seen when they close it, and comes back from a snapshot or the vault",
                "データベース：サーバー自身が書き込む内容（DROP TABLE などの命令の当否は判断しません）。ほかのプログラムによる上書きは、\
                 ファイルが閉じられた時点で検知し、スナップショットまたは保管庫から戻します",
            );
        }
        for why in &shelter.held {
            self.blind_spots.add(
                format!("this kernel cannot exclude a database, whose opens wait: {why}"),
                format!(
                    "このカーネルではデータベースを対象から外せないため、そのオープンは待たされます：{why}"
                ),
            );
        }
        if shelter.cut {
            self.blind_spots.add(
                "databases beyond the first 50000 folders, or beyond 64: name them with --database",
                "50,000フォルダーを超えた先、または65個目以降のデータベース（--database で指定してください）",
            );
        }
    }

    /// The kernel tells nobody of forks.
    pub(super) fn without_forks(&mut self) {
        self.blind_spots.add(
            "whose job it was, where a process leaves its job and ends before it was looked at: the kernel does not tell of forks here",
            "ジョブを離れ、調べる前に終了したプロセスがどのジョブのものだったか（この環境ではカーネルが fork を知らせません）",
        );
    }

    /// Files were open for writing before the start.
    pub(super) fn held_before(&mut self, files: usize) {
        if files > 0 {
            self.blind_spots.add(
                format!(
                    "{files} files were open for writing before the guard started: writes through those descriptors are not held; \
                     what the files held at the start is kept"
                ),
                format!(
                    "ガードの開始前から書き込み用に開かれていた{files}個のファイルへの書き込みは保留できません（開始時の内容は保存しています）"
                ),
            );
        }
    }
}

const RENAME: [&str; 2] = ["rename", "名前の変更"];
const RENAME_OVER: [&str; 2] = ["rename over another file", "ほかのファイルを置き換える名前の変更"];
const REMOVAL: [&str; 2] = ["removal", "削除"];

fn blind_spots(watch: &Watch, homes: &[(PathBuf, Home)], nowhere: bool) -> Said {
    let mut spots = Said::new(
        "blind_spots",
        [
            [
                "files that nobody had opened since the start when they were removed",
                "開始後に一度も開かれないまま削除されたファイル",
            ],
            [
                "a slow encryption whose every file is done by another process: fewer than 3 files within 10 minutes from one control \
                 group or one address, 4 within 5 minutes by one user, 6 within a minute by anybody",
                "ファイルごとに別のプロセスで行う緩慢な暗号化（同じ cgroup やアドレスから10分間に3個未満、同じユーザーで5分間に4個未満、\
                 全体で1分間に6個未満）",
            ],
            [
                "writes to the block device, and a hostile root, who can end the guard: opens pass then",
                "ブロックデバイスへの直接の書き込みと、悪意のある root（ガードを終了させることができ、その後のオープンは素通りします）",
            ],
            [
                "file systems that are mounted below the tree after the start",
                "開始後に対象フォルダーの下へマウントされたファイルシステム",
            ],
        ],
    );
    if nowhere {
        spots.add(
            "contents of files that nobody had opened before they were truncated by their path",
            "一度も開かれないまま、パスの指定で切り詰められたファイルの内容",
        );
    }
    if homes.iter().any(|(_, home)| *home == Home::Copy) {
        let mib = COPY_EACH_MAX >> 20;
        spots.add(
            format!(
                "contents above {mib} MiB where the file system makes no reflinks, and those of files above 64 KiB that somebody reads in \
                 more than 256 pieces and that find no room"
            ),
            format!(
                "reflink を使えないファイルシステムで{mib} MiBを超える内容と、64 KiBを超え、257個以上に分けて読まれ、保存する余地がなかった\
                 ファイルの内容"
            ),
        );
    }
    if watch.trees().any(|(_, apart, _)| apart != Apart::FileSystem) {
        spots.add(
            "a folder that is no file system of its own is mounted onto itself: processes whose working folder or open descriptor was \
             below it before go past that mount, and so do those that reach the folder through another mount of the file system \
             (a bind mount elsewhere, a container's volume) or work in a mount namespace that is younger than 0.2 seconds or \
             was made before the start without receiving mounts",
            "独立したファイルシステムでないフォルダーは、自身の上にマウントして監視します。以前からその下を作業フォルダーにしているか\
             開いているプロセス、同じファイルシステムの別のマウント（別の場所への bind マウント、コンテナのボリューム）から\
             アクセスするプロセス、作られて0.2秒以内のマウント名前空間、または開始前に作られマウントを受け取らない\
             名前空間のプロセスは、その監視を通りません",
        );
    }
    for foreign in watch.left_out() {
        let (at, kind) = (foreign.at.display(), &foreign.kind);
        spots.add(
            format!("{at} ({kind}): a server or a program answers for it, and may stop to"),
            format!("{at}（{kind}）：サーバーまたはプログラムが応答するもので、応答が止まることがあります"),
        );
    }
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
    /// Stops could not be written down in the state folder: who was stopped stays so by this guard alone.
    StateFull { stops: u64 },
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
            Shortfall::StateFull { .. } => "state_full",
            Shortfall::NamesLost { .. } => "names",
            Shortfall::Lines { .. } => "lines",
        }
    }

    /// What judge weighs.
    pub(super) fn lapse(&self) -> Lapse {
        match self {
            Shortfall::Gap { .. } => Lapse::Gap,
            Shortfall::StoreFull { .. } => Lapse::StoreFull,
            Shortfall::Passed { .. } => Lapse::Passed,
            Shortfall::Denied { .. } => Lapse::Denied,
            Shortfall::Descriptors { .. } => Lapse::Descriptors,
            Shortfall::StateFull { .. } => Lapse::StateFull,
            Shortfall::Late { .. } => Lapse::Late,
            Shortfall::NamesLost { .. } => Lapse::Names,
            Shortfall::Lines { .. } => Lapse::Lines,
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
            | Shortfall::StateFull { stops: count }
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
            Shortfall::StateFull { stops } => (
                format!(
                    "{stops} stops could not be written down: the state folder takes no file. Who was stopped stays stopped while this guard \
                     runs. Make room there: then it is written down, and can be released"
                ),
                format!(
                    "停止の記録{stops}件を状態フォルダーに書き込めませんでした。監視が動いている間は停止したままです。空き容量を確保すると\
                     記録され、再開の操作ができるようになります"
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
        let mut blind_spots = Said::new(
            "blind_spots",
            [
                [
                    "who wrote: the kernel does not tell an ordinary user, so the writer is guessed from open files and command lines",
                    "誰が書き込んだか（一般ユーザーにはカーネルが知らせないため、開いているファイルとコマンドラインから推定します）",
                ],
                [
                    "processes of other users: they can be seen to do harm and cannot be stopped",
                    "ほかのユーザーのプロセス（被害は分かりますが、停止できません）",
                ],
                [
                    "what changes between two looks: a file that is written to and removed at once leaves no trace",
                    "2回の確認の間の変化（書き込み後すぐに削除されたファイルは痕跡が残りません）",
                ],
                [
                    "files that are only emptied (truncate), when nothing else shows an encryption",
                    "ほかに暗号化の兆候がなく、内容だけが消されたファイル（truncate）",
                ],
            ],
        );
        if cover.left_out > 0 {
            let files = cover.left_out;
            blind_spots.add(
                format!("{files} files that could not be read or found no room in the mirror"),
                format!("読み取れなかったか、控えに入りきらなかったファイル{files}個"),
            );
        }
        if cover.folders_polled > 0 {
            let folders = cover.folders_polled;
            blind_spots.add(
                format!(
                    "{folders} folders are beyond fs.inotify.max_user_watches and are looked at ten times a second instead"
                ),
                format!("fs.inotify.max_user_watches を超えた{folders}個のフォルダーは、代わりに1秒に10回確認します"),
            );
        }
        let mut undoes = Said::new("undoes", [["overwriting", "上書き"], RENAME, RENAME_OVER, REMOVAL]);
        let files = cover.files;
        undoes.add(
            format!("for the {files} files in the mirror"),
            format!("控えにあるファイル{files}個が対象"),
        );
        Self {
            mode: "unprivileged",
            armed: settings.response == Response::Armed,
            paths,
            holds: Said::new("holds", []),
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
