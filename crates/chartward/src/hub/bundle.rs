//! Keeps the static bundle fresh: renewed after each proof, and an alarm when it is not.

use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use jiff::{SignedDuration, Timestamp};
use prove::State;
use prove::state::{JobOutcome, JobRun};
use recover::bundle::{Presence, look};
use schema::{Alarm, Severity};
use serde_json::Value;

use super::handle::{Hub, Live};
use super::jobs::Jobs;
use crate::config::Config;
use crate::output::printable;
use crate::schedule::BUNDLE;

const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// After a run that failed it is tried again after this.
const RETRY: SignedDuration = SignedDuration::from_mins(15);
/// What an export may take after a proof before the bundle is called stale.
const GRACE: SignedDuration = SignedDuration::from_hours(1);
/// A place that has not answered for so long hangs.
const SILENT: SignedDuration = SignedDuration::from_mins(5);
/// Runs that are looked through for the last one that came to something.
const RUNS_MAX: u32 = 200;

/// How the bundle stood when it was last looked at.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Standing {
    pub(crate) at: Timestamp,
    /// Its folder.
    pub(crate) to: PathBuf,
    /// Whether it could be written there now.
    pub(crate) is_in: bool,
    /// What lies there.
    pub(crate) presence: Presence,
    /// What was last written.
    pub(crate) built: Option<Built>,
    /// When the newest proof was made.
    pub(crate) proven_at: Option<Timestamp>,
    /// The last run, when it came to nothing: when it ended, and why.
    pub(crate) failed: Option<(Timestamp, String)>,
    is_running: bool,
    stale_after: SignedDuration,
}

/// A bundle as its export told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Built {
    pub(crate) bundle: String,
    pub(crate) made_at: Timestamp,
    pub(crate) patients: u64,
    pub(crate) bytes: u64,
}

/// Why a bundle is not what people need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lack {
    /// There is none where it should be.
    Missing,
    /// What lies there is another one, or an older edition.
    Other,
    /// There is a newer proof.
    Outrun,
    /// It is too old.
    Old,
}

