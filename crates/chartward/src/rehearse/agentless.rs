//! The same incident on a server where nothing of ours runs: its records are a share, looked at and copied from outside.
//!
//! Nobody can hold the attacker's hand there: what is seen from outside is seen after seconds, the server goes on encrypting its
//! own disk, and what it wrote since the last backup is gone. What can be promised is that nothing else is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use jiff::Timestamp;
use prove::{Fact, Ledger};
use schema::{ActKind, Effect, Stage as Part, WatcherClass};

use super::encryptor::{self, Deed};
use super::ending::{Ending, Loss, Summary};
use super::fingerprint::Fingerprint;
use super::narrator::Narrator;
use super::network::{Network, Reach};
use super::outcome::{Outcome, Times, milliseconds};
use super::processes::{Attacker, can_unshare_network};
use super::samba::Samba;
use super::scene::{self, Protected};
use super::script::Script;
use super::settings::{self, STORAGE};
use super::stage::Stage;
use super::story;
use super::watched::Watched;
use crate::output::Output;

/// Records that the EMR writes between the last backup and the attack.
const RECORDS_SINCE: usize = 5;
/// How long the watcher may take after the attacker has done all it wanted.
const GRACE: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(600);

pub(super) fn play(script: &Script, output: Output) -> anyhow::Result<Summary> {
    let started = Instant::now();
    ensure!(
        rustix::process::geteuid().is_root(),
        "a rehearsal without an agent needs root: it makes a server with a network of its own"
    );
    let stage = Stage::make(script.dir.as_deref())?;
    let mut narrator = Narrator::new(output, script.lang);
    let network = Network::make().context("a rehearsal without an agent needs a network of its own")?;
    let before = scene::build(script, &stage, &mut narrator)?.only(|path| path.starts_with(STORAGE));
    let samba = Samba::start(&stage, &network)?;
    narrator.tell(
        Part::Prepare,
        "A Samba serves the records from a server of its own network; nothing of Chartward runs there.",
        "専用ネットワーク内のサーバーで Samba が記録を公開します。そのサーバーでは Chartward は何も動きません。",
    )?;
    let config = settings::write(script, &stage, Some(&network))?;
    let hub = Watched::start(&config, Some(&network), output)?;
    let ledger = Ledger::open(&stage.state(), Timestamp::now())?;
    let protected = scene::protect(&stage, &hub, &mut narrator)?;
    let watcher = hub.wait_for_watcher()?;
    hub.arm(WatcherClass::Share, &[ActKind::IsolateHost, ActKind::LockVault])?;
    narrator.tell(
        Part::Prepare,
        "The hub watches the share from outside: decoys every second, all of it every 5 seconds.",
        "ハブが共有を外側から見張ります: おとりは1秒ごと、全体は5秒ごと。",
    )?;
    let backup_at = hub.job_began_at("backup")?;
    let since = care_goes_on(&stage, &before, &mut narrator)?;

    let outcome = attack(script, &stage, hub, &network, &before, watcher, &mut narrator)?;
    drop(samba);
    ledger.append(
        Fact::IncidentDeclared { title: story::TITLE_AGENTLESS.to_owned(), synthetic: true },
        Timestamp::now(),
    )?;
    let first = outcome.deeds.first().context("the attacker touched nothing")?.at;
    let mut effect = story::effect_of(&before, &outcome.deeds, &stage.hospital());
    let patients = before.patients();
    let patient = outcome.deeds.iter().map(|deed| &deed.patient).find(|patient| patients.contains(*patient));
    let patient = patient.context("the attacker touched no patient")?;
    scene::read_chart(&stage, can_unshare_network(), patient, &mut effect, &mut narrator)?;
    let restored = restore(&stage, &protected, &mut effect, &mut narrator)?;
    let (records, unharmed) = compare(&stage, &before, &since, &restored, &mut effect)?;
    let isolated_ms = outcome.times.isolated_ms;
    let in_time = |deed: &&Deed| !deed.note && isolated_ms.is_none_or(|ms| milliseconds(first, deed.at) < ms);
    let loss = Loss {
        records,
        files_before_isolation: outcome.deeds.iter().filter(in_time).count() as u64,
        rpo_seconds: first.duration_since(backup_at).as_secs_f64(),
    };
    tell_loss(&loss, unharmed, &effect, &mut narrator)?;
    ledger.append(
        Fact::IncidentClosed { title: story::TITLE_AGENTLESS.to_owned(), synthetic: true },
        Timestamp::now(),
    )?;
    let (title, proof) = (story::TITLE_AGENTLESS, Some(protected.proof));
    Ending { script, stage: &stage, title, effect, proof, loss: Some(loss), started }
        .tell(outcome, narrator, &ledger, output)
}

