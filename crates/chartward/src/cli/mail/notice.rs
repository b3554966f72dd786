//! `chartward mail notice`: what came this week, for the staff's wall.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use jiff::Timestamp;
use serde_json::json;

use super::place::PlaceArgs;
use crate::cli::lang::LangArgs;
use crate::output::{Output, printable};
use crate::wiring::mail::release;
use crate::wiring::mail::training::departments::Departments;
use crate::wiring::mail::training::span::Span;
use crate::wiring::mail::training::{self, Training, notice};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The week, as ISO 8601 counts (default: this week)
    #[arg(long, value_name = "YYYY-Www", conflicts_with = "days")]
    week: Option<String>,
    /// So many days that end with today, instead of a week
    #[arg(long, value_name = "N")]
    days: Option<u16>,
    /// Write the page there instead of the standard output
    #[arg(long, value_name = "FILE.html")]
    out: Option<PathBuf>,
    #[command(flatten)]
    place: PlaceArgs,
    /// Print one JSON object; a page is written with --out only
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lang: LangArgs,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (output, lang, now) = (Output::new(args.json), args.lang.lang(), Timestamp::now());
    let config = args.place.configuration()?;
    let training = config.as_ref().map_or_else(without_configuration, Training::new);
    let span = match (&args.week, args.days) {
        (Some(week), _) => Span::week(week)?,
        (None, Some(days)) => Span::days(days, now, &training.zone)?,
        (None, None) => Span::this_week(now, &training.zone)?,
    };
    let dir = args.place.folder()?;
    let week = training::week(release::open(&dir)?.as_ref(), &span, &training, now)?;
    let mut line = json!({"type": "mail_notice"});
    if let (Some(line), serde_json::Value::Object(fields)) =
        (line.as_object_mut(), serde_json::to_value(&week)?)
    {
        line.extend(fields);
    }
    output.line(&line)?;
    let page = notice::page(&week, &training, lang);
    match &args.out {
        Some(file) => {
            std::fs::write(file, page).with_context(|| format!("write the notice to {}", file.display()))?;
            let file = printable(&file.display().to_string());
            output.say(
                lang.pick(
                    format!("Print {file}: one page."),
                    format!("{file} を印刷してください（A4 1枚）。"),
                ),
            );
        }
        None if output == Output::People => output.say(page),
        None => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything counts together, and nobody is named whom to call.
fn without_configuration() -> Training {
    Training {
        departments: Departments::default(),
        contact: String::new(),
        hospital: String::new(),
        zone: jiff::tz::TimeZone::system(),
    }
}
