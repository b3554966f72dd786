//! The parts of a chart, in the order in which a ward asks for them.

use schema::Lang;

use super::sheet::{Cell, Flow, RowLook, Spark};
use super::text::{Ink, Span, Style};
use super::words::{Words, head, own};
use super::{BODY, SMALL};
use crate::charts::words::{day, flag_legend, minute, not_recorded, unread_count};
use crate::charts::{Chart, Course, Item, LabFlag, LabResult, LabSeries, Medication, Note, Route, Trend};

/// Rows of lists that grow for years; what is left out is counted below the list.
const ROWS_MAX: usize = 200;
/// Characters of one note, and of all notes of a chart: some 300 pages.
const NOTE_CHARS_MAX: usize = 20_000;
const NOTES_CHARS_MAX: usize = 400_000;
/// Drugs of one order.
const DRUGS_MAX: usize = 40;
/// Points of a curve.
const SPARK_MAX: usize = 12;

/// A chart on its way onto pages.
pub(super) struct Sections<'c, 's> {
    pub(super) flow: Flow<'s>,
    pub(super) words: Words<'c>,
    pub(super) chart: &'c Chart,
    pub(super) lang: Lang,
}

impl<'c> Sections<'c, '_> {
    pub(super) fn all(&mut self) {
        self.allergies();
        self.problems();
        self.medication();
        self.labs();
        self.given();
        self.meals();
        self.stays();
        self.visits();
        self.appointments();
        self.notes();
        self.not_shown();
    }

    /// A heading, how much of it could not be read, and the rows, or that nothing is recorded.
    fn table<T>(
        &mut self,
        section: &Section<'_>,
        items: &[T],
        row: impl FnMut(&mut Self, usize) -> (Vec<Cell>, RowLook),
    ) {
        let mut row = row;
        let lang = self.lang;
        self.heading(section.title, &section.kinds.join(" · "));
        let unread = self.chart.unread_of(section.kinds);
        if unread > 0 {
            let style = Style { bold: true, ink: Ink::Red, ..BODY };
            self.flow.text(&[own(format!("▲ {}", unread_count(unread, lang)), style)]);
        }
        if items.is_empty() {
            self.flow.text(&[own(not_recorded(lang), BODY)]);
            return;
        }
        let columns = self.flow.columns(section.shares, &head(section.head), false);
        self.flow.table_head(&columns);
        for index in 0..items.len().min(ROWS_MAX) {
            let (cells, look) = row(self, index);
            self.flow.row(&columns, &cells, look);
        }
        self.rows_left(items.len().saturating_sub(ROWS_MAX));
    }

    fn plain(&mut self, text: &str) -> Span {
        self.words.plain(text, self.lang)
    }

    fn soft(&mut self, text: &str) -> Span {
        self.words.soft(text, self.lang)
    }

    fn strong(&mut self, text: &str) -> Span {
        self.words.strong(text, self.lang)
    }

    fn allergies(&mut self) {
        let (chart, lang) = (self.chart, self.lang);
        let section = Section {
            title: lang.pick("Allergies", "アレルギー"),
            kinds: &["ADT-61", "ADT-00"],
            shares: &[4.0, 2.0, 1.6, 3.0, 1.8],
            head: &lang.pick(
                ["substance", "kind", "severity", "reaction", "since"],
                ["原因", "種別", "重症度", "症状", "時期"],
            ),
        };
        self.table(&section, &chart.allergies, |at, index| {
            let item = &chart.allergies[index];
            let allergy = &item.value;
            let mut name = at.strong(&allergy.substance);
            if allergy.is_drug() || allergy.is_severe() {
                name.style.ink = Ink::Red;
            }
            let cells = vec![
                vec![name, at.words.mark(&item.from)].into(),
                vec![at.plain(&allergy.category)].into(),
                vec![at.strong(&allergy.severity)].into(),
                vec![at.plain(&allergy.reaction)].into(),
                vec![at.soft(&allergy.since)].into(),
            ];
            (cells, RowLook::Ruled)
        });
    }

    fn problems(&mut self) {
        let (chart, lang) = (self.chart, self.lang);
        let section = Section {
            title: lang.pick("Problems", "病名・プロブレム"),
            kinds: &["PPR-01"],
            shares: &[5.5, 1.3, 1.6, 1.6, 1.8],
            head: &lang.pick(
                ["problem", "ICD-10", "since", "until", "outcome"],
                ["病名", "ICD-10", "開始", "終了", "転帰"],
            ),
        };
        self.table(&section, &chart.problems, |at, index| {
            let item = &chart.problems[index];
            let problem = &item.value;
            let mut name = if problem.active { at.strong(&problem.name) } else { at.plain(&problem.name) };
            if problem.main {
                name.text.insert_str(0, lang.pick("(main) ", "【主】"));
            }
            let state = match (problem.outcome.as_str(), problem.active) {
                ("", true) => lang.pick("active", "継続"),
                ("", false) => lang.pick("ended", "終了"),
                (outcome, _) => outcome,
            };
            let cells = vec![
                vec![name, at.words.mark(&item.from)].into(),
                vec![at.soft(&problem.icd10)].into(),
                vec![at.soft(&day(problem.since))].into(),
                vec![at.soft(&day(problem.until))].into(),
                vec![at.plain(state)].into(),
            ];
            (cells, RowLook::Ruled)
        });
    }

    fn medication(&mut self) {
        let (chart, lang) = (self.chart, self.lang);
        let (past, present): (Vec<_>, Vec<_>) =
            chart.medication.iter().partition(|item| is_past(&item.value));
        self.medication_of(
            &present,
            lang.pick(
                "Medication: current, planned, without an end",
                "処方・注射（継続中・開始前・終了日の記録なし）",
            ),
        );
        if !past.is_empty() {
            self.medication_of(&past, lang.pick("Medication: ended or stopped", "終了・中止した処方・注射"));
        }
    }

    fn medication_of(&mut self, rows: &[&'c Item<Medication>], title: &str) {
        let lang = self.lang;
        let section = Section {
            title,
            kinds: &["OMP-01", "OMP-02"],
            shares: &[4.6, 2.3, 2.9, 1.75, 1.5, 1.4],
            head: &lang.pick(
                ["drug", "dose", "directions", "from / to", "state", "doctor"],
                ["薬剤", "用量", "用法", "開始/終了", "状態", "医師"],
            ),
        };
        self.table(&section, rows, |at, index| {
            let item = rows[index];
            let medication = &item.value;
            let is_past = is_past(medication);
            let (mut names, doses) = at.drugs(medication, !is_past);
            names.push(at.words.mark(&item.from));
            let until = medication.until.map(|until| format!("\n{until}")).unwrap_or_default();
            let state = medication.state.word(lang);
            let state = if is_past { at.soft(state) } else { at.strong(state) };
            let cells = vec![
                names.into(),
                doses.into(),
                vec![at.plain(&medication.usage)].into(),
                vec![at.soft(&format!("{}{until}", day(medication.start)))].into(),
                vec![state].into(),
                vec![at.soft(&medication.ordered_by)].into(),
            ];
            (cells, RowLook::Ruled)
        });
    }

    /// Drugs one below the other, and beside them their doses.
    pub(super) fn drugs(&mut self, medication: &Medication, is_strong: bool) -> (Vec<Span>, Vec<Span>) {
        drugs(&mut self.words, medication, is_strong, self.lang)
    }

    fn labs(&mut self) {
        let (chart, lang) = (self.chart, self.lang);
        let section = Section {
            title: lang.pick("Laboratory", "検査結果"),
            kinds: &["OML-11"],
            shares: &[3.3, 1.5, 0.95, 1.2, 1.7, 1.5, 1.5, 1.4, 1.5],
            head: &lang.pick(
                ["test", "latest", "", "unit", "reference", "taken", "trend", "before", "taken"],
                ["検査", "最新値", "", "単位", "基準値", "採取", "推移", "前回値", "前回採取"],
            ),
        };
        self.table(&section, &chart.labs, |at, index| at.lab(&chart.labs[index]));
        if !chart.labs.is_empty() {
            let trend = lang.pick(
                format!("  trend: up to {SPARK_MAX} numeric values, oldest left; grey: reference range"),
                format!("  推移: 数値の結果を最大{SPARK_MAX}回分、左が古い。灰色は基準範囲"),
            );
            self.flow.text(&[own(format!("{}{trend}", flag_legend(lang)), SMALL)]);
        }
    }

    fn lab(&mut self, series: &'c LabSeries) -> (Vec<Cell>, RowLook) {
        let Some(latest) = series.results.first() else { return (Vec::new(), RowLook::Bare) };
        let result = &latest.value;
        let is_abnormal = result.flag.is_abnormal();
        let value = |at: &mut Self, result: &LabResult| {
            let mut value = at.plain(&result.value);
            value.style.bold = result.flag.is_abnormal();
            if result.flag == LabFlag::Critical {
                value.style.ink = Ink::Red;
            }
            Cell { is_right: true, ..Cell::from(vec![value]) }
        };
        let computed = if result.flag_computed && is_abnormal { "*" } else { "" };
        let early = if result.preliminary { self.lang.pick(" prelim.", " 中間") } else { "" };
        let sign =
            format!("{}{computed}{}{early}", result.flag.sign(), series.trend.map_or("", Trend::arrow));
        let taken =
            |result: &LabResult| result.at.map(|at| minute(at).replacen(' ', "\n", 1)).unwrap_or_default();
        let before = series.results.get(1);
        let before_value = before.map_or_else(Cell::default, |before| value(self, &before.value));
        let before_taken = before.map(|before| taken(&before.value)).unwrap_or_default();
        let mut before_cell = vec![self.soft(&before_taken)];
        before_cell.extend(before.map(|before| self.words.mark(&before.from)));
        let cells = vec![
            vec![
                if is_abnormal { self.strong(&series.name) } else { self.plain(&series.name) },
                self.words.mark(&latest.from),
            ]
            .into(),
            value(self, result),
            vec![self.strong(&sign)].into(),
            vec![self.soft(&result.unit)].into(),
            vec![self.soft(&result.range)].into(),
            vec![self.soft(&taken(result))].into(),
            Cell { spark: spark(series), ..Cell::default() },
            before_value,
            before_cell.into(),
        ];
        (cells, if is_abnormal { RowLook::Shaded } else { RowLook::Ruled })
    }

    fn given(&mut self) {
        let (chart, lang) = (self.chart, self.lang);
        let section = Section {
            title: lang.pick("Given", "投与実施"),
            kinds: &["OMP-11", "OMP-12"],
            shares: &[2.0, 5.0, 2.0, 1.5, 1.6],
            head: &lang.pick(["at", "drug", "amount", "", "by"], ["日時", "薬剤", "量", "", "実施者"]),
        };
        self.table(&section, &chart.given, |at, index| {
            let item = &chart.given[index];
            let given = &item.value;
            let cells = vec![
                vec![at.plain(&given.at.map(minute).unwrap_or_default())].into(),
                vec![at.plain(&given.drug.name), at.words.mark(&item.from)].into(),
                vec![at.plain(&given.drug.dose)].into(),
                vec![at.strong(given.state(lang))].into(),
                vec![at.soft(&given.by)].into(),
            ];
            (cells, RowLook::Ruled)
        });
    }

    fn meals(&mut self) {
        let (chart, lang) = (self.chart, self.lang);
        let section = Section {
            title: lang.pick("Meals", "食事"),
            kinds: &["OMD"],
            shares: &[2.0, 3.5, 4.0, 2.0],
            head: &lang.pick(["from", "diet", "instruction", "meals"], ["開始", "食種", "指示", "時"]),
        };
        self.table(&section, &chart.meals, |at, index| {
            let item = &chart.meals[index];
            let meal = &item.value;
            let cells = vec![
                vec![at.plain(&meal.start.map(minute).unwrap_or_default())].into(),
                vec![at.plain(&meal.diet), at.words.mark(&item.from)].into(),
                vec![at.strong(&meal.instruction)].into(),
                vec![at.plain(&meal.timing)].into(),
            ];
            (cells, RowLook::Ruled)
        });
    }

    fn stays(&mut self) {
        let (chart, lang) = (self.chart, self.lang);
        let section = Section {
            title: lang.pick("Admissions", "入院"),
            kinds: &["ADT-22", "ADT-42", "ADT-52"],
            shares: &[2.4, 2.4, 1.8, 2.0, 2.0],
            head: &lang.pick(
                ["admitted", "discharged", "bed", "department", "doctor"],
                ["入院", "退院", "病床", "診療科", "医師"],
            ),
        };
        self.table(&section, &chart.stays, |at, index| {
            let item = &chart.stays[index];
            let stay = &item.value;
            let admitted = stay.admitted.map_or_else(|| not_recorded(lang).to_owned(), minute);
            let here = || lang.pick("in hospital", "入院中").to_owned();
            let cells = vec![
                vec![at.plain(&admitted), at.words.mark(&item.from)].into(),
                vec![at.plain(&stay.discharged.map_or_else(here, minute))].into(),
                vec![at.plain(&stay.bed.place())].into(),
                vec![at.plain(&stay.dept)].into(),
                vec![at.plain(&stay.doctor)].into(),
            ];
            (cells, RowLook::Ruled)
        });
    }

    fn visits(&mut self) {
        let (chart, lang) = (self.chart, self.lang);
        let section = Section {
            title: lang.pick("Outpatient visits", "外来受診"),
            kinds: &["ADT-12"],
            shares: &[2.0, 4.0, 4.0],
            head: &lang.pick(["at", "department", "doctor"], ["日時", "診療科", "医師"]),
        };
        self.table(&section, &chart.visits, |at, index| {
            let item = &chart.visits[index];
            let visit = &item.value;
            let cells = vec![
                vec![at.plain(&visit.at.map(minute).unwrap_or_default()), at.words.mark(&item.from)].into(),
                vec![at.plain(&visit.dept)].into(),
                vec![at.plain(&visit.doctor)].into(),
            ];
            (cells, RowLook::Ruled)
        });
    }

    fn appointments(&mut self) {
        let (chart, lang) = (self.chart, self.lang);
        // SS-MIX2 has no type for them, so that none is no news.
        if chart.appointments.is_empty() {
            return;
        }
        let section = Section {
            title: lang.pick("Appointments", "予約"),
            kinds: &[],
            shares: &[2.0, 2.0, 2.0, 4.0, 1.5],
            head: &lang.pick(
                ["at", "department", "doctor", "what for", "status"],
                ["日時", "診療科", "医師", "内容", "状態"],
            ),
        };
        self.table(&section, &chart.appointments, |at, index| {
            let item = &chart.appointments[index];
            let booked = &item.value;
            let cells = vec![
                vec![at.plain(&booked.at.map(minute).unwrap_or_default()), at.words.mark(&item.from)].into(),
                vec![at.plain(&booked.dept)].into(),
                vec![at.plain(&booked.doctor)].into(),
                vec![at.plain(&booked.what)].into(),
                vec![at.strong(&booked.status)].into(),
            ];
            (cells, RowLook::Ruled)
        });
    }

    fn notes(&mut self) {
        let (chart, lang) = (self.chart, self.lang);
        self.heading(lang.pick("Notes", "記録・文書"), lang.pick("newest first", "新しい順"));
        if chart.notes.is_empty() {
            self.flow.text(&[own(not_recorded(lang), BODY)]);
            return;
        }
        let mut budget = NOTES_CHARS_MAX;
        for item in chart.notes.iter().take(ROWS_MAX) {
            let note = &item.value;
            self.flow.gap(3.0);
            self.flow.need(40.0);
            let title = vec![
                self.strong(&note.kind),
                own("  ", BODY),
                self.plain(&day(note.date)),
                self.words.mark(&item.from),
            ];
            self.flow.text(&title);
            let text = self.note(note, &mut budget);
            self.flow.text(&[text]);
        }
        self.rows_left(chart.notes.len().saturating_sub(ROWS_MAX));
    }

    fn note(&mut self, note: &Note, budget: &mut usize) -> Span {
        let lang = self.lang;
        let Some(text) = &note.text else {
            let bytes = note.bytes;
            let said = lang.pick(
                format!("not a text ({bytes} bytes): restore the file to open it"),
                format!("文書ファイル（{bytes} バイト）は復元先で開いてください"),
            );
            return own(said, SMALL);
        };
        // Line ends of other systems are line ends, and not characters to be named.
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let shown = self.words.bounded(&text, NOTE_CHARS_MAX.min(*budget), lang);
        *budget = budget.saturating_sub(shown.chars().count());
        own(shown, Style { size: 9.0, ..BODY })
    }

    fn not_shown(&mut self) {
        let (chart, lang) = (self.chart, self.lang);
        if chart.not_shown.is_empty() {
            return;
        }
        let other = lang.pick("other files", "その他のファイル");
        let kinds = chart.not_shown.iter().take(ROWS_MAX).map(|(kind, count)| {
            let kind = if kind == "-" { other } else { kind };
            format!("{kind} ×{count}")
        });
        let kinds = kinds.collect::<Vec<_>>().join(", ");
        let lead = lang.pick("In the store and not printed here: ", "保存されているがここに印刷しない記録: ");
        self.flow.gap(4.0);
        let kinds = self.words.bounded(&kinds, 4_000, lang);
        self.flow.text(&[own(format!("{lead}{kinds}"), SMALL)]);
    }
}

