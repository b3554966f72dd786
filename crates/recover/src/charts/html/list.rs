//! The list of patients with its search field, as the downtime viewer shows it.

use jiff::tz::TimeZone;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use schema::Lang;

use super::super::roster::{Roster, RosterLine};
use super::super::words::{self, Basis};

const STYLE: &str = include_str!("list.css");
/// Lines on one page; whoever is looked for is found by more letters, not by scrolling.
const LISTED_MAX: usize = 200;

/// The page with those whom `query` finds. Links go to `/chart/ID`.
pub fn list_page(roster: &Roster, query: &str, basis: &Basis, lang: Lang, zone: &TimeZone) -> String {
    let found = roster.search(query);
    let more = found.len().saturating_sub(LISTED_MAX);
    let content = html! {
        h1 { (lang.pick("Charts while the record system is down", "電子カルテ停止中のカルテ参照")) }
        ul.basis { @for line in basis.lines(None, lang, zone) { li { (line) } } }
        form role="search" method="get" action="/" {
            label for="q" { (lang.pick("Patient id, name, kana, birth date or ward", "患者ID・氏名・カナ・生年月日・病棟")) }
            input #q type="search" name="q" value=(query) autofocus maxlength="100" autocomplete="off";
            button { (lang.pick("Search", "検索")) }
        }
        p role="status" {
            (lang.pick(
                format!("{} of {} patients", found.len(), roster.patients.len()),
                format!("{} / {} 人", found.len(), roster.patients.len()),
            ))
            @if more > 0 {
                " " (lang.pick(
                    format!("(the first {LISTED_MAX} are listed: type more letters)"),
                    format!("（先頭の{LISTED_MAX}人を表示。文字を足して絞り込んでください）"),
                ))
            }
            @if !roster.unread.is_empty() { " " strong { "⚠ " (words::unread_count(roster.unread.len(), lang)) } }
        }
        (table(&found, lang))
    };
    shell(lang.pick("Charts", "カルテ参照"), lang, &content)
}

/// The page that asks for the code.
pub fn entrance_page(refused: bool, lang: Lang) -> String {
    let content = html! {
        h1 { (lang.pick("Charts while the record system is down", "電子カルテ停止中のカルテ参照")) }
        @if refused {
            p role="alert" { strong { "⚠ " (lang.pick("The code is not right.", "コードが正しくありません。")) } }
        }
        form method="post" action="/enter" {
            label for="code" { (lang.pick("Code of this viewer (printed where it was started)", "参照用コード（起動した画面に表示されています）")) }
            input #code name="code" type="password" required autofocus autocomplete="off" maxlength="100";
            label for="who" { (lang.pick("Your name, for the record of who read which chart", "氏名（閲覧記録に残ります）")) }
            input #who name="who" required maxlength="100" autocomplete="name";
            button { (lang.pick("Open", "開く")) }
        }
    };
    shell(lang.pick("Charts", "カルテ参照"), lang, &content)
}

fn table(found: &[&RosterLine], lang: Lang) -> Markup {
    html! {
        table {
            caption { (lang.pick("Patients found", "該当する患者")) }
            thead { tr {
                th scope="col" { "ID" }
                th scope="col" { (lang.pick("Name", "氏名")) }
                th scope="col" { (lang.pick("Kana", "カナ")) }
                th scope="col" { (lang.pick("Born", "生年月日")) }
                th scope="col" { (lang.pick("Sex", "性別")) }
                th scope="col" { (lang.pick("Ward", "病棟")) }
            } }
            tbody { @for line in found.iter().take(LISTED_MAX) { (row(line, lang)) } }
        }
    }
}

fn row(line: &RosterLine, lang: Lang) -> Markup {
    let absent = words::not_recorded(lang);
    html! {
        tr {
            th scope="row" { a href={ "/chart/" (path_segment(&line.patient.0)) } { (line.patient) } }
            td { (line.name.as_deref().unwrap_or(absent)) }
            td { (line.kana.as_deref().unwrap_or(absent)) }
            td { (words::day(line.birth_date)) }
            td { (line.sex.map_or(absent, |sex| sex.word(lang))) }
            td { (line.bed.as_ref().map_or_else(|| "–".to_owned(), |bed| bed.place())) }
        }
    }
}

fn shell(title: &str, lang: Lang, content: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang=(lang.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (content) } }
        }
    };
    page.into_string()
}

/// Percent-encoded, so that no id leads out of its place in a path (RFC 3986 §2.3).
fn path_segment(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let encoded = |byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encoded).collect()
}
