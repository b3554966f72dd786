//! What would be lost if everything were encrypted now, and what makes that promise shaky.
//!
//! Nothing is believed that a job said of itself: the figures come from proofs, the alarms from looking at the
//! medium and comparing it with what the ledger remembers.

use jiff::{SignedDuration, Timestamp};
use schema::{Alarm, Proof, Severity, ShortfallKind, SnapshotId, Status};

use crate::vault::Vault;
use crate::{Error, manifest, proof};

/// When silence becomes an alarm.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Oldest age of the newest snapshot.
    pub snapshot_age_max: SignedDuration,
    /// Oldest age of the newest proof.
    pub proof_age_max: SignedDuration,
}

impl Default for Limits {
    /// A backup every day, with two hours for a long night; a drill every week.
    fn default() -> Limits {
        Limits {
            snapshot_age_max: SignedDuration::from_hours(26),
            proof_age_max: SignedDuration::from_hours(7 * 24),
        }
    }
}

/// What stands where the vault should be.
#[derive(Debug, Clone)]
pub enum Medium {
    /// The folder is not there: the disk is unplugged or not mounted.
    Absent,
    /// The folder is there and holds no repository.
    Empty,
    /// A repository, opened and listed.
    Present {
        /// Snapshots of protected data, oldest first.
        snapshots: Vec<Held>,
        /// Proofs found in it, oldest first.
        proofs: Vec<Proof>,
        /// Packs that the index needs and the medium lacks or holds cut short.
        packs_damaged: u64,
        /// Snapshot or index files that could not be read.
        files_unreadable: u64,
    },
}

/// A snapshot as far as status needs it.
#[derive(Debug, Clone)]
pub struct Held {
    /// Its id.
    pub id: SnapshotId,
    /// When it was captured.
    pub time: Timestamp,
    /// Exceptions that its manifest names.
    pub exceptions: u64,
    /// Regular files in it, as its manifest says; `None` without a manifest.
    pub files: Option<u64>,
}

/// What the ledger says should be there.
#[derive(Debug, Clone, PartialEq)]
pub struct Remembered {
    /// The newest snapshot that was sealed.
    pub snapshot: SnapshotId,
    /// When it was captured.
    pub time: Timestamp,
}

/// Looks at an open vault: its list, its proofs, its packs' presence and length. Reads no pack's content.
pub fn look(vault: &Vault) -> Result<Medium, Error> {
    let (_, unreadable) = vault.snapshots()?;
    let snapshots = proof::data_snapshots(vault)?;
    let newest = snapshots.len().saturating_sub(1);
    let held = snapshots.into_iter().enumerate().map(|(number, snapshot)| {
        // Only the newest one's manifest decides about alarms; the others are not read for it.
        let manifest = if number == newest { manifest::read(vault, &snapshot)? } else { None };
        Ok(Held {
            exceptions: manifest.as_ref().map_or(0, |manifest| manifest.exceptions.len() as u64),
            files: manifest.map(|manifest| manifest.census.files),
            id: snapshot.id,
            time: snapshot.time,
        })
    });
    Ok(Medium::Present {
        snapshots: held.collect::<Result<_, Error>>()?,
        proofs: proof::proofs(vault)?,
        packs_damaged: vault.damaged_packs(),
        files_unreadable: unreadable.len() as u64,
    })
}

/// Puts the sentence's figures and the alarms together, worst alarm first.
pub fn assess(medium: &Medium, remembered: Option<&Remembered>, limits: &Limits, now: Timestamp) -> Status {
    let mut status = Status {
        at: now,
        rpo_seconds: None,
        rto_first_chart_seconds: None,
        rto_full_seconds: None,
        proven_at: None,
        snapshot: None,
        alarms: Vec::new(),
    };
    match medium {
        Medium::Absent => status.alarms.push(medium_absent(remembered)),
        Medium::Empty => status.alarms.push(medium_empty(remembered)),
        Medium::Present { snapshots, proofs, packs_damaged, files_unreadable } => {
            promise(&mut status, snapshots, proofs, now);
            let alarms = &mut status.alarms;
            alarms.extend(damaged(*packs_damaged, *files_unreadable));
            alarms.extend(missing(snapshots, remembered));
            alarms.extend(age_of_snapshots(snapshots, limits, now));
            alarms.extend(snapshots.last().and_then(incomplete));
            alarms.extend(age_of_proofs(snapshots, proofs, limits, now));
        }
    }
    status.alarms.sort_by_key(|alarm| std::cmp::Reverse(alarm.severity_id));
    status
}

