//! Charts on a terminal: the same content as the page, in columns that line up with Japanese text in them.

use std::fmt::Write;

use comfy_table::{ContentArrangement, LineStyle, Table, TableStyle};
use jiff::tz::TimeZone;
use recover::charts::words::{day, flag_legend, minute, not_recorded, unread_count};
use recover::charts::{
    Agent, AlertKind, Basis, Chart, Course, Item, LabSeries, Medication, Outcome, Roster, RosterLine, Trend,
};
use schema::Lang;

use crate::output::{printable, printable_lines};

/// Rows of lists that grow for years; what is left out is counted.
const ROWS_MAX: usize = 10;
/// Nothing but a line below the head: charts are long, and borders would double them.
const RULE_BELOW_HEAD: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
/// Columns of a terminal that does not say how wide it is.
const WIDTH: u16 = 120;

pub(super) fn list(roster: &Roster, found: &[&RosterLine], basis: &Basis, lang: Lang) -> String {
    let head = lang.pick(
        ["id", "name", "kana", "born", "sex", "ward"],
        ["ID", "氏名", "カナ", "生年月日", "性別", "病棟"],
    );
    let rows = found.iter().map(|line| {
        vec![
            line.patient.0.clone(),
            line.name.clone().unwrap_or_else(|| not_recorded(lang).to_owned()),
            line.kana.clone().unwrap_or_default(),
            day(line.birth_date),
            line.sex.map_or("", |sex| sex.word(lang)).to_owned(),
            line.bed.as_ref().map(|bed| bed.place()).unwrap_or_default(),
        ]
    });
    let mut out = table(&head, rows);
    let (listed, all) = (found.len(), roster.patients.len());
    out.push_str(
        &lang.pick(format!("\n{listed} of {all} patients\n"), format!("\n{listed} 名 / 全 {all} 名\n")),
    );
    for line in basis.lines(None, lang, &TimeZone::system()) {
        let _ = writeln!(out, "{line}");
    }
    if !roster.unread.is_empty() {
        let _ = writeln!(out, "{}:", unread_count(roster.unread.len(), lang));
        for unread in &roster.unread {
            let _ = writeln!(out, "  {} ({})", printable(&unread.path), printable(&unread.cause));
        }
    }
    printable_lines(&out)
}

pub(super) fn chart(chart: &Chart, basis: &Basis, lang: Lang) -> String {
    let mut out = banner(chart, lang);
    for line in basis.lines(Some(chart), lang, &TimeZone::system()) {
        let _ = writeln!(out, "  {line}");
    }
    for alert in chart.alerts.iter().filter(|alert| alert.kind != AlertKind::Unread) {
        let _ = writeln!(out, "  !! {}: {}", alert.kind.word(lang), alert.what);
    }
    if !chart.unread.is_empty() {
        let _ = writeln!(out, "  !! {}:", unread_count(chart.unread.len(), lang));
        for unread in &chart.unread {
            let (path, cause) = (printable(&unread.path), printable(&unread.cause));
            let _ = writeln!(out, "     {} {path} ({cause})", printable(&unread.kind));
        }
    }
    let mut sections = Sections { out, chart, lang };
    sections.conditions();
    sections.medication();
    sections.labs();
    sections.care();
    sections.notes();
    sections.rest();
    printable_lines(&sections.out)
}

fn banner(chart: &Chart, lang: Lang) -> String {
    let banner = &chart.banner;
    let none = not_recorded(lang);
    let years =
        banner.age.map(|age| lang.pick(format!("{age} years"), format!("{age}歳"))).unwrap_or_default();
    let name = banner.name.as_deref().unwrap_or(none);
    let kana = banner.kana.as_deref().map(|kana| format!(" ({kana})")).unwrap_or_default();
    let sex = banner.sex.map_or("", |sex| sex.word(lang));
    let mut out = format!("{name}{kana}  ID {}  {sex}  {years}  {}\n", chart.patient, day(banner.birth_date));
    let ward = match &banner.ward {
        Some(ward) => ward.value.place(),
        None => lang.pick("no admission recorded", "入院の記録なし").to_owned(),
    };
    let blood: Vec<_> = [&banner.blood_abo, &banner.blood_rh]
        .into_iter()
        .flatten()
        .map(|item| item.value.value.as_str())
        .collect();
    let blood = if blood.is_empty() { none.to_owned() } else { blood.join(" ") };
    let _ = writeln!(
        out,
        "  {}: {ward}   {}: {blood}   {}: {}",
        lang.pick("ward", "病棟"),
        lang.pick("blood type", "血液型"),
        lang.pick("infections", "感染症"),
        infections(chart, lang)
    );
    out
}

