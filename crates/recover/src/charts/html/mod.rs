//! One chart as one page that needs nothing else: read on a tablet, printed on paper, in Japanese or English.

mod plot;
mod sections;

use jiff::tz::TimeZone;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use schema::Lang;

use super::model::{AlertKind, Chart, Provenance};
use super::words::{self, Basis, Origin};

/// The style sheet of [`article`], for a page that holds one.
pub const STYLE: &str = include_str!("chart.css");
const PAGE_STYLE: &str = include_str!("page.css");

/// One chart as an element of a page: banner, alerts, sections, the records behind them. Pure: the same chart
/// gives the same markup, with neither script nor style nor anything to be loaded, so that the viewer, a single
/// file and the bundle show the same. `beside` stands between alerts and sections: what was noted since.
pub fn article(chart: &Chart, basis: &Basis, lang: Lang, zone: &TimeZone, beside: &Markup) -> Markup {
    let mut cited = Cited::default();
    let lines = basis.lines(Some(chart), lang, zone);
    let name = chart.banner.name.as_deref().unwrap_or("–");
    let content = html! {
        (header(chart, Some((basis, &lines)), lang, &mut cited))
        (unread(chart, lang))
        (sections::contents(lang))
        (beside)
        (sections::all(chart, lang, &mut cited))
        (cited.list(lang))
    };
    // The foot of a table is what browsers repeat on every printed page; a fixed footer lies over the text.
    html! {
        article.chart lang=(lang.tag()) {
            table.frame role="presentation" {
                tfoot { tr { td { (name) " · ID " (chart.patient) " · " (lines.join(" · ")) } } }
                tbody { tr { td { (content) } } }
            }
        }
    }
}

/// A chart as one file that needs nothing else. It loads nothing: no script, no font, no image.
pub fn page(chart: &Chart, basis: &Basis, lang: Lang, zone: &TimeZone) -> String {
    let name = chart.banner.name.as_deref().unwrap_or("–");
    let page = html! {
        (DOCTYPE)
        html lang=(lang.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // A chart must not reach the network, whatever a record holds.
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                meta name="robots" content="noindex";
                title { (chart.patient) " " (name) }
                style { (PreEscaped(PAGE_STYLE)) (PreEscaped(STYLE)) }
            }
            body { main { (article(chart, basis, lang, zone, &html! {})) } }
        }
    };
    page.into_string()
}

/// The chart without the page around it and without what it rests on, which whoever shows it has to put into `.basis`: it holds nothing
/// that changes while the patient's records do not.
pub(crate) fn lasting(chart: &Chart, lang: Lang) -> String {
    let mut cited = Cited::default();
    let content = html! {
        (header(chart, None, lang, &mut cited))
        (unread(chart, lang))
        main { (sections::all(chart, lang, &mut cited)) }
        (cited.list(lang))
    };
    content.into_string()
}

/// The records that a page refers to, numbered as they are first met.
#[derive(Default)]
struct Cited<'c> {
    records: Vec<&'c Provenance>,
}

impl<'c> Cited<'c> {
    fn mark(&mut self, from: &'c Provenance) -> Markup {
        let known =
            self.records.iter().position(|record| record.path == from.path && record.part == from.part);
        let number = known.unwrap_or_else(|| {
            self.records.push(from);
            self.records.len() - 1
        }) + 1;
        html! {
            sup { a href={ "#r" (number) } { (number) } }
            @if let Some(other) = &from.other_patient { sup.other { " ⚠ID " (other) } }
        }
    }

    fn list(&self, lang: Lang) -> Markup {
        html! {
            section.long {
                h2 { (lang.pick("Records behind this chart", "出典")) small { (lang.pick("files in the snapshot, with the time of recording", "スナップショット内のファイルと記録時刻")) } }
                ol.sources {
                    @for (index, record) in self.records.iter().enumerate() {
                        li id={ "r" (index + 1) } {
                            (record.path)
                            @if let Some(part) = &record.part { " " (part) }
                            @if let Some(at) = record.recorded_at { " (" (words::minute(at)) ")" }
                        }
                    }
                }
            }
        }
    }
}

