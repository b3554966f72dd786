//! The pages of notes, in both languages.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use recover::charts::{Basis, Chart, Course, Origin, words};
use recover::downtime::{Entry, Kept, NoteId, Notes, OrderKind};
use schema::{Lang, PatientId};
use serde_json::json;

use super::SCRIPT;

const STYLE: &str = include_str!("notes.css");
/// Notes that a page lists; the older ones are counted.
const LISTED_MAX: usize = 200;

/// Who writes, and that the viewer vouches for it.
pub(super) struct Writer<'a> {
    pub(super) name: &'a str,
    pub(super) voucher: &'a str,
}

/// A patient's notes, newest first, each with those that replace it.
pub(super) fn of_patient(notes: &Notes, patient: &PatientId) -> Vec<(Kept, Vec<Kept>)> {
    listed(notes, notes.of_patient(patient))
}

fn listed(notes: &Notes, found: Vec<&Kept>) -> Vec<(Kept, Vec<Kept>)> {
    let with = |kept: &Kept| (kept.clone(), notes.replacing(&kept.note.id).into_iter().cloned().collect());
    found.into_iter().map(with).collect()
}

/// The form and the notes of a patient who has a chart.
pub(super) fn for_chart(
    chart: &Chart,
    basis: &Basis,
    notes: &[(Kept, Vec<Kept>)],
    replaces: Option<&str>,
    writer: Writer<'_>,
    lang: Lang,
) -> String {
    let banner = &chart.banner;
    let name = banner.name.as_deref().unwrap_or_default();
    let kana = banner.kana.as_deref().unwrap_or_default();
    let birth = banner.birth_date.map(|date| date.to_string()).unwrap_or_default();
    let snapshot = match &basis.origin {
        Origin::Snapshot { snapshot, .. } => snapshot.0.as_str(),
        Origin::Folder { .. } => "",
    };
    let corrected = replaces.and_then(|id| notes.iter().find(|(kept, _)| kept.note.id.0 == id));
    let content = html! {
        header.who {
            h1 { (banner.name.as_deref().unwrap_or(words::not_recorded(lang))) }
            p {
                (kana) " · ID " strong { (chart.patient) }
                @if let Some(sex) = banner.sex { " · " (sex.word(lang)) }
                @if let Some(age) = banner.age { " · " (age) (lang.pick(" years", "歳")) }
                @if let Some(ward) = &banner.ward { " · " (ward.value.place()) }
            }
            @for allergy in &chart.allergies {
                p.alert { "⚠ " (lang.pick("Allergy: ", "アレルギー: ")) (allergy.value.substance) }
            }
            p { a href={ "/chart/" (segment(&chart.patient.0)) } { (lang.pick("← The chart", "← カルテへ戻る")) } }
        }
        (unsent(lang))
        form #note
            data-patient=(chart.patient.0) data-name=(name) data-kana=(kana) data-birth=(birth) data-snapshot=(snapshot)
            data-key={ "id:" (chart.patient.0) (draft_of(corrected)) } data-author=(writer.name) data-token=(writer.voucher)
            data-replaces=[corrected.map(|(kept, _)| kept.note.id.0.as_str())] data-old=[corrected.map(|(kept, _)| old(kept))] {
            @if let Some((kept, _)) = corrected { (correcting(kept, lang)) }
            fieldset.identity {
                legend { (lang.pick("Is this the right patient? Confirm at least two.", "この患者で間違いありませんか。2つ以上を確認してください。")) }
                label { (lang.pick("Id on the wristband (read or scanned)", "リストバンドの患者ID（読み取りまたは入力）")) input name="seen_id" autocomplete="off" maxlength="20"; }
                @if !name.is_empty() || !kana.is_empty() {
                    label.tick { input type="checkbox" name="seen_name"; span { (lang.pick("The patient said this name: ", "患者本人が名乗った: ")) strong { (name) " " (kana) } } }
                }
                label { (lang.pick("Date of birth as the patient says it (19480405)", "患者が答えた生年月日（例 19480405）")) input name="seen_birth" inputmode="numeric" autocomplete="off" maxlength="10"; }
            }
            (entry_fields(Some(chart), lang))
        }
        (list(notes, Some(&chart.patient.0), lang))
    };
    shell(&format!("{} {name}", chart.patient), &content, lang)
}

