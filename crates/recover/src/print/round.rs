//! The round list of a ward: one row for each patient, with room to write.

use schema::Lang;

use super::banner::infections;
use super::sections::is_past;
use super::sheet::{Block, Cell, Op, Page, RowLook, Way};
use super::text::{Ink, Span, Style};
use super::words::{Words, head, own};
use super::{BODY, Print};
use crate::charts::words::{not_recorded, unread_count};
use crate::charts::{AlertKind, Basis, Chart, Course, Origin};

/// Entries of a cell; the others are counted in it.
const ENTRIES_MAX: usize = 14;
/// Characters of one entry.
const ENTRY_CHARS_MAX: usize = 60;
const CELL: Style = Style { size: 8.5, ..BODY };
const STRONG: Style = Style { bold: true, ..CELL };
const ALARM: Style = Style { ink: Ink::Red, ..STRONG };

pub(super) fn pages(print: &mut Print, ward: &str, charts: &[Chart], basis: &Basis) -> Vec<Page> {
    let lang = print.lang;
    let ward: String = ward.chars().take(60).collect();
    let title = lang.pick(
        format!("Round list · ward {ward} · {} patients", charts.len()),
        format!("病棟患者一覧（回診用） {ward} {}名", charts.len()),
    );
    let basis = &dated(print, charts, basis);
    let foot = print.foot(lang.pick(format!("ward {ward}"), format!("病棟 {ward}")), None, basis);
    let mut words = Words::default();
    let mut flow = print.flow(Way::Across, foot);
    let line = flow.setter.cut(&[own(title, Style { size: 14.0, bold: true, ..BODY })], flow.width);
    let block = Block { ops: vec![Op::Text { x: 0.0, y: 14.0, line }], height: 20.0 };
    flow.head(block.clone(), block);
    let titles = lang.pick(
        [
            "bed",
            "patient",
            "allergies · infections · alerts",
            "problems",
            "abnormal labs (latest)",
            "current drugs",
            "notes",
        ],
        ["病床", "患者", "アレルギー・感染症・注意", "病名", "検査異常値（最新）", "使用中の薬剤", "メモ"],
    );
    let columns = flow.columns(&[0.75, 2.2, 2.5, 2.3, 2.2, 3.2, 1.8], &head(&titles), true);
    flow.table_head(&columns);
    for chart in charts {
        let cells: Vec<Cell> = vec![
            bed(chart).into(),
            person(chart, lang).into(),
            alerts(&mut words, chart, lang).into(),
            problems(&mut words, chart, lang).into(),
            labs(&mut words, chart, lang).into(),
            drugs(&mut words, chart, lang).into(),
            Cell::default(),
        ];
        flow.row(&columns, &cells, RowLook::Roomy(46.0));
    }
    if charts.is_empty() {
        let nobody =
            lang.pick("No patient of this ward is in the records.", "この病棟の患者の記録はありません。");
        flow.gap(6.0);
        flow.text(&[own(nobody, BODY)]);
    }
    let pages = flow.finish();
    print.left_out.add(words.left_out);
    pages
}

/// A folder does not say what its data is as of; the newest record of those who are listed does.
fn dated(print: &Print, charts: &[Chart], basis: &Basis) -> Basis {
    let mut basis = basis.clone();
    if let (None, Origin::Folder { .. }) = (basis.newest_record, &basis.origin) {
        let newest = charts.iter().filter_map(|chart| chart.newest_record).max();
        let zoned = newest.and_then(|newest| newest.to_zoned(print.zone.clone()).ok());
        basis.newest_record = zoned.map(|zoned| zoned.timestamp());
    }
    basis
}

fn bed(chart: &Chart) -> Vec<Span> {
    let bed = chart.banner.ward.as_ref().map(|item| &item.value);
    let place = bed.map(|bed| {
        [bed.room.as_str(), bed.bed.as_str()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("-")
    });
    vec![own(place.unwrap_or_default().chars().take(20).collect::<String>(), Style { size: 11.0, ..STRONG })]
}

fn person(chart: &Chart, lang: Lang) -> Vec<Span> {
    let banner = &chart.banner;
    let short = |text: &str| text.chars().take(ENTRY_CHARS_MAX).collect::<String>();
    let absent = not_recorded(lang);
    let age =
        banner.age.map_or_else(|| "–".to_owned(), |age| lang.pick(format!("{age} y"), format!("{age}歳")));
    let born = banner.birth_date.map_or_else(String::new, |born| format!(" ({born})"));
    vec![
        own(short(banner.name.as_deref().unwrap_or(absent)), Style { size: 11.0, ..STRONG }),
        own(format!("\n{}", short(banner.kana.as_deref().unwrap_or_default())), CELL),
        own(format!("\n{age} {}{born}", banner.sex.map_or(absent, |sex| sex.word(lang))), CELL),
        own(format!("\nID {}", short(&chart.patient.0)), STRONG),
    ]
}

fn alerts<'c>(words: &mut Words<'c>, chart: &'c Chart, lang: Lang) -> Vec<Span> {
    let mut spans = Vec::new();
    if !chart.unread.is_empty() {
        spans.push(own(format!("▲ {}\n", unread_count(chart.unread.len(), lang)), ALARM));
    }
    let names = chart.allergies.iter().map(|item| {
        let allergy = &item.value;
        let style = if allergy.is_drug() || allergy.is_severe() { ALARM } else { STRONG };
        (entry(&[&allergy.substance, &allergy.severity]), style)
    });
    spans.push(own(lang.pick("allergies: ", "アレルギー: "), CELL));
    spans.extend(listed(words, names.collect(), "、", lang));
    spans.push(own("\n", CELL));
    // References mean nothing on a list that has no list of records.
    let marked = infections(words, chart, lang).into_iter().filter(|span| !span.style.raised);
    spans.extend(marked.map(|span| Span { style: Style { size: CELL.size, ..span.style }, ..span }));
    let others = chart
        .alerts
        .iter()
        .filter(|alert| matches!(alert.kind, AlertKind::Critical | AlertKind::OtherPatient));
    let others: Vec<_> = others
        .map(|alert| (format!("▲ {}: {}", alert.kind.word(lang), entry(&[&alert.what])), ALARM))
        .collect();
    if !others.is_empty() {
        spans.push(own("\n", CELL));
        spans.extend(listed(words, others, "\n", lang));
    }
    spans
}

