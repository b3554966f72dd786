//! How much of what is backed up the drills of parts have read lately: each says little, many of them say something.

use jiff::{SignedDuration, Timestamp};
use schema::{Proof, Remark};

use super::Job;

/// How far back it is looked.
const DAYS: i64 = 31;

/// Over all jobs. `None` where everything is drilled as a whole.
pub(super) fn remark(jobs: &[Job], proofs: &[Proof], now: Timestamp) -> Option<Remark> {
    let of_jobs =
        |proof: &&Proof| jobs.iter().flat_map(|job| &job.snapshots).any(|held| held.id == proof.snapshot);
    let recent =
        |proof: &&Proof| now.duration_since(proof.proven_at) <= SignedDuration::from_hours(24 * DAYS);
    let passed = || proofs.iter().filter(of_jobs).filter(|proof| proof.passed);
    let shares: Vec<f64> = passed()
        .filter(recent)
        .filter_map(|proof| proof.evidence.coverage.as_ref())
        .filter(|part| part.files_total > 0)
        .map(|part| part.files as f64 / part.files_total as f64)
        .collect();
    if shares.is_empty() {
        return None;
    }
    let count = shares.len();
    let average = 100.0 * shares.iter().sum::<f64>() / count as f64;
    // Each sample is drawn anew, so what two have in common is a matter of chance.
    let together = 100.0 * (1.0 - shares.iter().map(|share| 1.0 - share.min(1.0)).product::<f64>());
    let whole = passed().filter(|proof| proof.is_full()).map(|proof| proof.proven_at).max();
    let (en, ja) = whole.map_or_else(
        || {
            (
                "Everything was never drilled as a whole.".to_owned(),
                "全体の訓練はまだ合格していません。".to_owned(),
            )
        },
        |at| {
            (
                format!("The last drill of everything passed on {at}."),
                format!("全体の訓練に最後に合格したのは {at} です。"),
            )
        },
    );
    Some(Remark {
        id: "backup.sampled".to_owned(),
        title: format!(
            "In the last {DAYS} days {count} drills read a part, {average:.1} % of the files on average, and about {together:.0} % of \
             them together, as far as chance goes. {en}"
        ),
        title_ja: format!(
            "直近{DAYS}日に抽出した訓練が{count}回合格しました（1回平均でファイルの{average:.1}%、重なりを除いた推定で合わせて約{together:.0}%）。{ja}"
        ),
    })
}