/// The newest proof that passed, whose snapshot is still on the medium and was not found wanting by a later drill.
fn newest_passed<'p>(snapshots: &[Held], proofs: &'p [Proof]) -> Option<&'p Proof> {
    let last_of = |held: &Held| proofs.iter().rev().find(|proof| proof.snapshot == held.id);
    let standing = snapshots.iter().filter_map(last_of).filter(|proof| proof.passed);
    standing.max_by_key(|proof| (proof.captured_at, proof.proven_at))
}

fn promise(status: &mut Status, snapshots: &[Held], proofs: &[Proof], now: Timestamp) {
    let Some(proof) = newest_passed(snapshots, proofs) else { return };
    // A record with a time stamp in the future must not promise that nothing would be lost.
    let newest = proof.newest_record.map_or(proof.captured_at, |record| record.min(proof.captured_at));
    status.rpo_seconds = Some(seconds(now.duration_since(newest)));
    status.rto_first_chart_seconds = proof.rto_first_chart_seconds;
    status.rto_full_seconds = Some(proof.rto_full_seconds);
    status.proven_at = Some(proof.proven_at);
    status.snapshot = Some(proof.snapshot.clone());
}

fn medium_absent(remembered: Option<&Remembered>) -> Alarm {
    let (en, ja) = last_known(remembered);
    alarm(
        "backup.medium_absent",
        Severity::Critical,
        (format!("The backup medium is not there{en}."), format!("バックアップ媒体がありません{ja}。")),
        (
            "Plug in or mount the medium, then run `chartward status` again.",
            "媒体を接続またはマウントし、`chartward status` をもう一度実行してください。",
        ),
    )
}

fn medium_empty(remembered: Option<&Remembered>) -> Alarm {
    let (en, ja) = last_known(remembered);
    alarm(
        "backup.medium_empty",
        Severity::Critical,
        (
            format!("The backup medium holds no backup at all{en}."),
            format!("バックアップ媒体にバックアップが一つもありません{ja}。"),
        ),
        (
            "Check that the right medium is mounted; if it is, run `chartward vault init` and `chartward backup` now.",
            "正しい媒体か確かめてください。正しければ今すぐ `chartward vault init` と `chartward backup` を実行してください。",
        ),
    )
}

fn last_known(remembered: Option<&Remembered>) -> (String, String) {
    remembered.map_or_else(Default::default, |known| {
        let (id, time) = (known.snapshot.short(), known.time);
        (
            format!(", although the ledger recorded snapshot {id} of {time} as written"),
            format!("（台帳にはスナップショット {id}（{time}）が書き込み済みと記録されています）"),
        )
    })
}

fn damaged(packs: u64, files: u64) -> Option<Alarm> {
    (packs + files > 0).then(|| {
        alarm(
            "backup.damaged",
            Severity::Critical,
            (
                format!(
                    "The vault is damaged: {packs} packs are missing or cut short, \
                     {files} files of its index or list cannot be read."
                ),
                format!("保管庫が壊れています: 欠落または途中で切れたパック {packs} 個、読めない索引・一覧 {files} 個。"),
            ),
            (
                "Run `chartward vault check --read-data` to see which files are lost, and back up to a second medium now.",
                "`chartward vault check --read-data` で失われたファイルを確かめ、今すぐ別の媒体にもバックアップしてください。",
            ),
        )
    })
}

