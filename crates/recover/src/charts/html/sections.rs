//! The parts of a chart, in the order in which a ward asks for them.

use maud::{Markup, html};
use schema::Lang;

use super::Cited;
use crate::charts::model::{
    Agent, Chart, Course, Infection, Item, LabFlag, LabSeries, Medication, Outcome, Provenance, Route, Trend,
};
use crate::charts::words;

/// Rows of lists that grow for years; what is left out is counted below the list.
const ROWS_MAX: usize = 20;

pub(super) fn all<'c>(chart: &'c Chart, lang: Lang, cited: &mut Cited<'c>) -> Markup {
    html! {
        div.pair {
            (allergies(chart, lang, cited))
            (problems(chart, lang, cited))
        }
        (medication(chart, lang, cited))
        (labs(chart, lang, cited))
        div.pair {
            (given(chart, lang, cited))
            (meals(chart, lang, cited))
        }
        div.pair {
            (stays(chart, lang, cited))
            (visits(chart, lang, cited))
        }
        (notes(chart, lang, cited))
        (not_shown(chart, lang))
    }
}

/// A heading, what could not be read for it, and the rows, or that nothing is recorded.
struct Section<'s> {
    title: &'s str,
    kinds: &'s [&'s str],
    total: usize,
    shown: usize,
}

impl Section<'_> {
    fn with(&self, chart: &Chart, lang: Lang, content: Markup) -> Markup {
        let unread = chart.unread_of(self.kinds);
        let left_out = self.total.saturating_sub(self.shown);
        html! {
            section.long[self.shown > 8 || self.kinds.is_empty()] {
                h2 { (self.title) small { (self.kinds.join(" · ")) } }
                @if unread > 0 { p.warn { (words::unread_count(unread, lang)) } }
                @if self.total == 0 { p.none { (words::not_recorded(lang)) } } @else { (content) }
                @if left_out > 0 {
                    p.none { (lang.pick(format!("{left_out} older ones are left out"), format!("ほか {left_out} 件は古いため省略"))) }
                }
            }
        }
    }
}

fn mark<'c>(cited: &mut Cited<'c>, from: &'c Provenance) -> Markup {
    cited.mark(from)
}

fn allergies<'c>(chart: &'c Chart, lang: Lang, cited: &mut Cited<'c>) -> Markup {
    let rows = html! {
        table {
            @for item in &chart.allergies {
                tr {
                    td { span.strong.abnormal[item.value.is_drug() || item.value.is_severe()] { (item.value.substance) } (mark(cited, &item.from)) }
                    td { (item.value.category) @if !item.value.severity.is_empty() { " " span.tag { (item.value.severity) } } }
                    td { (item.value.reaction) @if !item.value.since.is_empty() { " " span.soft { "(" (item.value.since) ")" } } }
                }
            }
        }
    };
    let count = chart.allergies.len();
    let title = lang.pick("Allergies", "アレルギー");
    Section { title, kinds: &["ADT-61", "ADT-00"], total: count, shown: count }.with(chart, lang, rows)
}

fn problems<'c>(chart: &'c Chart, lang: Lang, cited: &mut Cited<'c>) -> Markup {
    let rows = html! {
        table {
            @for item in chart.problems.iter().take(ROWS_MAX) {
                tr.past[!item.value.active] {
                    td {
                        span.strong[item.value.active] { (item.value.name) } (mark(cited, &item.from))
                        @if item.value.main { " " span.tag { (lang.pick("main", "主")) } }
                        @if !item.value.icd10.is_empty() { " " span.soft { (item.value.icd10) } }
                    }
                    td.date { (words::day(item.value.since)) " –" @if let Some(until) = item.value.until { " " (until) } }
                    td { (item.value.outcome) }
                }
            }
        }
    };
    let (total, title) = (chart.problems.len(), lang.pick("Problems", "病名・プロブレム"));
    Section { title, kinds: &["PPR-01"], total, shown: total.min(ROWS_MAX) }.with(chart, lang, rows)
}

