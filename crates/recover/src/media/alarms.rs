//! How a rotation stands, and what is wrong with it, in both languages.

use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use schema::{Alarm, Lang, Severity};
use serde::Serialize;

use super::book::{Attempt, Book, Known, Trouble};
use super::identity::{Presence, is_plugged_in, look};
use super::rotation::{Due, Rotation};

/// Where a medium is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Whereabouts {
    /// In the machine, where it can be read.
    In,
    /// Plugged in and not mounted: an attacker with this machine's rights reaches it.
    PluggedIn,
    /// Out of the machine.
    Detached,
}

/// How a rotation stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Standing {
    /// Its name.
    pub rotation: String,
    /// The set whose turn it is.
    pub due: String,
    /// When its turn began.
    pub since: Timestamp,
    /// When the next set's begins.
    pub until: Timestamp,
    /// Whether it is written and was read back in this turn.
    pub done: bool,
    /// The set that is in, as it says itself.
    pub inserted: Option<String>,
    /// Media that hold a generation, the newest first.
    pub generations: Vec<Generation>,
    /// How many of them are detached: nobody reaches those over the network.
    pub detached: u64,
}

/// A medium with what is on it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Generation {
    /// The set.
    pub set: String,
    /// The medium's id.
    pub medium: String,
    /// When it was written and read back.
    pub at: Timestamp,
    /// When the newest snapshot on it was captured.
    pub newest: Option<Timestamp>,
    /// When the newest proven one was.
    pub newest_proven: Option<Timestamp>,
    /// How many there are.
    pub snapshots: u64,
    /// Where it is.
    pub whereabouts: Whereabouts,
}

impl Standing {
    /// Whether people have to change the medium now.
    pub fn wants_a_change(&self) -> bool {
        !self.done && self.inserted.as_ref() != Some(&self.due)
    }
}

/// Looks at the places where a rotation's media go and puts together how it stands.
pub fn assess(rotation: &Rotation, paths: &[PathBuf], book: &Book, now: Timestamp) -> (Standing, Vec<Alarm>) {
    let seen: Vec<Presence> = paths.iter().map(|path| look(path)).collect();
    let due = rotation.due(now);
    let standing = standing(rotation, &due, &seen, book, now);
    let mut alarms = Vec::new();
    let is_late = now.duration_since(due.since) > rotation.overdue_after;
    let last = book.attempts.get(&rotation.name).filter(|last| last.trouble.is_some());
    if !standing.done {
        let present: Vec<Alarm> = seen.iter().filter_map(|presence| wrong_in(rotation, presence)).collect();
        if present.is_empty() && standing.wants_a_change() && !is_late {
            alarms.push(change(&standing));
        }
        alarms.extend(present);
        if is_late {
            alarms.push(overdue(&standing));
        }
    }
    // What went wrong stays until it went right.
    alarms.extend(last.and_then(|last| went_wrong(rotation, last)));
    if standing.detached == 0 {
        alarms.push(none_detached(rotation));
    }
    (standing, alarms)
}

fn standing(rotation: &Rotation, due: &Due, seen: &[Presence], book: &Book, now: Timestamp) -> Standing {
    let ours = |known: &&Known| {
        known.identity.rotation == rotation.name && rotation.sets.contains(&known.identity.set)
    };
    let mut generations: Vec<Generation> =
        book.media.iter().filter(ours).filter_map(|known| generation(known, seen)).collect();
    generations.sort_by_key(|it| std::cmp::Reverse(it.at));
    let done = generations.iter().any(|it| it.set == due.set && it.at >= due.since && it.at <= now);
    let inserted = seen.iter().find_map(|presence| match presence {
        Presence::Claimed(identity) if identity.rotation == rotation.name => Some(identity.set.clone()),
        _ => None,
    });
    let detached =
        generations.iter().filter(|it| it.whereabouts == Whereabouts::Detached && it.snapshots > 0).count()
            as u64;
    Standing {
        rotation: rotation.name.clone(),
        due: due.set.clone(),
        since: due.since,
        until: due.until,
        done,
        inserted,
        generations,
        detached,
    }
}

fn generation(known: &Known, seen: &[Presence]) -> Option<Generation> {
    let last = known.last.as_ref()?;
    let is_in = |presence: &Presence| matches!(presence, Presence::Claimed(it) if it.id == known.identity.id);
    // What cannot be read may be this one.
    let may_be_in = seen.iter().any(|presence| matches!(presence, Presence::Unreadable(_)));
    let is_where_it_was = || known.path.as_ref().is_some_and(|path| is_in(&look(path)));
    let whereabouts = if seen.iter().any(is_in) || is_where_it_was() {
        Whereabouts::In
    } else if may_be_in || known.disk.as_deref().is_some_and(is_plugged_in) {
        Whereabouts::PluggedIn
    } else {
        Whereabouts::Detached
    };
    Some(Generation {
        set: known.identity.set.clone(),
        medium: known.identity.id.clone(),
        at: last.at,
        newest: last.newest,
        newest_proven: last.newest_proven,
        snapshots: last.snapshots,
        whereabouts,
    })
}

