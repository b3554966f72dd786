//! What every rehearsal has: a hospital, its vault, an attacker, and a chart that is read while the store is down.

use std::fs;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use recover::vault::{Password, Vault};
use schema::{Effect, Proof, SnapshotId, Stage as Part};

use super::fingerprint::Fingerprint;
use super::narrator::Narrator;
use super::network::{Network, Reach};
use super::processes::{Attacker, command, this_program};
use super::script::Script;
use super::stage::Stage;
use super::watched::Watched;
use crate::sample::{self, Hospital};

/// Everything that belongs to the vault's side of the rehearsal.
pub(super) struct Protected {
    pub(super) vault: Vault,
    pub(super) proof: Proof,
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