fn missing(snapshots: &[Held], remembered: Option<&Remembered>) -> Option<Alarm> {
    let known = remembered.filter(|known| snapshots.iter().all(|held| held.id != known.snapshot))?;
    let (id, time) = (known.snapshot.short(), known.time);
    Some(alarm(
        "backup.snapshot_missing",
        Severity::Critical,
        (
            format!("Snapshot {id} of {time} was sealed according to the ledger and is not in the vault."),
            format!("台帳では封印済みのスナップショット {id}（{time}）が保管庫にありません。"),
        ),
        (
            "Somebody or something removed it, or this is another medium: find out which before you rely on it.",
            "削除されたか、別の媒体です。頼る前にどちらか確かめてください。",
        ),
    ))
}

fn age_of_snapshots(snapshots: &[Held], limits: &Limits, now: Timestamp) -> Option<Alarm> {
    let Some(newest) = snapshots.last() else { return Some(no_snapshot()) };
    let age = now.duration_since(newest.time);
    if age > limits.snapshot_age_max {
        let (age, limit) = (Words(age), Words(limits.snapshot_age_max));
        return Some(alarm(
            "backup.stale",
            Severity::High,
            (
                format!("The newest backup is {} old; it should be at most {}.", age.en(), limit.en()),
                format!("最新のバックアップは{}前のものです（許容は{}）。", age.ja(), limit.ja()),
            ),
            (
                "The backup has stopped or fails: run `chartward backup SRC… --vault DIR` and see what it says.",
                "バックアップが止まっているか失敗しています。`chartward backup` を実行して表示を確かめてください。",
            ),
        ));
    }
    // A clock that is wrong hides staleness; ten minutes are what unsynchronised hosts differ by.
    (age < -SignedDuration::from_mins(10)).then(|| clock_is_wrong(Words(-age)))
}

fn no_snapshot() -> Alarm {
    alarm(
        "backup.none",
        Severity::Critical,
        (
            "The vault holds no snapshot: nothing was ever backed up.".to_owned(),
            "保管庫にスナップショットがありません。一度もバックアップされていません。".to_owned(),
        ),
        (
            "Run `chartward backup SRC… --vault DIR` now.",
            "今すぐ `chartward backup SRC… --vault DIR` を実行してください。",
        ),
    )
}

fn clock_is_wrong(ahead: Words) -> Alarm {
    alarm(
        "backup.clock",
        Severity::High,
        (
            format!("The newest snapshot is dated {} in the future.", ahead.en()),
            format!("最新のスナップショットの日時が{}未来になっています。", ahead.ja()),
        ),
        (
            "Correct the clock of this machine or of the one that made the backup; until then ages cannot be trusted.",
            "この機械かバックアップ元の時計を直してください。それまで経過時間は信用できません。",
        ),
    )
}

fn incomplete(newest: &Held) -> Option<Alarm> {
    let id = newest.id.short();
    if newest.files == Some(0) {
        return Some(alarm(
            "backup.empty",
            Severity::Critical,
            (
                format!("The newest snapshot {id} says success and holds no file."),
                format!("最新のスナップショット {id} は成功と言いながらファイルが一つもありません。"),
            ),
            (
                "The folder it reads is empty or not mounted: mount it and back up again.",
                "読み取るフォルダが空かマウントされていません。マウントしてからもう一度バックアップしてください。",
            ),
        ));
    }
    let count = newest.exceptions;
    (count > 0).then(|| {
        alarm(
            "backup.incomplete",
            Severity::Medium,
            (
                format!("The newest snapshot {id} names {count} files that are not in it as they should be."),
                format!(
                    "最新のスナップショット {id} には、正しく取り込めなかったファイルが {count} 個あります。"
                ),
            ),
            (
                "See them with `chartward snapshots --exceptions`, and mend or exclude them.",
                "`chartward snapshots --exceptions` で確かめ、直すか除外してください。",
            ),
        )
    })
}