impl Book {
    /// All media that hold a generation, the newest first.
    pub fn generations(&self) -> Vec<Generation> {
        let mut all: Vec<Generation> = self.media.iter().filter_map(|known| generation(known, &[])).collect();
        all.sort_by_key(|it| std::cmp::Reverse(it.at));
        all
    }
}

/// How many generations are out of an attacker's reach, in one sentence; `None` where no medium was ever prepared.
pub fn sentence(generations: &[Generation], lang: Lang, zone: &TimeZone) -> Option<String> {
    let newest = generations.first()?;
    let out: Vec<&Generation> =
        generations.iter().filter(|it| it.whereabouts == Whereabouts::Detached && it.snapshots > 0).collect();
    let day = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string();
    let Some(first) = out.first() else {
        let set = printable(&newest.set);
        return Some(lang.pick(
            format!(
                "No generation is detached: set {set}, written {}, is still in the machine.",
                day(newest.at)
            ),
            format!(
                "取り外した媒体の世代はありません。媒体{set}（{} 書き込み）はまだ機器に入っています。",
                day(newest.at)
            ),
        ));
    };
    let (count, set, at) = (out.len(), printable(&first.set), day(first.at));
    Some(lang.pick(
        format!("{count} generations are on media outside of the machine; the newest is set {set}, written and read back {at}."),
        format!("機器から取り外した媒体に{count}世代あります。最新は媒体{set}（{at} に書き込み・読み戻し確認済み）です。"),
    ))
}

fn wrong_in(rotation: &Rotation, presence: &Presence) -> Option<Alarm> {
    let name = &rotation.name;
    let prepare = (
        "Take it out and put in the right one. A new medium is prepared once with `chartward media prepare`.",
        "取り出して、正しい媒体を入れてください。新しい媒体は、最初に一度 `chartward media prepare` で準備します。",
    );
    match presence {
        Presence::Blank => Some(alarm(
            "media.blank",
            Severity::Critical,
            (
                format!("{name}: the medium that is in is blank: there is no backup on it."),
                format!("{name}: 入っている媒体は空です。バックアップは入っていません。"),
            ),
            prepare,
        )),
        Presence::Foreign => Some(alarm(
            "media.foreign",
            Severity::High,
            (
                format!(
                    "{name}: what is in was never prepared as a medium of this rotation. Nothing is written to it."
                ),
                format!(
                    "{name}: 入っている媒体は、このローテーション用に準備されたものではありません。書き込みは行いません。"
                ),
            ),
            prepare,
        )),
        Presence::Unreadable(cause) => Some(alarm(
            "media.unreadable",
            Severity::Critical,
            (
                format!("{name}: the medium cannot be read: {cause}."),
                format!("{name}: 媒体を読み取れません（{cause}）。"),
            ),
            (
                "Take it out and put it in again; if that does not help, replace it.",
                "入れ直してください。それでも読めない場合は、媒体を交換してください。",
            ),
        )),
        Presence::Claimed(identity)
            if identity.rotation != *name || !rotation.sets.contains(&identity.set) =>
        {
            Some(alarm(
                "media.wrong_set",
                Severity::High,
                (
                    format!(
                        "{name}: set {} of {} is in, which is none of this rotation's.",
                        identity.set, identity.rotation
                    ),
                    format!(
                        "{name}: 入っているのは {} の媒体{}で、このローテーションのものではありません。",
                        identity.rotation, identity.set
                    ),
                ),
                ("Put in the set that is due.", "予定の媒体に交換してください。"),
            ))
        }
        _ => None,
    }
}

fn change(standing: &Standing) -> Alarm {
    let Standing { rotation, due, inserted, .. } = standing;
    let (en, ja) = match inserted {
        Some(set) => (
            format!("{rotation}: take set {set} out and put set {due} in."),
            format!("{rotation}: 媒体{set}を取り出し、媒体{due}に交換してください。"),
        ),
        None => {
            (format!("{rotation}: put set {due} in."), format!("{rotation}: 媒体{due}を入れてください。"))
        }
    };
    alarm(
        "media.change",
        Severity::Medium,
        (en, ja),
        (
            "It is written and read back by itself then; this goes away when that is done.",
            "入れると自動で書き込みと読み戻しの確認を行います。完了するとこの表示は消えます。",
        ),
    )
}

