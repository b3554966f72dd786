use maud::{DOCTYPE, Markup, PreEscaped, html};
use schema::Lang;

use super::counts::{affected_sentence, counted_files};
use super::{Report, sections, timeline};
use crate::lang::{count, date_time, duration, zone_name};

const REHEARSAL_EN: &str = "REHEARSAL – not a real incident";
const REHEARSAL_JA: &str = "訓練の記録（実際のインシデントではありません）";
const STYLE: &str = include_str!("style.css");

/// Where a page lies beside the other one.
pub(super) fn file_name(lang: Lang) -> &'static str {
    lang.pick("report.en.html", "report.ja.html")
}

pub(super) fn page(report: &Report<'_>, lang: Lang) -> Markup {
    let incident = report.incident;
    let title = lang.pick("Incident report", "インシデント報告書");
    html! {
        (DOCTYPE)
        html lang=(lang.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { (title) " – " (incident.title) }
                style { (PreEscaped(STYLE)) (PreEscaped(page_foot(incident.synthetic.is_some(), lang))) }
            }
            body {
                (head(report, lang, title))
                main {
                    @if let Some(what) = &incident.synthetic { (synthetic(report.say(what, lang), lang)) }
                    (verdict(report, lang))
                    (figures(report, lang))
                    (sections::occurrence(report, lang))
                    (sections::response(report, lang))
                    (sections::impact(report, lang))
                    section {
                        h2 { (lang.pick("4. Course of events", "4. 経緯")) }
                        (timeline::picture(report, lang))
                        (timeline::table(report, lang))
                    }
                    (sections::leak(report, lang))
                    (sections::evidence(report, lang))
                    (sections::outlook(report, lang))
                    @if let Some(comparison) = report.comparison { (sections::comparison(report, comparison, lang)) }
                }
                (foot(report, lang))
            }
        }
    }
}

/// What stands at the foot of every printed page; single sheets get passed on.
fn page_foot(synthetic: bool, lang: Lang) -> String {
    let warning = if synthetic { lang.pick(REHEARSAL_EN, REHEARSAL_JA) } else { "" };
    format!(
        "@page {{ @bottom-center {{ content: \"{warning}\"; font-size: 8.5pt; color: #6d4700; }} \
         @bottom-right {{ content: counter(page) \" / \" counter(pages); font-size: 8.5pt; color: #566372; }} }}"
    )
}

fn head(report: &Report<'_>, lang: Lang, title: &str) -> Markup {
    let other = lang.pick(Lang::Ja, Lang::En);
    let written = date_time(report.written_at, &report.zone);
    let zone = zone_name(report.written_at, &report.zone);
    html! {
        header {
            div.top {
                span { "Chartward" }
                a href=(file_name(other)) lang=(other.tag()) { (other.pick("English", "日本語")) }
            }
            h1 { (title) }
            p { (report.say(&report.incident.title, lang)) }
            p.note { (lang.pick("Written", "作成")) " " (written) " (" (zone) ")" }
        }
    }
}

fn synthetic(what: &str, lang: Lang) -> Markup {
    html! {
        div.synthetic {
            b { (lang.pick(REHEARSAL_EN, REHEARSAL_JA)) }
            (what)
        }
    }
}