fn infections(chart: &Chart, lang: Lang) -> String {
    let found = &chart.banner.infections;
    let mut parts: Vec<String> = found
        .iter()
        .map(|item| match item.value.outcome {
            Outcome::Unclear => format!("{} {}", item.value.agent.word(lang), item.value.value),
            outcome => format!("{} {}", item.value.agent.word(lang), outcome.sign()),
        })
        .collect();
    let missing =
        Agent::ALWAYS.into_iter().filter(|agent| !found.iter().any(|item| item.value.agent == *agent));
    let missing: Vec<_> = missing.map(|agent| agent.word(lang)).collect();
    if !missing.is_empty() {
        parts.push(format!("{}: {}", missing.join("/"), not_recorded(lang)));
    }
    parts.join("  ")
}

struct Sections<'c> {
    out: String,
    chart: &'c Chart,
    lang: Lang,
}

impl Sections<'_> {
    /// A heading with what could not be read for it, and the table, or that nothing is recorded.
    fn section(
        &mut self,
        title: &str,
        kinds: &[&str],
        head: &[&str],
        rows: Vec<Vec<String>>,
        left_out: usize,
    ) {
        let lang = self.lang;
        let _ = writeln!(self.out, "\n■ {title}");
        let unread = self.chart.unread_of(kinds);
        if unread > 0 {
            let _ = writeln!(self.out, "  !! {}", unread_count(unread, lang));
        }
        if rows.is_empty() {
            let _ = writeln!(self.out, "  {}", not_recorded(lang));
        } else {
            self.out.push_str(&table(head, rows));
            self.out.push('\n');
        }
        if left_out > 0 {
            let text = lang.pick(format!("  and {left_out} older ones"), format!("  ほか {left_out} 件"));
            let _ = writeln!(self.out, "{text}");
        }
    }

    fn conditions(&mut self) {
        let (chart, lang) = (self.chart, self.lang);
        let rows = chart.allergies.iter().map(|item| {
            let allergy = &item.value;
            vec![
                allergy.substance.clone(),
                allergy.category.clone(),
                allergy.severity.clone(),
                allergy.reaction.clone(),
                recorded(item),
            ]
        });
        let head = lang.pick(
            ["substance", "kind", "severity", "reaction", "recorded"],
            ["原因", "種別", "重症度", "症状", "記録"],
        );
        self.section(lang.pick("Allergies", "アレルギー"), &["ADT-61", "ADT-00"], &head, rows.collect(), 0);

        let rows = chart.problems.iter().map(|item| {
            let problem = &item.value;
            let main = if problem.main { lang.pick("main", "主") } else { "" };
            let state = match (problem.outcome.as_str(), problem.active) {
                ("", true) => lang.pick("active", "継続"),
                ("", false) => lang.pick("ended", "終了"),
                (outcome, _) => outcome,
            };
            vec![
                problem.name.clone(),
                problem.icd10.clone(),
                main.to_owned(),
                day(problem.since),
                day(problem.until),
                state.to_owned(),
                recorded(item),
            ]
        });
        let head = lang.pick(
            ["problem", "ICD-10", "", "since", "until", "outcome", "recorded"],
            ["病名", "ICD-10", "", "開始", "終了", "転帰", "記録"],
        );
        self.section(lang.pick("Problems", "病名"), &["PPR-01"], &head, rows.collect(), 0);
    }

    fn medication(&mut self) {
        let (chart, lang) = (self.chart, self.lang);
        let is_past = |item: &&Item<Medication>| matches!(item.value.state, Course::Ended | Course::Stopped);
        let present = chart.medication.iter().filter(|item| !is_past(item));
        let rows: Vec<_> = present
            .chain(chart.medication.iter().filter(is_past).take(ROWS_MAX))
            .map(|item| {
                let medication = &item.value;
                let lines = |of: fn(&recover::charts::Drug) -> String| {
                    medication.drugs.iter().map(of).collect::<Vec<_>>().join("\n")
                };
                let dose = |drug: &recover::charts::Drug| match drug.per_day.as_str() {
                    "" => drug.dose.clone(),
                    daily => format!("{} ({daily}/d)", drug.dose),
                };
                vec![
                    medication.state.word(lang).to_owned(),
                    lines(|drug| drug.name.clone()),
                    lines(dose),
                    medication.usage.clone(),
                    day(medication.start),
                    day(medication.until),
                    recorded(item),
                ]
            })
            .collect();
        let left_out = chart.medication.len() - rows.len();
        let head = lang.pick(
            ["state", "drug", "dose", "directions", "from", "to", "recorded"],
            ["状態", "薬剤", "用量", "用法", "開始", "終了", "記録"],
        );
        self.section(lang.pick("Medication", "処方・注射"), &["OMP-01", "OMP-02"], &head, rows, left_out);

        let rows = chart.given.iter().take(ROWS_MAX).map(|item| {
            let given = &item.value;
            let at = given.at.map(minute).unwrap_or_default();
            vec![
                at,
                given.drug.name.clone(),
                given.drug.dose.clone(),
                given.state(lang).to_owned(),
                given.by.clone(),
            ]
        });
        let left_out = chart.given.len().saturating_sub(ROWS_MAX);
        let head = lang.pick(["at", "drug", "amount", "", "by"], ["日時", "薬剤", "量", "", "実施者"]);
        self.section(lang.pick("Given", "投与実施"), &["OMP-11", "OMP-12"], &head, rows.collect(), left_out);
    }

    fn labs(&mut self) {
        let (chart, lang) = (self.chart, self.lang);
        let head = lang.pick(
            ["test", "latest", "", "unit", "reference", "taken", "before", "taken"],
            ["検査", "最新値", "", "単位", "基準値", "採取", "前回値", "前回採取"],
        );
        let rows: Vec<_> = chart.labs.iter().filter_map(lab).collect();
        let any = !rows.is_empty();
        self.section(lang.pick("Laboratory", "検査結果"), &["OML-11"], &head, rows, 0);
        if any {
            let _ = writeln!(self.out, "  {}", flag_legend(lang));
        }
    }

    fn care(&mut self) {
        let (chart, lang) = (self.chart, self.lang);
        let rows = chart.stays.iter().take(ROWS_MAX).map(|item| {
            let stay = &item.value;
            let here = || lang.pick("in hospital", "入院中").to_owned();
            vec![
                stay.admitted.map(minute).unwrap_or_else(|| not_recorded(lang).to_owned()),
                stay.discharged.map(minute).unwrap_or_else(here),
                stay.bed.place(),
                stay.dept.clone(),
                stay.doctor.clone(),
            ]
        });
        let head = lang.pick(
            ["admitted", "discharged", "bed", "department", "doctor"],
            ["入院", "退院", "病床", "診療科", "医師"],
        );
        let left_out = chart.stays.len().saturating_sub(ROWS_MAX);
        self.section(
            lang.pick("Admissions", "入院"),
            &["ADT-22", "ADT-42", "ADT-52"],
            &head,
            rows.collect(),
            left_out,
        );

        let rows = chart.visits.iter().take(ROWS_MAX).map(|item| {
            let visit = &item.value;
            vec![visit.at.map(minute).unwrap_or_default(), visit.dept.clone(), visit.doctor.clone()]
        });
        let head = lang.pick(["at", "department", "doctor"], ["日時", "診療科", "医師"]);
        let left_out = chart.visits.len().saturating_sub(ROWS_MAX);
        self.section(
            lang.pick("Outpatient visits", "外来受診"),
            &["ADT-12"],
            &head,
            rows.collect(),
            left_out,
        );

        let rows = chart.appointments.iter().take(ROWS_MAX).map(|item| {
            let booked = &item.value;
            let at = booked.at.map(minute).unwrap_or_default();
            vec![at, booked.dept.clone(), booked.doctor.clone(), booked.what.clone(), booked.status.clone()]
        });
        let head = lang.pick(
            ["at", "department", "doctor", "what for", "status"],
            ["日時", "診療科", "医師", "内容", "状態"],
        );
        let left_out = chart.appointments.len().saturating_sub(ROWS_MAX);
        if !chart.appointments.is_empty() {
            self.section(lang.pick("Appointments", "予約"), &[], &head, rows.collect(), left_out);
        }

        let rows = chart.meals.iter().take(ROWS_MAX).map(|item| {
            let meal = &item.value;
            vec![
                meal.start.map(minute).unwrap_or_default(),
                meal.diet.clone(),
                meal.instruction.clone(),
                meal.timing.clone(),
            ]
        });
        let head = lang.pick(["from", "diet", "instruction", "meals"], ["開始", "食種", "指示", "時"]);
        let left_out = chart.meals.len().saturating_sub(ROWS_MAX);
        self.section(lang.pick("Meals", "食事"), &["OMD"], &head, rows.collect(), left_out);
    }

    fn notes(&mut self) {
        let (chart, lang) = (self.chart, self.lang);
        let rows = chart.notes.iter().take(ROWS_MAX).map(|item| {
            let note = &item.value;
            let binary = || {
                lang.pick(
                    format!("(file of {} bytes)", note.bytes),
                    format!("({} バイトのファイル)", note.bytes),
                )
            };
            vec![day(note.date), note.kind.clone(), note.text.clone().unwrap_or_else(binary)]
        });
        let head = lang.pick(["date", "kind", "content"], ["日付", "種別", "内容"]);
        let left_out = chart.notes.len().saturating_sub(ROWS_MAX);
        self.section(lang.pick("Notes", "記録・文書"), &[], &head, rows.collect(), left_out);
    }

    fn rest(&mut self) {
        let lang = self.lang;
        if self.chart.not_shown.is_empty() {
            return;
        }
        let other = lang.pick("other files", "その他のファイル");
        let kinds = self.chart.not_shown.iter().map(|(kind, count)| {
            let kind = if kind == "-" { other } else { kind };
            format!("{kind} ×{count}")
        });
        let kinds = kinds.collect::<Vec<_>>().join(", ");
        let _ = writeln!(
            self.out,
            "\n{}{kinds}",
            lang.pick("In the store and not shown here: ", "表示していない記録: ")
        );
    }
}