fn overdue(standing: &Standing) -> Alarm {
    let Standing { rotation, due, since, inserted, .. } = standing;
    let (en, ja) = match inserted {
        Some(set) if set == due => (
            format!("{rotation}: set {due} is in since its turn began ({since}), and no backup is on it."),
            format!(
                "{rotation}: 媒体{due}は入っていますが、{since} からの番のバックアップがまだ書き込まれていません。"
            ),
        ),
        _ => (
            format!("{rotation}: set {due} was due at {since} and has not been written."),
            format!("{rotation}: {since} が予定の媒体{due}に、まだ書き込まれていません。"),
        ),
    };
    alarm(
        "media.overdue",
        Severity::High,
        (en, ja),
        (
            "Put that set in and run its job now from the page of what is protected, or `chartward media write`.",
            "その媒体を入れ、「保護対象」の画面か `chartward media write` で今すぐ書き込んでください。",
        ),
    )
}

fn none_detached(rotation: &Rotation) -> Alarm {
    let name = &rotation.name;
    alarm(
        "media.none_detached",
        Severity::High,
        (
            format!(
                "{name}: no generation is on a medium outside of the machine: an attacker reaches every copy."
            ),
            format!(
                "{name}: 機器から取り外した媒体に、世代が一つもありません。攻撃者はすべての複製に手が届きます。"
            ),
        ),
        (
            "Write a set, take it out, and put the next one in.",
            "媒体に書き込んだら取り出して保管し、次の媒体を入れてください。",
        ),
    )
}

fn went_wrong(rotation: &Rotation, last: &Attempt) -> Option<Alarm> {
    let Attempt { at, set, trouble, cause } = last;
    let (name, cause) = (&rotation.name, printable(cause));
    let (id, severity, en, ja, step, step_ja) = match trouble.as_ref()? {
        // These are seen as they are now.
        Trouble::Absent | Trouble::WrongSet | Trouble::Blank | Trouble::Foreign => return None,
        Trouble::Swapped => (
            "media.swapped",
            Severity::Critical,
            "is not the medium that it says it is",
            "本物ではありません（別の媒体か、古い状態の写しです）",
            "Find out who exchanged it, keep it as evidence, and prepare another medium for this set.",
            "誰が入れ替えたか確かめ、証拠として保管し、この番号の媒体を新しく準備してください。",
        ),
        Trouble::Full => (
            "media.full",
            Severity::High,
            "is full",
            "の空きが足りません",
            "Earlier generations on it are whole. Remove old snapshots with `chartward vault forget` and `vault prune` on the medium's vault, or prepare a larger one.",
            "以前の世代は無事です。媒体の保管庫で `chartward vault forget` と `vault prune` を実行して古い世代を減らすか、大きい媒体を準備してください。",
        ),
        Trouble::ReadOnly => (
            "media.write_protected",
            Severity::High,
            "is write-protected",
            "が書き込み禁止になっています",
            "Set its switch, or see in the kernel's log whether it failed; then run the job again.",
            "書き込み禁止のつまみを確かめてください。故障で読み取り専用になることもあります。直したら処理をもう一度実行してください。",
        ),
        Trouble::ReadsBackWrong => (
            "media.verification_failed",
            Severity::Critical,
            "does not read back what was written",
            "から、書き込んだとおりに読み戻せません",
            "Do not rely on this medium: replace it and prepare another one for this set.",
            "この媒体には頼らず、交換して、この番号の媒体を新しく準備してください。",
        ),
        Trouble::PulledOut => (
            "media.pulled_out",
            Severity::High,
            "was taken out before it was done",
            "が、書き込みの途中で取り出されました",
            "Put it in again: the copy goes on where it ended. Nothing that was not read back was counted.",
            "もう一度入れてください。続きから書き込みます。確認が済んでいない分は数えていません。",
        ),
        Trouble::Incomplete => (
            "media.incomplete",
            Severity::High,
            "does not hold everything",
            "に、書き込めなかったものがあります",
            "Run `chartward vault check --read-data`: the vault itself is damaged or empty.",
            "保管庫そのものが壊れているか空です。`chartward vault check --read-data` を実行してください。",
        ),
        Trouble::Other => (
            "media.failed",
            Severity::High,
            "could not be written",
            "に書き込めませんでした",
            "See the cause, and try another medium or another port.",
            "原因を確かめ、別の媒体や別の差し込み口を試してください。",
        ),
    };
    Some(alarm(
        id,
        severity,
        (format!("{name}: set {set} {en} ({at}): {cause}."), format!("{name}: 媒体{set}{ja}（{at}）。")),
        (step, step_ja),
    ))
}

/// Names on a medium may hold anything.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).take(300).collect()
}

fn alarm(
    id: &str,
    severity_id: Severity,
    (title, title_ja): (String, String),
    (step, step_ja): (&str, &str),
) -> Alarm {
    let (title, title_ja) = (printable(&title), printable(&title_ja));
    Alarm {
        id: id.to_owned(),
        severity_id,
        title,
        title_ja,
        next_step: step.to_owned(),
        next_step_ja: step_ja.to_owned(),
    }
}
