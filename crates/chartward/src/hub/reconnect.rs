//! `reconnect HOST`: an isolated host comes back only when its store was captured and proven anew, and is then watched for a week.
//!
//! The rescan is the capture: every record that is new or changed is decoded on the way, and one that looks encrypted is named.
//! The drill restores what was captured and reads all of it. Both have to begin after the isolation.

use crossbeam_channel::Sender;
use jiff::{SignedDuration, Timestamp};
use prove::Fact;
use prove::state::{Asset, AssetState, JobKind, JobOutcome, JobRun};
use schema::{Act, Entity, Incident, IncidentStatus, SnapshotId};

use super::core::Core;
use super::handle::{Answer, Refusal};
use super::hands::Order;
use super::requests::refused;

/// How long a host that came back is watched.
const WATCHED_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Runs of one job that are looked at.
const RUNS_MAX: u32 = 50;
const ASSETS_MAX: u32 = 10_000;

/// A host whose isolation is being taken back, with what proves that it may come back.
#[derive(Debug)]
pub(super) struct Reconnecting {
    host: String,
    proofs: Vec<SnapshotId>,
    by: String,
}

pub(super) fn ask(core: &mut Core, host: &str, by: &str, answer: Sender<Result<Answer, Refusal>>) {
    match proofs(core, &host.to_lowercase()) {
        Ok((asset, proofs)) => release(core, &asset, proofs, by, answer),
        Err(refusal) => {
            let _ = answer.send(Err(refusal));
        }
    }
}

/// The isolated host with the snapshots that prove each of its stores.
fn proofs(core: &Core, host: &str) -> Result<(Asset, Vec<SnapshotId>), Refusal> {
    let asset = isolated(core, host)?;
    refuse_while_it_goes_on(core, &asset)?;
    let stores = core.rules.stores.get(&asset.name).cloned().unwrap_or_default();
    if stores.is_empty() {
        return Err(Refusal {
            en: format!(
                "{} has no store in the configuration, so nothing can be proven of it; if somebody looked at it, take its isolation \
                 back with `chartward act undo`",
                asset.name
            ),
            ja: format!(
                "{} には保護対象の記録庫が設定されていないため、安全を証明できません。確認済みであれば `chartward act undo` で隔離を解除してください",
                asset.name
            ),
        });
    }
    let mut proofs = Vec::new();
    for store in &stores {
        proofs.push(proven(core, &asset, store)?);
    }
    Ok((asset, proofs))
}

fn isolated(core: &Core, host: &str) -> Result<Asset, Refusal> {
    let assets = core.state.assets(ASSETS_MAX).map_err(refused)?;
    let is_meant = |asset: &Asset| {
        asset.name == host || asset.address.is_some_and(|address| address.to_string() == host)
    };
    let found = assets.into_iter().find(is_meant).filter(|asset| asset.state == AssetState::Isolated);
    found.ok_or_else(|| Refusal {
        en: format!("{host} is not isolated; `chartward act list` shows what is in force"),
        ja: format!("{host} は隔離されていません。`chartward act list` で確認してください"),
    })
}

/// A finding about the host after its isolation: it is not over.
fn refuse_while_it_goes_on(core: &Core, asset: &Asset) -> Result<(), Refusal> {
    let names = |incident: &&Incident| {
        incident.last_at > asset.since
            && !matches!(incident.status, IncidentStatus::Closed | IncidentStatus::FalseAlarm)
            && incident.subjects.iter().any(|(subject, _)| match &subject.entity {
                Entity::Host { name } => *name == asset.name,
                Entity::Address { address } => Some(*address) == asset.address,
                _ => false,
            })
    };
    match core.correlator.incidents().find(names) {
        None => Ok(()),
        Some(incident) => Err(Refusal {
            en: format!(
                "{} has findings about {} from after its isolation; look at it, then mark it closed or a false alarm",
                incident.id, asset.name
            ),
            ja: format!(
                "インシデント {} に、隔離後も {} についての検知があります。確認して「終了」または「誤検知」にしてください",
                incident.id, asset.name
            ),
        }),
    }
}

