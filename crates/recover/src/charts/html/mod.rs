//! One chart as one page that needs nothing else: read on a tablet, printed on paper, in Japanese or English.

mod list;
mod sections;

use jiff::tz::TimeZone;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use schema::Lang;

use super::model::{AlertKind, Chart, Provenance};
use super::words::{self, Basis, Origin};

pub use list::{entrance_page, list_page};

const STYLE: &str = include_str!("chart.css");

/// The whole page. It loads nothing: no script, no font, no image.
pub fn page(chart: &Chart, basis: &Basis, lang: Lang, zone: &TimeZone) -> String {
    let mut cited = Cited::default();
    let lines = basis.lines(Some(chart), lang, zone);
    let name = chart.banner.name.as_deref().unwrap_or("–");
    let content = html! {
        (header(chart, basis, lang, &lines, &mut cited))
        (alerts(chart, lang))
        main { (sections::all(chart, lang, &mut cited)) }
        (cited.list(lang))
    };
    // The foot of a table is what browsers repeat on every printed page; a fixed footer lies over the text.
    let body = html! {
        table.frame {
            tfoot { tr { td { (name) " · ID " (chart.patient) " · " (lines.join(" · ")) } } }
            tbody { tr { td { (content) } } }
        }
    };
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
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    page.into_string()
}

/// The records that a page refers to, numbered as they are first met.
#[derive(Default)]
struct Cited<'c> {
    records: Vec<&'c Provenance>,
}

impl<'c> Cited<'c> {
    fn mark(&mut self, from: &'c Provenance) -> Markup {
        let known = self.records.iter().position(|record| record.path == from.path);
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
    basis: &Basis,
    lang: Lang,
    lines: &[String],
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
                @if let Some(born) = banner.birth_date { span { (born) (lang.pick(" born", " 生")) } }
            }
            div.facts { (facts(chart, lang, cited)) }
            div.basis.unproven[!basis.is_proven()] title=(full_id(basis)) {
                @for (index, line) in lines.iter().enumerate() {
                    p.unproven[index == 1 && !basis.is_proven()] { (line) }
                }
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
                    @for answer in [abo, rh].into_iter().flatten() { b { (answer.value.value) } (cited.mark(&answer.from)) " " }
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

fn alerts(chart: &Chart, lang: Lang) -> Markup {
    html! {
        @if !chart.unread.is_empty() {
            div.warn {
                (words::unread_count(chart.unread.len(), lang)) ": "
                @for unread in &chart.unread { br; (unread.kind) " — " (unread.path) " — " (unread.cause) }
            }
        }
        ul.alerts {
            @for alert in chart.alerts.iter().filter(|alert| alert.kind != AlertKind::Unread) {
                li.infection[alert.kind == AlertKind::Infection].other[alert.kind == AlertKind::OtherPatient] {
                    small { (alert.kind.word(lang)) } (alert.what)
                }
            }
        }
    }
}
