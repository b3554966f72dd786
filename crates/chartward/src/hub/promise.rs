//! The sentence on the first screen, kept current, with the alarms that only the hub can raise.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use jiff::{SignedDuration, Timestamp};
use prove::state::{JobOutcome, JobRun, Promise};
use recover::status::Remembered;
use schema::{Alarm, Severity, Status, WatcherHealth, WatcherState};

use super::handle::{Hub, Live};
use super::keeper::Keeper;

const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// A point of the plots; a year of them is 105,000 rows.
const PLOT_EVERY: Duration = Duration::from_secs(300);
const KEEP: SignedDuration = SignedDuration::from_hours(366 * 24);
/// A watcher that is not ready for longer than this does not watch.
const STARTING_MAX: SignedDuration = SignedDuration::from_secs(60);

/// Starts the thread; it ends when `end` is closed.
pub(crate) fn start(hub: Hub, keeper: Arc<Keeper>, end: Receiver<()>) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name("promise".into()).spawn(move || {
        let since = Timestamp::now();
        let mut plotted: Option<(Instant, usize)> = None;
        loop {
            let now = Timestamp::now();
            let status = assess(&hub, &keeper, since, now);
            let is_due = plotted
                .is_none_or(|(at, alarms)| at.elapsed() >= PLOT_EVERY || alarms != status.alarms.len());
            if is_due {
                plotted = Some((Instant::now(), status.alarms.len()));
                plot(&hub, &status);
            }
            hub.show(|shown| shown.promise = Some(status), Live::Promise);
            if end.recv_timeout(LOOK_AGAIN) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    })
}

fn plot(hub: &Hub, status: &Status) {
    let promise = Promise {
        at: status.at,
        rpo_seconds: status.rpo_seconds,
        rto_first_chart_seconds: status.rto_first_chart_seconds,
        rto_full_seconds: status.rto_full_seconds,
        alarms: status.alarms.len() as u64,
    };
    let old = status.at.checked_sub(KEEP).unwrap_or(Timestamp::MIN);
    // The plots are for people; the promise itself never rests on them.
    let _ = hub.state.write(|tx| {
        tx.put_promise(&promise)?;
        tx.expire_promises(old)
    });
}

fn assess(hub: &Hub, keeper: &Keeper, since: Timestamp, now: Timestamp) -> Status {
    let sealed = hub.state.snapshots(1).unwrap_or_default().pop();
    let remembered = sealed.map(|sealed| Remembered { snapshot: sealed.id, time: sealed.captured_at });
    let mut status = keeper.promise(remembered.as_ref(), now).unwrap_or_else(|error| Status {
        at: now,
        rpo_seconds: None,
        snapshot_age_seconds: None,
        rto_first_chart_seconds: None,
        rto_full_seconds: None,
        proven_at: None,
        snapshot: None,
        alarms: vec![vault_closed(&error)],
    });
    let shown = hub.shown();
    status
        .alarms
        .extend(shown.watchers.iter().filter(|health| is_down(health, since, now)).map(watcher_down));
    status.alarms.extend(hub.state.last_runs().unwrap_or_default().iter().filter_map(job));
    status
        .alarms
        .extend([&shown.trouble, &shown.lake_trouble].into_iter().flatten().map(|cause| trouble(cause)));
    status.alarms.extend(shown.wall_trouble.iter().map(|cause| wall(cause)));
    status.alarms.sort_by_key(|alarm| std::cmp::Reverse(alarm.severity_id));
    status
}

fn is_down(health: &WatcherHealth, since: Timestamp, now: Timestamp) -> bool {
    match health.state {
        WatcherState::Ready => false,
        WatcherState::Starting => now.duration_since(since) > STARTING_MAX,
        WatcherState::BackingOff | WatcherState::Stopped => true,
    }
}

fn watcher_down(health: &WatcherHealth) -> Alarm {
    let WatcherHealth { name, trouble, .. } = health;
    Alarm {
        id: "watcher.down".to_owned(),
        severity_id: Severity::High,
        title: format!("The watcher {name} does not watch: {trouble}"),
        title_ja: format!("見張り {name} が動いていません: {trouble}"),
        next_step: format!("Look at its trouble on the watchers' page, mend it, then restart {name} there."),
        next_step_ja: format!("「見張り」の画面で原因を確かめて直し、{name} を再起動してください。"),
    }
}

fn job(run: &JobRun) -> Option<Alarm> {
    let JobRun { name, due_at, .. } = run;
    let (id, severity_id, en, ja) = match run.outcome {
        JobOutcome::Failed => ("job.failed", Severity::High, "failed", "失敗しました"),
        JobOutcome::Missed => ("job.missed", Severity::Medium, "was missed", "実行されませんでした"),
        JobOutcome::Interrupted => ("job.interrupted", Severity::Medium, "was interrupted", "中断されました"),
        JobOutcome::Found | JobOutcome::Done | JobOutcome::Running => return None,
    };
    Some(Alarm {
        id: id.to_owned(),
        severity_id,
        title: format!("The job {name} that was due at {due_at} {en}."),
        title_ja: format!("{due_at} 予定のジョブ {name} が{ja}。"),
        next_step: "Run it now from the page of what is protected; its last words stand there.".to_owned(),
        next_step_ja: "「保護対象」の画面で原因を確かめ、今すぐ実行してください。".to_owned(),
    })
}

fn vault_closed(error: &anyhow::Error) -> Alarm {
    let cause = crate::output::printable(&format!("{error:#}"));
    Alarm {
        id: "backup.vault_closed".to_owned(),
        severity_id: Severity::Critical,
        title: format!("The vault cannot be opened, so nothing is promised: {cause}"),
        title_ja: format!("保管庫を開けないため、何も保証できません: {cause}"),
        next_step: "Check the passphrase (`chartward secret list`) and the medium, then `chartward vault check`."
            .to_owned(),
        next_step_ja:
            "パスフレーズ（`chartward secret list`）と媒体を確かめ、`chartward vault check` を実行してください。"
                .to_owned(),
    }
}

fn wall(cause: &str) -> Alarm {
    let cause = crate::output::printable(cause);
    Alarm {
        id: "hub.wall".to_owned(),
        severity_id: Severity::Critical,
        title: format!("It is not known whether blocks and isolations are in force: {cause}"),
        title_ja: format!("遮断と隔離が有効かどうか確認できません: {cause}"),
        next_step: "Run `nft list table inet chartward` as root where the wall stands; until it is mended, cut off by hand."
            .to_owned(),
        next_step_ja: "パケットフィルターのある機械で、root で `nft list table inet chartward` を実行してください。直るまでは手作業で切り離してください。"
            .to_owned(),
    }
}

fn trouble(cause: &str) -> Alarm {
    Alarm {
        id: "hub.storage".to_owned(),
        severity_id: Severity::Critical,
        title: format!("The hub cannot write everything down: {cause}"),
        title_ja: format!("ハブが記録を保存できません: {cause}"),
        next_step: "Make room on the disk of the state folder; countermeasures still work, findings may be lost."
            .to_owned(),
        next_step_ja: "状態フォルダーのディスクに空きを作ってください。対処は続きますが、検知の記録が失われる恐れがあります。".to_owned(),
    }
}