/// The snapshot of the store that was captured and proven after the isolation.
fn proven(core: &Core, asset: &Asset, store: &str) -> Result<SnapshotId, Refusal> {
    let after = |kind: JobKind, name: &str, since: Timestamp| -> Result<Option<JobRun>, Refusal> {
        let runs = core.state.job_runs(Some(name), RUNS_MAX).map_err(refused)?;
        let is_after = |run: &JobRun| run.kind == kind && run.started_at.is_some_and(|at| at > since);
        Ok(runs.into_iter().find(|run| is_after(run) && run.outcome == JobOutcome::Done))
    };
    let (backup, drill) = (format!("backup:{store}"), format!("drill:{store}"));
    let Some(captured) = after(JobKind::Backup, &backup, asset.since)? else {
        return Err(Refusal {
            en: format!(
                "{store} was not captured without an exception since {} was isolated at {}; run the job \"{backup}\", then \"{drill}\"",
                asset.name, asset.since
            ),
            ja: format!(
                "{} の隔離（{}）以降、{store} の問題のないバックアップがありません。ジョブ「{backup}」、続いて「{drill}」を実行してください",
                asset.name, asset.since
            ),
        });
    };
    let since = captured.finished_at.unwrap_or(asset.since);
    let drilled = after(JobKind::Drill, &drill, since)?;
    let line = drilled.and_then(|run| serde_json::from_str::<serde_json::Value>(&run.detail).ok());
    if let Some(snapshot) = line.as_ref().and_then(|line| line["proof"]["snapshot"].as_str()) {
        return Ok(SnapshotId(snapshot.to_owned()));
    }
    Err(Refusal {
        en: format!("{store} was captured after the isolation and not proven yet; run the job \"{drill}\""),
        ja: format!(
            "{store} は隔離後にバックアップ済みですが、復元による証明がまだです。ジョブ「{drill}」を実行してください"
        ),
    })
}

/// The host counts as back when the packet filter says so, not when it is asked to.
fn release(
    core: &mut Core,
    asset: &Asset,
    proofs: Vec<SnapshotId>,
    by: &str,
    answer: Sender<Result<Answer, Refusal>>,
) {
    let reconnecting = Reconnecting { host: asset.name.clone(), proofs, by: by.to_owned() };
    let isolation = asset.address.and_then(|address| core.book.in_force(&Act::IsolateHost { address }));
    match isolation.cloned() {
        Some(measure) => {
            core.reconnecting.insert(measure.id, reconnecting);
            core.waiting.entry(measure.id).or_default().push(answer);
            core.ready.push(Order::Undo(measure));
            core.settle();
        }
        None => {
            let now = Timestamp::now();
            let watched = Asset { state: AssetState::Watched, since: now, ..asset.clone() };
            core.pending.assets.insert(watched.name.clone(), watched);
            let said = core.reconnected(reconnecting, now);
            let said = if core.settle_durably() { Ok(said) } else { Err(core.not_written()) };
            let _ = answer.send(said);
        }
    }
}

impl Core {
    /// Tells that a host is back, once it is.
    pub(super) fn reconnected(&mut self, it: Reconnecting, now: Timestamp) -> Answer {
        let Reconnecting { host, proofs, by } = it;
        let until = now.checked_add(WATCHED_FOR).unwrap_or(Timestamp::MAX);
        for proof in proofs {
            let fact =
                Fact::HostReconnected { host: host.clone(), proof, by: by.clone(), watched_until: until };
            self.facts.push(fact);
        }
        Answer::Done {
            en: format!("{host} is connected again, and watched until {until}; a report ends that week."),
            ja: format!("{host} を再接続しました。{until} まで監視を続け、その後に報告書を作成します。"),
        }
    }

    /// Ends the week of each host that came back with a report of what was seen of it.
    pub(super) fn end_watched_weeks(&mut self, now: Timestamp) {
        for asset in self.state.assets(ASSETS_MAX).unwrap_or_default() {
            if asset.state != AssetState::Watched || now.duration_since(asset.since) < WATCHED_FOR {
                continue;
            }
            match self.write_week(&asset, now) {
                Ok(()) => {
                    let normal = Asset { state: AssetState::Normal, since: now, ..asset };
                    self.pending.assets.insert(normal.name.clone(), normal);
                }
                // It is tried again with the next checkpoint.
                Err(error) => {
                    eprintln!("chartward: the report of {} could not be written: {error:#}", asset.name)
                }
            }
        }
    }
}
