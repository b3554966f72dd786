//! What the rehearsal of Uda 2018 says: to the terminal, to the report, and beside what happened then.

use std::collections::BTreeSet;
use std::path::Path;

use comfy_table::{Table, presets};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use prove::{Comparison, ComparisonRow, Lang, Ledger, Report, Written};
use schema::{Attack, Effect, Finding, FindingClass, Incident, Severity, Stage as Part, Tactic};
use serde_json::Value;

use super::encryptor::Deed;
use super::fingerprint::{Fingerprint, patient_of};
use super::narrator::Narrator;
use super::stage::Stage;
use super::uda_2018::{Outcome, Script};
use crate::output::Output;

pub(super) const TITLE: &str = "Rehearsal of Uda 2018";
pub(super) const SYNTHETIC: &str = "a rehearsal: the hospital, its patients and the attacker are synthetic; the guard, the vault and the restore are real";

/// Patients whose records were encrypted in 2018, of so many.
const THEN_AFFECTED: usize = 1_133;
const THEN_PATIENTS: usize = 3_835;

/// In proportion to 1,133 of 3,835.
pub(super) fn patients_wanted(patients: usize) -> usize {
    (patients * THEN_AFFECTED).div_ceil(THEN_PATIENTS)
}

/// Says in one line what stands in for what only root may do.
pub(super) fn say_what_is_real(isolated: bool, output: Output) {
    let network = if isolated {
        "the attacker and the chart reader run in a network namespace without interfaces"
    } else {
        "no network namespace can be made here (that needs root), so the processes run without one and simply open no connection"
    };
    output.say(format_args!("Network: {network}."));
}

/// Tells what the guard says of itself when it is ready.
pub(super) fn tell_guard_ready(ready: &Value, narrator: &mut Narrator) -> anyhow::Result<()> {
    let (en, ja) = if ready["mode"] == "permission" {
        (
            "The guard is up: it holds every open below the store in the kernel until it has judged (fanotify permission events).",
            "見張りを開始: 記録庫のファイルを開く操作をカーネルで保留し、判定してから通します（fanotify 許可イベント）。",
        )
    } else {
        (
            "The guard is up without root: it cannot hold opens back, so it notices changes, stops the process and puts files back from a copy.",
            "見張りを開始（root権限なし）: 操作の保留はできないため、変化に気づいてプロセスを止め、控えから戻します。",
        )
    };
    narrator.tell(Part::Prepare, en, ja)
}

/// What the attack did, counted from the attacker's own journal.
pub(super) fn effect_of(before: &Fingerprint, deeds: &[Deed], hospital: &Path) -> Effect {
    let total = before.patients();
    let touched: Vec<&Deed> = deeds.iter().filter(|deed| !deed.note).collect();
    let affected: BTreeSet<String> = touched
        .iter()
        .filter_map(|deed| patient_of(deed.path.strip_prefix(hospital).unwrap_or(&deed.path)))
        .collect();
    Effect {
        patients_total: total.len() as u64,
        patients_affected: affected.intersection(&total).count() as u64,
        files_touched: touched.len() as u64,
        ..Effect::default()
    }
}

/// Puts together what the guard said: `stopped` is its line after putting back, `lines` what else it printed.
pub(super) fn outcome(
    stopped: Option<&Value>,
    lines: &[Value],
    narrator: &mut Narrator,
) -> anyhow::Result<Outcome> {
    let findings: Vec<Finding> = lines.iter().filter(|line| line["class_uid"] == 2004).map(finding).collect();
    let Some(stopped) = stopped else {
        narrator.tell(
            Part::Detect,
            "The guard did not stop the attacker.",
            "見張りは攻撃プロセスを止められませんでした。",
        )?;
        return Ok(Outcome { findings, ..Outcome::default() });
    };
    let number = |field: &str| stopped[field].as_u64();
    let time_to_stop_ms = number("time_to_stop_ms");
    let put_back = number("files_put_back").unwrap_or(0);
    let milliseconds = time_to_stop_ms.map_or_else(|| "?".to_owned(), |ms| ms.to_string());
    narrator.tell(
        Part::Contain,
        format!("The guard froze the attacker {milliseconds} ms after its first harmful act and put {put_back} files back."),
        format!("見張りは最初の加害から {milliseconds} ミリ秒で攻撃プロセスを凍結し、{put_back} 個のファイルを元に戻しました。"),
    )?;
    Ok(Outcome { findings, put_back, time_to_stop_ms, ..Outcome::default() })
}

/// A finding from the guard's OCSF line.
fn finding(line: &Value) -> Finding {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let reasons = line["reasons"].as_array().into_iter().flatten().map(text).collect();
    let attacks = line["attacks"].as_array().into_iter().flatten().map(|attack| Attack {
        technique: text(&attack["technique"]["uid"]),
        name: text(&attack["technique"]["name"]),
        tactic: Tactic::Impact,
    });
    let severity = line["severity_id"].as_u64().and_then(|id| u8::try_from(id).ok());
    Finding {
        time: line["time"]
            .as_i64()
            .and_then(|ms| Timestamp::from_millisecond(ms).ok())
            .unwrap_or_else(Timestamp::now),
        class: FindingClass::Detection,
        detector: text(&line["detector"]),
        title: text(&line["finding_info"]["title"]),
        severity_id: severity.and_then(|id| Severity::try_from(id).ok()).unwrap_or(Severity::Critical),
        attacks: attacks.collect(),
        actor: text(&line["actor"]["process"]["name"]),
        reasons,
    }
}

