//! `chartward config`: what is wrong with the configuration, and what may stand in it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use schema::Lang;
use serde_json::json;

use super::lang::LangArgs;
use crate::config::{self, Checked, Gravity};
use crate::output::{Output, printable};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Name every problem of the configuration: where, what, and what to write instead
    Check(CheckArgs),
    /// Print everything that may stand in it, as Markdown
    Reference(PrintArgs),
    /// Print a commented configuration to start from
    Example(PrintArgs),
    /// Print which databases and other stores are captured by means of their own, and how to write them, as Markdown
    Sources(PrintArgs),
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// The file [default: chartward.toml, then /etc/chartward/chartward.toml]
    #[arg(long, value_name = "F")]
    config: Option<PathBuf>,
    #[command(flatten)]
    lang: LangArgs,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct PrintArgs {
    #[command(flatten)]
    lang: LangArgs,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.what {
        What::Check(args) => check(&args),
        What::Reference(args) => print(&config::reference(args.lang.lang())),
        What::Example(args) => print(&config::example(args.lang.lang())),
        What::Sources(args) => print(&config::sources(args.lang.lang())),
    }
}

/// Status 0: nothing but warnings; 1: something is wrong or not ready; 2 (an error): it could not be read.
fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let (output, lang) = (Output::new(args.json), args.lang.lang());
    let path = config::find(args.config.as_deref()).context(
        "there is no chartward.toml here and none in /etc/chartward; name one with --config, or begin with \
         `chartward config example > chartward.toml`",
    )?;
    let checked = config::check(&path).with_context(|| format!("cannot read {}", path.display()))?;
    for problem in &checked.problems {
        output.line(problem)?;
        if output == Output::People {
            output.say(problem.render(&path, lang));
        }
    }
    let count = |gravity| checked.problems.iter().filter(|problem| problem.gravity == gravity).count();
    let [errors, unfit, warnings] = [Gravity::Error, Gravity::Unfit, Gravity::Warning].map(count);
    let summary =
        json!({ "type": "summary", "path": path, "errors": errors, "unfit": unfit, "warnings": warnings });
    output.line(&summary)?;
    if output == Output::People {
        output.say(verdict(&path, &checked, [errors, unfit, warnings], lang));
    }
    Ok(ExitCode::from(u8::from(errors + unfit > 0)))
}

fn verdict(path: &Path, checked: &Checked, counts: [usize; 3], lang: Lang) -> String {
    let path = printable(&path.display().to_string());
    let [errors, unfit, warnings] = counts;
    match &checked.config {
        _ if errors > 0 => lang.pick(
            format!("{path}: {errors} errors, {unfit} not ready, {warnings} warnings; the hub does not start with it."),
            format!("{path}: 誤り {errors} 件、未準備 {unfit} 件、注意 {warnings} 件。このままではハブは起動しません。"),
        ),
        Some(config) => {
            let (protects, watches) = (config.protect.len(), config.watch.len());
            lang.pick(
                format!("{path}: {protects} protected, {watches} watchers; {unfit} not ready, {warnings} warnings."),
                format!("{path}: 保護対象 {protects} 件、監視 {watches} 件。未準備 {unfit} 件、注意 {warnings} 件。"),
            )
        }
        None => lang.pick(format!("{path}: cannot be used."), format!("{path}: 使用できません。")),
    }
}

fn print(text: &str) -> anyhow::Result<ExitCode> {
    Output::People.say(text.trim_end());
    Ok(ExitCode::SUCCESS)
}