fn age_of_proofs(snapshots: &[Held], proofs: &[Proof], limits: &Limits, now: Timestamp) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    if snapshots.is_empty() {
        return alarms;
    }
    if let Some(failed) = proofs.last().filter(|proof| !proof.passed) {
        alarms.push(drill_failed(failed));
    }
    let newest_passed = newest_passed(snapshots, proofs);
    let drill_now = (
        "Run `chartward drill --vault DIR` now.",
        "今すぐ `chartward drill --vault DIR` を実行してください。",
    );
    match newest_passed.map(|proof| now.duration_since(proof.proven_at)) {
        None => alarms.push(alarm(
            "backup.unproven",
            Severity::High,
            (
                "No backup in this vault is proven by restoring it.".to_owned(),
                "この保管庫のバックアップで、復元して証明されたものがありません。".to_owned(),
            ),
            drill_now,
        )),
        Some(age) if age > limits.proof_age_max => {
            let (age, limit) = (Words(age), Words(limits.proof_age_max));
            alarms.push(alarm(
                "backup.proof_stale",
                Severity::Medium,
                (
                    format!(
                        "The last passed drill is {} old; it should be at most {}.",
                        age.en(),
                        limit.en()
                    ),
                    format!("最後に合格した復元訓練は{}前です（許容は{}）。", age.ja(), limit.ja()),
                ),
                drill_now,
            ));
        }
        Some(_) => {}
    }
    alarms
}

fn drill_failed(proof: &Proof) -> Alarm {
    let id = proof.snapshot.short();
    if proof.shortfalls.iter().any(|(kind, _)| *kind == ShortfallKind::Encrypted) {
        return alarm(
            "backup.encrypted",
            Severity::Critical,
            (
                format!("Snapshot {id} holds records that are themselves encrypted."),
                format!("スナップショット {id} の中の記録そのものが暗号化されています。"),
            ),
            (
                "The store was under attack when it was captured: isolate it, and restore an earlier snapshot.",
                "取り込み時に攻撃を受けていました。隔離し、より古いスナップショットから復元してください。",
            ),
        );
    }
    let found: Vec<String> =
        proof.shortfalls.iter().map(|(kind, count)| format!("{count} {kind:?}")).collect();
    let found = found.join(", ");
    alarm(
        "backup.drill_failed",
        Severity::Critical,
        (
            format!("The last drill of snapshot {id} failed: {found}."),
            format!("スナップショット {id} の復元訓練は不合格でした: {found}。"),
        ),
        (
            "Run `chartward drill --vault DIR` to see what is missing by name.",
            "`chartward drill --vault DIR` を実行すると、欠けているものが名前で分かります。",
        ),
    )
}

fn alarm(
    id: &str,
    severity_id: Severity,
    (title, title_ja): (String, String),
    (step, step_ja): (&str, &str),
) -> Alarm {
    Alarm {
        id: id.to_owned(),
        severity_id,
        title,
        title_ja,
        next_step: step.to_owned(),
        next_step_ja: step_ja.to_owned(),
    }
}

fn seconds(duration: SignedDuration) -> f64 {
    duration.as_secs_f64().max(0.0)
}

/// A duration said in the largest unit that leaves at least two of it.
#[derive(Clone, Copy)]
struct Words(SignedDuration);

impl Words {
    fn en(self) -> String {
        let (count, unit, _) = self.parts();
        format!("{count} {unit}")
    }

    fn ja(self) -> String {
        let (count, _, unit) = self.parts();
        format!("{count}{unit}")
    }

    fn parts(self) -> (i64, &'static str, &'static str) {
        let seconds = self.0.as_secs();
        match seconds {
            ..120 => (seconds, "seconds", "秒"),
            120..7_200 => (seconds / 60, "minutes", "分"),
            7_200..172_800 => (seconds / 3_600, "hours", "時間"),
            _ => (seconds / 86_400, "days", "日"),
        }
    }
}

#[cfg(test)]
mod tests;
