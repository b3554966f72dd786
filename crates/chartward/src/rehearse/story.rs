//! What the rehearsal of Uda 2018 says: to the terminal, to the report, and beside what happened then.

use std::collections::BTreeSet;
use std::path::Path;

use comfy_table::{Table, presets};
use decode::ocsf::{self, Line, Trust};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use prove::{Comparison, ComparisonRow, Ledger, Report, Written};
use recover::proof::RestoredTo;
use schema::{Effect, Finding, IncidentReport, Lang, Stage as Part};
use serde_json::Value;

use super::encryptor::Deed;
use super::fingerprint::{Fingerprint, patient_of};
use super::narrator::Narrator;
use super::script::{Outcome, Script};
use super::stage::Stage;
use crate::output::Output;

pub(super) const TITLE: &str = "Rehearsal of Uda 2018";
const TITLE_JA: &str = "2018年 宇陀の再現訓練";
const SYNTHETIC_JA: &str = "訓練です。病院・患者・攻撃者は架空、見張り・保管庫・復元は本物です";
pub(super) const SYNTHETIC: &str = "a rehearsal: the hospital, its patients and the attacker are synthetic; the guard, the vault and the restore are real";

/// Patients whose records were encrypted in 2018, of so many.
const THEN_AFFECTED: usize = 1_133;
const THEN_PATIENTS: usize = 3_835;

/// In proportion to 1,133 of 3,835.
pub(super) fn patients_wanted(patients: usize) -> usize {
    (patients * THEN_AFFECTED).div_ceil(THEN_PATIENTS)
}

