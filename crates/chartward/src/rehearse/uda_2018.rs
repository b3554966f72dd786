//! Uda City Hospital, October 2018, replayed: what happened there, and what happens with a guard and a proven vault.
//!
//! 2018: GandCrab encrypted the records of 1,133 of 3,835 patients. Staff found it at 05:40, cables were pulled at
//! 08:00, at 17:00 it turned out that no backup existed, and care went on with paper for two days. The way in was
//! never determined, so the rehearsal begins where the attacker already runs as a process on the host.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use prove::{Fact, Ledger};
use recover::status::{Limits, assess, look};
use schema::{ActKind, Effect, Stage as Part, WatcherClass};

use super::encryptor::{self, Deed};
use super::ending::{Ending, Summary};
use super::fingerprint::{Difference, Fingerprint};
use super::narrator::Narrator;
use super::network::{Network, Reach};
use super::outcome::{Outcome, Times};
use super::processes::{Attacker, can_unshare_network};
use super::scene::{Protected, build, open_connection, protect, read_chart, start_attacker};
use super::script::Script;
use super::settings;
use super::stage::Stage;
use super::story;
use super::watched::Watched;
use crate::output::Output;

/// How long the attacker may go on before the rehearsal gives up on the guard.
const PATIENCE: Duration = Duration::from_secs(600);
/// After the attacker ended by itself, how long the guard may still take to say so.
const GRACE: Duration = Duration::from_secs(5);

/// Plays the rehearsal to its end and prints the summary.
pub(super) fn play(script: &Script, output: Output) -> anyhow::Result<Summary> {
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
