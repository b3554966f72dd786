//! What the rehearsal of Uda 2018 says: to the terminal, to the report, and beside what happened then.

use std::collections::BTreeSet;
use std::path::Path;

use comfy_table::{Table, presets};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use prove::{Comparison, ComparisonRow, Ledger, Report, Written};
use schema::{Effect, IncidentReport, Lang, Moment, Stage as Part};

use super::encryptor::Deed;
use super::fingerprint::{Fingerprint, patient_of};
use super::narrator::Narrator;
use super::network::{Network, Reach};
use super::outcome::{Times, milliseconds};
use super::script::Script;
use super::stage::Stage;
use super::watched::Told;
use crate::output::{Output, printable};

pub(super) const TITLE: &str = "Rehearsal of Uda 2018";
pub(super) const TITLE_AGENTLESS: &str = "Rehearsal of Uda 2018 on a server without any agent";
const TITLE_AGENTLESS_JA: &str = "2018年 宇陀の再現訓練（サーバーには何も導入しない場合）";
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

/// The rehearsal's network; without it, why not, and what is left out by that, in one line.
pub(super) fn network_or_why_not(lang: Lang, output: Output) -> Option<Network> {
    if !rustix::process::geteuid().is_root() {
        output.say(lang.pick(
            "Network: without root no network can be made and no packet filter changed, so the attacked server is not isolated \
             and nothing is measured about it. Everything else takes place.",
            "ネットワーク: root権限がないため、ネットワークの用意もパケットフィルターの変更もできず、攻撃されたサーバーの隔離とその測定は行いません。\
             ほかはすべて行います。",
        ));
        return None;
    }
    match Network::make() {
        Ok(network) => {
            output.say(lang.pick(
                "Network: three network namespaces of this rehearsal stand for the record server, its neighbours and the gateway \
                 with the hub's wall; the machine's own network is not touched.",
                "ネットワーク: この訓練専用の3つの名前空間が、電子カルテサーバー、隣の端末、ハブの壁がある関門の役をします。この機械のネットワークには触れません。",
            ));
            Some(network)
        }
        Err(error) => {
            output.say(printable(&lang.pick(
                format!("Network: none can be made here, so the attacked server is not isolated and nothing is measured about it: {error:#}"),
                format!("ネットワーク: ここでは用意できないため、攻撃されたサーバーの隔離とその測定は行いません: {error:#}"),
            )));
            None
        }
    }
}

/// Says in one line how the chart reader is kept from any network.
pub(super) fn say_how_charts_are_read(isolated: bool, lang: Lang, output: Output) {
    output.say(if isolated {
        lang.pick(
            "Charts: what reads them during the outage runs in a network namespace without interfaces.",
            "カルテ: 停止中の閲覧は、インターフェースの無いネットワーク名前空間で動きます。",
        )
    } else {
        lang.pick(
            "Charts: what reads them during the outage simply opens no connection (a namespace without a network needs root).",
            "カルテ: 停止中の閲覧は、接続を一切開かずに動きます（ネットワークの無い名前空間にはroot権限が必要です）。",
        )
    });
}

/// Whether the watcher says that it holds back what is not judged yet.
fn holds_back(sees: &[String]) -> bool {
    sees.iter().any(|word| word.starts_with("holds until judged"))
}

/// Tells what the guard says of itself when it is ready.
pub(super) fn tell_guard_ready(sees: &[String], narrator: &mut Narrator) -> anyhow::Result<()> {
    let (en, ja) = if holds_back(sees) {
        (
            "The hub's guard is up: it holds every open below the store in the kernel until it has judged (fanotify permission events).",
            "ハブの見張りを開始: 記録庫のファイルを開く操作をカーネルで保留し、判定してから通します（fanotify 許可イベント）。",
        )
    } else {
        (
            "The hub's guard is up without root: it cannot hold opens back, so it notices changes, stops the process and puts files back from a copy.",
            "ハブの見張りを開始（root権限なし）: 操作の保留はできないため、変化に気づいてプロセスを止め、控えから戻します。",
        )
    };
    narrator.tell(Part::Prepare, en, ja)
}