fn problems(words: &mut Words<'_>, chart: &Chart, lang: Lang) -> Vec<Span> {
    let active = chart.problems.iter().filter(|item| item.value.active);
    let names = active.map(|item| {
        let style = if item.value.main { STRONG } else { CELL };
        (format!("・{}", entry(&[&item.value.name])), style)
    });
    let mut spans = unread(chart, &["PPR-01"], lang);
    spans.extend(listed(words, names.collect(), "\n", lang));
    spans
}

fn labs(words: &mut Words<'_>, chart: &Chart, lang: Lang) -> Vec<Span> {
    let abnormal = chart.labs.iter().filter_map(|series| {
        let latest = &series.results.first()?.value;
        let day = latest.at.map(|at| at.strftime(" (%m-%d)").to_string()).unwrap_or_default();
        let style = if latest.flag == crate::charts::LabFlag::Critical { ALARM } else { STRONG };
        latest.flag.is_abnormal().then(|| {
            let computed = if latest.flag_computed { "*" } else { "" };
            let value = entry(&[&series.name, &latest.value]);
            (format!("{value} {}{computed}{day}", latest.flag.sign()), style)
        })
    });
    let abnormal: Vec<_> = abnormal.collect();
    let mut spans = unread(chart, &["OML-11"], lang);
    match (abnormal.is_empty(), chart.labs.is_empty()) {
        (true, false) => spans
            .push(own(lang.pick("none abnormal among those recorded", "記録された最新値に異常なし"), CELL)),
        _ => spans.extend(listed(words, abnormal, "\n", lang)),
    }
    spans
}

fn drugs(words: &mut Words<'_>, chart: &Chart, lang: Lang) -> Vec<Span> {
    let current = chart.medication.iter().filter(|item| !is_past(&item.value));
    let lines = current.flat_map(|item| {
        let medication = &item.value;
        let state = match medication.state {
            Course::Current => String::new(),
            state => format!(" <{}>", state.word(lang)),
        };
        let usage = entry(&[&medication.usage]);
        medication
            .drugs
            .iter()
            .map(move |drug| (format!("・{} {usage}{state}", entry(&[&drug.name, &drug.dose])), CELL))
    });
    let lines: Vec<_> = lines.collect();
    let mut spans = unread(chart, &["OMP-01", "OMP-02"], lang);
    spans.extend(listed(words, lines, "\n", lang));
    spans
}

/// The entries that fit, and how many do not; that nothing is recorded where there are none.
fn listed(words: &mut Words<'_>, entries: Vec<(String, Style)>, between: &str, lang: Lang) -> Vec<Span> {
    if entries.is_empty() {
        return vec![own(not_recorded(lang), CELL)];
    }
    let left = entries.len().saturating_sub(ENTRIES_MAX);
    let mut spans = Vec::new();
    for (index, (text, style)) in entries.into_iter().take(ENTRIES_MAX).enumerate() {
        spans.push(own(format!("{}{text}", if index > 0 { between } else { "" }), style));
    }
    if left > 0 {
        words.left_out.rows += left as u64;
        spans.push(own(
            lang.pick(format!("{between}and {left} more"), format!("{between}ほか{left}件")),
            STRONG,
        ));
    }
    spans
}

/// How many records of these kinds could not be read: what a cell does not say may be in them.
fn unread(chart: &Chart, kinds: &[&str], lang: Lang) -> Vec<Span> {
    let count = chart.unread_of(kinds);
    let warning = || own(format!("▲ {}\n", unread_count(count, lang)), ALARM);
    (count > 0).then(warning).into_iter().collect()
}

fn entry(parts: &[&String]) -> String {
    let parts: Vec<_> = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()).collect();
    let text = parts.join(" ").replace('\n', " ");
    match text.char_indices().nth(ENTRY_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
