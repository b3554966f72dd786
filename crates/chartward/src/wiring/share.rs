//! The loop of a watch over a share: observe looks, judge weighs, and what it says becomes a finding.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use jiff::Timestamp;
use judge::share::{Judgement, Sign};
use observe::share::{Bounds, Cover, Decoys, Place, Watch};
use schema::{Entity, Finding, FindingClass, Lang, ShareLook, Subject, SubjectRole};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::control::{Asked, Control, done};
use crate::wiring::said::Said;

/// What a watch from outside cannot prevent. Said at its start, since nobody should learn it during an attack.
const LOST_AT_MOST: &str = "This watch holds nobody back: a server that encrypts itself goes on until it is cut off or turned off. What \
    is lost then is what was written since the last proven backup, at most the RPO that `chartward status` shows.";
const LOST_AT_MOST_JA: &str = "この監視は書き込みを止めることはできません。サーバー自身が暗号化を始めた場合、切り離すか電源を切るまで続きます。\
    失われるのは、復元を確認した最後のバックアップより後に書かれたものです。その長さは最大でも `chartward status` に表示される RPO です。";

/// What the operator chose.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) place: Place,
    /// Folders of the share; empty for all of it.
    pub(crate) paths: Vec<String>,
    pub(crate) decoys: Option<Decoys>,
    /// Between two readings of the decoys.
    pub(crate) glance_every: Duration,
    /// Between two listings.
    pub(crate) look_every: Duration,
    pub(crate) bounds: Bounds,
    /// Where it answers whoever asks how it stands; `None`: nowhere.
    pub(crate) control: Option<PathBuf>,
}

/// What may be asked of it. It acts on nobody, so there is nothing to arm or to release.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Request {
    /// How does it stand?
    Health,
}

/// How it stands, for whoever asks while it waits for the server: a look may take minutes.
#[derive(Debug, Clone)]
struct Standing {
    since: Timestamp,
    looked_at: Option<Timestamp>,
    answers: bool,
    cover: Option<Cover>,
    findings: u64,
}

/// Something that the watch has to say. Nothing here names a file.
#[derive(Debug)]
pub(crate) enum Report {
    /// It watches from now on.
    Ready(Box<Ready>),
    /// A detector spoke.
    Finding(Box<Finding>),
    /// A listing was made: what it counted.
    Look(Look),
    /// The share did not answer for a while.
    Missed {
        /// Seconds in which nothing was seen.
        seconds: u64,
        /// Whether it answers again.
        answers: bool,
        /// Why, the first time it is said.
        cause: String,
    },
}

/// What is watched, and what is not seen.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Ready {
    pub(crate) mode: &'static str,
    pub(crate) share: String,
    pub(crate) paths: Vec<String>,
    pub(crate) files: usize,
    pub(crate) folders: usize,
    pub(crate) canaries: usize,
    pub(crate) standing: usize,
    pub(crate) samples: usize,
    pub(crate) left_out: u64,
    pub(crate) complete: bool,
    pub(crate) glance_seconds: f64,
    pub(crate) look_seconds: f64,
    #[serde(flatten)]
    pub(crate) blind_spots: Said,
    /// What is gone when the server encrypts itself, in plain words.
    pub(crate) lost_at_most: &'static str,
    pub(crate) lost_at_most_ja: &'static str,
}

/// One listing in numbers.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Look {
    pub(crate) files: u64,
    pub(crate) added: u64,
    pub(crate) removed: u64,
    pub(crate) rewritten: u64,
    pub(crate) suffixed: u64,
    pub(crate) sampled: usize,
    pub(crate) unread: u64,
    pub(crate) left_out: u64,
    pub(crate) complete: bool,
    pub(crate) seconds: f64,
}

/// Watches until the process is ended or `tell` says that nobody listens.
pub(crate) fn watch(settings: &Settings, tell: &mut dyn FnMut(Report)) -> anyhow::Result<()> {
    let standing =
        Standing { since: Timestamp::now(), looked_at: None, answers: false, cover: None, findings: 0 };
    let standing = Arc::new(Mutex::new(standing));
    serve(settings, &standing)?;
    let view = settings.place.view()?;
    let watch = Watch::start(view, settings.paths.clone(), settings.decoys.clone(), settings.bounds.clone());
    tell(Report::Ready(Box::new(ready(settings, watch.cover()))));
    let now = Instant::now();
    let mut watcher = Watcher {
        settings,
        watch,
        judge: judge::share::Share::default(),
        look_due: now + settings.look_every,
        glance_due: now + settings.glance_every,
        silent_since: None,
        standing,
    };
    loop {
        watcher.stand();
        watcher.turn(tell);
    }
}