/// The form for who has no chart, and the notes about those.
pub(super) fn for_newcomer(
    notes: &Notes,
    number: Option<&str>,
    replaces: Option<&str>,
    writer: Writer<'_>,
    lang: Lang,
) -> String {
    let number = number.unwrap_or_default();
    let own = listed(notes, notes.of_number(number));
    let corrected = replaces.and_then(|id| own.iter().find(|(kept, _)| kept.note.id.0 == id));
    let known = corrected.map(|(kept, _)| kept).or(own.first().map(|(kept, _)| kept));
    let whom = known.map(|kept| &kept.note.patient);
    let mut numbers: Vec<(&str, &str)> = notes
        .all()
        .iter()
        .filter(|kept| kept.note.patient.id.is_none())
        .filter_map(|kept| {
            Some((kept.note.patient.downtime_number.as_deref()?, kept.note.patient.name.as_str()))
        })
        .collect();
    numbers.sort_unstable();
    numbers.dedup_by_key(|(number, _)| *number);
    let content = html! {
        header.who {
            h1 { (lang.pick("Patient without a chart", "カルテのない患者")) }
            p { a href="/" { (lang.pick("← List of patients", "← 患者一覧へ")) } }
            @if !numbers.is_empty() {
                p { (lang.pick("Known numbers: ", "使用中の仮番号: "))
                    @for (number, name) in &numbers { a href={ "/notes/new?number=" (segment(number)) } { (number) " " (name) } " " } }
            }
        }
        (unsent(lang))
        form #note data-key={ "number:" (number) (draft_of(corrected)) } data-author=(writer.name) data-token=(writer.voucher)
            data-replaces=[corrected.map(|(kept, _)| kept.note.id.0.as_str())] data-old=[corrected.map(|(kept, _)| old(kept))] {
            @if let Some((kept, _)) = corrected { (correcting(kept, lang)) }
            fieldset.identity {
                legend { (lang.pick("Who is it? Two or more, as the patient says it.", "患者の確認（2つ以上。本人が答えたとおりに）")) }
                label { (lang.pick("Number of the downtime form", "仮番号（停止時用紙の番号）")) input name="number" value=(number) required autocomplete="off" maxlength="40"; }
                label { (lang.pick("Name", "氏名")) input name="name" value=[whom.map(|whom| whom.name.as_str())] autocomplete="off" maxlength="100"; }
                label { (lang.pick("Kana", "カナ")) input name="kana" value=[whom.map(|whom| whom.kana.as_str())] autocomplete="off" maxlength="100"; }
                label { (lang.pick("Date of birth (19480405)", "生年月日（例 19480405）")) input name="seen_birth" inputmode="numeric" autocomplete="off" maxlength="10"; }
            }
            (entry_fields(None, lang))
        }
        (list(&own, None, lang))
    };
    shell(lang.pick("Patient without a chart", "カルテのない患者"), &content, lang)
}

/// Of what stands on a chart's page.
pub(super) const BESIDE_STYLE: &str = ".downtime{border:3px solid #b45309;border-radius:6px;padding:.5rem 1rem;margin:.5rem 0}.downtime s{opacity:.6}\
.downtime ul{padding-left:1.2rem;margin:.25rem 0}.downtime .said{white-space:pre-line}@media print{.downtime a.write{display:none}}";

/// What stands on the chart's page: who reads the chart must see what was written since.
pub(super) fn beside_chart(notes: &[(Kept, Vec<Kept>)], patient: &str, lang: Lang) -> Markup {
    let page = format!("/notes/{}", segment(patient));
    html! {
        aside.downtime aria-label=(lang.pick("Downtime notes", "停止中の記録")) {
            a.write href=(page) { strong { (lang.pick("✎ Write a note", "✎ 記録を書く")) } }
            @if !notes.is_empty() {
                p { strong { (lang.pick(
                    format!("{} notes since the record system went down (not in the chart below):", notes.len()),
                    format!("電子カルテ停止後の記録 {} 件（下のカルテには含まれません）:", notes.len()),
                )) } }
                (items(notes, None, lang))
            }
        }
    }
}

