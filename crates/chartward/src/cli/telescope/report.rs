//! `chartward telescope report`: a quarter for people and for programs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use prove::observation::{Services, article, csv, page};
use recover::print::Print;
use schema::telescope::{Article, ArticleBlock, Quarter, QuarterReport};
use serde_json::{Value, json};

use crate::cli::lang::LangArgs;
use crate::cli::state_dir;
use crate::output::{Output, printable};
use crate::wiring::telescope::quarter::{Told, quarter};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The quarter, such as 2018Q3
    #[arg(long, value_name = "QUARTER", value_parser = parse)]
    quarter: Quarter,
    /// Time zone of the quarter and of all times, such as Asia/Tokyo (default: this machine's)
    #[arg(long, value_name = "ZONE", value_parser = super::zone)]
    zone: Option<TimeZone>,
    /// Write the report as a page that needs nothing else
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the report as a PDF
    #[arg(long, value_name = "FILE")]
    pdf: Option<PathBuf>,
    /// Print the ports and their hours as CSV
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// State folder (default: /var/lib/chartward for root, else ~/.local/state/chartward)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(flatten)]
    lang: LangArgs,
    /// Print one JSON line
    #[arg(long)]
    json: bool,
}

fn parse(text: &str) -> Result<Quarter, String> {
    Quarter::parse(text).ok_or_else(|| "a year, Q and 1 to 4, such as 2018Q3".to_owned())
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (output, lang) = (Output::new(args.json), args.lang.lang());
    let zone = args.zone.clone().unwrap_or_else(TimeZone::system);
    let state = state_dir(args.state.clone())?;
    let Told { report, unread } = quarter(&state, args.quarter, &zone, Timestamp::now())?;
    let services = Services::of_this_machine();
    let article = article(&report, &services, &zone, lang);
    if let Some(path) = &args.html {
        write(path, page(&article, lang).as_bytes())?;
    }
    if let Some(path) = &args.pdf {
        let mut print = Print::titled(&article.title, lang, zone, Zoned::now().datetime())?;
        print.article(&article)?;
        write(path, &print.finish()?.0)?;
    }
    for error in &unread {
        eprintln!("chartward: {}", printable(error));
    }
    output.line(&as_json(&report, &services, &unread)?)?;
    if args.csv {
        std::io::stdout().lock().write_all(csv(&report, &services).as_bytes()).context("write the table")?;
    } else if output == Output::People {
        output.say(text(&article));
    }
    Ok(ExitCode::from(u8::from(!unread.is_empty())))
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("write {}", path.display()))
}

fn as_json(report: &QuarterReport, services: &Services, unread: &[String]) -> anyhow::Result<Value> {
    let mut value = serde_json::to_value(report)?;
    value["type"] = json!("quarter");
    value["label"] = json!(report.quarter.to_string());
    value["unread"] = json!(unread);
    if let Some(rows) = value["ports"].as_array_mut() {
        for (row, port) in rows.iter_mut().zip(&report.ports) {
            row["service"] = json!(services.name(port.target));
        }
    }
    Ok(value)
}

/// The report on a terminal; its plots are in the page and the PDF.
fn text(article: &Article) -> String {
    let mut out = format!("{}\n{}\n", article.title, article.subtitle);
    for block in &article.blocks {
        match block {
            ArticleBlock::Heading { text } => out.push_str(&format!("\n{text}\n")),
            ArticleBlock::Text { text } => out.push_str(&format!("{text}\n")),
            ArticleBlock::Plot(_) => {}
            ArticleBlock::Table { head, rows, right, .. } => {
                let mut table = comfy_table::Table::new();
                table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
                table.set_header(head);
                for row in rows {
                    table.add_row(row);
                }
                for (column, is_right) in table.column_iter_mut().zip(right) {
                    if *is_right {
                        column.set_cell_alignment(comfy_table::CellAlignment::Right);
                    }
                }
                out.push_str(&format!("{table}\n"));
            }
        }
    }
    out
}
