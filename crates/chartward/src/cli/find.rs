//! `chartward find PATTERN… --vault DIR`.

use std::io::Write;
use std::process::ExitCode;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use recover::proof;
use recover::vault::{Entry, FindReport, FindRequest, Pattern, Snapshot};
use schema::Lang;
use serde_json::json;

use super::lang::LangArgs;
use super::look::{Filter, Telling, long_line, moment, print};
use super::vault_args::{VaultArgs, name_unreadable_snapshots};
use crate::output::printable;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Names as in `--exclude` of restic: `*.hl7`, `0001/*/OML-01`, `/srv/**/a?.txt`
    #[arg(required = true)]
    patterns: Vec<String>,
    #[command(flatten)]
    vault: VaultArgs,
    /// Only this snapshot (repeatable); without it all of them, oldest first
    #[arg(short, long, value_name = "ID")]
    snapshot: Vec<String>,
    #[command(flatten)]
    filter: Filter,
    /// Only what was changed last at this time or later
    #[arg(short = 'O', long, value_name = "TIME", value_parser = moment)]
    oldest: Option<Timestamp>,
    /// Only what was changed last at this time or earlier
    #[arg(short = 'N', long, value_name = "TIME", value_parser = moment)]
    newest: Option<Timestamp>,
    /// Match letters whether they are capital or not
    #[arg(short, long)]
    ignore_case: bool,
    /// Show kind, permissions, owner, size and time
    #[arg(short, long)]
    long: bool,
    #[command(flatten)]
    lang: LangArgs,
    /// Print JSON lines: restic's fields and the snapshot for each match, then a summary
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let lang = args.lang.lang();
    let text = |pattern: &String| if args.ignore_case { pattern.to_lowercase() } else { pattern.clone() };
    let patterns = args.patterns.iter().map(|pattern| Pattern::parse(&text(pattern)));
    let request = FindRequest {
        patterns: patterns.collect::<Result<_, _>>()?,
        ignore_case: args.ignore_case,
        oldest: args.oldest,
        newest: args.newest,
    };
    let vault = args.vault.open()?;
    let snapshots: Vec<Snapshot> = match args.snapshot.as_slice() {
        [] => proof::data_snapshots(&vault)?
            .into_iter()
            .filter(|snapshot| args.filter.takes(snapshot))
            .collect(),
        named => named.iter().map(|id| vault.find(id)).collect::<Result<_, _>>()?,
    };
    let mut telling = Telling::new(lang);
    let mut last = None;
    let report = vault.search(&snapshots, &request, &mut |snapshot, found| {
        telling.take(found, |out, entry| {
            let is_first = last.as_ref() != Some(&snapshot.id);
            last = Some(snapshot.id.clone());
            tell(out, &args, lang, snapshot, is_first, entry)
        })
    });
    telling.written()?;
    finish(&mut telling, &args, lang, report)?;
    let whole = telling.finish() & name_unreadable_snapshots(&vault)?;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn tell(
    out: &mut impl Write,
    args: &Args,
    lang: Lang,
    snapshot: &Snapshot,
    is_first: bool,
    entry: &Entry,
) -> anyhow::Result<bool> {
    if args.json {
        let mut line = serde_json::to_value(entry.matched())?;
        line["snapshot"] = json!(snapshot.id);
        return print(out, &serde_json::to_vec(&line)?);
    }
    if is_first {
        let (short, host) = (snapshot.id.short(), printable(&snapshot.hostname));
        let time = snapshot.time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S");
        let heading = lang.pick(
            format!("In snapshot {short} of {host}, captured {time}:"),
            format!("スナップショット {short}({host}、{time} 取得)にあります:"),
        );
        if !print(out, heading.as_bytes())? {
            return Ok(false);
        }
    }
    let line = if args.long { long_line(entry) } else { printable(&entry.path.to_string_lossy()) };
    print(out, line.as_bytes())
}

fn finish(telling: &mut Telling, args: &Args, lang: Lang, report: FindReport) -> anyhow::Result<()> {
    let FindReport { hits, snapshots, unlisted } = report;
    if args.json {
        let line = json!({ "type": "summary", "hits": hits, "snapshots": snapshots, "unlisted": unlisted });
        print(&mut telling.out, &serde_json::to_vec(&line)?)?;
    }
    telling.flush()?;
    eprintln!(
        "{}",
        lang.pick(
            format!("{hits} matches in {snapshots} snapshots."),
            format!("{snapshots} 個のスナップショットから {hits} 件見つかりました。"),
        )
    );
    Ok(())
}