pub(super) fn unknown(lang: Lang) -> String {
    let content = html! {
        h1 { (lang.pick("There is no such patient in this snapshot.", "このスナップショットに該当する患者はいません。")) }
        p { a href="/notes/new" { (lang.pick("Write a note with a downtime number", "仮番号で記録する")) } }
        p { a href="/" { (lang.pick("Back to the list", "一覧へ戻る")) } }
        (unsent(lang))
    };
    shell("–", &content, lang)
}

pub(super) fn no_book(lang: Lang) -> String {
    let content = html! {
        h1 { (lang.pick("This viewer keeps no notes.", "この参照画面では記録を保存できません。")) }
        p { (lang.pick("Write on paper, and tell whoever runs the viewer: it was started without a place for notes, or another viewer has it.", "紙に記録し、担当者に連絡してください（記録の保存先がないか、別の参照画面が使用中です）。")) }
    };
    shell("–", &content, lang)
}

/// A correction has a draft of its own.
fn draft_of(corrected: Option<&(Kept, Vec<Kept>)>) -> String {
    corrected.map(|(kept, _)| format!(":{}", kept.note.id.0)).unwrap_or_default()
}

fn correcting(kept: &Kept, lang: Lang) -> Markup {
    html! { p.alert { (lang.pick("This corrects: ", "訂正元: ")) (kept.note.entry.line(lang)) " (" (words::minute(kept.note.at)) ")" } }
}

