//! The medication administration record: what is to be given, and room to tick, time and sign.

use schema::Lang;

use super::banner::{banner, foot_lead};
use super::sections::{drugs, is_past};
use super::sheet::{Cell, Columns, Flow, Page, RowLook, Way};
use super::text::{Ink, Span, Style};
use super::words::{Words, head, own};
use super::{BODY, Print, SMALL};
use crate::charts::words::{day, not_recorded, unread_count};
use crate::charts::{Basis, Chart, Course, Medication, Route};

/// Blank rows below what is recorded.
const BLANK_ROWS: usize = 2;
/// Orders of one patient.
const ORDERS_MAX: usize = 200;
const ROOMY: RowLook = RowLook::Roomy(34.0);

pub(super) fn pages(print: &mut Print, chart: &Chart, basis: &Basis) -> Vec<Page> {
    let lang = print.lang;
    let foot = print.foot(foot_lead(chart), Some(chart), basis);
    let mut words = Words::default();
    let mut flow = print.flow(Way::Across, foot);
    let (block, _) = banner(flow.setter, &mut words, chart, flow.width, lang);
    flow.head(block.clone(), block);
    flow.text(&opening(lang));
    allergies(&mut flow, &mut words, chart, lang);
    let unread = chart.unread_of(&["OMP-01", "OMP-02"]);
    if unread > 0 {
        let said = lang.pick(": orders may be missing below", "。以下にない処方・注射がありえます");
        flow.text(&[own(format!("▲ {}{said}", unread_count(unread, lang)), alarm())]);
    }
    let titled = |route, en, ja| (route, lang.pick(en, ja));
    for (route, title) in [
        titled(Route::Prescription, "Medication", "内服・外用"),
        titled(Route::Injection, "Injections and infusions", "注射・点滴"),
    ] {
        let heading = Style { size: 11.0, bold: true, ..BODY };
        flow.heading(&[own(title, heading)]);
        let columns = columns(&mut flow, route, lang);
        flow.table_head(&columns);
        let current =
            chart.medication.iter().filter(|item| item.value.route == route && !is_past(&item.value));
        let orders: Vec<&Medication> = current.map(|item| &item.value).collect();
        for medication in orders.iter().take(ORDERS_MAX) {
            order(&mut flow, &mut words, &columns, medication, lang);
        }
        if orders.is_empty() {
            flow.row(&columns, &blank(vec![own(not_recorded(lang), BODY)], route), RowLook::Ruled);
        }
        let left = orders.len().saturating_sub(ORDERS_MAX);
        if left > 0 {
            words.left_out.rows += left as u64;
            let said = lang.pick(format!("{left} more are left out"), format!("ほか {left} 件は省略"));
            flow.text(&[own(said, alarm())]);
        }
        for _ in 0..BLANK_ROWS {
            flow.row(&columns, &blank(Vec::new(), route), ROOMY);
        }
    }
    let pages = flow.finish();
    print.left_out.add(words.left_out);
    pages
}

/// The two tables of a form without a patient's orders.
pub(super) fn blank_tables(flow: &mut Flow<'_>, lang: Lang) {
    for (route, title, rows) in [
        (Route::Prescription, lang.pick("Medication", "内服・外用"), 6),
        (Route::Injection, lang.pick("Injections and infusions", "注射・点滴"), 3),
    ] {
        flow.heading(&[own(title, Style { size: 11.0, bold: true, ..BODY })]);
        let columns = columns(flow, route, lang);
        flow.table_head(&columns);
        for _ in 0..rows {
            flow.row(&columns, &blank(Vec::new(), route), ROOMY);
        }
    }
}

fn alarm() -> Style {
    Style { bold: true, ink: Ink::Red, ..BODY }
}

/// What is checked before anything is given. The times are not filled in from the directions: a wrong guess would be given.
fn opening(lang: Lang) -> Vec<Span> {
    let text = lang.pick(
        "Medication administration record   date ______-____-____    checked: □ id  □ name  □ date of birth  □ allergies    name of the nurse ______________",
        "投薬・注射実施記録   実施日 ______年____月____日    照合: □ID  □氏名  □生年月日  □アレルギー    担当者 ______________",
    );
    vec![own(text, Style { size: 10.0, bold: true, ..BODY })]
}