/// The answer to the first question: are the records there?
fn verdict(report: &Report<'_>, lang: Lang) -> Markup {
    let effect = &report.incident.effect;
    if effect.patients_total == 0 {
        return html! {
            div.verdict {
                strong { (lang.pick("How many patients' records are intact is not known.", "無事な患者記録の数は不明です。")) }
                (lang.pick("No patients were counted in this store. ", "患者数は集計されていません。"))
                @if counted_files(report) {
                    (lang.pick(
                        format!("By file: {} touched, {} put back or restored, {} lost for good.",
                            count(effect.files_touched), count(effect.files_put_back + effect.files_restored), count(effect.files_irrecoverable)),
                        format!("ファイル単位：改変{}、復帰・復元{}、復元不能{}。",
                            count(effect.files_touched), count(effect.files_put_back + effect.files_restored), count(effect.files_irrecoverable)),
                    ))
                }
            }
        };
    }
    let (total, intact) = (count(effect.patients_total), count(effect.patients_intact));
    let affected = affected_sentence(report, lang);
    html! {
        div.verdict.good[report.whole()] {
            strong {
                (lang.pick(
                    format!("{intact} of {total} patients' records are as they were before."),
                    format!("患者{total}人中{intact}人の記録が、インシデント前と同じ状態にあります。"),
                ))
            }
            (affected)
            @if effect.files_irrecoverable > 0 {
                " " (lang.pick(
                    format!("{} files are lost for good.", count(effect.files_irrecoverable)),
                    format!("{}ファイルは復元できません。", count(effect.files_irrecoverable)),
                ))
            }
        }
    }
}

fn figures(report: &Report<'_>, lang: Lang) -> Markup {
    let effect = &report.incident.effect;
    let patients = |n: u64| (effect.patients_total > 0).then(|| count(n));
    let files = |n: u64| counted_files(report).then(|| count(n));
    let of_total = (effect.patients_total > 0).then(|| {
        let total = count(effect.patients_total);
        lang.pick(format!(" of {total}"), format!(" / {total}人"))
    });
    let time = |seconds: Option<f64>| seconds.map(|seconds| duration(seconds, lang));
    html! {
        div.figures {
            (figure(patients(effect.patients_affected), of_total, lang.pick("patients whose records were affected", "影響を受けた患者"), lang))
            (figure(files(effect.files_touched), None, lang.pick("files touched", "改変されたファイル"), lang))
            (figure(files(effect.files_put_back), None, lang.pick("put back by the guard", "監視機能が即時に戻したファイル"), lang))
            (figure(files(effect.files_restored), None, lang.pick("restored from the backup", "バックアップから復元"), lang))
            (figure(files(effect.files_irrecoverable), None, lang.pick("files lost for good", "復元できないファイル"), lang))
            (figure(time(effect.time_to_stop_ms.map(|ms| ms as f64 / 1000.0)), None, lang.pick("from the first harm to the attacker standing still", "最初の被害から攻撃停止まで"), lang))
            (figure(time(effect.first_chart_seconds), None, lang.pick("from declaring the incident to reading a chart", "宣言からカルテ参照まで"), lang))
            (figure(time(effect.restore_seconds), None, lang.pick("until every file was back", "全ファイルの復元完了まで"), lang))
        }
    }
}

fn figure(value: Option<String>, of: Option<String>, label: &str, lang: Lang) -> Markup {
    html! {
        div.figure.unknown[value.is_none()] {
            b {
                (value.as_deref().unwrap_or(lang.pick("not measured", "計測なし")))
                @if let (Some(of), true) = (of, value.is_some()) { span.of { (of) } }
            }
            span { (label) }
        }
    }
}

fn foot(report: &Report<'_>, lang: Lang) -> Markup {
    html! {
        footer {
            p {
                (lang.pick(
                    "Measured by Chartward on the machines it watched; times are those of their clocks. Whatever is not stated here was not measured.",
                    "数値はChartwardが監視対象の機器上で計測したものです。時刻は各機器の時計によります。記載のない事項は計測していません。",
                ))
            }
            @if let Some(head) = &report.ledger {
                p {
                    (lang.pick("Ledger at the time of writing: entry ", "作成時点の台帳：エントリ ")) (head.seq)
                    ", " code { (head.hash) } br;
                    (lang.pick("signed with key ", "署名鍵 ")) code { (head.public_key) } br;
                    (lang.pick("Check it with ", "検証方法：")) code { "chartward prove verify --public-key " (head.public_key) " --head " (head.hash) }
                }
            }
        }
    }
}