pub(super) fn observed(script: &Script, ready: Option<&Value>) -> Vec<String> {
    let mut observed = vec![
        "content of every file of the store before and after, compared by SHA-256; the database by its rows"
            .to_owned(),
    ];
    if script.guard {
        let mode = ready.and_then(|ready| ready["mode"].as_str()).unwrap_or("unknown");
        observed.push(format!("file operations below the store, by the guard in its {mode} mode, from before the attack to the end"));
    }
    if script.backup {
        observed.push("the vault, restored and read in full by a drill before the attack".to_owned());
    }
    observed
}

pub(super) fn not_observed() -> Vec<String> {
    [
        "the network: whether anything left it was not looked at",
        "memory, registry, accounts and other hosts",
        "how the attacker came in: the rehearsal begins with its process already running",
        "file operations through other mounts of the same file system",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// Writes the report in both languages.
pub(super) fn report(
    incident: &Incident,
    script: &Script,
    ledger: &Ledger,
    dir: &Path,
) -> anyhow::Result<Written> {
    let comparison = comparison(&incident.effect, script);
    let written = Report::new(incident, Timestamp::now())
        .zone(TimeZone::system())
        .comparison(&comparison)
        .ledger(ledger.head()?)
        .japanese(SYNTHETIC, "訓練です。病院・患者・攻撃者は架空、見張り・保管庫・復元は本物です")
        .write(dir)?;
    Ok(written)
}

fn comparison(effect: &Effect, script: &Script) -> Comparison {
    let row = |label_en: &str, label_ja: &str, then: &str, now: String| ComparisonRow {
        label_en: label_en.to_owned(),
        label_ja: label_ja.to_owned(),
        then: then.to_owned(),
        now,
    };
    let seconds =
        |value: Option<f64>| value.map_or_else(|| "—".to_owned(), |seconds| format!("{seconds:.2} s"));
    let lost = effect.patients_total - effect.patients_intact;
    let stopped = effect
        .time_to_stop_ms
        .map_or_else(|| "not stopped".to_owned(), |ms| format!("{ms} ms after the first act"));
    Comparison {
        title_en: "Uda City Hospital 2018, and this rehearsal".to_owned(),
        title_ja: "2018年の宇陀市立病院と、この訓練".to_owned(),
        columns_en: ["Uda 2018".to_owned(), "this rehearsal".to_owned()],
        columns_ja: ["2018年 宇陀".to_owned(), "この訓練".to_owned()],
        rows: vec![
            row(
                "patients whose records were encrypted",
                "記録を暗号化された患者",
                "1,133 of 3,835",
                format!("{} of {}", effect.patients_affected, effect.patients_total),
            ),
            row(
                "patients whose records were lost",
                "記録を失った患者",
                "1,133 of 3,835",
                format!("{lost} of {}", effect.patients_total),
            ),
            row(
                "noticed",
                "気づいたとき",
                "05:40, by staff: the EMR would not start",
                if script.guard { stopped.clone() } else { "nobody noticed".to_owned() },
            ),
            row(
                "cut off",
                "切り離し",
                "08:00, LAN cables pulled by hand",
                if script.guard { stopped } else { "not cut off".to_owned() },
            ),
            row(
                "backup",
                "バックアップ",
                "17:00: it turned out that none existed",
                if script.backup {
                    "proven by restoring before the attack".to_owned()
                } else {
                    "none".to_owned()
                },
            ),
            row(
                "first chart read again",
                "最初のカルテ閲覧",
                "two days on paper",
                seconds(effect.first_chart_seconds),
            ),
            row(
                "everything back",
                "全復旧",
                "two days and more, without the lost records",
                seconds(effect.restore_seconds),
            ),
        ],
    }
}

/// The same table on the terminal.
pub(super) fn side_by_side(effect: &Effect, script: &Script, output: Output) {
    let comparison = comparison(effect, script);
    let ja = script.lang == Lang::Ja;
    let [then, now] = if ja { comparison.columns_ja } else { comparison.columns_en };
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header([String::new(), then, now]);
    for row in comparison.rows {
        table.add_row([if ja { row.label_ja } else { row.label_en }, row.then, row.now]);
    }
    output.say(format_args!("\n{table}"));
}

pub(super) fn farewell(report: &Path, report_ja: &Path, stage: &Stage, effect: &Effect, output: Output) {
    let Effect { patients_intact, patients_total, files_irrecoverable, .. } = effect;
    output.say(format_args!(
        "\n{patients_intact} of {patients_total} patients intact, {files_irrecoverable} files irrecoverable. (Synthetic hospital, real guard and vault.)"
    ));
    output.say(format_args!("Report: {}\n        {}", report.display(), report_ja.display()));
    let (root, vault) = (stage.root().display(), stage.vault());
    output.say(format_args!("Everything is in {root}; remove it when you have looked around."));
    if vault.exists() {
        output.say(format_args!(
            "Read charts from its vault: chartward charts list --vault {} --password-file {root}/vault-passphrase",
            vault.display()
        ));
    }
}
