//! How a rehearsal ends: the report, and the summary that is its last line.

use std::path::PathBuf;
use std::time::Instant;

use jiff::Timestamp;
use prove::Ledger;
use schema::{Effect, Incident, IncidentReport, IncidentStatus, Proof, Stage as Part};
use serde::Serialize;

use super::narrator::Narrator;
use super::outcome::{Outcome, Times};
use super::script::Script;
use super::stage::Stage;
use super::story;
use crate::output::Output;

/// The last line of a rehearsal.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(Default))]
pub(crate) struct Summary {
    #[serde(rename = "type")]
    kind: &'static str,
    rehearsal: &'static str,
    synthetic: bool,
    guard: bool,
    backup: bool,
    patients_total: u64,
    patients_intact: u64,
    patients_affected: u64,
    files_touched: u64,
    files_put_back: u64,
    files_restored: u64,
    files_irrecoverable: u64,
    time_to_stop_ms: Option<u64>,
    first_chart_seconds: Option<f64>,
    restore_seconds: Option<f64>,
    rpo_seconds: Option<f64>,
    proof: Option<Proof>,
    /// Whether the hub ran; a rehearsal has no other way.
    hub: bool,
    /// Number of the incident that the hub opened.
    incident: Option<String>,
    /// The following three from the first harmful act.
    finding_ms: Option<u64>,
    incident_ms: Option<u64>,
    isolated_ms: Option<u64>,
    /// Whether the store was a share of a server where nothing of ours ran.
    agentless: bool,
    /// With `agentless`: records written after the last backup that are lost, and files encrypted before the server was cut off.
    records_lost: Option<u64>,
    files_before_isolation: Option<u64>,
    /// Whether the attacked server was measured to reach the vault and the console and nothing else; `None` where nothing
    /// could be isolated.
    isolation_verified: Option<bool>,
    report: PathBuf,
    report_ja: PathBuf,
    ledger: PathBuf,
    seconds: f64,
}

impl Summary {
    /// Whether every record of every patient is as it was, with `agentless` at the last backup.
    pub(crate) fn all_intact(&self) -> bool {
        self.patients_intact == self.patients_total && self.files_irrecoverable == 0
    }

    /// Whether everything that was meant to hold did: all records, and the isolation, where one was made.
    pub(crate) fn went_well(&self) -> bool {
        self.all_intact() && self.isolation_verified != Some(false)
    }
}

/// What was lost by a server that nothing of ours ran on.
pub(super) struct Loss {
    pub(super) records: u64,
    pub(super) files_before_isolation: u64,
    /// From the last backup's begin to the first harmful act.
    pub(super) rpo_seconds: f64,
}

/// What the report and the summary are made of, besides what came of the attack.
pub(super) struct Ending<'e> {
    pub(super) script: &'e Script,
    pub(super) stage: &'e Stage,
    pub(super) title: &'static str,
    pub(super) effect: Effect,
    pub(super) proof: Option<Proof>,
    pub(super) loss: Option<Loss>,
    pub(super) started: Instant,
}

impl Ending<'_> {
    /// Writes the report, prints what it came to and the summary.
    pub(super) fn tell(
        self,
        outcome: Outcome,
        narrator: Narrator,
        ledger: &Ledger,
        output: Output,
    ) -> anyhow::Result<Summary> {
        let Ending { script, stage, title, effect, proof, loss, started } = self;
        close(&outcome, &narrator)?;
        let incident = IncidentReport {
            title: title.to_owned(),
            synthetic: Some(story::SYNTHETIC.to_owned()),
            timeline: narrator.into_timeline(),
            findings: outcome.findings,
            effect: effect.clone(),
            proof: proof.clone(),
            observed: story::observed(script, outcome.watcher.as_deref(), &outcome.times),
            not_observed: story::not_observed(),
        };
        let written = story::report(&incident, script, &outcome.times, ledger, &stage.report())?;
        ledger.append(written.fact(), Timestamp::now())?;
        let Times { incident, finding_ms, incident_ms, isolated_ms, isolation_verified } =
            outcome.times.clone();
        let proven_rpo = proof.as_ref().and_then(|proof| proof.rpo_seconds);
        let summary = Summary {
            kind: "summary",
            rehearsal: "uda-2018",
            synthetic: true,
            guard: script.guard && !script.agentless,
            backup: script.backup,
            patients_total: effect.patients_total,
            patients_intact: effect.patients_intact,
            patients_affected: effect.patients_affected,
            files_touched: effect.files_touched,
            files_put_back: effect.files_put_back,
            files_restored: effect.files_restored,
            files_irrecoverable: effect.files_irrecoverable,
            time_to_stop_ms: effect.time_to_stop_ms,
            first_chart_seconds: effect.first_chart_seconds,
            restore_seconds: effect.restore_seconds,
            rpo_seconds: loss.as_ref().map(|loss| loss.rpo_seconds).or(proven_rpo),
            proof,
            hub: true,
            incident,
            finding_ms,
            incident_ms,
            isolated_ms,
            agentless: script.agentless,
            records_lost: loss.as_ref().map(|loss| loss.records),
            files_before_isolation: loss.as_ref().map(|loss| loss.files_before_isolation),
            isolation_verified,
            report: written.html_en,
            report_ja: written.html_ja,
            ledger: stage.ledger(),
            seconds: started.elapsed().as_secs_f64(),
        };
        story::side_by_side(&effect, script, &outcome.times, output);
        story::farewell(&summary.report, &summary.report_ja, stage, &effect, script.lang, output);
        output.line(&summary)?;
        Ok(summary)
    }
}

/// The hub's incident tells how it went on, and that it is over.
fn close(outcome: &Outcome, narrator: &Narrator) -> anyhow::Result<()> {
    let Some((state, incident)) = &outcome.incident else { return Ok(()) };
    let over = Incident { status: IncidentStatus::Closed, ..incident.clone() };
    state.write(|tx| {
        for moment in narrator.told_of(&[Part::Continue, Part::Restore, Part::Prove]) {
            tx.add_moment(incident.id, moment)?;
        }
        tx.put_incident(&over)
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rehearsal_went_well_when_all_is_there_and_the_isolation_that_was_made_held() {
        for (patients_intact, files_irrecoverable, isolation_verified, expected) in [
            (3, 0, Some(true), true),
            // Nobody who could isolate was part of it.
            (3, 0, None, true),
            (3, 0, Some(false), false),
            (2, 0, Some(true), false),
            (3, 1, Some(true), false),
        ] {
            let summary = Summary {
                patients_total: 3,
                patients_intact,
                files_irrecoverable,
                isolation_verified,
                ..Summary::default()
            };
            assert_eq!(summary.went_well(), expected, "{summary:?}");
        }
    }
}