/// Tells what the hub made of the attack, each with its time after the first harmful act.
pub(super) fn tell_incident(
    told: Option<&Told>,
    first: Option<&Deed>,
    narrator: &mut Narrator,
) -> anyhow::Result<()> {
    let Some(first) = first else { return Ok(()) };
    narrator.tell_at(first.at, Part::Attack, "+0 ms: the first harmful act.", "+0ミリ秒: 最初の加害。")?;
    let Some(told) = told else {
        return narrator.tell(
            Part::Detect,
            "The hub opened no incident.",
            "ハブはインシデントを開きませんでした。",
        );
    };
    let found = told.incident.samples.iter().min_by_key(|finding| finding.time);
    let found = found.map(|finding| Moment {
        at: finding.time,
        stage: Part::Detect,
        en: format!("the finding: {}.", finding.title),
        ja: format!("検知: {}。", finding.title_ja),
    });
    let mut moments: Vec<Moment> = found.into_iter().chain(told.moments.iter().cloned()).collect();
    moments.sort_by_key(|moment| moment.at);
    for Moment { at, stage, en, ja } in moments {
        let ms = milliseconds(first.at, at);
        narrator.tell_at(at, stage, format!("+{ms} ms: {en}"), format!("+{ms}ミリ秒: {ja}"))?;
    }
    Ok(())
}

/// Tells what the server reached after it was isolated.
pub(super) fn tell_isolation(reach: Reach, at: Timestamp, narrator: &mut Narrator) -> anyhow::Result<()> {
    if reach == Reach::ISOLATED {
        return narrator.tell_at(
            at,
            Part::Contain,
            "Measured from the record server: its neighbour is out of reach and the open connection is dead; vault and console are reached.",
            "電子カルテサーバーから測定: 隣の端末には届かず、開いていた接続も止まりました。保管庫とコンソールには届きます。",
        );
    }
    let word =
        |is_reached: bool| if is_reached { ("reached", "届く") } else { ("not reached", "届かない") };
    let [neighbour, established, vault, console] =
        [reach.neighbour, reach.established, reach.vault, reach.console].map(word);
    narrator.tell_at(
        at,
        Part::Contain,
        format!(
            "Measured from the record server, NOT as an isolated host should be: neighbour {}, open connection {}, vault {}, console {}.",
            neighbour.0, established.0, vault.0, console.0
        ),
        format!(
            "電子カルテサーバーから測定: 隔離が不完全です。隣の端末: {}、開いていた接続: {}、保管庫: {}、コンソール: {}。",
            neighbour.1, established.1, vault.1, console.1
        ),
    )
}