fn medication<'c>(chart: &'c Chart, lang: Lang, cited: &mut Cited<'c>) -> Markup {
    let is_past = |item: &&Item<Medication>| matches!(item.value.state, Course::Ended | Course::Stopped);
    let present = chart.medication.iter().filter(|item| !is_past(item));
    let past = chart.medication.iter().filter(is_past).take(ROWS_MAX);
    let rows: Vec<_> = present.chain(past).collect();
    let shown = rows.len();
    let table = html! {
        table {
            tr {
                th { (lang.pick("Drug", "薬剤")) } th { (lang.pick("Dose", "用量")) } th { (lang.pick("Directions", "用法")) }
                th { (lang.pick("Period", "期間")) } th { (lang.pick("State", "状態")) } th { (lang.pick("Doctor", "医師")) }
            }
            @for item in rows {
                tr.past[is_past(&item)] {
                    td {
                        @for (index, drug) in item.value.drugs.iter().enumerate() {
                            @if index > 0 { br; }
                            span.strong[!is_past(&item)] { (drug.name) }
                        }
                        (mark(cited, &item.from))
                        @if item.value.route == Route::Injection { " " span.tag { (lang.pick("injection", "注射")) } }
                    }
                    td {
                        @for (index, drug) in item.value.drugs.iter().enumerate() {
                            @if index > 0 { br; }
                            (drug.dose)
                            @if !drug.per_day.is_empty() { span.soft { " (" (lang.pick("daily ", "1日 ")) (drug.per_day) ")" } }
                        }
                    }
                    td { (item.value.usage) }
                    td.date { (words::day(item.value.start)) @if let Some(until) = item.value.until { " – " (until) } }
                    td.date { (item.value.state.word(lang)) }
                    td.date { (item.value.ordered_by) }
                }
            }
        }
    };
    let title = lang.pick("Medication", "処方・注射");
    Section { title, kinds: &["OMP-01", "OMP-02"], total: chart.medication.len(), shown }
        .with(chart, lang, table)
}

fn labs<'c>(chart: &'c Chart, lang: Lang, cited: &mut Cited<'c>) -> Markup {
    let rows = html! {
        table {
            tr {
                th { (lang.pick("Test", "検査")) } th.number { (lang.pick("Latest", "最新値")) } th { "" } th { (lang.pick("Unit", "単位")) }
                th { (lang.pick("Reference", "基準値")) } th { (lang.pick("Taken", "採取")) }
                th.number { (lang.pick("Before", "前回値")) } th { (lang.pick("Taken", "前回採取")) }
            }
            @for series in &chart.labs { (lab(series, lang, cited)) }
        }
        p.none { (words::flag_legend(lang)) }
    };
    let (total, title) = (chart.labs.len(), lang.pick("Laboratory", "検査結果"));
    Section { title, kinds: &["OML-11"], total, shown: total }.with(chart, lang, rows)
}

fn lab<'c>(series: &'c LabSeries, lang: Lang, cited: &mut Cited<'c>) -> Markup {
    let Some(latest) = series.results.first() else { return html! {} };
    let before = series.results.get(1);
    html! {
        tr {
            td { (series.name) (mark(cited, &latest.from)) }
            td.number { span class=(value_class(latest.value.flag)) { (latest.value.value) } }
            td.date {
                span class=(flag_class(latest.value.flag)) { (latest.value.flag.sign()) } @if latest.value.flag_computed && latest.value.flag.is_abnormal() { "*" }
                " " (series.trend.map_or("", Trend::arrow))
                @if latest.value.preliminary { " " span.tag { (lang.pick("preliminary", "中間")) } }
            }
            td { (latest.value.unit) }
            td { (latest.value.range) }
            td.date { (latest.value.at.map(words::minute).unwrap_or_default()) }
            @match before {
                Some(before) => {
                    td.number { span class=(value_class(before.value.flag)) { (before.value.value) } (mark(cited, &before.from)) }
                    td.date.soft { (before.value.at.map(words::minute).unwrap_or_default()) }
                }
                None => { td {} td {} }
            }
        }
    }
}

/// A value without a flag stays as dark as a normal one; only its sign is pale.
fn value_class(flag: LabFlag) -> &'static str {
    if flag.is_abnormal() { flag_class(flag) } else { "" }
}

fn flag_class(flag: LabFlag) -> &'static str {
    match flag {
        LabFlag::Critical => "critical",
        LabFlag::High | LabFlag::Abnormal => "abnormal",
        LabFlag::Low => "low",
        LabFlag::Unknown => "soft",
        LabFlag::Normal => "",
    }
}

/// Each agent that staff ask about is named, recorded or not.
pub(super) fn infections<'c>(chart: &'c Chart, lang: Lang, cited: &mut Cited<'c>) -> Markup {
    let found: Vec<&'c Item<Infection>> = chart.banner.infections.iter().collect();
    let missing =
        Agent::ALWAYS.into_iter().filter(|agent| !found.iter().any(|item| item.value.agent == *agent));
    let missing: Vec<_> = missing.map(|agent| agent.word(lang)).collect();
    html! {
        @for item in &found {
            span.abnormal[item.value.outcome == Outcome::Positive && item.value.agent != Agent::HbsAntibody] {
                (item.value.agent.word(lang)) " "
                @if item.value.outcome.sign().is_empty() { (item.value.value) } @else { (item.value.outcome.sign()) }
            }
            (mark(cited, &item.from)) " "
        }
        @if !missing.is_empty() {
            span.soft { (missing.join("・")) ": " (words::not_recorded(lang)) }
        }
    }
}

