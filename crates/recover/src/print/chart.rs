//! A patient's whole chart, as a ward reads it.

use super::banner::{alert_lines, banner, foot_lead};
use super::sections::Sections;
use super::sheet::{Cell, Page, RowLook, Way};
use super::text::{Ink, Style};
use super::words::{Words, own};
use super::{BODY, Print, SMALL};
use crate::charts::words::{minute, unread_count};
use crate::charts::{Basis, Chart};

/// Records that could not be read which are named one by one; the others are counted.
const UNREAD_MAX: usize = 200;
/// Alerts that are named one by one.
const ALERTS_MAX: usize = 500;
/// Characters of a path.
const PATH_MAX: usize = 300;

pub(super) fn pages(print: &mut Print, chart: &Chart, basis: &Basis) -> Vec<Page> {
    let lang = print.lang;
    let foot = print.foot(foot_lead(chart), Some(chart), basis);
    let mut flow = print.flow(Way::Upright, foot);
    let mut words = Words::default();
    let (block, more_alerts) = banner(flow.setter, &mut words, chart, flow.width, lang);
    flow.head(block.clone(), block);
    let mut sections = Sections { flow, words, chart, lang };
    if more_alerts > 0 {
        sections.alerts();
    }
    sections.unread();
    sections.all();
    sections.sources();
    let Sections { flow, words, .. } = sections;
    let pages = flow.finish();
    print.left_out.add(words.left_out);
    pages
}

impl Sections<'_, '_> {
    fn alerts(&mut self) {
        let lang = self.lang;
        self.heading(lang.pick("Alerts", "注意"), "");
        let style = Style { bold: true, ink: Ink::Red, ..BODY };
        let alerts = alert_lines(self.chart, lang);
        for alert in alerts.iter().take(ALERTS_MAX) {
            self.flow.text(&[own(format!("▲ {alert}"), style)]);
        }
        self.rows_left(alerts.len().saturating_sub(ALERTS_MAX));
    }

    fn unread(&mut self) {
        let (chart, lang) = (self.chart, self.lang);
        if chart.unread.is_empty() {
            return;
        }
        let title = unread_count(chart.unread.len(), lang);
        self.heading(
            &format!("▲ {title}"),
            lang.pick("their content is missing below", "以下にその内容はありません"),
        );
        let columns = self.flow.columns(&[1.4, 5.0, 3.0], &[], false);
        for unread in chart.unread.iter().take(UNREAD_MAX) {
            let cells: Vec<Cell> = vec![
                vec![self.words.strong(&unread.kind, lang)].into(),
                vec![self.words.soft(&unread.path, lang)].into(),
                vec![self.words.plain(&unread.cause, lang)].into(),
            ];
            self.flow.row(&columns, &cells, RowLook::Ruled);
        }
        self.rows_left(chart.unread.len().saturating_sub(UNREAD_MAX));
    }

    /// The records behind the numbers.
    fn sources(&mut self) {
        let lang = self.lang;
        let cited = self.words.cited().to_vec();
        if cited.is_empty() {
            return;
        }
        let title = lang.pick("Records behind this chart", "出典");
        self.heading(
            title,
            lang.pick("file in the snapshot, time of recording", "スナップショット内のファイルと記録時刻"),
        );
        let columns = self.flow.columns(&[0.5, 10.0], &[], false);
        for (index, record) in cited.into_iter().enumerate() {
            let part = record.part.as_deref().map(|part| format!(" {part}")).unwrap_or_default();
            let at = record.recorded_at.map(|at| format!(" ({})", minute(at))).unwrap_or_default();
            let path = super::words::shortened(&record.path, PATH_MAX);
            let part = super::words::shortened(&part, PATH_MAX);
            let number = Cell { is_right: true, ..Cell::from(vec![own(format!("{}", index + 1), SMALL)]) };
            let text = vec![own(format!("{path}{part}{at}"), SMALL)].into();
            self.flow.row(&columns, &[number, text], RowLook::Bare);
        }
    }

    /// Says how many rows were left out.
    pub(super) fn rows_left(&mut self, rows: usize) {
        if rows > 0 {
            self.words.left_out.rows += rows as u64;
            let said = self.lang.pick(format!("{rows} more are left out"), format!("ほか {rows} 件は省略"));
            self.flow.text(&[own(said, Style { bold: true, ..BODY })]);
        }
    }

    pub(super) fn heading(&mut self, title: &str, beside: &str) {
        let large = Style { size: 11.0, bold: true, ..BODY };
        self.flow.heading(&[own(title, large), own(format!("  {beside}"), SMALL)]);
    }
}

impl super::LeftOut {
    pub(super) fn add(&mut self, other: super::LeftOut) {
        self.characters += other.characters;
        self.rows += other.rows;
    }
}