fn entry_fields(chart: Option<&Chart>, lang: Lang) -> Markup {
    let kinds = [
        ("vitals", lang.pick("Vital signs", "バイタル")),
        ("given", lang.pick("Medication given", "投薬実施")),
        ("order", lang.pick("Order", "指示")),
        ("text", lang.pick("Text", "記録")),
    ];
    html! {
        label { (lang.pick("When", "日時")) input type="datetime-local" name="at" required; }
        fieldset.kinds {
            legend { (lang.pick("What", "種類")) }
            @for (index, (kind, word)) in kinds.iter().enumerate() {
                label.tick { input type="radio" name="kind" value=(kind) checked[index == 0]; span { (word) } }
            }
        }
        (vitals_fields(lang))
        (given_fields(chart, lang))
        fieldset data-kind="order" hidden {
            label { (lang.pick("Sort", "種類"))
                select name="order" { @for kind in OrderKind::ALL { option value=(kind.tag()) { (kind.word(lang)) } } } }
            label { (lang.pick("What is ordered", "内容（薬剤・検査・食種など）")) input name="what" maxlength="200" autocomplete="off"; }
            label { (lang.pick("Dose, times, days", "用法・用量・期間")) input name="directions" maxlength="200" autocomplete="off"; }
            label { (lang.pick("Ordered by (if not you)", "指示者（入力者と異なる場合）")) input name="ordered_by" maxlength="100" autocomplete="off"; }
        }
        fieldset data-kind="text" hidden {
            label { (lang.pick("Text", "本文")) textarea name="text" rows="8" maxlength="20000" {} }
        }
        p { button { (lang.pick("Save", "保存")) } " " button #discard type="button" { (lang.pick("Discard the draft", "下書きを破棄")) } }
        p { output #state role="status" {} }
    }
}

fn vitals_fields(lang: Lang) -> Markup {
    let fields = [
        ("temperature", lang.pick("Temperature", "体温"), "℃", "0.1"),
        ("pulse", lang.pick("Pulse", "脈拍"), "/min", "1"),
        ("systolic", lang.pick("Systolic pressure", "収縮期血圧"), "mmHg", "1"),
        ("diastolic", lang.pick("Diastolic pressure", "拡張期血圧"), "mmHg", "1"),
        ("respiration", lang.pick("Respiration", "呼吸数"), "/min", "1"),
        ("spo2", "SpO2", "%", "1"),
        ("weight", lang.pick("Weight", "体重"), "kg", "0.1"),
        ("pain", lang.pick("Pain", "痛み"), "0–10", "1"),
    ];
    html! {
        fieldset.grid data-kind="vitals" {
            @for (name, word, unit, step) in fields {
                label { (word) " (" (unit) ")" input type="number" name=(name) step=(step) min="0" inputmode="decimal" autocomplete="off"; }
            }
        }
    }
}

fn given_fields(chart: Option<&Chart>, lang: Lang) -> Markup {
    let running = chart.map(|chart| chart.medication.as_slice()).unwrap_or_default().iter();
    let running =
        running.filter(|item| matches!(item.value.state, Course::Current | Course::Open | Course::Planned));
    let choices = running.flat_map(|item| {
        let order = &item.value;
        order.drugs.iter().map(move |drug| {
            let route = match order.route {
                recover::charts::Route::Prescription => lang.pick("by mouth", "内服"),
                recover::charts::Route::Injection => lang.pick("injection", "注射"),
            };
            let chosen =
                json!({"drug": drug.name, "dose": drug.dose, "route": route, "order_number": order.order});
            (
                chosen.to_string(),
                format!("{} {} {} ({})", drug.name, drug.dose, order.usage, order.state.word(lang)),
            )
        })
    });
    html! {
        fieldset data-kind="given" hidden {
            @if chart.is_some() {
                label { (lang.pick("From the chart's current medication", "カルテの現在の処方・注射から選ぶ"))
                    select name="choice" {
                        option value="" { (lang.pick("– something else –", "– その他（下に入力） –")) }
                        @for (chosen, word) in choices { option value=(chosen) { (word) } }
                    } }
            }
            label { (lang.pick("Drug", "薬剤")) input name="drug" maxlength="200" autocomplete="off"; }
            label { (lang.pick("Dose with unit", "用量（単位とも）")) input name="dose" maxlength="100" autocomplete="off"; }
            label { (lang.pick("Route", "経路")) input name="route" maxlength="100" autocomplete="off"; }
            input type="hidden" name="order_number";
            label.tick { input type="radio" name="was_given" value="yes" checked; span { (lang.pick("given", "実施した")) } }
            label.tick { input type="radio" name="was_given" value="no"; span { (lang.pick("NOT given (say why)", "実施しなかった（理由を備考に）")) } }
            label { (lang.pick("Remark", "備考")) input name="remark" maxlength="200" autocomplete="off"; }
        }
    }
}

/// What the form is filled with when a note is corrected.
fn old(kept: &Kept) -> String {
    let entry = &kept.note.entry;
    let mut values = match entry {
        Entry::Vitals(vitals) => serde_json::to_value(vitals).unwrap_or_default(),
        Entry::Order(order) => serde_json::to_value(order).unwrap_or_default(),
        Entry::Text(text) => serde_json::to_value(text).unwrap_or_default(),
        Entry::Given(given) => json!({
            "drug": given.drug, "dose": given.dose, "route": given.route, "order_number": given.order, "remark": given.remark,
            "was_given=yes": given.was_given, "was_given=no": !given.was_given,
        }),
    };
    let kind = match entry {
        Entry::Vitals(_) => "vitals",
        Entry::Order(_) => "order",
        Entry::Given(_) => "given",
        Entry::Text(_) => "text",
    };
    values["at"] = kept.note.at.strftime("%Y-%m-%dT%H:%M").to_string().into();
    values[format!("kind={kind}")] = true.into();
    values.to_string()
}

/// Filled by the script: what this device still holds.
fn unsent(lang: Lang) -> Markup {
    html! {
        section #unsent.alert hidden {
            p { strong { (lang.pick("Not saved yet, kept on this device:", "未保存（この端末に保持しています）:")) } }
            ul {}
            p { (lang.pick("They are sent again by themselves. Do not clear this browser's data.", "自動的に再送します。このブラウザーのデータを消去しないでください。")) }
        }
    }
}

fn list(notes: &[(Kept, Vec<Kept>)], patient: Option<&str>, lang: Lang) -> Markup {
    html! {
        section #notes {
            h2 { (lang.pick(format!("Notes of this patient ({})", notes.len()), format!("この患者の記録（{}件）", notes.len()))) }
            @if notes.is_empty() { p { (lang.pick("none yet", "まだありません")) } }
            (items(notes, Some(patient), lang))
        }
    }
}