/// Says in one line what stands in for what only root may do.
pub(super) fn say_what_is_real(isolated: bool, lang: Lang, output: Output) {
    output.say(if isolated {
        lang.pick(
            "Network: the attacker and the chart reader run in a network namespace without interfaces.",
            "ネットワーク: 攻撃プロセスとカルテ閲覧は、インターフェースの無いネットワーク名前空間で動きます。",
        )
    } else {
        lang.pick(
            "Network: no network namespace can be made here (that needs root), so the processes run without one and simply \
             open no connection.",
            "ネットワーク: ここでは名前空間を作れないため（root権限が必要）、名前空間なしで、接続を一切開かずに動きます。",
        )
    });
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
    let findings: Vec<Finding> = lines.iter().filter_map(finding).collect();
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
fn finding(line: &Value) -> Option<Finding> {
    let line = line.to_string();
    match ocsf::parse(line.as_bytes(), "guard", Trust::Own, Timestamp::now()) {
        Ok(Line::Finding(_, finding)) => Some(*finding),
        _ => None,
    }
}

/// English and Japanese of what was watched.
const WATCHED_STORE: (&str, &str) = (
    "content of every file of the store before and after, compared by SHA-256",
    "記録庫の全ファイルの内容（前後をSHA-256で比較）",
);
const WATCHED_HELD: (&str, &str) = (
    "file operations below the store, from before the attack to the end, held in the kernel until judged (fanotify)",
    "記録庫のファイル操作（攻撃前から終了まで。fanotifyによりカーネルで保留して判定）",
);
const WATCHED_NOTICED: (&str, &str) = (
    "changes of files below the store, from before the attack to the end, noticed after they happened (without root)",
    "記録庫のファイルの変化（攻撃前から終了まで。root権限なしのため事後に検知）",
);
const WATCHED_VAULT: (&str, &str) = (
    "the vault, restored and read in full by a drill before the attack",
    "保管庫（攻撃前の訓練で全体を復元して読み取り）",
);
const NOT_WATCHED: [(&str, &str); 4] = [
    (
        "the network: whether anything left it was not looked at",
        "ネットワーク: 外部への送信の有無は調べていません",
    ),
    ("memory, accounts, logs and other hosts", "メモリ、アカウント、ログ、他の機械"),
    (
        "how the attacker came in: the rehearsal begins with its process already running",
        "侵入経路: この訓練は攻撃プロセスが動いているところから始まります",
    ),
    (
        "file operations through other mounts of the same file system",
        "同じファイルシステムの別のマウントを通した操作",
    ),
];

pub(super) fn observed(script: &Script, ready: Option<&Value>) -> Vec<String> {
    let mut observed = vec![WATCHED_STORE];
    if let Some(ready) = ready {
        observed.push(if ready["mode"] == "permission" { WATCHED_HELD } else { WATCHED_NOTICED });
    }
    if script.backup {
        observed.push(WATCHED_VAULT);
    }
    observed.into_iter().map(|(en, _)| en.to_owned()).collect()
}

pub(super) fn not_observed() -> Vec<String> {
    NOT_WATCHED.map(|(en, _)| en.to_owned()).to_vec()
}

/// Writes the report in both languages.
pub(super) fn report(
    incident: &IncidentReport,
    script: &Script,
    ledger: &Ledger,
    dir: &Path,
) -> anyhow::Result<Written> {
    let comparison = comparison(&incident.effect, script);
    let mut report = Report::new(incident, Timestamp::now())
        .zone(TimeZone::system())
        .comparison(&comparison)
        .ledger(ledger.head()?);
    let words = [
        (TITLE, TITLE_JA),
        (SYNTHETIC, SYNTHETIC_JA),
        WATCHED_STORE,
        WATCHED_HELD,
        WATCHED_NOTICED,
        WATCHED_VAULT,
    ];
    for (en, ja) in words.into_iter().chain(NOT_WATCHED).chain(THEN) {
        report = report.japanese(en, ja);
    }
    for (en, ja) in now(&incident.effect, script).map(|(_, en, ja)| (en, ja)) {
        report = report.japanese(en, ja);
    }
    for restored_to in [RestoredTo::Memory, RestoredTo::Disk] {
        report = report.japanese(restored_to.method(Lang::En), restored_to.method(Lang::Ja));
    }
    Ok(report.write(dir)?)
}

/// What it was in Uda (published report of the city hospital).
const THEN: [(&str, &str); 7] = [
    ("1,133 of 3,835", "3,835人中1,133人"),
    ("1,133 of 3,835", "3,835人中1,133人"),
    ("05:40, by staff: the EMR would not start", "05:40 職員が電子カルテの起動不能に気づく"),
    ("08:00, LAN cables pulled by hand", "08:00 手作業でLANケーブルを抜く"),
    ("17:00: it turned out that none existed", "17:00 存在しないことが判明"),
    ("two days on paper", "2日間は紙カルテ"),
    ("two days and more, without the lost records", "2日以上、失われた記録は戻らず"),
];

/// Label, English and Japanese of what it is now, in the order of [`THEN`].
fn now(effect: &Effect, script: &Script) -> [((&'static str, &'static str), String, String); 7] {
    let total = effect.patients_total;
    let of = |count: u64| (format!("{count} of {total}"), format!("{total}人中{count}人"));
    let seconds = |value: Option<f64>| {
        let not_done = ("not done".to_owned(), "行わず".to_owned());
        value.map_or(not_done, |seconds| (format!("{seconds:.2} s"), format!("{seconds:.2}秒")))
    };
    let stopped = |otherwise: (&str, &str)| {
        effect.time_to_stop_ms.map_or_else(
            || (otherwise.0.to_owned(), otherwise.1.to_owned()),
            |ms| (format!("{ms} ms after the first harmful act"), format!("最初の加害から{ms}ミリ秒")),
        )
    };
    let (back_en, back_ja) = seconds(effect.restore_seconds);
    let restored = match effect.files_restored {
        0 if effect.restore_seconds.is_some() => (
            format!("{back_en} to compare every file with the vault; none had to be restored"),
            format!("全ファイルの照合に{back_ja}、復元を要したものなし"),
        ),
        files => (format!("{back_en}, {files} files restored"), format!("{back_ja}、{files}ファイルを復元")),
    };
    let backup = if script.backup {
        ("proven by restoring before the attack", "攻撃前に復元して証明済み")
    } else {
        ("none", "なし")
    };
    let rows = [
        (("patients whose records were touched", "記録に手を付けられた患者"), of(effect.patients_affected)),
        (("patients whose records were lost", "記録を失った患者"), of(total - effect.patients_intact)),
        (("noticed", "気づいたとき"), stopped(("nobody noticed", "誰も気づかず"))),
        (("cut off", "切り離し"), stopped(("not cut off", "切り離されず"))),
        (("backup", "バックアップ"), (backup.0.to_owned(), backup.1.to_owned())),
        (("first chart read again", "最初のカルテ閲覧"), seconds(effect.first_chart_seconds)),
        (("everything back", "全復旧"), restored),
    ];
    rows.map(|(label, (en, ja))| (label, en, ja))
}

fn comparison(effect: &Effect, script: &Script) -> Comparison {
    let rows = THEN.into_iter().zip(now(effect, script)).map(|((then, _), (label, now, _))| ComparisonRow {
        label_en: label.0.to_owned(),
        label_ja: label.1.to_owned(),
        then: then.to_owned(),
        now,
    });
    Comparison {
        title_en: "Uda City Hospital 2018, and this rehearsal".to_owned(),
        title_ja: "2018年の宇陀市立病院と、この訓練".to_owned(),
        columns_en: ["Uda 2018".to_owned(), "this rehearsal".to_owned()],
        columns_ja: ["2018年 宇陀".to_owned(), "この訓練".to_owned()],
        rows: rows.collect(),
    }
}

/// The same table on the terminal.
pub(super) fn side_by_side(effect: &Effect, script: &Script, output: Output) {
    let Comparison { columns_en, columns_ja, .. } = comparison(effect, script);
    let [then, now_column] = script.lang.pick(columns_en, columns_ja);
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header([String::new(), then, now_column]);
    for (then, (label, en, ja)) in THEN.into_iter().zip(now(effect, script)) {
        let pick = |(en, ja): (&str, &str)| script.lang.pick(en, ja).to_owned();
        table.add_row([pick(label), pick(then), script.lang.pick(en, ja)]);
    }
    output.say(format_args!("\n{table}"));
}

/// The last words: what it came to, and where everything is.
pub(super) fn farewell(
    report: &Path,
    report_ja: &Path,
    stage: &Stage,
    effect: &Effect,
    lang: Lang,
    output: Output,
) {
    let Effect { patients_intact: intact, patients_total: total, files_irrecoverable: lost, .. } = effect;
    let (root, vault) = (stage.root().display(), stage.vault());
    output.say(lang.pick(
        format!(
            "\n{intact} of {total} patients intact, {lost} files irrecoverable. (The hospital is synthetic.)"
        ),
        format!("\n患者 {total} 人中 {intact} 人が元どおり、戻せないファイル {lost} 個。（病院は架空です）"),
    ));
    let (label, other) = (lang.pick("Report", "報告書"), lang.pick(report_ja, report));
    output.say(format_args!(
        "{label}: {}\n        {}",
        lang.pick(report, report_ja).display(),
        other.display()
    ));
    output.say(lang.pick(
        format!("Everything is in {root}; remove it when you have looked around."),
        format!("すべて {root} にあります。見終わったら削除してください。"),
    ));
    if vault.exists() {
        let command = format!(
            "chartward charts list --vault {} --password-file {root}/vault-passphrase",
            vault.display()
        );
        output.say(lang.pick(
            format!("Read charts from its vault: {command}"),
            format!("保管庫からカルテを読む: {command}"),
        ));
    }
}