/// Starts the thread that looks; it ends when `end` is closed.
pub(super) fn start(
    config: &Config,
    jobs: Jobs,
    hub: Hub,
    end: Receiver<()>,
) -> std::io::Result<JoinHandle<()>> {
    let bundle = config.bundle.clone().filter(|_| config.vault.is_some());
    thread::Builder::new().name("bundle".into()).spawn(move || {
        let Some(bundle) = bundle else { return };
        loop {
            let now = Timestamp::now();
            if let Ok(standing) = stand(&bundle.to, bundle.stale_after.0, &hub.state, now) {
                if standing.wants_renewal(now) {
                    // It says why itself when it cannot.
                    let _ = jobs.run_now(BUNDLE);
                }
                let is_new = hub.shown().bundle.is_none_or(|before| !before.is_same(&standing));
                let live = if is_new { Live::Jobs } else { Live::Promise };
                hub.show(|shown| shown.bundle = Some(standing), live);
            }
            if end.recv_timeout(LOOK_AGAIN) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    })
}

fn stand(
    to: &Path,
    stale_after: SignedDuration,
    state: &State,
    now: Timestamp,
) -> Result<Standing, prove::Error> {
    let runs = state.job_runs(Some(BUNDLE), RUNS_MAX)?;
    let failed = runs.first().filter(|run| {
        matches!(run.outcome, JobOutcome::Failed | JobOutcome::Interrupted | JobOutcome::Missed)
    });
    Ok(Standing {
        at: now,
        to: to.to_owned(),
        is_in: to.is_dir() || to.parent().is_some_and(Path::is_dir),
        presence: look(to),
        built: runs.iter().find_map(built),
        proven_at: state.newest_proof()?.map(|proof| proof.proven_at),
        failed: failed.map(|run| (run.finished_at.unwrap_or(run.due_at), cause(run))),
        is_running: runs.first().is_some_and(|run| run.outcome == JobOutcome::Running),
        stale_after,
    })
}

fn built(run: &JobRun) -> Option<Built> {
    if !matches!(run.outcome, JobOutcome::Done | JobOutcome::Found) {
        return None;
    }
    let line: Value = serde_json::from_str(&run.detail).ok()?;
    Some(Built {
        bundle: line["bundle"].as_str()?.to_owned(),
        made_at: line["made_at"].as_str()?.parse().ok()?,
        patients: line["patients"].as_u64()?,
        bytes: line["bytes"].as_u64()?,
    })
}

/// The last thing that the run said to people, which never names a patient.
fn cause(run: &JobRun) -> String {
    let line: Value = serde_json::from_str(&run.detail).unwrap_or_default();
    let lines = line["stderr"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut words = lines.iter().rev().filter_map(Value::as_str);
    // What to do about it stands below; the alarm has that of its own.
    let said = words.find(|line| !line.trim_start().starts_with("next:"));
    printable(said.or_else(|| line["cause"].as_str()).unwrap_or("it is not known why"))
}

impl Standing {
    /// What is wrong with the bundle, whether it can be mended now or not.
    pub(crate) fn lack(&self, now: Timestamp) -> Option<Lack> {
        let Some(built) = &self.built else { return Some(Lack::Missing) };
        if self.proven_at.is_some_and(|proven_at| proven_at > built.made_at) {
            return Some(Lack::Outrun);
        }
        if now.duration_since(built.made_at) > self.stale_after {
            return Some(Lack::Old);
        }
        match &self.presence {
            // A stick that is out is where it should be.
            Presence::Absent if !self.is_in => None,
            Presence::Absent | Presence::Empty => Some(Lack::Missing),
            Presence::Unreadable { .. } => Some(Lack::Other),
            Presence::Bundle { bundle, made_at } => {
                (*bundle != built.bundle || *made_at != built.made_at).then_some(Lack::Other)
            }
        }
    }

    /// Whether an export now would mend it. Without a proof there is nothing to export, and a failure is not repeated at once.
    fn wants_renewal(&self, now: Timestamp) -> bool {
        let has_rested =
            self.failed.as_ref().is_none_or(|(at, _)| now.duration_since(*at) > RETRY || *at > now);
        // An old bundle of the newest proof does not get newer by being written again.
        let is_mendable = self.lack(now).is_some_and(|lack| lack != Lack::Old);
        self.is_in && self.proven_at.is_some() && !self.is_running && has_rested && is_mendable
    }

    fn is_same(&self, other: &Standing) -> bool {
        Standing { at: other.at, ..self.clone() } == *other
    }
}

/// What is wrong with the bundle now.
pub(super) fn alarms(standing: &Standing, now: Timestamp) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    if now.duration_since(standing.at) > SILENT {
        alarms.push(silent(standing));
    }
    if let Some((at, cause)) = &standing.failed {
        alarms.push(failed(standing, *at, cause));
    }
    // Right after a proof, or on a hub that has none yet, the bundle cannot be there.
    let has_had_time = standing
        .proven_at
        .is_some_and(|proven_at| now.duration_since(proven_at) > GRACE.min(standing.stale_after));
    match standing.lack(now) {
        Some(Lack::Old) => alarms.push(stale(standing, Lack::Old)),
        Some(lack) if has_had_time && !standing.is_running => alarms.push(stale(standing, lack)),
        _ => {}
    }
    alarms
}

fn stale(standing: &Standing, lack: Lack) -> Alarm {
    let to = printable(&standing.to.display().to_string());
    let (en, ja) = match lack {
        Lack::Missing => ("is missing", "がありません"),
        Lack::Other => ("is another one or cannot be read", "が別のものか、読めません"),
        Lack::Outrun => ("is older than the newest proof", "が最後の復元実証より古くなっています"),
        Lack::Old => ("is too old", "が古くなっています"),
    };
    let (absent, absent_ja) = match standing.is_in {
        true => ("", ""),
        false => (
            " Its place is absent: a stick that is not plugged in or not mounted.",
            "置き場所が見つかりません（媒体が入っていないか、マウントされていません）。",
        ),
    };
    Alarm {
        id: "bundle.stale".to_owned(),
        severity_id: Severity::High,
        title: format!("The bundle of charts for a PC without network ({to}) {en}.{absent}"),
        title_ja: format!("持ち出し用カルテ（{to}）{ja}。{absent_ja}"),
        next_step: "Plug the stick in: the bundle is renewed by itself within minutes. If there is no new proof, look at the drills first."
            .to_owned(),
        next_step_ja: "媒体を接続してください。数分以内に自動で更新します。新しい復元実証がない場合は、先に復元訓練を確認してください。".to_owned(),
    }
}

fn failed(standing: &Standing, at: Timestamp, cause: &str) -> Alarm {
    let to = printable(&standing.to.display().to_string());
    Alarm {
        id: "bundle.failed".to_owned(),
        severity_id: Severity::High,
        title: format!("The bundle of charts in {to} could not be renewed at {at}: {cause}"),
        title_ja: format!("{at} に持ち出し用カルテ（{to}）を更新できませんでした: {cause}"),
        next_step: "Look at the stick (room, write protection, other files on it) and at its passphrase; it is tried again every quarter of an hour."
            .to_owned(),
        next_step_ja: "媒体（空き容量、書き込み禁止、ほかのファイル）とパスフレーズの設定を確認してください。15分ごとに再試行します。".to_owned(),
    }
}

fn silent(standing: &Standing) -> Alarm {
    let to = printable(&standing.to.display().to_string());
    Alarm {
        id: "bundle.silent".to_owned(),
        severity_id: Severity::High,
        title: format!("The place of the bundle of charts ({to}) has not answered for minutes."),
        title_ja: format!("持ち出し用カルテの置き場所（{to}）が数分間応答していません。"),
        next_step: "Look at the stick or the share; if it hangs, unmount it with `umount -l` and plug it in again."
            .to_owned(),
        next_step_ja: "媒体や共有フォルダーを確認してください。応答しない場合は `umount -l` で外し、接続し直してください。".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(100 + hour)
    }

    /// Built at 0, proven at -1, looked at 2, with a bundle where it should be.
    fn fresh() -> Standing {
        Standing {
            at: at(2),
            to: "/media/charts/bundle".into(),
            is_in: true,
            presence: Presence::Bundle { bundle: "b".into(), made_at: at(0) },
            built: Some(Built { bundle: "b".into(), made_at: at(0), patients: 7, bytes: 9 }),
            proven_at: Some(at(-1)),
            failed: None,
            is_running: false,
            stale_after: SignedDuration::from_hours(50),
        }
    }

    #[test]
    fn what_is_an_alarm_and_what_is_renewed() {
        type Change = fn(&mut Standing);
        let cases: &[(&str, Change, &[&str], bool)] = &[
            ("fresh", |_| {}, &[], false),
            ("the stick is out", |it| (it.is_in, it.presence) = (false, Presence::Absent), &[], false),
            ("a newer proof", |it| it.proven_at = Some(at(1)), &[], true),
            (
                "a newer proof, long ago",
                |it| (it.built.as_mut().unwrap().made_at, it.proven_at) = (at(-9), Some(at(-3))),
                &["bundle.stale"],
                true,
            ),
            (
                "and the stick is out",
                |it| (it.built, it.proven_at, it.is_in) = (None, Some(at(-3)), false),
                &["bundle.stale"],
                false,
            ),
            (
                "and it is being written",
                |it| (it.built, it.proven_at, it.is_running) = (None, Some(at(-3)), true),
                &[],
                false,
            ),
            ("emptied", |it| it.presence = Presence::Empty, &["bundle.stale"], true),
            (
                "an older edition was put in",
                |it| it.presence = Presence::Bundle { bundle: "b".into(), made_at: at(-5) },
                &["bundle.stale"],
                true,
            ),
            (
                "too old",
                |it| (it.at, it.stale_after) = (at(2), SignedDuration::from_hours(1)),
                &["bundle.stale"],
                false,
            ),
            (
                "nothing proven yet",
                |it| (it.built, it.presence, it.proven_at) = (None, Presence::Empty, None),
                &[],
                false,
            ),
            (
                "failed just now",
                |it| (it.presence, it.failed) = (Presence::Empty, Some((at(2), "full".into()))),
                &["bundle.failed", "bundle.stale"],
                false,
            ),
            (
                "failed an hour ago",
                |it| (it.presence, it.failed) = (Presence::Empty, Some((at(1), "full".into()))),
                &["bundle.failed", "bundle.stale"],
                true,
            ),
            ("the share hangs", |it| it.at = at(1), &["bundle.silent"], false),
        ];
        for (name, change, expected, renewed) in cases {
            let mut standing = fresh();
            change(&mut standing);
            let alarms = alarms(&standing, at(2));
            let ids: Vec<&str> = alarms.iter().map(|alarm| alarm.id.as_str()).collect();
            assert_eq!((ids.as_slice(), standing.wants_renewal(at(2))), (*expected, *renewed), "{name}");
        }
    }
}
