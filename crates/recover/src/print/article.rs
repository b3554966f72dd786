//! Reports on paper: headings, text, tables, and lines over time, each line a strip of its own, since grey inks cannot be told apart.

use schema::telescope::{Article, ArticleBlock, ArticleLine, ArticlePlot};

use super::sheet::{Block, Cell, Flow, Foot, Op, Page, RowLook, Shade, Way};
use super::text::{Ink, Span, Style};
use super::words::own;
use super::{BODY, FOOT_CHARS_MAX, Print, SMALL, words};

const STRIP: f32 = 58.0;
/// Room for the strip's name and its highest value.
const NAMES: f32 = 74.0;
const MARKS: f32 = 14.0;

pub(super) fn pages(print: &mut Print, article: &Article) -> Vec<Page> {
    let lead = format!("{} · {}", words::shortened(&article.foot, FOOT_CHARS_MAX), print.printed());
    let foot = Foot { lines: vec![vec![own(lead, SMALL)]], number: print.page_words(), style: SMALL };
    let mut flow = print.flow(Way::Upright, foot);
    flow.head(Block::default(), Block::default());
    flow.text(&[own(article.title.as_str(), Style { size: 16.0, bold: true, ..BODY })]);
    flow.text(&[own(article.subtitle.as_str(), SMALL)]);
    for block in &article.blocks {
        put(&mut flow, block);
    }
    flow.finish()
}

fn put(flow: &mut Flow<'_>, block: &ArticleBlock) {
    match block {
        ArticleBlock::Heading { text } => {
            flow.gap(4.0);
            flow.heading(&[own(text.as_str(), Style { size: 10.5, bold: true, ..BODY })]);
        }
        ArticleBlock::Text { text } => {
            flow.text(&[own(text.as_str(), BODY)]);
            flow.gap(3.0);
        }
        ArticleBlock::Table { widths, head, rows, right } => table(flow, widths, head, rows, right),
        ArticleBlock::Plot(it) => plot(flow, it),
    }
}

fn table(flow: &mut Flow<'_>, widths: &[f32], head: &[String], rows: &[Vec<String>], right: &[bool]) {
    let small = Style { size: 8.5, ..BODY };
    let head: Vec<Vec<Span>> =
        head.iter().map(|text| vec![own(text.as_str(), Style { bold: true, ..small })]).collect();
    let columns = flow.columns(widths, &head, true);
    flow.table_head(&columns);
    for row in rows {
        let cells: Vec<Cell> = row
            .iter()
            .enumerate()
            .map(|(column, text)| Cell {
                spans: vec![own(text.as_str(), small)],
                is_right: right.get(column).copied().unwrap_or_default(),
                spark: None,
            })
            .collect();
        flow.row(&columns, &cells, RowLook::Ruled);
    }
    flow.gap(6.0);
}

fn plot(flow: &mut Flow<'_>, plot: &ArticlePlot) {
    flow.need(STRIP + MARKS + 22.0);
    flow.text(&[own(plot.title.as_str(), Style { size: 8.5, bold: true, ..BODY })]);
    for line in &plot.lines {
        flow.need(STRIP + MARKS);
        strip(flow, plot, line);
        flow.gap(STRIP);
    }
    for (place, mark) in &plot.marks {
        let line = flow.setter.cut(&[own(mark.as_str(), SMALL)], NAMES);
        let x = at(flow, *place) - line.width() / 2.0;
        flow.op(Op::Text { x, y: 9.0, line });
    }
    flow.gap(MARKS + 4.0);
}

