//! How fast charts become PDF: `print_rate FOLDER FILE.pdf [WARD]`. The whole charts of all patients, or a ward's round list and
//! medication records. Prints one JSON line; the reading of the charts is not counted.
#![allow(clippy::print_stdout, reason = "its result")]

use std::path::PathBuf;
use std::time::Instant;

use jiff::tz::TimeZone;
use recover::charts::{Basis, Chart, Charts, Origin, RosterLine, Source};
use recover::print::Print;
use schema::Lang;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1);
    let (Some(from), Some(to)) = (args.next().map(PathBuf::from), args.next().map(PathBuf::from)) else {
        return Err("print_rate FOLDER FILE.pdf [WARD]".into());
    };
    let ward = args.next();
    let charts = Charts::open(Source::folder(&from))?;
    let roster = charts.roster();
    let ward = ward.as_ref().and_then(|ward| ward.to_str());
    let is_wanted = |line: &&RosterLine| match ward {
        Some(ward) => line.bed.as_ref().is_some_and(|bed| bed.ward == ward),
        None => true,
    };
    let wanted = roster.patients.iter().filter(is_wanted);
    let read: Vec<Chart> = wanted.filter_map(|line| charts.chart(&line.patient, None)).collect();
    let origin = Origin::Folder { path: from.display().to_string() };
    let basis = Basis { origin, as_of: None, newest_record: None };
    let before = peak_kib();
    let (begun, cpu_begun) = (Instant::now(), cpu_seconds());
    let mut print = Print::new(Lang::Ja, TimeZone::UTC, jiff::Zoned::now().datetime())?;
    match ward {
        Some(ward) => {
            print.round_list(ward, &read, &basis)?;
            read.iter().try_for_each(|chart| print.administration_record(chart, &basis))?;
        }
        None => read.iter().try_for_each(|chart| print.chart(chart, &basis))?,
    }
    let (pdf, printed) = print.finish()?;
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds() - cpu_begun);
    std::fs::write(&to, &pdf)?;
    println!(
        "{{\"charts\": {}, \"pages\": {}, \"bytes\": {}, \"seconds\": {seconds:.3}, \"cpu_seconds\": {cpu:.3}, \"pages_per_second\": {:.0}, \"peak_kib_before\": {before}, \"peak_kib\": {}}}",
        read.len(),
        printed.pages,
        pdf.len(),
        printed.pages as f64 / seconds,
        peak_kib()
    );
    Ok(())
}

/// What this thread, the only one, has computed: a busy machine changes it least.
fn cpu_seconds() -> f64 {
    let told = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    told.split_whitespace().next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

/// The most memory that this process ever held, from /proc.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