/// The EMR writes some records after the backup; they are where the attacker begins, so that they are really lost.
fn care_goes_on(stage: &Stage, before: &Fingerprint, narrator: &mut Narrator) -> anyhow::Result<Fingerprint> {
    let now = Timestamp::now().to_zoned(jiff::tz::TimeZone::system()).strftime("%Y%m%d%H%M%S000").to_string();
    let mut patients = BTreeSet::new();
    let mut written = BTreeSet::new();
    for path in before.paths() {
        let Some(patient) = super::fingerprint::patient_of(path) else { continue };
        if written.len() == RECORDS_SINCE || !patients.insert(patient) {
            continue;
        }
        let new = renamed(path, &now).context("a record's name has no time")?;
        fs::copy(stage.hospital().join(path), stage.hospital().join(&new))?;
        written.insert(new);
    }
    let count = written.len();
    narrator.tell(
        Part::Prepare,
        format!("Care goes on: the EMR writes {count} more records, which no backup has yet."),
        format!(
            "診療は続きます: 電子カルテが記録を {count} 件追加しました。まだバックアップされていません。"
        ),
    )?;
    Ok(Fingerprint::take(&stage.hospital())?.only(|path| written.contains(path)))
}

/// The name that a later version of the same record has: the fifth part of it is when it was sent (SS-MIX2 1.2i §4).
fn renamed(path: &Path, now: &str) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let mut parts: Vec<&str> = name.split('_').collect();
    *parts.get_mut(4).filter(|time| time.len() == now.len())? = now;
    Some(path.with_file_name(parts.join("_")))
}

fn attack(
    script: &Script,
    stage: &Stage,
    hub: Watched,
    network: &Network,
    before: &Fingerprint,
    watcher: Vec<String>,
    narrator: &mut Narrator,
) -> anyhow::Result<Outcome> {
    let open = scene::open_connection(network, &hub, narrator)?;
    let wanted = story::patients_wanted(before.patients().len());
    let mut attacker = scene::start_attacker(script, stage, Some(network), wanted)?;
    narrator.tell(
        Part::Attack,
        format!("The attacker starts on the server itself: it goes for the records of {wanted} patients."),
        format!("サーバー自身の上で攻撃プロセスが動き出しました: 患者 {wanted} 人の記録を狙います。"),
    )?;
    wait_for_isolation(&hub, &mut attacker)?;
    let reach = network.measure(&open, hub.console)?;
    let measured_at = Timestamp::now();
    // Isolation ends what leaves the server, not what it does to its own disk: that needs somebody at its switch.
    attacker.end()?;
    let switched_off = Timestamp::now();
    let deeds = encryptor::deeds(&stage.journal())?;
    let told = hub.told()?;
    let state = hub.state().clone();
    hub.stop()?;
    let times = Times::of(told.as_ref(), deeds.first(), Some(reach == Reach::ISOLATED));
    story::tell_incident(told.as_ref(), deeds.first(), narrator)?;
    story::tell_isolation(reach, measured_at, narrator)?;
    narrator.tell_at(
        switched_off,
        Part::Contain,
        "The server is switched off: its isolation could not keep it from encrypting its own disk.",
        "サーバーの電源を切りました。隔離だけでは、サーバー自身のディスクの暗号化は止まりません。",
    )?;
    let findings = told.as_ref().map(|told| told.incident.samples.clone()).unwrap_or_default();
    let incident = told.map(|told| (state, told.incident));
    Ok(Outcome { findings, deeds, watcher: Some(watcher), times, incident, ..Outcome::default() })
}

