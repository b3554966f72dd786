//! `chartward charts print`: charts, ward lists and blank forms as PDF.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use jiff::Zoned;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use recover::charts::words::unread_count;
use recover::charts::{Basis, Chart, Charts, RosterLine};
use recover::downtime::number::Number;
use recover::print::{FormFor, FormKind, Print, Printed};
use schema::{Lang, PatientId};
use serde::Serialize;
use unicode_normalization::UnicodeNormalization;

use super::{FromArgs, Reading, not_searched};
use crate::cli::progress::Bar;
use crate::output::{Output, printable};

/// Patients of one document: more than the largest hospital has beds.
const PATIENTS_MAX: usize = 5_000;
/// Wards and ids that a message names.
const NAMED_MAX: usize = 20;

#[derive(clap::Subcommand)]
pub(super) enum PrintCommand {
    /// Print the whole chart of each patient
    Patient {
        /// Patient ids, as `charts list` prints them
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        #[command(flatten)]
        to: ToArgs,
        #[command(flatten)]
        from: FromArgs,
    },
    /// Print a ward's round list, or with --mar a medication administration record for each patient
    Ward {
        /// Ward, as `charts list` prints it
        #[arg(required_unless_present = "all_wards", conflicts_with = "all_wards")]
        ward: Option<String>,
        /// All wards, one list after the other
        #[arg(long)]
        all_wards: bool,
        /// Medication administration records instead of the list
        #[arg(long)]
        mar: bool,
        #[command(flatten)]
        to: ToArgs,
        #[command(flatten)]
        from: FromArgs,
    },
    /// Print blank downtime forms: with numbers that no other form has, or for patients who have a chart
    Forms {
        /// Sets of forms, each with a number of its own
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=2_000), required_unless_present = "patients", conflicts_with = "patients")]
        count: Option<u32>,
        /// Forms of a set (default: all)
        #[arg(long = "kind", value_name = "KIND", value_delimiter = ',', value_parser = kind)]
        kinds: Vec<FormKind>,
        /// Patient whose id and name are printed into the forms; may be repeated
        #[arg(long = "patient", value_name = "ID")]
        patients: Vec<String>,
        #[command(flatten)]
        to: ToArgs,
        #[command(flatten)]
        from: FromArgs,
    },
}