fn strip(flow: &mut Flow<'_>, plot: &ArticlePlot, line: &ArticleLine) {
    let highest = line.points.iter().flatten().copied().fold(1.0f32, f32::max);
    let (top, bottom) = (6.0, STRIP - 4.0);
    let name = flow.setter.cut(&[own(line.name.as_str(), Style { bold: true, ..SMALL })], NAMES - 8.0);
    let most = flow.setter.cut(&[own(format!("{highest:.0}"), SMALL)], NAMES - 8.0);
    let right = NAMES - 4.0 - most.width();
    flow.op(Op::Text { x: 0.0, y: bottom, line: name });
    flow.op(Op::Text { x: right, y: top + 6.0, line: most });
    let (left, end) = (at(flow, 0.0), at(flow, 1.0));
    for y in [top, bottom] {
        flow.op(Op::Rule { points: vec![(left, y), (end, y)], thickness: 0.3, ink: Ink::Grey });
    }
    let last = line.points.len().max(2) as f32 - 1.0;
    let place = |place: usize, value: f32| {
        (left + (end - left) * place as f32 / last, bottom - (bottom - top) * value / highest)
    };
    let mut run: Vec<(f32, f32)> = Vec::new();
    for (index, point) in line.points.iter().chain([&None]).enumerate() {
        match point {
            Some(value) => run.push(place(index, *value)),
            None => match std::mem::take(&mut run).as_slice() {
                [] => {}
                [(x, y)] => {
                    flow.op(Op::Fill { x: x - 0.8, y: y - 0.8, width: 1.6, height: 1.6, shade: Shade::Black })
                }
                points => flow.op(Op::Rule { points: points.to_vec(), thickness: 0.7, ink: Ink::Black }),
            },
        }
    }
    for (place, event) in &plot.events {
        let x = at(flow, *place);
        flow.op(Op::Rule { points: vec![(x, top), (x, bottom)], thickness: 0.8, ink: Ink::Red });
        let line = flow.setter.cut(&[own(event.as_str(), Style { ink: Ink::Red, ..SMALL })], 120.0);
        let x = if x + 3.0 + line.width() > end { x - 3.0 - line.width() } else { x + 3.0 };
        flow.op(Op::Text { x, y: top + 7.0, line });
    }
}

/// Where on the page a place of the time axis is.
fn at(flow: &Flow<'_>, place: f32) -> f32 {
    NAMES + (flow.width - NAMES - 4.0) * place.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use jiff::tz::TimeZone;
    use schema::Lang;

    use super::*;
    use crate::print::font::Fonts;
    use crate::print::text::Setter;

    #[test]
    fn a_report_is_printed_with_its_plots_and_tables() {
        let points = (0..400).map(|n| (n % 50 != 3).then_some((n % 37) as f32)).collect();
        let article = Article {
            title: "定点観測レポート".into(),
            subtitle: "2018".into(),
            foot: "未使用のアドレス".into(),
            blocks: vec![
                ArticleBlock::Heading { text: "概況".into() },
                ArticleBlock::Text { text: "本文".repeat(300) },
                ArticleBlock::Table {
                    widths: vec![1.0, 2.0],
                    head: vec!["a".into(), "b".into()],
                    rows: vec![vec!["1".into(), "x".into()]; 90],
                    right: vec![true],
                },
                ArticleBlock::Plot(ArticlePlot {
                    title: "445/tcp".into(),
                    marks: vec![(0.5, "08-15".into())],
                    lines: vec![
                        ArticleLine { name: "445/tcp".into(), points },
                        ArticleLine { name: "none".into(), points: vec![] },
                    ],
                    events: vec![(0.99, "2018年8月12日".into())],
                }),
            ],
        };
        for lang in Lang::ALL {
            let mut print = Print::titled("x", lang, TimeZone::UTC, date(2026, 1, 1).at(0, 0, 0, 0)).unwrap();
            print.setter = Setter::new(Fonts::with_folders(Vec::new()).unwrap());
            print.article(&article).unwrap();
            let (pdf, printed) = print.finish().unwrap();
            assert!(
                pdf.starts_with(b"%PDF-") && printed.pages >= 3 && printed.as_code_points == 0,
                "{printed:?}"
            );
        }
    }
}
