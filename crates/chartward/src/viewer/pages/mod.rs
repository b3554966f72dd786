//! The viewer's pages and what is recorded about each.

pub(super) mod chart;
pub(super) mod emergencies;
pub(super) mod entrance;
pub(super) mod help;
pub(super) mod list;
pub(super) mod wards;

use maud::{Markup, html};
use recover::charts::{RosterLine, words};
use schema::Lang;

use super::page::encoded;

/// Patients as a table whose rows the arrow keys walk through.
fn people(lines: &[RosterLine], caption: &str, lang: Lang) -> Markup {
    let absent = words::not_recorded(lang);
    html! {
        table.people {
            caption { (caption) }
            thead { tr {
                th scope="col" { (lang.pick("Bed", "病棟・病床")) }
                th scope="col" { (lang.pick("Name", "氏名")) }
                th.kana scope="col" { (lang.pick("Kana", "カナ")) }
                th scope="col" { "ID" }
                th scope="col" { (lang.pick("Born", "生年月日")) }
                th.sex scope="col" { (lang.pick("Sex", "性別")) }
            } }
            tbody {
                @for line in lines {
                    tr {
                        td.bed { (line.bed.as_ref().map_or_else(|| "–".to_owned(), |bed| bed.place())) }
                        th scope="row" {
                            a.name data-row href={ "/chart/" (encoded(&line.patient.0)) } {
                                (line.name.as_deref().unwrap_or(absent))
                            }
                        }
                        td.kana { (line.kana.as_deref().unwrap_or("–")) }
                        td { (line.patient) }
                        td { (line.birth_date.map_or_else(|| "–".to_owned(), |born| words::birth(born, lang))) }
                        td.sex { (line.sex.map_or("–", |sex| sex.word(lang))) }
                    }
                }
            }
        }
    }
}

/// How far the list is, while it is still being read.
fn reading(state: super::shelf::State, patients: usize, lang: Lang) -> Markup {
    let percent = u32::from(state.permille) / 10;
    html! {
        @if !state.is_whole {
            div.reading role="status" data-reading {
                strong { (lang.pick("The list of patients is still being read. ", "患者一覧を読み込み中です。")) }
                progress max="1000" value=(state.permille) { (percent) "%" }
                " " (percent) "% · " (lang.pick(format!("{patients} patients so far"), format!("{patients} 人まで読み込み済み")))
                p.hint {
                    (lang.pick(
                        "Somebody missing below may still come. A full patient id opens the chart now.",
                        "ここに出ていない患者も、このあと表示されることがあります。患者IDをすべて入力すると、今すぐカルテを開けます。",
                    ))
                }
            }
        }
    }
}
