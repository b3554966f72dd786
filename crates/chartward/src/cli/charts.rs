//! `chartward charts`: read-only charts while the EMR is down, from the newest proven snapshot.

mod access;
mod export;
mod mapping;
mod notes;
mod print;
mod reconcile;
mod serve;
mod terminal;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use jiff::tz::TimeZone;
use recover::charts::mapping as database;
use recover::charts::{Basis, Chart, Charts, Origin, Roster, RosterLine, Source, Unread, basis, page};
use recover::vault::Vault;
use schema::{Lang, PatientId, SnapshotId};
use serde::Serialize;

use super::lang::LangArgs;
use super::password::PasswordArgs;
use super::vault_args::RestArgs;
use crate::output::{Output, printable};

/// Reads patients' charts from the newest snapshot that a drill proved, or from a folder
#[derive(clap::Args)]
pub(crate) struct ChartsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List patients, or those that a query finds: id, name, kana, birth date, ward
    List {
        /// Words that must all fit
        query: Vec<String>,
        #[command(flatten)]
        from: FromArgs,
    },
    /// Show one patient's chart
    Show {
        /// Patient id, as `charts list` prints it
        patient: String,
        /// Write the chart as one HTML page into this file, which must not exist yet
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
        #[command(flatten)]
        from: FromArgs,
    },
    /// Make a PDF: whole charts, ward lists, medication records, blank downtime forms
    #[command(subcommand)]
    Print(print::PrintCommand),
    /// Write an encrypted bundle that opens in a browser from a USB stick, with no server
    Export(export::ExportArgs),
    /// Let browsers search and read charts, with nothing but the vault
    Serve(serve::ServeArgs),
    /// Downtime notes: list them, add what was written on paper, export or import them
    Notes(notes::Args),
    /// After the downtime: notes beside what the restored EMR has, decided by people, exported
    Reconcile(reconcile::Args),
    /// Show who came into the viewer, and who opened which chart
    Access(access::AccessArgs),
}

#[derive(clap::Args)]
struct FromArgs {
    /// Folder of the vault
    #[arg(long, value_name = "DIR", env = "CHARTWARD_VAULT")]
    vault: Option<PathBuf>,
    /// Folder that holds records, instead of a vault
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Snapshot to read although no drill has proven it
    #[arg(long, value_name = "ID", conflicts_with = "from")]
    snapshot: Option<String>,
    /// Mapping of the EMR's own database to charts (see docs/charts-sources.md): the database is taken out of the snapshot and read too
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    rest: RestArgs,
    #[command(flatten)]
    lang: LangArgs,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

/// What a command reads, opened.
struct Reading<'a> {
    charts: Charts<'a>,
    basis: Basis,
    /// The vault and the snapshot in it; none for a folder.
    vault: Option<(&'a Vault, SnapshotId)>,
    /// Opens the same charts for one more thread.
    again: Box<dyn Fn() -> anyhow::Result<Charts<'a>> + Send + Sync + 'a>,
    lang: Lang,
    output: Output,
}

pub(crate) fn run(args: ChartsArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::List { query, from } => with_records(from, |reading| list(reading, &query.join(" "))),
        Command::Show { patient, html, from } => {
            with_records(from, |reading| show(reading, &PatientId(patient), html))
        }
        Command::Print(command) => print::run(command),
        Command::Export(args) => export::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Notes(args) => notes::run(args),
        Command::Reconcile(args) => reconcile::run(args),
        Command::Access(args) => access::run(args),
    }
}

