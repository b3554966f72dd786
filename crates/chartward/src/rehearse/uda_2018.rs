//! Uda City Hospital, October 2018, replayed: what happened there, and what happens with a guard and a proven vault.
//!
//! 2018: GandCrab encrypted the records of 1,133 of 3,835 patients. Staff found it at 05:40, cables were pulled at
//! 08:00, at 17:00 it turned out that no backup existed, and care went on with paper for two days. The way in was
//! never determined, so the rehearsal begins where the attacker already runs as a process on the host.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use prove::{Fact, Ledger};
use recover::status::{Limits, assess, look};
use recover::vault::{Password, Vault};
use schema::{
    ActKind, Effect, Incident, IncidentReport, IncidentStatus, Proof, SnapshotId, Stage as Part, WatcherClass,
};
use serde::Serialize;

use super::agentless;
use super::encryptor::{self, Deed};
use super::fingerprint::{Difference, Fingerprint};
use super::narrator::Narrator;
use super::network::{Network, Reach};
use super::processes::{Attacker, can_unshare_network, command, this_program};
use super::script::{Outcome, Script, Times};
use super::settings;
use super::stage::Stage;
use super::story;
use super::watched::Watched;
use crate::output::Output;
use crate::sample::{self, Hospital};

/// How long the attacker may go on before the rehearsal gives up on the guard.
const PATIENCE: Duration = Duration::from_secs(600);
/// After the attacker ended by itself, how long the guard may still take to say so.
const GRACE: Duration = Duration::from_secs(5);

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

/// Everything that belongs to the vault's side of the rehearsal.
pub(super) struct Protected {
    pub(super) vault: Vault,
    pub(super) proof: Proof,
}