/// All of them, also those that are no alert.
fn allergies<'c>(flow: &mut Flow<'_>, words: &mut Words<'c>, chart: &'c Chart, lang: Lang) {
    let mut spans = vec![own(lang.pick("Allergies: ", "アレルギー: "), Style { bold: true, ..BODY })];
    if chart.allergies.is_empty() {
        spans.push(own(not_recorded(lang), BODY));
    }
    for (index, item) in chart.allergies.iter().take(ORDERS_MAX).enumerate() {
        if index > 0 {
            spans.push(own(" / ", BODY));
        }
        let allergy = &item.value;
        let mut name = words.strong(&allergy.substance, lang);
        name.style.ink = if allergy.is_drug() || allergy.is_severe() { Ink::Red } else { Ink::Black };
        spans.push(name);
        if !allergy.severity.is_empty() || !allergy.reaction.is_empty() {
            spans.push(words.plain(&format!(" ({} {})", allergy.severity, allergy.reaction), lang));
        }
    }
    let unread = chart.unread_of(&["ADT-61", "ADT-00"]);
    if unread > 0 {
        spans.push(own(format!(" ▲ {}", unread_count(unread, lang)), alarm()));
    }
    flow.text(&spans);
}

fn columns(flow: &mut Flow<'_>, route: Route, lang: Lang) -> Columns {
    match route {
        Route::Prescription => {
            let titles = lang.pick(
                [
                    "drug",
                    "dose",
                    "directions · period",
                    "morning",
                    "noon",
                    "evening",
                    "bedtime",
                    "other (time)",
                    "other (time)",
                ],
                ["薬剤", "用量", "用法・期間", "朝", "昼", "夕", "眠前", "他（時刻）", "他（時刻）"],
            );
            flow.columns(&[3.4, 1.6, 2.4, 1.0, 1.0, 1.0, 1.0, 1.1, 1.1], &head(&titles), true)
        }
        Route::Injection => {
            let titles = lang.pick(
                [
                    "drugs",
                    "dose",
                    "directions · period",
                    "begun",
                    "ended",
                    "begun",
                    "ended",
                    "double check",
                    "remark",
                ],
                ["薬剤", "用量", "用法・期間", "開始", "終了", "開始", "終了", "確認者", "備考"],
            );
            flow.columns(&[3.4, 1.6, 2.4, 1.0, 1.0, 1.0, 1.0, 1.1, 1.1], &head(&titles), true)
        }
    }
}

fn order(flow: &mut Flow<'_>, words: &mut Words<'_>, columns: &Columns, medication: &Medication, lang: Lang) {
    let (names, doses) = drugs(words, medication, true, lang);
    let until = medication.until.map_or_else(String::new, |until| format!(" – {until}"));
    let mut usage = vec![words.plain(&medication.usage, lang)];
    usage.push(own(format!("\n{}{until}", day(medication.start)), SMALL));
    if medication.state != Course::Current {
        let style = Style { size: 8.5, bold: true, ..BODY };
        usage.push(own(format!("\n<{}>", medication.state.word(lang)), style));
    }
    let mut cells: Vec<Cell> = vec![names.into(), doses.into(), usage.into()];
    cells.extend(boxes(medication.route));
    flow.row(columns, &cells, ROOMY);
}

fn blank(first: Vec<Span>, route: Route) -> Vec<Cell> {
    let mut cells: Vec<Cell> = vec![first.into(), Cell::default(), Cell::default()];
    cells.extend(boxes(route));
    cells
}

/// Places to tick, with room for a time and a signature.
fn boxes(route: Route) -> Vec<Cell> {
    let count = match route {
        Route::Prescription => 6,
        Route::Injection => 4,
    };
    let tick = |_| Cell::from(vec![own("□", Style { size: 10.0, ink: Ink::Grey, ..BODY })]);
    (0..count).map(tick).chain(std::iter::repeat_with(Cell::default).take(6 - count)).collect()
}