/// Opens the records and runs `command` on them; the vault lives as long as it does.
fn with_records(
    args: FromArgs,
    command: impl FnOnce(Reading<'_>) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.json);
    let lang = args.lang.lang();
    if let Some(dir) = args.from {
        let origin = Origin::Folder { path: dir.display().to_string() };
        let basis = Basis { origin, as_of: None, newest_record: None };
        let mut database = mapping::opened(args.mapping.as_deref(), &database::Origin::Folder(&dir))?;
        let charts = database.beside(Charts::open(Source::folder(&dir))?);
        let shared = charts.shared();
        let again = Box::new(move || Ok(shared.clone().charts(Source::folder(&dir))));
        return command(Reading { charts, basis, vault: None, again, lang, output }.checked()?);
    }
    let Some(dir) = args.vault else {
        bail!("name what to read: --vault DIR (or CHARTWARD_VAULT), or --from DIR for a folder of records");
    };
    let at = args.rest.at(&dir)?;
    Vault::probe(&at)?;
    let vault = Vault::open(&at, &args.password.read()?)?;
    let (snapshot, basis) = basis(&vault, args.snapshot.as_deref(), &TimeZone::system())?;
    let mut database =
        mapping::opened(args.mapping.as_deref(), &database::Origin::Snapshot(&vault, &snapshot))?;
    let charts = database.beside(Charts::open(Source::snapshot(&vault, &snapshot))?);
    let shared = charts.shared();
    let (from, of) = (&vault, &snapshot);
    let again = Box::new(move || Ok(shared.clone().charts(Source::snapshot(from, of))));
    let vault = Some((&vault, snapshot.id.clone()));
    command(Reading { charts, basis, vault, again, lang, output }.checked()?)
}

impl Reading<'_> {
    /// A source without a storage is a wrong path far more often than an empty hospital.
    fn checked(self) -> anyhow::Result<Self> {
        if self.charts.has_records() {
            return Ok(self);
        }
        let place = match &self.basis.origin {
            Origin::Folder { path } => format!("the folder {path}"),
            Origin::Snapshot { snapshot, .. } => format!("snapshot {}", snapshot.short()),
        };
        bail!(
            "there is neither an SS-MIX2 storage nor a FHIR export in {place}{}",
            not_searched(&self.charts)
        );
    }
}

/// That nothing was found does not mean that there is nothing, when not everything could be looked at.
fn not_searched(charts: &Charts<'_>) -> String {
    let mut unread = charts.unread();
    let Some(first) = unread.next() else { return String::new() };
    match unread.count() {
        0 => format!(" ({}: {})", first.path, first.cause),
        more => {
            format!(" ({}: {}; and {more} more folders that could not be searched)", first.path, first.cause)
        }
    }
}

/// One line of `charts list --json`.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ListLine<'a> {
    Basis(&'a Basis),
    Patient(&'a RosterLine),
    Unread(&'a Unread),
    Summary { patients: usize, listed: usize, unread: usize },
}

fn list(reading: Reading<'_>, query: &str) -> anyhow::Result<ExitCode> {
    let roster: Roster = reading.charts.roster();
    let found = roster.search(query);
    let output = reading.output;
    match output {
        Output::Json => {
            output.line(&ListLine::Basis(&reading.basis))?;
            found.iter().try_for_each(|patient| output.line(&ListLine::Patient(patient)))?;
            roster.unread.iter().try_for_each(|unread| output.line(&ListLine::Unread(unread)))?;
            let (patients, listed, unread) = (roster.patients.len(), found.len(), roster.unread.len());
            output.line(&ListLine::Summary { patients, listed, unread })?;
        }
        Output::People => output.say(terminal::list(&roster, &found, &reading.basis, reading.lang)),
    }
    Ok(if roster.unread.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The line of `charts show --json`.
#[derive(Serialize)]
struct ShownChart<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    basis: &'a Basis,
    #[serde(flatten)]
    chart: &'a Chart,
}

fn show(reading: Reading<'_>, patient: &PatientId, html: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let Reading { charts, basis, lang, output, .. } = reading;
    let Some(chart) = charts.chart(patient, basis.as_of) else {
        bail!(
            "there is no patient {patient} in these records{}; find the id with `chartward charts list NAME`",
            not_searched(&charts)
        );
    };
    output.line(&ShownChart { kind: "chart", basis: &basis, chart: &chart })?;
    if let Some(file) = &html {
        let page = page(&chart, &basis, lang, &TimeZone::system());
        write_private(file, page.as_bytes())
            .with_context(|| format!("cannot write the chart into {}", file.display()))?;
        output.say(printable(&file.display().to_string()));
    } else if output == Output::People {
        output.say(terminal::chart(&chart, &basis, lang));
    }
    Ok(if chart.unread.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// A chart on disk is patient data in the clear: readable by its writer alone, and never put over another file.
fn write_private(file: &std::path::Path, content: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    file.write_all(content)?;
    file.sync_all()
}
