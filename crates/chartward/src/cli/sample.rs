//! `chartward sample`: data to try everything on.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::civil::DateTime;

use crate::output::Output;
use crate::sample::{self, Built, Hospital};

/// The morning of the incident the product is built from, at the time of the last record before it.
const UNTIL: &str = "2018-10-16T05:00:00";

#[derive(Debug, clap::Args)]
pub(crate) struct SampleArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A synthetic hospital: an SS-MIX2 storage and an EMR database with the same made-up patients
    Hospital(HospitalArgs),
}

#[derive(Debug, clap::Args)]
struct HospitalArgs {
    /// An empty folder, or one that does not exist yet
    dir: PathBuf,
    /// How many patients
    #[arg(long, value_name = "N", default_value_t = sample::PATIENTS, value_parser = clap::value_parser!(u32).range(1..=i64::from(sample::PATIENTS_MAX)))]
    patients: u32,
    /// Which hospital: the same seed gives the same files, byte for byte
    #[arg(long, value_name = "S", default_value_t = sample::SEED)]
    seed: u64,
    /// The hospital's present, in its local time; the newest record is a minute older
    #[arg(long, value_name = "YYYY-MM-DDTHH:MM:SS", default_value = UNTIL)]
    until: DateTime,
    /// Print one JSON object instead of a sentence
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: SampleArgs) -> anyhow::Result<ExitCode> {
    match args.what {
        What::Hospital(args) => hospital(&args),
    }
}

fn hospital(args: &HospitalArgs) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.json);
    let bar = bar(output, args.patients)?;
    let hospital = Hospital { patients: args.patients, seed: args.seed, until: args.until };
    let built = sample::build(&hospital, &args.dir, &|done| bar.set_position(done));
    bar.finish_and_clear();
    let built = built?;
    output.line(&built)?;
    output.say(sentence(&built, args));
    Ok(ExitCode::SUCCESS)
}

fn sentence(built: &Built, args: &HospitalArgs) -> String {
    format!(
        "{} synthetic patients in {}: {} files, {} MB, newest record {}, made in {:.1} s",
        built.patients,
        args.dir.display(),
        built.files,
        built.bytes / 1_000_000,
        built.newest_record,
        built.seconds
    )
}

fn bar(output: Output, patients: u32) -> anyhow::Result<ProgressBar> {
    if !output.draws_progress() {
        return Ok(ProgressBar::hidden());
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} patients, {eta} left")?;
    Ok(ProgressBar::new(u64::from(patients)).with_style(style))
}
