//! The report in the lines that fit a terminal.

use super::Report;
use super::counts::counted_files;
use schema::Lang;

use crate::lang::{count, date_time, duration};

pub(super) fn summary(report: &Report<'_>, lang: Lang) -> String {
    let mut out = String::new();
    out.push_str(&report.incident.title);
    out.push('\n');
    if let Some(what) = &report.incident.synthetic {
        out.push_str(lang.pick("REHEARSAL: ", "訓練："));
        out.push_str(report.say(what, lang));
        out.push('\n');
    }
    let rows = rows(report, lang);
    let column = rows.iter().map(|(label, _)| width(label)).max().unwrap_or(0);
    for (label, value) in &rows {
        let gap = column - width(label) + 2;
        out.push_str(&format!("  {label}{:gap$}{value}\n", ""));
    }
    out
}

fn rows(report: &Report<'_>, lang: Lang) -> Vec<(&'static str, String)> {
    let effect = &report.incident.effect;
    let of_total = |n: u64| match effect.patients_total {
        0 => crate::lang::unknown(lang).to_owned(),
        total => lang
            .pick(format!("{} of {}", count(n), count(total)), format!("{} / {}人", count(n), count(total))),
    };
    let files = |n: u64| if counted_files(report) { count(n) } else { crate::lang::unknown(lang).to_owned() };
    let time = |s: Option<f64>| {
        s.map_or_else(|| lang.pick("not measured", "計測なし").to_owned(), |s| duration(s, lang))
    };
    vec![
        (lang.pick("Patients intact", "無事な患者記録"), of_total(effect.patients_intact)),
        (lang.pick("Patients affected", "影響を受けた患者"), of_total(effect.patients_affected)),
        (lang.pick("Files touched", "改変されたファイル"), files(effect.files_touched)),
        (lang.pick("  put back by the guard", "  監視機能が戻した数"), files(effect.files_put_back)),
        (lang.pick("  restored from the backup", "  バックアップから復元"), files(effect.files_restored)),
        (lang.pick("  lost for good", "  復元できない数"), files(effect.files_irrecoverable)),
        (
            lang.pick("Attacker stopped after", "攻撃停止まで"),
            time(effect.time_to_stop_ms.map(|ms| ms as f64 / 1000.0)),
        ),
        (lang.pick("First chart read after", "カルテ参照まで"), time(effect.first_chart_seconds)),
        (lang.pick("Everything back after", "全件復旧まで"), time(effect.restore_seconds)),
        (lang.pick("Data seen leaving", "情報の持ち出し"), leak(report, lang)),
        (lang.pick("Recovery rested on", "復旧の根拠"), proof(report, lang)),
    ]
}

fn leak(report: &Report<'_>, lang: Lang) -> String {
    let incident = report.incident;
    if incident.findings.iter().any(|finding| finding.detector.starts_with("exfil.")) {
        return lang.pick("signs of it were seen", "兆候を検知").to_owned();
    }
    if incident.observed.is_empty() {
        return lang.pick("not known: nothing was watched", "不明（監視なし）").to_owned();
    }
    let sentences: Vec<&str> = incident.observed.iter().map(|sentence| report.say(sentence, lang)).collect();
    let watched = sentences.join(lang.pick("; ", "、"));
    lang.pick(
        format!("none seen by: {watched} (the report lists what was not looked at)"),
        format!("次の範囲では確認されず：{watched}（監視していない範囲は報告書に記載）"),
    )
}

fn proof(report: &Report<'_>, lang: Lang) -> String {
    let Some(proof) = &report.incident.proof else {
        return lang.pick("no proven backup", "実証済みバックアップなし").to_owned();
    };
    let (snapshot, at) = (proof.snapshot.short(), date_time(proof.proven_at, &report.zone));
    match (proof.passed, lang) {
        (true, Lang::En) => format!("snapshot {snapshot}, proven by restoring it at {at}"),
        (true, Lang::Ja) => format!("スナップショット{snapshot}（{at}に復元して実証）"),
        (false, Lang::En) => format!("snapshot {snapshot}, whose drill at {at} FAILED"),
        (false, Lang::Ja) => format!("スナップショット{snapshot}（{at}の復元訓練は不合格）"),
    }
}

/// Columns on a terminal: kanji and kana take two. Only our own labels are measured.
fn width(label: &str) -> usize {
    label.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum()
}