#[derive(clap::Args)]
pub(super) struct ToArgs {
    /// The PDF, which must not exist yet
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

fn kind(text: &str) -> Result<FormKind, String> {
    let known = FormKind::ALL.into_iter().find(|kind| kind.name() == text);
    known.ok_or_else(|| format!("one of {}", FormKind::ALL.map(FormKind::name).join(", ")))
}

pub(super) fn run(command: PrintCommand) -> anyhow::Result<ExitCode> {
    match command {
        PrintCommand::Patient { ids, to, from } => {
            to.is_free()?;
            super::with_records(from, |reading| patients(&reading, &ids, &to.to))
        }
        PrintCommand::Ward { ward, mar, to, from, .. } => {
            to.is_free()?;
            super::with_records(from, |reading| wards(&reading, ward.as_deref(), mar, &to.to))
        }
        PrintCommand::Forms { count, kinds, patients, to, from } => {
            to.is_free()?;
            let kinds = if kinds.is_empty() { FormKind::ALL.to_vec() } else { kinds };
            match count {
                Some(count) => {
                    let job = Job::begin(from.lang.lang(), Output::new(from.json))?;
                    blank_forms(job, count, &kinds, &to.to)
                }
                None => super::with_records(from, |reading| known_forms(&reading, &patients, &kinds, &to.to)),
            }
        }
    }
}

impl ToArgs {
    /// Before anything is read: a ward's charts take seconds.
    fn is_free(&self) -> anyhow::Result<()> {
        let to = printable(&self.to.display().to_string());
        ensure!(self.to.symlink_metadata().is_err(), "{to} exists already and is not written over");
        Ok(())
    }
}

/// A document on its way.
struct Job {
    print: Print,
    told: Told,
    begun: Instant,
    output: Output,
    lang: Lang,
    bar: Bar,
}

/// The line of `--json`.
#[derive(Default, Serialize)]
struct Told {
    r#type: &'static str,
    to: PathBuf,
    #[serde(flatten)]
    printed: Printed,
    patients: usize,
    bytes: usize,
    seconds: f64,
    /// Records of these patients that could not be read; the pages name them.
    unread: usize,
    /// Patients that were asked for and are not in the records.
    missing: Vec<String>,
    /// Numbers of blank forms.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    numbers: Vec<Number>,
}

impl Job {
    fn begin(lang: Lang, output: Output) -> anyhow::Result<Job> {
        let print = Print::new(lang, TimeZone::system(), Zoned::now().datetime())?;
        let told = Told { r#type: "printed", ..Told::default() };
        Ok(Job { print, told, begun: Instant::now(), output, lang, bar: Bar::new(output, "printing") })
    }

    /// The chart of a patient, or a note that there is none.
    fn chart(&mut self, charts: &Charts<'_>, patient: &PatientId, as_of: Option<Date>) -> Option<Chart> {
        let chart = charts.chart(patient, as_of);
        match &chart {
            Some(chart) => {
                self.told.patients += 1;
                self.told.unread += chart.unread.len();
            }
            None => self.told.missing.push(patient.to_string()),
        }
        chart
    }

    /// Writes the file, says what is in it, and gives the command's exit status.
    fn finish(self, to: &Path) -> anyhow::Result<ExitCode> {
        let Job { print, mut told, begun, output, lang, bar } = self;
        bar.now("writing");
        let (pdf, printed) = print.finish()?;
        write_private(to, &pdf)
            .with_context(|| format!("cannot write the pdf {}", printable(&to.display().to_string())))?;
        bar.finish();
        (told.printed, told.bytes, told.to) = (printed, pdf.len(), to.to_owned());
        told.seconds = begun.elapsed().as_secs_f64();
        output.line(&told)?;
        if output == Output::People {
            output.say(told.text(lang));
        }
        Ok(if told.missing.is_empty() && told.unread == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

impl Told {
    fn text(&self, lang: Lang) -> String {
        let Printed { pages, left_out, as_code_points } = &self.printed;
        let (to, patients, seconds) =
            (printable(&self.to.display().to_string()), self.patients, self.seconds);
        let kilobytes = self.bytes.div_ceil(1000);
        let mut lines = vec![lang.pick(
            format!("{to}: {pages} pages, {patients} patients, {kilobytes} kB, {seconds:.1} s"),
            format!("{to}: {pages} ページ、患者 {patients} 名、{kilobytes} kB、{seconds:.1} 秒"),
        )];
        if self.unread > 0 {
            let unread = unread_count(self.unread, lang);
            lines.push(
                lang.pick(
                    format!("{unread}; the pages name them"),
                    format!("{unread}。紙面に明記しています"),
                ),
            );
        }
        let (characters, rows) = (left_out.characters, left_out.rows);
        if characters + rows > 0 {
            lines.push(lang.pick(
                format!("left out, and said so on the page: {characters} characters of long texts, {rows} rows of long lists"),
                format!("省略（紙面に明記）: 長い文章 {characters} 文字、長い一覧 {rows} 行"),
            ));
        }
        if *as_code_points > 0 {
            lines.push(lang.pick(
                format!("{as_code_points} characters that no font here has are printed as their code points (〓[U+…])"),
                format!("どのフォントにもない文字 {as_code_points} 字は文字コード（〓[U+…]）で印刷しました"),
            ));
        }
        if !self.missing.is_empty() {
            let missing = self.missing_named();
            lines.push(
                lang.pick(format!("not in these records: {missing}"), format!("記録にない患者ID: {missing}")),
            );
        }
        lines.join("\n")
    }

    fn missing_named(&self) -> String {
        let more = self.missing.len().saturating_sub(NAMED_MAX);
        let more = if more > 0 { format!(" +{more}") } else { String::new() };
        let named: Vec<_> = self.missing.iter().take(NAMED_MAX).map(|id| printable(id)).collect();
        format!("{}{more}", named.join(", "))
    }
}

fn patients(reading: &Reading<'_>, ids: &[String], to: &Path) -> anyhow::Result<ExitCode> {
    let Reading { charts, basis, lang, output, .. } = reading;
    ensure!(ids.len() <= PATIENTS_MAX, "at most {PATIENTS_MAX} patients fit into one document");
    let mut job = Job::begin(*lang, *output)?;
    for (index, id) in ids.iter().enumerate() {
        job.bar.at(index as u64, ids.len() as u64);
        if let Some(chart) = job.chart(charts, &PatientId(id.clone()), basis.as_of) {
            job.print.chart(&chart, basis)?;
        }
    }
    found(&job, charts)?;
    job.finish(to)
}

/// A document of nobody is a wrong id far more often than a wish.
fn found(job: &Job, charts: &Charts<'_>) -> anyhow::Result<()> {
    ensure!(
        job.told.patients > 0,
        "there is no patient {} in these records{}; find the id with `chartward charts list NAME`",
        job.told.missing_named(),
        not_searched(charts)
    );
    Ok(())
}

fn wards(reading: &Reading<'_>, wanted: Option<&str>, mar: bool, to: &Path) -> anyhow::Result<ExitCode> {
    let Reading { charts, basis, lang, output, .. } = reading;
    let mut job = Job::begin(*lang, *output)?;
    job.bar.now("listing");
    let roster = charts.roster();
    let wards = by_ward(&roster.patients);
    let chosen: Vec<(&String, &Vec<&RosterLine>)> =
        wards.iter().filter(|(ward, _)| wanted.is_none_or(|wanted| folded(wanted) == folded(ward))).collect();
    if chosen.is_empty() {
        let known: Vec<_> = wards.keys().take(NAMED_MAX).map(|ward| printable(ward)).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        bail!("nobody lies on ward {}; wards in these records: {known}", printable(wanted.unwrap_or("*")));
    }
    let total: usize = chosen.iter().map(|(_, patients)| patients.len()).sum();
    ensure!(
        total <= PATIENTS_MAX,
        "{total} patients are more than the {PATIENTS_MAX} that fit into one document: name a ward"
    );
    job.told.unread += roster.unread.len();
    job.bar.now("printing");
    let mut done = 0;
    for (ward, patients) in chosen {
        let mut of_ward = Vec::new();
        for line in patients {
            done += 1;
            job.bar.at(done, total as u64);
            of_ward.extend(job.chart(charts, &line.patient, basis.as_of));
        }
        print_ward(&mut job, ward, &of_ward, mar, basis)?;
    }
    job.finish(to)
}

fn print_ward(job: &mut Job, ward: &str, charts: &[Chart], mar: bool, basis: &Basis) -> anyhow::Result<()> {
    if mar {
        charts.iter().try_for_each(|chart| job.print.administration_record(chart, basis))?;
    } else {
        job.print.round_list(ward, charts, basis)?;
    }
    Ok(())
}

/// Who lies where, sorted by room and bed as people count them: 2 before 10.
fn by_ward(patients: &[RosterLine]) -> BTreeMap<String, Vec<&RosterLine>> {
    let mut wards: BTreeMap<String, Vec<&RosterLine>> = BTreeMap::new();
    for line in patients {
        if let Some(bed) = &line.bed {
            wards.entry(bed.ward.clone()).or_default().push(line);
        }
    }
    for lines in wards.values_mut() {
        lines.sort_by_cached_key(|line| {
            let bed = line.bed.clone().unwrap_or_default();
            (counted(&bed.room), counted(&bed.bed), line.patient.clone())
        });
    }
    wards
}

/// Text with its leading number apart.
fn counted(text: &str) -> (u64, String) {
    let digits: String = text.chars().take_while(char::is_ascii_digit).take(18).collect();
    (digits.parse().unwrap_or(u64::MAX), text.to_owned())
}

fn folded(text: &str) -> String {
    text.nfkc().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect()
}

fn blank_forms(mut job: Job, count: u32, kinds: &[FormKind], to: &Path) -> anyhow::Result<ExitCode> {
    let today = Zoned::now().date();
    for index in 0..count {
        job.bar.at(u64::from(index), u64::from(count));
        let mut drawn = [0; 5];
        getrandom::fill(&mut drawn).map_err(|error| anyhow::anyhow!("cannot draw a number: {error}"))?;
        let number = Number::new(today, drawn);
        forms(&mut job, kinds, &FormFor::New(number))?;
        job.told.numbers.push(number);
    }
    job.finish(to)
}

fn known_forms(
    reading: &Reading<'_>,
    ids: &[String],
    kinds: &[FormKind],
    to: &Path,
) -> anyhow::Result<ExitCode> {
    let Reading { charts, basis, lang, output, .. } = reading;
    ensure!(ids.len() <= PATIENTS_MAX, "at most {PATIENTS_MAX} patients fit into one document");
    let mut job = Job::begin(*lang, *output)?;
    for (index, id) in ids.iter().enumerate() {
        job.bar.at(index as u64, ids.len() as u64);
        let Some(chart) = job.chart(charts, &PatientId(id.clone()), basis.as_of) else { continue };
        let Chart { patient, banner, .. } = chart;
        let known = FormFor::Known {
            id: patient,
            name: banner.name.unwrap_or_default(),
            kana: banner.kana.unwrap_or_default(),
            birth_date: banner.birth_date,
            sex: banner.sex,
        };
        forms(&mut job, kinds, &known)?;
    }
    found(&job, charts)?;
    job.finish(to)
}

fn forms(job: &mut Job, kinds: &[FormKind], of: &FormFor) -> anyhow::Result<()> {
    kinds.iter().try_for_each(|kind| job.print.form(*kind, of))?;
    Ok(())
}

/// Readable by its writer alone, whole or not at all, and never over another file, even one that was made meanwhile.
fn write_private(to: &Path, pdf: &[u8]) -> std::io::Result<()> {
    let folder = match to.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mode = std::fs::Permissions::from_mode(0o600);
    let mut file = tempfile::Builder::new().prefix(".chartward-").permissions(mode).tempfile_in(folder)?;
    file.write_all(pdf)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(to).map_err(|refused| refused.error)?;
    std::fs::File::open(folder)?.sync_all()
}
