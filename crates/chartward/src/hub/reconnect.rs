//! `reconnect HOST`: an isolated host comes back only when its store was captured and proven anew, and is then watched for a week.
//!
//! The rescan is the capture: every record that is new or changed is decoded on the way, and one that looks encrypted is named.
//! The drill restores what was captured and reads all of it. Both have to begin after the isolation.

use jiff::{SignedDuration, Timestamp};
use prove::Fact;
use prove::state::{Asset, AssetState, CountermeasureFilter, JobKind, JobOutcome, JobRun};
use schema::{Act, Countermeasure, CountermeasureState, Entity, Incident, IncidentStatus, SnapshotId};

use super::core::Core;
use super::handle::{Answer, Refusal};
use super::hands::Order;
use super::requests::refused;

/// How long a host that came back is watched.
const WATCHED_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Runs of one job that are looked at.
const RUNS_MAX: u32 = 50;
const ASSETS_MAX: u32 = 10_000;
const IN_FORCE_MAX: u32 = 10_000;

pub(super) fn ask(core: &mut Core, host: &str, by: &str) -> Result<Answer, Refusal> {
    let host = host.to_lowercase();
    let asset = isolated(core, &host)?;
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
    release(core, &asset, proofs, by)
}

fn isolated(core: &Core, host: &str) -> Result<Asset, Refusal> {
    let assets = core.state.assets(ASSETS_MAX).map_err(refused)?;
    let is_meant =
        |asset: &Asset| asset.name == host || asset.address.is_some_and(|address| address.to_string() == host);
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
                "事案 {} に、隔離後も {} についての検知があります。確認して「終了」または「誤検知」にしてください",
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
        ja: format!("{store} は隔離後にバックアップ済みですが、復元による証明がまだです。ジョブ「{drill}」を実行してください"),
    })
}

fn release(core: &mut Core, asset: &Asset, proofs: Vec<SnapshotId>, by: &str) -> Result<Answer, Refusal> {
    let filter = CountermeasureFilter { incident: None, states: vec![CountermeasureState::Applied] };
    let in_force = core.state.countermeasures(&filter, IN_FORCE_MAX, None).map_err(refused)?;
    let is_its =
        |measure: &&Countermeasure| matches!(measure.act, Act::IsolateHost { address } if Some(address) == asset.address);
    for measure in in_force.iter().filter(is_its) {
        let _ = core.orders.send(Order::Undo(measure.clone()));
    }
    let now = Timestamp::now();
    let watched = Asset { state: AssetState::Watched, since: now, ..asset.clone() };
    core.state.write(|tx| tx.put_asset(&watched)).map_err(refused)?;
    let until = now.checked_add(WATCHED_FOR).unwrap_or(Timestamp::MAX);
    for proof in proofs {
        let (host, by) = (asset.name.clone(), by.to_owned());
        core.facts.push(Fact::HostReconnected { host, proof, by, watched_until: until });
    }
    core.tell_ledger();
    Ok(Answer::Done {
        en: format!("{} is connected again, and watched until {until}; a report ends that week.", asset.name),
        ja: format!("{} を再接続しました。{until} まで監視を続け、その後に報告書を作成します。", asset.name),
    })
}

impl Core {
    /// Ends the week of each host that came back with a report of what was seen of it.
    pub(super) fn end_watched_weeks(&mut self, now: Timestamp) {
        for asset in self.state.assets(ASSETS_MAX).unwrap_or_default() {
            if asset.state != AssetState::Watched || now.duration_since(asset.since) < WATCHED_FOR {
                continue;
            }
            match self.write_week(&asset, now) {
                Ok(()) => {
                    let normal = Asset { state: AssetState::Normal, since: now, ..asset };
                    let written = self.state.write(|tx| tx.put_asset(&normal));
                    self.note_trouble(written);
                }
                Err(error) => self.trouble = Some(format!("{error:#}")),
            }
        }
    }
}
