//! The sentence on the first screen, kept current, with the alarms of the vault and of the hub.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use jiff::{SignedDuration, Timestamp};
use prove::state::Promise;
use recover::status::Remembered;
use schema::{Alarm, Severity, Status};

use super::alarms;
use super::handle::{Hub, Live};
use super::keeper::Keeper;

const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// A point of the plots; a year of them is 105,000 rows.
const PLOT_EVERY: Duration = Duration::from_secs(300);
const KEEP: SignedDuration = SignedDuration::from_hours(366 * 24);

/// Starts the thread; it ends when `end` is closed.
///
/// Without a vault nothing is promised, and whatever else is wrong is said all the same.
pub(crate) fn start(
    hub: Hub,
    keeper: Option<Arc<Keeper>>,
    end: Receiver<()>,
) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name("promise".into()).spawn(move || {
        let mut plotted: Option<(Instant, usize)> = None;
        loop {
            let now = Timestamp::now();
            let status = assess(&hub, keeper.as_deref(), now);
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
    let is_believed = hub.shown().clock.is_none();
    let old = status.at.checked_sub(KEEP).ok().filter(|_| is_believed).unwrap_or(Timestamp::MIN);
    // The plots are for people; the promise itself never rests on them.
    let _ = hub.state.write(|tx| {
        tx.put_promise(&promise)?;
        tx.expire_promises(old)
    });
}

fn assess(hub: &Hub, keeper: Option<&Keeper>, now: Timestamp) -> Status {
    let sealed = hub.state.snapshots(1).unwrap_or_default().pop();
    let remembered = sealed.map(|sealed| Remembered { snapshot: sealed.id, time: sealed.captured_at });
    let mut status = match keeper.map(|keeper| keeper.promise(remembered.as_ref(), now)) {
        Some(Ok(status)) => status,
        Some(Err(error)) => nothing_promised(vault_closed(&error), now),
        None => nothing_promised(no_vault(), now),
    };
    status.alarms.extend(alarms::all(hub, now));
    status.alarms.sort_by_key(|alarm| std::cmp::Reverse(alarm.severity_id));
    status
}

fn nothing_promised(why: Alarm, now: Timestamp) -> Status {
    Status {
        at: now,
        rpo_seconds: None,
        snapshot_age_seconds: None,
        rto_first_chart_seconds: None,
        rto_full_seconds: None,
        proven_at: None,
        snapshot: None,
        alarms: vec![why],
        remarks: Vec::new(),
    }
}

fn no_vault() -> Alarm {
    Alarm {
        id: "backup.no_vault".to_owned(),
        severity_id: Severity::High,
        title: "The configuration names no vault: nothing is backed up, so nothing is promised.".to_owned(),
        title_ja: "設定に保管庫がありません。バックアップが取られないため、何も保証できません。".to_owned(),
        next_step: "Make one with `chartward vault init`, name it under [vault], and start the hub anew."
            .to_owned(),
        next_step_ja: "`chartward vault init` で作成し、設定の [vault] に書いて、ハブを再起動してください。"
            .to_owned(),
    }
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