fn given<'c>(chart: &'c Chart, lang: Lang, cited: &mut Cited<'c>) -> Markup {
    let rows = html! {
        table {
            @for item in chart.given.iter().take(ROWS_MAX) {
                tr {
                    td.date { (item.value.at.map(words::minute).unwrap_or_default()) }
                    td { (item.value.drug.name) (mark(cited, &item.from)) }
                    td { (item.value.drug.dose) }
                    td.soft { (item.value.state(lang)) " " (item.value.by) }
                }
            }
        }
    };
    let (total, title) = (chart.given.len(), lang.pick("Given", "投与実施"));
    Section { title, kinds: &["OMP-11", "OMP-12"], total, shown: total.min(ROWS_MAX) }.with(chart, lang, rows)
}

fn meals<'c>(chart: &'c Chart, lang: Lang, cited: &mut Cited<'c>) -> Markup {
    let rows = html! {
        table {
            @for item in chart.meals.iter().take(ROWS_MAX / 2) {
                tr {
                    td.date { (item.value.start.map(words::minute).unwrap_or_default()) " –" }
                    td { (item.value.diet) (mark(cited, &item.from)) }
                    td.strong { (item.value.instruction) }
                    td { (item.value.timing) }
                }
            }
        }
    };
    let (total, title) = (chart.meals.len(), lang.pick("Meals", "食事"));
    Section { title, kinds: &["OMD"], total, shown: total.min(ROWS_MAX / 2) }.with(chart, lang, rows)
}

fn stays<'c>(chart: &'c Chart, lang: Lang, cited: &mut Cited<'c>) -> Markup {
    let rows = html! {
        table {
            @for item in chart.stays.iter().take(ROWS_MAX / 2) {
                tr {
                    td.date {
                        (item.value.admitted.map_or_else(|| lang.pick("admission not recorded", "入院記録なし").to_owned(), words::minute)) " – "
                        (item.value.discharged.map_or_else(|| lang.pick("in hospital", "入院中").to_owned(), words::minute))
                        (mark(cited, &item.from))
                    }
                    td.date { (item.value.bed.place()) }
                    td { (item.value.dept) " " (item.value.doctor) }
                }
            }
        }
    };
    let (total, title) = (chart.stays.len(), lang.pick("Admissions", "入院"));
    let kinds = &["ADT-22", "ADT-42", "ADT-52"];
    Section { title, kinds, total, shown: total.min(ROWS_MAX / 2) }.with(chart, lang, rows)
}

fn visits<'c>(chart: &'c Chart, lang: Lang, cited: &mut Cited<'c>) -> Markup {
    let rows = html! {
        table {
            @for item in chart.visits.iter().take(ROWS_MAX / 2) {
                tr {
                    td.date { (item.value.at.map(words::minute).unwrap_or_default()) (mark(cited, &item.from)) }
                    td { (item.value.dept) }
                    td { (item.value.doctor) }
                }
            }
        }
    };
    let (total, title) = (chart.visits.len(), lang.pick("Outpatient visits", "外来受診"));
    Section { title, kinds: &["ADT-12"], total, shown: total.min(ROWS_MAX / 2) }.with(chart, lang, rows)
}

fn notes<'c>(chart: &'c Chart, lang: Lang, cited: &mut Cited<'c>) -> Markup {
    let rows = html! {
        @for item in chart.notes.iter().take(ROWS_MAX) {
            div.note {
                span.strong { (item.value.kind) } " " (words::day(item.value.date)) (mark(cited, &item.from))
                @match &item.value.text {
                    Some(text) => pre { (text) },
                    None => p.none {
                        (lang.pick("not a text: restore the file to open it", "文書ファイルは復元先で開いてください"))
                        " (" (item.value.bytes) " bytes)"
                    },
                }
            }
        }
    };
    let (total, title) =
        (chart.notes.len(), lang.pick("Notes (extended storage)", "記録・文書 (拡張ストレージ)"));
    Section { title, kinds: &[], total, shown: total.min(ROWS_MAX) }.with(chart, lang, rows)
}

fn not_shown(chart: &Chart, lang: Lang) -> Markup {
    html! {
        @if !chart.not_shown.is_empty() {
            p.none {
                (lang.pick("In the store and not shown here: ", "保存されているがこの画面に表示しない記録: "))
                @for (index, (kind, count)) in chart.not_shown.iter().enumerate() {
                    @if index > 0 { ", " }
                    @if kind == "-" { (lang.pick("other files", "その他のファイル")) } @else { (kind) } " ×" (count)
                }
            }
        }
    }
}
