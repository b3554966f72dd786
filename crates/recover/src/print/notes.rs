//! What was taken of a patient's downtime notes, on paper, with a place to sign for each.

use schema::Lang;

use super::sheet::{Block, Cell, Flow, Foot, Page, RowLook, Way};
use super::text::{Span, Style};
use super::words::{Words, head, own};
use super::{BODY, Print, SMALL};
use crate::charts::words::{day, minute, not_recorded};
use crate::downtime::export::Accepted;
use crate::downtime::words::Part;

pub(super) fn pages(print: &mut Print, notes: &[&Accepted]) -> Vec<Page> {
    let lang = print.lang;
    let Some(first) = notes.first() else { return Vec::new() };
    let patient = &first.patient;
    let lead = format!("{} · ID {} · {}", patient.name, patient.id, print.printed());
    let foot = Foot {
        lines: vec![vec![Span { text: lead, style: SMALL }]],
        number: print.page_words(),
        style: SMALL,
    };
    let mut words = Words::default();
    let mut flow = print.flow(Way::Upright, foot);
    flow.head(Block::default(), Block::default());
    let title = lang.pick(
        "Notes of the downtime that were taken into the record",
        "電子カルテ停止中の記録（電子カルテへの取り込み分）",
    );
    flow.heading(&[own(title, Style { size: 13.0, bold: true, ..BODY })]);
    let absent = not_recorded(lang);
    let said = |text: &str| if text.is_empty() { absent.to_owned() } else { text.to_owned() };
    flow.text(&[
        words.strong(&said(&patient.name), lang),
        words.plain(&format!(" {}  ID ", patient.kana), lang),
        words.strong(&patient.id.0, lang),
        words.plain(&format!("  {} {}", day(patient.birth_date), lang.pick("born", "生")), lang),
    ]);
    table(&mut flow, &mut words, notes, lang);
    flow.gap(14.0);
    flow.text(&[own(
        lang.pick(
            "Compared with the restored record and found right:   date ______-____-____   signature ____________________",
            "復旧後の電子カルテと照合し、相違ないことを確認しました。   ______年____月____日   署名 ____________________",
        ),
        Style { bold: true, ..BODY },
    )]);
    let pages = flow.finish();
    print.left_out.add(words.left_out);
    pages
}

fn table(flow: &mut Flow<'_>, words: &mut Words<'_>, notes: &[&Accepted], lang: Lang) {
    let titles = lang.pick(
        ["time", "what", "content", "written by", "decided", "seal"],
        ["日時", "種類", "内容", "記入者", "確認", "印"],
    );
    let columns = flow.columns(&[1.7, 1.3, 5.2, 1.6, 2.2, 0.9], &head(&titles), true);
    flow.table_head(&columns);
    for one in notes {
        let note = &one.kept.note;
        let parts: Vec<String> = note
            .entry
            .parts(lang)
            .into_iter()
            .map(
                |(part, said)| if part == Part::Text { said } else { format!("{}: {said}", part.word(lang)) },
            )
            .collect();
        let decided = format!("{}\n{}", one.choice.word(lang), one.decided_by);
        let content = own(words.bounded(&parts.join("\n"), crate::downtime::LINES_MAX, lang), BODY);
        let cells: Vec<Cell> = vec![
            vec![own(minute(note.at), BODY)].into(),
            vec![own(note.entry.word(lang), BODY)].into(),
            vec![content].into(),
            vec![words.plain(&note.author, lang)].into(),
            vec![words.plain(&decided, lang)].into(),
            Cell::default(),
        ];
        flow.row(&columns, &cells, RowLook::Ruled);
    }
}