/// Answers on a thread of its own, since the loop waits for the server.
fn serve(settings: &Settings, standing: &Arc<Mutex<Standing>>) -> anyhow::Result<()> {
    let Some(path) = &settings.control else { return Ok(()) };
    let control = Control::<Request>::serve(path)?;
    let (share, paths, standing) = (settings.place.name(), places(settings), Arc::clone(standing));
    let answer = move || {
        while let Some(Asked { request: Request::Health, answer }) = control.wait() {
            let standing = standing.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let _ = answer.send(health(&share, &paths, &standing));
        }
    };
    thread::Builder::new()
        .name("health".into())
        .spawn(answer)
        .context("start a thread for the control socket")?;
    Ok(())
}

fn health(share: &str, paths: &[String], standing: &Standing) -> Value {
    let cover = standing.cover;
    done(json!({
        "mode": "share",
        "armed": false,
        "share": share,
        "paths": paths,
        "since": standing.since,
        "answers": standing.answers,
        "looked_at": standing.looked_at,
        "files": cover.map(|cover| cover.files),
        "canaries": cover.map(|cover| cover.canaries),
        "complete": cover.map(|cover| cover.complete),
        "findings": standing.findings,
    }))
}

struct Watcher<'a> {
    settings: &'a Settings,
    watch: Watch,
    judge: judge::share::Share,
    look_due: Instant,
    glance_due: Instant,
    silent_since: Option<Instant>,
    standing: Arc<Mutex<Standing>>,
}

impl Watcher<'_> {
    /// Shows how it stands to whoever asks.
    fn stand(&self) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        standing.answers = self.silent_since.is_none();
        standing.cover = Some(self.watch.cover());
    }

    fn turn(&mut self, tell: &mut dyn FnMut(Report)) {
        let next = self.look_due.min(self.glance_due);
        self.watch.view().rest(next.saturating_duration_since(Instant::now()));
        if self.silent_since.is_some() && !self.reconnect(tell) {
            return;
        }
        let mut due = Instant::now() >= self.look_due;
        if Instant::now() >= self.glance_due {
            let (look, disturbed) = self.watch.glance();
            self.glance_due = Instant::now() + self.settings.glance_every;
            due |= disturbed;
            self.weigh(&look, tell);
        }
        if due && self.silent_since.is_none() {
            let started = Instant::now();
            let look = self.watch.look();
            let pause = if self.watch.is_unfinished() { Duration::ZERO } else { self.settings.look_every };
            self.look_due = Instant::now() + pause;
            self.weigh(&look, tell);
            if look.answered {
                self.standing.lock().unwrap_or_else(PoisonError::into_inner).looked_at =
                    Some(Timestamp::now());
                tell(Report::Look(numbers(&look, self.watch.cover(), started.elapsed())));
            }
        }
    }

    fn weigh(&mut self, look: &ShareLook, tell: &mut dyn FnMut(Report)) {
        if !look.answered && self.silent_since.is_none() {
            self.silent_since = Some(Instant::now());
            tell(Report::Missed { seconds: 0, answers: false, cause: "the connection was lost".into() });
        }
        let now = Timestamp::now();
        if let Some(judgement) = self.judge.look(look, now) {
            self.standing.lock().unwrap_or_else(PoisonError::into_inner).findings += 1;
            tell(Report::Finding(Box::new(self.finding(&judgement, now))));
        }
    }

    /// Tries once; says whether looks can go on.
    fn reconnect(&mut self, tell: &mut dyn FnMut(Report)) -> bool {
        let settings = self.settings;
        self.glance_due = Instant::now() + settings.glance_every;
        match settings.place.view() {
            Ok(view) => {
                self.watch.reconnected(view);
                let seconds = self.silent_since.take().map_or(0, |since| since.elapsed().as_secs());
                tell(Report::Missed { seconds, answers: true, cause: String::new() });
                // Whatever happened meanwhile is seen by what it left behind.
                self.look_due = Instant::now();
                true
            }
            Err(_) => {
                self.look_due = self.look_due.max(self.glance_due);
                self.weigh(&ShareLook::default(), tell);
                false
            }
        }
    }

    fn finding(&self, judgement: &Judgement, now: Timestamp) -> Finding {
        let entry = judge::entry(&judgement.detector).unwrap_or(&judge::share::ENTRY);
        let words = |lang| judgement.signs.iter().map(|sign: &Sign| sign.words(lang)).collect();
        let share = self.settings.place.name();
        let target = |entity| Subject { role: SubjectRole::Target, entity };
        let view = self.watch.view();
        let mut subjects: Vec<Subject> =
            view.server().map(|name| target(Entity::Host { name })).into_iter().collect();
        subjects.push(target(Entity::Store { name: share.clone() }));
        subjects.extend(view.address().map(|address| target(Entity::Address { address })));
        Finding {
            time: now,
            class: FindingClass::Detection,
            detector: entry.id.into(),
            title: entry.title.into(),
            title_ja: entry.title_ja.into(),
            severity_id: judgement.severity_id,
            attacks: (entry.attacks)(),
            actor: "unknown (looked at from outside)".into(),
            reasons: words(Lang::En),
            reasons_ja: words(Lang::Ja),
            uid: format!("{}-{}-{}", entry.id, share, now.as_millisecond()),
            subjects,
        }
    }
}