/// Plays the rehearsal to its end and prints the summary.
pub(crate) fn play(script: &Script, output: Output) -> anyhow::Result<Summary> {
    if script.agentless {
        return agentless::play(script, output);
    }
    let started = Instant::now();
    let stage = Stage::make(script.dir.as_deref())?;
    let mut narrator = Narrator::new(output, script.lang);
    let network = story::network_or_why_not(script.lang, output);
    let isolated = can_unshare_network();
    story::say_how_charts_are_read(isolated, script.lang, output);

    let before = build(script, &stage, &mut narrator)?;
    let config = settings::write(script, &stage, network.as_ref())?;
    let hub = Watched::start(&config, network.as_ref(), output)?;
    let ledger = Ledger::open(&stage.state(), Timestamp::now())?;
    let protected = if script.backup { Some(protect(&stage, &hub, &mut narrator)?) } else { None };
    let outcome = attack(script, &stage, hub, network.as_ref(), &before, &mut narrator)?;
    ledger.append(
        Fact::IncidentDeclared { title: story::TITLE.to_owned(), synthetic: true },
        Timestamp::now(),
    )?;
    let after_attack = before.difference(&Fingerprint::take(&stage.hospital())?);
    let mut effect = story::effect_of(&before, &outcome.deeds, &stage.hospital());
    effect.files_put_back = outcome.put_back;
    effect.time_to_stop_ms = outcome.time_to_stop_ms;
    if let Some(protected) = &protected {
        let patient = outcome.deeds.first().context("the attacker touched no patient")?.patient.clone();
        read_chart(&stage, isolated, &patient, &mut effect, &mut narrator)?;
        put_back(&stage, protected, &after_attack, &outcome.deeds, &mut effect, &mut narrator)?;
    }
    verify(&stage, &before, &mut effect, &mut narrator)?;
    ledger
        .append(Fact::IncidentClosed { title: story::TITLE.to_owned(), synthetic: true }, Timestamp::now())?;

    if let Some(protected) = &protected {
        let status = assess(&look(&protected.vault)?, None, &Limits::default(), Timestamp::now());
        output.say(format_args!("\n{}", prove::sentence(&status, script.lang, &TimeZone::system())));
    }
    let proof = protected.map(|protected| protected.proof);
    Ending { script, stage: &stage, title: story::TITLE, effect, proof, loss: None, started }
        .tell(outcome, narrator, &ledger, output)
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

pub(super) fn build(script: &Script, stage: &Stage, narrator: &mut Narrator) -> anyhow::Result<Fingerprint> {
    let until = Timestamp::now().to_zoned(TimeZone::system()).datetime();
    let hospital = Hospital { patients: script.patients, seed: script.seed, until };
    let built = sample::build(&hospital, &stage.hospital(), &|_| {})?;
    narrator.tell(
        Part::Prepare,
        format!(
            "A synthetic hospital stands: {} patients, {} files, built in {:.1} s.",
            built.patients, built.files, built.seconds
        ),
        format!(
            "架空の病院を用意しました: 患者 {} 人、ファイル {} 個（{:.1} 秒）。",
            built.patients, built.files, built.seconds
        ),
    )?;
    Fingerprint::take(&stage.hospital())
}

/// Waits until the hub has backed up and proven it by a drill, as its schedule has it.
pub(super) fn protect(stage: &Stage, hub: &Watched, narrator: &mut Narrator) -> anyhow::Result<Protected> {
    let backup = hub.wait_for_job("backup")?;
    let snapshot: SnapshotId = serde_json::from_value(backup["snapshot"].clone())?;
    let (id, files) = (snapshot.short().to_owned(), backup["files"].as_u64().unwrap_or(0));
    let seconds = backup["run_seconds"].as_f64().unwrap_or(0.0);
    narrator.tell(
        Part::Prepare,
        format!("The hub backed up as snapshot {id}: {files} files in {seconds:.1} s."),
        format!(
            "ハブがスナップショット {id} としてバックアップしました: ファイル {files} 個（{seconds:.1} 秒）。"
        ),
    )?;
    let drill = hub.wait_for_job("drill")?;
    let proof: Proof = serde_json::from_value(drill["proof"].clone())?;
    ensure!(proof.passed, "the drill failed, so this rehearsal proves nothing: {}", drill["shortfalls"]);
    narrator.tell(
        Part::Prepare,
        format!(
            "The hub proved it by restoring it: {} patients, {} records decoded, everything back in {:.1} s.",
            proof.patients, proof.records, proof.rto_full_seconds
        ),
        format!(
            "ハブが復元して証明しました: 患者 {} 人、記録 {} 件を復号して読み、全復旧まで {:.1} 秒。",
            proof.patients, proof.records, proof.rto_full_seconds
        ),
    )?;
    let vault = Vault::open(&stage.vault(), &Password::new(fs::read(stage.password_file()?)?))?;
    Ok(Protected { vault, proof })
}

/// Lets the attacker loose, with the guard on or off, until it stands still or has done what it wanted.
fn attack(
    script: &Script,
    stage: &Stage,
    hub: Watched,
    network: Option<&Network>,
    before: &Fingerprint,
    narrator: &mut Narrator,
) -> anyhow::Result<Outcome> {
    let mut watcher = None;
    if script.guard {
        let sees = hub.wait_for_watcher()?;
        story::tell_guard_ready(&sees, narrator)?;
        watcher = Some(sees);
        hub.arm(WatcherClass::Guard, &[ActKind::IsolateHost, ActKind::LockVault])?;
    }
    let open = network.map(|network| open_connection(network, &hub, narrator)).transpose()?;
    let wanted = story::patients_wanted(before.patients().len());
    let mut attacker = start_attacker(script, stage, network, wanted)?;
    narrator.tell(
        Part::Attack,
        format!("The attacker starts: it goes for the records of {wanted} patients."),
        format!("攻撃プロセスが動き出しました: 患者 {wanted} 人の記録を狙います。"),
    )?;
    if !script.guard {
        let status = attacker.0.wait()?;
        ensure!(status.success(), "the attacker's process failed: {status}");
        narrator.tell(
            Part::Attack,
            "Nobody stopped the attacker: it has done all it wanted.",
            "誰も止めず、攻撃プロセスは目的を果たしました。",
        )?;
        hub.stop()?;
        return Ok(Outcome { deeds: encryptor::deeds(&stage.journal())?, ..Outcome::default() });
    }
    let stopped = wait_for_stop(&hub, &mut attacker)?;
    let reach = match (network, &open) {
        (Some(network), Some(open)) => Some(network.measure(open, hub.console)?),
        _ => None,
    };
    let measured_at = Timestamp::now();
    attacker.end()?;
    let deeds = encryptor::deeds(&stage.journal())?;
    let told = hub.told()?;
    let state = hub.state().clone();
    hub.stop()?;
    let times = Times::of(told.as_ref(), deeds.first(), reach.map(|reach| reach == Reach::ISOLATED));
    story::tell_incident(told.as_ref(), deeds.first(), narrator)?;
    if let Some(reach) = reach {
        story::tell_isolation(reach, measured_at, narrator)?;
    }
    if stopped.is_none() {
        story::tell_not_stopped(narrator)?;
    }
    Ok(Outcome {
        findings: told.as_ref().map(|told| told.incident.samples.clone()).unwrap_or_default(),
        incident: told.map(|told| (state, told.incident)),
        put_back: stopped.as_ref().map_or(0, |done| done.files_put_back),
        time_to_stop_ms: stopped.map(|done| done.time_to_stop_ms),
        deeds,
        watcher,
        times,
    })
}

/// Before anything happens the server reaches everything, and one connection stays open.
pub(super) fn open_connection(
    network: &Network,
    hub: &Watched,
    narrator: &mut Narrator,
) -> anyhow::Result<TcpStream> {
    let open = network.open_connection()?;
    let reach = network.measure(&open, hub.console)?;
    ensure!(reach == Reach::ALL, "the rehearsal's network does not work: the server reaches only {reach:?}");
    narrator.tell(
        Part::Prepare,
        "Measured from the record server: it reaches its neighbour, the vault and the console; one connection to the neighbour stays open.",
        "電子カルテサーバーから測定: 隣の端末・保管庫・コンソールのすべてに到達します。隣の端末への接続を1本、開いたままにします。",
    )?;
    Ok(open)
}

pub(super) fn start_attacker(
    script: &Script,
    stage: &Stage,
    network: Option<&Network>,
    patients: usize,
) -> anyhow::Result<Attacker> {
    let mut command = match network {
        Some(network) => network.on_server(&this_program()?),
        None => Command::new(this_program()?),
    };
    let child = command
        .arg("simulate-encryptor")
        .arg("--end-with-parent")
        .arg("--rehearsal")
        .arg(stage.root())
        .arg("--token")
        .arg(stage.token())
        .arg("--store")
        .arg(stage.storage())
        .arg("--journal")
        .arg(stage.journal())
        .args(["--patients", &patients.to_string()])
        .args(["--files-per-second", &script.files_per_second.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("the attacker's process cannot be started")?;
    Ok(Attacker(child))
}

/// What the guard says when it has stopped the attacker and put back what was touched, once the hub has done all it decided;
/// `None` when that never comes.
fn wait_for_stop(hub: &Watched, attacker: &mut Attacker) -> anyhow::Result<Option<decode::ocsf::Restored>> {
    let mut deadline = Instant::now() + PATIENCE;
    let mut has_ended = false;
    while Instant::now() < deadline {
        if let Some(stopped) = hub.put_back()
            && hub.is_settled()?
        {
            return Ok(Some(stopped));
        }
        if !has_ended && attacker.0.try_wait()?.is_some() {
            has_ended = true;
            deadline = Instant::now() + GRACE;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(hub.put_back())
}

/// Reads one affected patient's chart from the vault alone, in a process without network, while the store is down.
pub(super) fn read_chart(
    stage: &Stage,
    isolated: bool,
    patient: &str,
    effect: &mut Effect,
    narrator: &mut Narrator,
) -> anyhow::Result<()> {
    let started = Instant::now();
    // Nobody may read the store until it is verified; so it is taken away, not merely said to be down.
    fs::rename(stage.hospital(), stage.isolated()).context("the store cannot be taken offline")?;
    let shown = command(isolated)?
        .args(["charts", "show", patient, "--json", "--vault"])
        .arg(stage.vault())
        .arg("--password-file")
        .arg(stage.password_file()?)
        .stdin(Stdio::null())
        .output();
    let seconds = started.elapsed().as_secs_f64();
    fs::rename(stage.isolated(), stage.hospital()).context("the store cannot be brought back")?;
    let shown = shown?;
    ensure!(
        shown.status.success(),
        "the chart could not be read: {}",
        String::from_utf8_lossy(&shown.stderr)
    );
    effect.first_chart_seconds = Some(seconds);
    narrator.tell(
        Part::Continue,
        format!("A patient's chart was read from the vault alone after {seconds:.2} s, with the store down."),
        format!("記録庫が止まったまま、保管庫だけから患者のカルテを {seconds:.2} 秒で読みました。"),
    )
}

/// Restores in place what differs, and moves aside what the attacker left.
fn put_back(
    stage: &Stage,
    protected: &Protected,
    after_attack: &Difference,
    deeds: &[Deed],
    effect: &mut Effect,
    narrator: &mut Narrator,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let snapshot = protected.vault.find(&protected.proof.snapshot.0)?;
    let report = protected.vault.restore(&snapshot, Path::new("/"), &[stage.storage()], &|_| {})?;
    ensure!(report.not_restored.is_empty(), "not everything came back: {:?}", report.not_restored);
    let aside = set_aside(stage, deeds)?;
    let seconds = started.elapsed().as_secs_f64();
    let restored = after_attack.damaged.len();
    effect.restore_seconds = Some(seconds);
    effect.files_restored = restored as u64;
    narrator.tell(
        Part::Restore,
        format!(
            "Restored in {seconds:.1} s: {} files compared with the vault, {restored} of them differed and came back, \
             {aside} left by the attacker were set aside.",
            report.files
        ),
        format!(
            "{seconds:.1} 秒で復元: {} 個を保管庫と照合し、異なる {restored} 個を戻し、攻撃者が残した {aside} 個を隔離しました。",
            report.files
        ),
    )
}

/// Moves the attacker's notes and encrypted copies out of the store; nothing is deleted.
fn set_aside(stage: &Stage, deeds: &[Deed]) -> anyhow::Result<usize> {
    let mut moved = 0;
    for deed in deeds {
        let left = if deed.note { deed.path.clone() } else { encryptor::with_suffix(&deed.path) };
        if left.is_file() {
            let aside = stage.quarantine().join(left.strip_prefix(stage.root())?);
            fs::create_dir_all(aside.parent().context("a path without a folder")?)?;
            fs::rename(&left, aside)?;
            moved += 1;
        }
    }
    Ok(moved)
}

/// Compares every file with what it was before the attack, trusting neither guard nor vault.
fn verify(
    stage: &Stage,
    before: &Fingerprint,
    effect: &mut Effect,
    narrator: &mut Narrator,
) -> anyhow::Result<()> {
    let difference = before.difference(&Fingerprint::take(&stage.hospital())?);
    effect.files_irrecoverable = difference.damaged.len() as u64;
    effect.patients_intact = effect.patients_total - difference.patients().len() as u64;
    let Effect { patients_intact, patients_total, files_irrecoverable, .. } = effect;
    narrator.tell(
        Part::Prove,
        format!(
            "Verified by content: {patients_intact} of {patients_total} patients are as they were, \
             {files_irrecoverable} files are lost."
        ),
        format!("内容で検証: 患者 {patients_total} 人中 {patients_intact} 人が元どおり、失われたファイル {files_irrecoverable} 個。"),
    )
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