/// What the tables of a chart have in common.
struct Section<'s> {
    title: &'s str,
    kinds: &'s [&'s str],
    shares: &'s [f32],
    head: &'s [&'s str],
}

pub(super) fn is_past(medication: &Medication) -> bool {
    matches!(medication.state, Course::Ended | Course::Stopped)
}

/// Drugs one below the other, and beside them their doses.
pub(super) fn drugs(
    words: &mut Words<'_>,
    medication: &Medication,
    is_strong: bool,
    lang: Lang,
) -> (Vec<Span>, Vec<Span>) {
    let (mut names, mut doses) = (Vec::new(), Vec::new());
    if medication.route == Route::Injection {
        names.push(own(lang.pick("<injection> ", "【注射】"), Style { size: 8.5, bold: true, ..BODY }));
    }
    let left = medication.drugs.len().saturating_sub(DRUGS_MAX);
    for (index, drug) in medication.drugs.iter().take(DRUGS_MAX).enumerate() {
        let line = if index > 0 { "\n" } else { "" };
        let mut name = if is_strong { words.strong(&drug.name, lang) } else { words.plain(&drug.name, lang) };
        name.text.insert_str(0, line);
        names.push(name);
        let mut dose = words.plain(&drug.dose, lang);
        dose.text.insert_str(0, line);
        // A mixture's amounts stand beside their drugs only as long as no name takes two lines: so each says which it is.
        if medication.drugs.len() > 1 {
            dose.text.insert_str(line.len(), &format!("({}) ", index + 1));
            if let Some(name) = names.last_mut() {
                name.text.insert_str(line.len(), &format!("({}) ", index + 1));
            }
        }
        doses.push(dose);
        if !drug.per_day.is_empty() {
            let daily = words.soft(&drug.per_day, lang);
            doses.push(Span { text: format!(" ({}{})", lang.pick("daily ", "1日 "), daily.text), ..daily });
        }
    }
    if left > 0 {
        words.left_out.rows += left as u64;
        let said = lang.pick(format!("\nand {left} more drugs"), format!("\nほか {left} 剤"));
        names.push(own(said, Style { bold: true, ..BODY }));
    }
    (names, doses)
}

/// The numeric values of a series, oldest first, with the reference range where it is one of numbers.
fn spark(series: &LabSeries) -> Option<Spark> {
    let number = |text: &str| text.trim().parse::<f32>().ok().filter(|value| value.abs() < 1e9);
    let unit = &series.results.first()?.value.unit;
    // Values in another unit would draw a trend that is none.
    let of_unit = series.results.iter().filter(|item| item.value.unit == *unit);
    let mut values: Vec<f32> = of_unit.filter_map(|item| number(&item.value.value)).take(SPARK_MAX).collect();
    values.reverse();
    let range = series.results.first()?.value.range.split_once(['-', '~', '〜', '～']);
    let range = range.and_then(|(low, high)| Some((number(low)?, number(high)?)));
    (values.len() > 1).then_some(Spark { values, range })
}