fn numbers(look: &ShareLook, cover: Cover, took: Duration) -> Look {
    Look {
        files: look.files_seen,
        added: look.added,
        removed: look.removed,
        rewritten: look.rewritten,
        suffixed: look.suffixed,
        sampled: look.evidence.len(),
        unread: look.unread,
        left_out: cover.left_out,
        complete: cover.complete,
        seconds: took.as_secs_f64(),
    }
}

/// The share, or its folders that are watched.
fn places(settings: &Settings) -> Vec<String> {
    let share = settings.place.name();
    if settings.paths.is_empty() {
        return vec![share];
    }
    settings.paths.iter().map(|path| format!("{share}/{path}")).collect()
}

fn ready(settings: &Settings, cover: Cover) -> Ready {
    let look = settings.look_every.as_secs_f64();
    let mut blind_spots = Said::new(
        "blind_spots",
        [
            [
                "who wrote: from outside neither the process nor the account can be seen",
                "誰が書き込んだか（外からは、プロセスもアカウントも分かりません）",
            ],
            [
                "noise that stays outside the sampled start, middle and end of a file longer than 12 KiB",
                "12 KiBを超えるファイルで、調べる先頭・中央・末尾以外の部分だけの破壊",
            ],
            [
                "ciphertext behind a kept or forged header of a packed, picture or database format, or written as text (base64)",
                "圧縮・画像・データベース形式の先頭を残すか装った暗号文、または文字列（base64）で書かれた暗号文",
            ],
            [
                "files whose name promises no format and of which no sample was read before they were changed",
                "名前から形式が分からず、変更前に標本を読んでいなかったファイル",
            ],
            [
                "files emptied or removed without a replacement: these are counted and raise no alarm",
                "置き換えを伴わずに空にされたか削除されたファイル（数えますが、警報にはなりません）",
            ],
            [
                "a server that lies: it may show this account an intact tree",
                "偽りの応答をするサーバー（この監視用アカウントにだけ正常に見せることができます）",
            ],
            [
                "databases and other files that the server's programs keep locked",
                "データベースなど、サーバーのプログラムがロックしているファイル",
            ],
        ],
    );
    blind_spots.add(
        format!(
            "what happens between two looks ({look} s apart): a file that comes and goes leaves no trace"
        ),
        format!("2回の確認（{look}秒間隔）の間の出来事（現れてすぐ消えたファイルは痕跡が残りません）"),
    );
    let samples = settings.bounds.samples_per_look;
    blind_spots.add(
        format!(
            "files encrypted so slowly or so seldom that fewer than 3 sampled files a day show it: up to {samples} changed files are \
             sampled in each look, 12 KiB of each"
        ),
        format!(
            "標本に現れるのが1日3個未満となるほど、緩慢またはまれな暗号化（1回の確認で、変更されたファイルを最大{samples}個、\
             それぞれ12 KiBまで調べます）"
        ),
    );
    if cover.canaries == 0 {
        blind_spots.add(
            "no decoys are planted (--plant): the first sign comes from standing files and listings",
            "おとりファイルを置いていません（--plant）。最初の兆候は、既存のファイルと一覧の変化から得ます",
        );
    }
    if !cover.complete || cover.left_out > 0 {
        let left_out = cover.left_out;
        blind_spots.add(
            format!("{left_out} entries beyond the bounds, links, or folders that this account may not list"),
            format!("上限を超えたもの、リンク、このアカウントで一覧できないフォルダー（計{left_out}件）"),
        );
    }
    Ready {
        mode: "share",
        share: settings.place.name(),
        paths: places(settings),
        files: cover.files,
        folders: cover.folders,
        canaries: cover.canaries,
        standing: cover.standing,
        samples: cover.samples,
        left_out: cover.left_out,
        complete: cover.complete,
        glance_seconds: settings.glance_every.as_secs_f64(),
        look_seconds: look,
        blind_spots,
        lost_at_most: LOST_AT_MOST,
        lost_at_most_ja: LOST_AT_MOST_JA,
    }
}