/// `correct`: links for corrections, to the patient's page or to that of a number.
fn items(notes: &[(Kept, Vec<Kept>)], correct: Option<Option<&str>>, lang: Lang) -> Markup {
    html! {
        ul {
            @for (kept, by) in notes.iter().take(LISTED_MAX) {
                li id={ "n" (kept.note.id.0) } {
                    @if by.is_empty() { (item(kept, lang)) } @else { s { (item(kept, lang)) } }
                    @for newer in by {
                        " → " a href={ "#n" (newer.note.id.0) } { (lang.pick("replaced by: ", "訂正後: ")) (newer.note.entry.line(lang)) }
                    }
                    @if by.is_empty() && let Some(patient) = correct {
                        " " a.correct href=(correction(patient, kept)) { (lang.pick("correct", "訂正")) }
                    }
                }
            }
        }
        @if notes.len() > LISTED_MAX { p { (lang.pick(format!("and {} older ones", notes.len() - LISTED_MAX), format!("ほか {} 件", notes.len() - LISTED_MAX))) } }
    }
}

fn correction(patient: Option<&str>, kept: &Kept) -> String {
    let NoteId(id) = &kept.note.id;
    match patient {
        Some(patient) => format!("/notes/{}?replaces={id}", segment(patient)),
        None => {
            let number = kept.note.patient.downtime_number.as_deref().unwrap_or_default();
            format!("/notes/new?number={}&replaces={id}", segment(number))
        }
    }
}

fn item(kept: &Kept, lang: Lang) -> Markup {
    let note = &kept.note;
    html! {
        (words::minute(note.at)) " " b { (note.entry.word(lang)) } " "
        span.said { (note.entry.line(lang)) }
        small {
            " — " (note.author) ", " (kept.via.word(lang))
            @if kept.by != note.author { ", " (lang.pick("handed in by ", "取込者 ")) (kept.by) }
        }
    }
}

pub(super) fn shell(title: &str, content: &Markup, lang: Lang) -> String {
    html! {
        (DOCTYPE)
        html lang=(lang.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main { (content) }
                script #words type="application/json" { (PreEscaped(in_script(&script_words(lang)))) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
    .into_string()
}

/// JSON that no parser of HTML takes for the end of the script.
fn in_script(value: &serde_json::Value) -> String {
    value.to_string().replace('<', "\\u003c")
}

fn script_words(lang: Lang) -> serde_json::Value {
    json!({
        "saved": lang.pick("Saved.", "保存しました。"),
        "sending": lang.pick("Being sent …", "送信中です…"),
        "unsaved": lang.pick("Not saved yet, kept on this device.", "まだ保存されていません（この端末に保持しています）。"),
        "network": lang.pick("The viewer cannot be reached; it is tried again by itself.", "参照画面につながりません。自動的に再送します。"),
        "login": lang.pick("Your log-in has ended: open this viewer in another tab and enter again; the note is then sent by itself.", "ログインが切れました。別のタブで参照画面に入り直してください。記録は自動的に送信されます。"),
        "failed": lang.pick("The viewer could not save it; it is tried again by itself.", "保存できませんでした。自動的に再送します。"),
        "refused": lang.pick("The viewer does not take this note.", "この記録は受け付けられませんでした。"),
        "nowhere": lang.pick("This device keeps nothing: do not close this page before it is saved.", "この端末には保持できません。保存されるまでこのページを閉じないでください。"),
        "draft": lang.pick("Draft of {who}, {at}: not saved yet, kept on this device.", "{who} さんの下書き（{at}）: まだ保存されていません（この端末に保持しています）。"),
        "back": lang.pick("Back into the form", "入力欄に戻す"),
        "discard": lang.pick("Discard what was typed here?", "入力した内容を破棄しますか。"),
    })
}

/// Percent-encoded, so that nothing leads out of its place in a path or query (RFC 3986 §2.3).
pub(super) fn segment(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let encoded = |byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encoded).collect()
}