fn header<'c>(
    chart: &'c Chart,
    basis: Option<(&Basis, &[String])>,
    lang: Lang,
    cited: &mut Cited<'c>,
) -> Markup {
    let banner = &chart.banner;
    html! {
        header {
            div.who {
                h1 {
                    (banner.name.as_deref().unwrap_or_else(|| words::not_recorded(lang)))
                    @if let Some(from) = &banner.from { (cited.mark(from)) }
                }
                @if let Some(kana) = &banner.kana { span.kana { (kana) } }
                span.id { "ID " (chart.patient) }
                @if let Some(sex) = banner.sex { span.strong { (sex.word(lang)) } }
                @if let Some(age) = banner.age { span.strong { (age) (lang.pick(" years", "歳")) } }
                @if let Some(born) = banner.birth_date { span { (words::birth(born, lang)) (lang.pick(" born", " 生")) } }
            }
            div.facts { (facts(chart, lang, cited)) }
            // With the name: whoever scrolls to the medication still sees the allergy.
            (alerts(chart, lang))
            @match basis {
                Some((basis, lines)) => div.basis.unproven[!basis.is_proven()] title=(full_id(basis)) {
                    @for (index, line) in lines.iter().enumerate() {
                        p.unproven[index == 1 && !basis.is_proven()] { (line) }
                    }
                },
                None => div.basis {
                    @if let Some(own) = chart.newest_record {
                        p { (lang.pick("This patient's newest record: ", "この患者の最新の記録: ")) (words::minute(own)) }
                    }
                },
            }
        }
    }
}

fn full_id(basis: &Basis) -> &str {
    match &basis.origin {
        Origin::Snapshot { snapshot, .. } => &snapshot.0,
        Origin::Folder { path } => path,
    }
}

fn facts<'c>(chart: &'c Chart, lang: Lang, cited: &mut Cited<'c>) -> Markup {
    let banner = &chart.banner;
    let none = words::not_recorded(lang);
    html! {
        span {
            span.label { (lang.pick("Ward", "病棟")) }
            @match &banner.ward {
                Some(ward) => { b { (ward.value.place()) } (cited.mark(&ward.from)) }
                None => { (lang.pick("no admission recorded", "入院の記録なし")) }
            }
        }
        span {
            span.label { (lang.pick("Blood type", "血液型")) }
            @match (&banner.blood_abo, &banner.blood_rh) {
                (None, None) => span.soft { (none) },
                (abo, rh) => {
                    @if let Some(abo) = abo { b { (abo.value.value) } (cited.mark(&abo.from)) " " }
                    @if let Some(rh) = rh {
                        b { @if !rh.value.value.to_lowercase().contains("rh") { "Rh" } (rh.value.value) } (cited.mark(&rh.from))
                    }
                }
            }
        }
        span { span.label { (lang.pick("Infections", "感染症")) } (sections::infections(chart, lang, cited)) }
        @if let Some(height) = &banner.height { span { span.label { (lang.pick("Height", "身長")) } (height) } }
        @if let Some(weight) = &banner.weight { span { span.label { (lang.pick("Weight", "体重")) } (weight) } }
        @if let Some(phone) = &banner.phone { span { span.label { (lang.pick("Phone", "電話")) } (phone) } }
        @if let Some(address) = &banner.address { span { span.label { (lang.pick("Address", "住所")) } (address) } }
    }
}

fn unread(chart: &Chart, lang: Lang) -> Markup {
    html! {
        @if !chart.unread.is_empty() {
            div.warn role="alert" {
                "⚠ " (words::unread_count(chart.unread.len(), lang)) ": "
                @for unread in &chart.unread { br; (unread.kind) " — " (unread.path) " — " (unread.cause) }
            }
        }
    }
}

fn alerts(chart: &Chart, lang: Lang) -> Markup {
    html! {
        ul.alerts aria-label=(lang.pick("Alerts", "注意事項")) {
            @if !chart.unread.is_empty() { li { "⚠ " (words::unread_count(chart.unread.len(), lang)) } }
            @for alert in chart.alerts.iter().filter(|alert| alert.kind != AlertKind::Unread) {
                li.infection[alert.kind == AlertKind::Infection].other[alert.kind == AlertKind::OtherPatient] {
                    small { (alert.kind.word(lang)) } (alert.what)
                }
            }
        }
    }
}
