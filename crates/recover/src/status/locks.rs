//! Whether what is still needed stays out of everybody's reach: the write protection of the vault host, and its end.

use jiff::{SignedDuration, Timestamp};
use schema::{Alarm, Proof, Remark, Severity, SnapshotId};

use super::{CLOCK_SLACK, Job, Limits, Words, alarms, newest_passed};
use crate::vault::{WriteLock, day};

/// What is to be known of a medium that locks nothing, or does not say.
pub(super) fn remark(lock: &WriteLock) -> Option<Remark> {
    let (id, en, ja) = match lock {
        WriteLock::Until { .. } => return None,
        WriteLock::Nothing => (
            "vault.not_locked",
            "Nothing locks this vault: it is a folder, and whoever may write there, or is root here, can remove every snapshot. \
             A vault host (`chartward vault serve`) or a medium that is taken out cannot be reached that way.",
            "この保管庫には書込保護がありません。フォルダーに書き込める人や root は、すべてのスナップショットを削除できます。\
             保管庫ホスト（`chartward vault serve`）や取り外した媒体なら、この方法では消せません。",
        ),
        WriteLock::Unsaid => (
            "vault.lock_unknown",
            "The server that holds this vault does not say whether and until when it keeps snapshots from being removed.",
            "この保管庫のサーバーは、スナップショットの削除をいつまで防ぐかを答えません。",
        ),
    };
    Some(Remark { id: id.to_owned(), title: en.to_owned(), title_ja: ja.to_owned() })
}

/// Of a job, what is needed and will soon be, or is already, without protection. Time is the vault host's.
pub(super) fn expiring(job: &Job, proofs: &[Proof], lock: &WriteLock, limits: &Limits) -> Option<Alarm> {
    let WriteLock::Until { asked, snapshots, .. } = lock else { return None };
    let mut ending: Vec<(Timestamp, &SnapshotId)> = needed(job, proofs, limits, *asked)
        .into_iter()
        // One without a receipt came in since the host was asked.
        .filter_map(|id| Some((*snapshots.get(id)?, id)))
        .filter(|(until, _)| until.duration_since(*asked) <= limits.lock_lead)
        .collect();
    ending.sort_unstable();
    let (first, id) = ending.first()?;
    let over = ending.iter().filter(|(until, _)| until <= asked).count();
    let left = first.duration_since(*asked);
    Some(if over > 0 { ended(over, id, *first) } else { ends(ending.len(), id, left) })
}

/// The newest snapshot of each of the last days that have one, and the newest proven one.
fn needed<'j>(job: &'j Job, proofs: &[Proof], limits: &Limits, now: Timestamp) -> Vec<&'j SnapshotId> {
    // One that is dated in the future takes no other's place.
    let mut newest_first: Vec<_> =
        job.snapshots.iter().filter(|held| held.time.duration_since(now) <= CLOCK_SLACK).collect();
    newest_first.sort_by_key(|held| std::cmp::Reverse(held.time));
    let mut last = None;
    let generations = newest_first
        .iter()
        .filter(|held| {
            let its = Some(day(held.time, &limits.zone));
            std::mem::replace(&mut last, its) != its
        })
        .take(limits.generations as usize);
    let mut needed: Vec<&SnapshotId> = generations.map(|held| &held.id).collect();
    let proven = newest_passed(&job.snapshots, proofs);
    needed.extend(
        proven.and_then(|proof| job.snapshots.iter().map(|it| &it.id).find(|id| **id == proof.snapshot)),
    );
    needed.sort_unstable();
    needed.dedup();
    needed
}

fn ends(count: usize, first: &SnapshotId, left: SignedDuration) -> Alarm {
    let (first, left) = (first.short(), Words(left));
    alarms::alarm(
        "backup.lock_expiring",
        Severity::Medium,
        (
            format!(
                "The write protection of {count} snapshots that are still needed ends soon, that of {first} in {}.",
                left.en()
            ),
            format!(
                "まだ必要なスナップショット{count}件の書込保護がまもなく切れます（{first} は{}後）。",
                left.ja()
            ),
        ),
        NEXT,
    )
}

fn ended(count: usize, first: &SnapshotId, until: Timestamp) -> Alarm {
    let first = first.short();
    alarms::alarm(
        "backup.lock_ended",
        Severity::High,
        (
            format!(
                "The write protection of {count} snapshots that are still needed has ended, that of {first} on {until}: an \
                 administrator's credential can remove them."
            ),
            format!(
                "まだ必要なスナップショット{count}件の書込保護が切れています（{first} は {until}）。管理者の鍵で削除できる状態です。"
            ),
        ),
        NEXT,
    )
}

const NEXT: (&str, &str) = (
    "Back up and drill, so that newer and protected snapshots take their place; if backups run as they should, start the vault host \
     with a longer `--retain-days`.",
    "バックアップと復元訓練を行い、保護されている新しい世代に置き換えてください。正常に動いている場合は、保管庫ホストを\
     より長い `--retain-days` で起動してください。",
);
