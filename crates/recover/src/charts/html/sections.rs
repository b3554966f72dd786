//! The parts of a chart, in the order in which a ward asks for them.

use maud::{Markup, html};
use schema::Lang;

use super::Cited;
use crate::charts::model::{
    Agent, Chart, Course, Infection, Item, LabFlag, LabResult, LabSeries, Medication, Outcome, Provenance,
    Route, Trend,
};
use crate::charts::words;

/// Earlier values of one test.
const RESULTS_MAX: usize = 10;
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
        @if !chart.appointments.is_empty() { (appointments(chart, lang, cited)) }
        (notes(chart, lang, cited))
        (not_shown(chart, lang))
    }
}

/// Links to the sections, in their order; `data-keys` are the keys that a script may bind to them.
pub(super) fn contents(lang: Lang) -> Markup {
    let links = [
        ("allergies", "g a", lang.pick("Allergies", "アレルギー")),
        ("problems", "g p", lang.pick("Problems", "病名")),
        ("medication", "g m", lang.pick("Medication", "処方・注射")),
        ("labs", "g l", lang.pick("Laboratory", "検査")),
        ("given", "g v", lang.pick("Given", "投与実施")),
        ("notes", "g n", lang.pick("Notes", "記録")),
    ];
    html! {
        nav.contents aria-label=(lang.pick("Sections of this chart", "カルテの項目")) {
            @for (id, keys, title) in links { a href={ "#" (id) } data-keys=(keys) { (title) } }
        }
    }
}

/// A heading, what could not be read for it, and the rows, or that nothing is recorded.
struct Section<'s> {
    id: &'s str,
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
            section.long[self.shown > 8 || self.kinds.is_empty()] id=(self.id) tabindex="-1" {
                h2 { (self.title) small { (chart.kinds_label(self.kinds)) } }
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
    Section { id: "allergies", title, kinds: &["ADT-61", "ADT-00"], total: count, shown: count }
        .with(chart, lang, rows)
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
    Section { id: "problems", title, kinds: &["PPR-01"], total, shown: total.min(ROWS_MAX) }
        .with(chart, lang, rows)
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
    Section { id: "medication", title, kinds: &["OMP-01", "OMP-02"], total: chart.medication.len(), shown }
        .with(chart, lang, table)
}

fn labs<'c>(chart: &'c Chart, lang: Lang, cited: &mut Cited<'c>) -> Markup {
    let rows = html! {
        div.wide tabindex="0" role="region" aria-label=(lang.pick("Laboratory", "検査結果")) {
            table {
                thead { tr {
                    th scope="col" { (lang.pick("Test", "検査")) }
                    th.number scope="col" { (lang.pick("Latest", "最新値")) }
                    th scope="col" { (lang.pick("Flag", "判定")) }
                    th scope="col" { (lang.pick("Unit", "単位")) }
                    th scope="col" { (lang.pick("Reference", "基準値")) }
                    th scope="col" { (lang.pick("Taken", "採取")) }
                    th scope="col" { (lang.pick("Course (band: reference range)", "推移（帯は基準範囲）")) }
                } }
                tbody { @for series in &chart.labs { (lab(series, lang, cited)) } }
            }
        }
        p.none { (words::flag_legend(lang)) }
    };
    let (total, title) = (chart.labs.len(), lang.pick("Laboratory", "検査結果"));
    Section { id: "labs", title, kinds: &["OML-11"], total, shown: total }.with(chart, lang, rows)
}

fn lab<'c>(series: &'c LabSeries, lang: Lang, cited: &mut Cited<'c>) -> Markup {
    let Some(latest) = series.results.first() else { return html! {} };
    html! {
        tr {
            th scope="row" { (series.name) (mark(cited, &latest.from)) }
            td.number { span class=(value_class(latest.value.flag)) { (latest.value.value) } }
            td.date { (flag(&latest.value, lang)) " " (series.trend.map_or("", Trend::arrow)) }
            td { (latest.value.unit) }
            td { (latest.value.range) }
            td.date { (latest.value.at.map(words::minute).unwrap_or_default()) }
            td.course { (super::plot::plot(series, lang)) (earlier(series, lang, cited)) }
        }
    }
}

/// The last values as a table, which also says what the picture says.
fn earlier<'c>(series: &'c LabSeries, lang: Lang, cited: &mut Cited<'c>) -> Markup {
    let before: Vec<&'c Item<LabResult>> = series.results.iter().skip(1).take(RESULTS_MAX).collect();
    let more = series.results.len().saturating_sub(RESULTS_MAX + 1);
    html! {
        @if !before.is_empty() {
            details {
                summary {
                    (lang.pick("before: ", "前回 "))
                    span class=(value_class(before[0].value.flag)) { (before[0].value.value) } " " (flag(&before[0].value, lang))
                    span.soft { " " (before[0].value.at.map(|at| words::day(Some(at.date()))).unwrap_or_default()) }
                }
                table {
                    @for result in before {
                        tr {
                            td.number { span class=(value_class(result.value.flag)) { (result.value.value) } (mark(cited, &result.from)) }
                            td { (flag(&result.value, lang)) }
                            td.date { (result.value.at.map(words::minute).unwrap_or_default()) }
                        }
                    }
                }
                @if more > 0 { p.none { (lang.pick(format!("{more} older ones are left out"), format!("ほか {more} 件は古いため省略"))) } }
            }
        }
    }
}

/// The sign of a flag, with its word for who hears the page.
fn flag(result: &LabResult, lang: Lang) -> Markup {
    html! {
        span class=(flag_class(result.flag)) title=(result.flag.word(lang)) {
            span aria-hidden="true" { (result.flag.sign()) }
            span.heard { (result.flag.word(lang)) }
        }
        @if result.flag_computed && result.flag.is_abnormal() { "*" }
        @if result.preliminary { " " span.tag { (lang.pick("preliminary", "中間")) } }
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
    Section { id: "given", title, kinds: &["OMP-11", "OMP-12"], total, shown: total.min(ROWS_MAX) }
        .with(chart, lang, rows)
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
    Section { id: "meals", title, kinds: &["OMD"], total, shown: total.min(ROWS_MAX / 2) }
        .with(chart, lang, rows)
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
    Section { id: "stays", title, kinds, total, shown: total.min(ROWS_MAX / 2) }.with(chart, lang, rows)
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
    Section { id: "visits", title, kinds: &["ADT-12"], total, shown: total.min(ROWS_MAX / 2) }
        .with(chart, lang, rows)
}

fn appointments<'c>(chart: &'c Chart, lang: Lang, cited: &mut Cited<'c>) -> Markup {
    let rows = html! {
        table {
            @for item in chart.appointments.iter().take(ROWS_MAX) {
                tr {
                    td.date { (item.value.at.map(words::minute).unwrap_or_default()) (mark(cited, &item.from)) }
                    td { (item.value.dept) }
                    td { (item.value.doctor) }
                    td { (item.value.what) @if !item.value.status.is_empty() { " " span.tag { (item.value.status) } } }
                }
            }
        }
    };
    let (total, title) = (chart.appointments.len(), lang.pick("Appointments", "予約"));
    Section { id: "appointments", title, kinds: &[], total, shown: total.min(ROWS_MAX) }
        .with(chart, lang, rows)
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
    let (total, title) = (chart.notes.len(), lang.pick("Notes and documents", "記録・文書"));
    Section { id: "notes", title, kinds: &[], total, shown: total.min(ROWS_MAX) }.with(chart, lang, rows)
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