fn wait_for_isolation(hub: &Watched, attacker: &mut Attacker) -> anyhow::Result<()> {
    let mut deadline = Instant::now() + PATIENCE;
    let mut has_ended = false;
    while Instant::now() < deadline {
        if hub.told()?.is_some_and(|told| told.isolated_at().is_some()) && hub.is_settled()? {
            return Ok(());
        }
        if !has_ended && attacker.0.try_wait()?.is_some() {
            has_ended = true;
            deadline = Instant::now() + GRACE;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Restores the last backup into a clean folder; nothing of the server is used.
fn restore(
    stage: &Stage,
    protected: &Protected,
    effect: &mut Effect,
    narrator: &mut Narrator,
) -> anyhow::Result<Fingerprint> {
    let started = Instant::now();
    let snapshot = protected.vault.find(&protected.proof.snapshot.0)?;
    let report =
        protected.vault.restore(&snapshot, &stage.restored(), &[stage.mirror().join(STORAGE)], &|_| {})?;
    ensure!(report.not_restored.is_empty(), "not everything came back: {:?}", report.not_restored);
    let seconds = started.elapsed().as_secs_f64();
    effect.restore_seconds = Some(seconds);
    narrator.tell(
        Part::Restore,
        format!("Restored into a clean folder in {seconds:.1} s: {} files.", report.files),
        format!("新しいフォルダーへ {seconds:.1} 秒で復元しました: ファイル {} 個。", report.files),
    )?;
    Fingerprint::take(&stage.restored().join(stage.mirror().strip_prefix("/")?))
}

/// Compares what was restored with what the server held at the backup. Of the records written since it gives how many the vault
/// does not have, and how many of those its disk, which nobody trusts any more, still holds unharmed.
fn compare(
    stage: &Stage,
    before: &Fingerprint,
    since: &Fingerprint,
    restored: &Fingerprint,
    effect: &mut Effect,
) -> anyhow::Result<(u64, u64)> {
    let difference = before.difference(restored);
    effect.files_irrecoverable = difference.damaged.len() as u64;
    effect.files_restored = (before.len() - difference.damaged.len()) as u64;
    effect.patients_intact = effect.patients_total - difference.patients().len() as u64;
    let lost = since.difference(restored).damaged;
    let on_server = since.difference(&Fingerprint::take(&stage.hospital())?).damaged;
    Ok((lost.len() as u64, lost.difference(&on_server).count() as u64))
}

fn tell_loss(loss: &Loss, unharmed: u64, effect: &Effect, narrator: &mut Narrator) -> anyhow::Result<()> {
    let Loss { records, files_before_isolation: files, rpo_seconds } = loss;
    let Effect { patients_intact, patients_total, .. } = effect;
    narrator.tell(
        Part::Prove,
        format!(
            "Verified by content: {patients_intact} of {patients_total} patients are as they were at the last backup. Lost: {records} records \
             written in the {rpo_seconds:.0} s between it and the attack (promised: at most 15 minutes); {unharmed} of them lie unharmed on the server's disk, which nobody trusts any more. The server encrypted {files} files before it was cut off."
        ),
        format!(
            "内容で検証: 患者 {patients_total} 人中 {patients_intact} 人が最後のバックアップ時点のとおりです。失われたのは、そこから攻撃までの \
             {rpo_seconds:.0} 秒間に書かれた記録 {records} 件です（約束: 最大15分）。うち {unharmed} 件はサーバーのディスクに無傷で残っていますが、もう信頼できません。遮断までに暗号化されたファイルは {files} 個です。"
        ),
    )
}