pub(super) fn tell_not_stopped(narrator: &mut Narrator) -> anyhow::Result<()> {
    narrator.tell(
        Part::Detect,
        "The guard did not stop the attacker.",
        "見張りは攻撃プロセスを止められませんでした。",
    )
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
const WATCHED_SHARE: (&str, &str) = (
    "the share from outside, over SMB: decoys every second, all of it every 5 seconds",
    "ファイル共有を外側からSMBで監視（おとりは1秒ごと、全体は5秒ごと）",
);
const WATCHED_REACH: (&str, &str) = (
    "what the record server reaches, before and after its isolation: neighbour, open connection, vault, console",
    "電子カルテサーバーからの到達性（隔離の前後。隣の端末、開いた接続、保管庫、コンソール）",
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

pub(super) fn observed(script: &Script, sees: Option<&[String]>, times: &Times) -> Vec<String> {
    let mut observed = vec![WATCHED_STORE];
    if let Some(sees) = sees {
        observed.push(if script.agentless {
            WATCHED_SHARE
        } else if holds_back(sees) {
            WATCHED_HELD
        } else {
            WATCHED_NOTICED
        });
    }
    if times.isolation_verified.is_some() {
        observed.push(WATCHED_REACH);
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
    times: &Times,
    ledger: &Ledger,
    dir: &Path,
) -> anyhow::Result<Written> {
    let comparison = comparison(&incident.effect, script, times);
    let mut report = Report::new(incident, Timestamp::now())
        .zone(TimeZone::system())
        .comparison(&comparison)
        .ledger(ledger.head()?);
    let words = [
        (TITLE, TITLE_JA),
        (TITLE_AGENTLESS, TITLE_AGENTLESS_JA),
        WATCHED_SHARE,
        (SYNTHETIC, SYNTHETIC_JA),
        WATCHED_STORE,
        WATCHED_HELD,
        WATCHED_NOTICED,
        WATCHED_VAULT,
        WATCHED_REACH,
    ];
    for (en, ja) in words.into_iter().chain(NOT_WATCHED).chain(THEN) {
        report = report.japanese(en, ja);
    }
    for (en, ja) in now(&incident.effect, script, times).map(|(_, en, ja)| (en, ja)) {
        report = report.japanese(en, ja);
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
fn now(
    effect: &Effect,
    script: &Script,
    times: &Times,
) -> [((&'static str, &'static str), String, String); 7] {
    let total = effect.patients_total;
    let of = |count: u64| (format!("{count} of {total}"), format!("{total}人中{count}人"));
    let seconds = |value: Option<f64>| {
        let not_done = ("not done".to_owned(), "行わず".to_owned());
        value.map_or(not_done, |seconds| (format!("{seconds:.2} s"), format!("{seconds:.2}秒")))
    };
    let noticed = times.finding_ms.or(effect.time_to_stop_ms).map_or_else(
        || ("nobody noticed".to_owned(), "誰も気づかず".to_owned()),
        |ms| (format!("{ms} ms after the first harmful act"), format!("最初の加害から{ms}ミリ秒")),
    );
    let cut_off = match (times.isolated_ms, times.isolation_verified) {
        (Some(ms), Some(true)) => (
            format!("{ms} ms after the first harmful act, by the hub's wall, measured"),
            format!("最初の加害から{ms}ミリ秒、ハブの壁が遮断（測定で確認）"),
        ),
        (Some(ms), _) => (
            format!("{ms} ms after the first harmful act, but it was not found to be complete"),
            format!("最初の加害から{ms}ミリ秒、ただし完全とは確認できず"),
        ),
        (None, _) if effect.time_to_stop_ms.is_some() => (
            "the process was frozen; the network was not cut off".to_owned(),
            "プロセスを凍結、ネットワークは遮断せず".to_owned(),
        ),
        (None, _) => ("not cut off".to_owned(), "切り離されず".to_owned()),
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
        (("noticed", "気づいたとき"), noticed),
        (("cut off", "切り離し"), cut_off),
        (("backup", "バックアップ"), (backup.0.to_owned(), backup.1.to_owned())),
        (("first chart read again", "最初のカルテ閲覧"), seconds(effect.first_chart_seconds)),
        (("everything back", "全復旧"), restored),
    ];
    rows.map(|(label, (en, ja))| (label, en, ja))
}

fn comparison(effect: &Effect, script: &Script, times: &Times) -> Comparison {
    let rows =
        THEN.into_iter().zip(now(effect, script, times)).map(|((then, _), (label, now, _))| ComparisonRow {
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
pub(super) fn side_by_side(effect: &Effect, script: &Script, times: &Times, output: Output) {
    let Comparison { columns_en, columns_ja, .. } = comparison(effect, script, times);
    let [then, now_column] = script.lang.pick(columns_en, columns_ja);
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header([String::new(), then, now_column]);
    for (then, (label, en, ja)) in THEN.into_iter().zip(now(effect, script, times)) {
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