fn lab(series: &LabSeries) -> Option<Vec<String>> {
    let latest = &series.results.first()?.value;
    let before = series.results.get(1).map(|result| &result.value);
    let computed = if latest.flag_computed && latest.flag.is_abnormal() { "*" } else { "" };
    Some(vec![
        series.name.clone(),
        latest.value.clone(),
        format!("{}{computed} {}", latest.flag.sign(), series.trend.map_or("", Trend::arrow)),
        latest.unit.clone(),
        latest.range.clone(),
        latest.at.map(minute).unwrap_or_default(),
        before.map(|before| before.value.clone()).unwrap_or_default(),
        before.and_then(|before| before.at).map(minute).unwrap_or_default(),
    ])
}

/// When the record behind an item was made, with a mark when it names another patient inside.
fn recorded<T>(item: &Item<T>) -> String {
    let at = item.from.recorded_at.map(minute).unwrap_or_default();
    match &item.from.other_patient {
        Some(other) => format!("{at} !ID {other}"),
        None => at,
    }
}

fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let mut table = Table::new();
    table.load_style(RULE_BELOW_HEAD);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(columns.unwrap_or(WIDTH));
    table.set_header(head.iter().copied());
    // Before the columns are measured. Line ends within a cell stay in its column.
    let safe = |cell: String| printable_lines(&cell.replace('\r', "").replace('\t', " "));
    table.add_rows(rows.into_iter().map(|row| row.into_iter().map(safe).collect::<Vec<_>>()));
    table.trim_fmt()
}
