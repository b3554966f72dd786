//! `chartward diff A B --vault DIR`.

use std::io::Write;
use std::process::ExitCode;

use comfy_table::{CellAlignment, Table, presets};
use recover::vault::{Change, DiffReport, Kind, WithMetadata};
use schema::Lang;
use serde_json::json;

use super::lang::LangArgs;
use super::look::{Telling, bytes, print};
use super::vault_args::VaultArgs;
use crate::output::printable;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The snapshot before: its id or first digits, or `latest`
    before: String,
    /// The snapshot after
    after: String,
    #[command(flatten)]
    vault: VaultArgs,
    /// Name also what differs in owner, mode, times or attributes only
    #[arg(long)]
    metadata: bool,
    #[command(flatten)]
    lang: LangArgs,
    /// Print JSON lines as restic does
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let lang = args.lang.lang();
    let vault = args.vault.open()?;
    let (before, after) = (vault.find(&args.before)?, vault.find(&args.after)?);
    let with_metadata = if args.metadata { WithMetadata::Yes } else { WithMetadata::No };
    let mut telling = Telling::new(lang);
    let report = vault.diff(&before, &after, with_metadata, &mut |seen| {
        telling.take(seen, |out, change| tell(out, args.json, change))
    });
    telling.written()?;
    if args.json {
        let mut line = serde_json::to_value(&report)?;
        line["message_type"] = json!("statistics");
        print(&mut telling.out, &serde_json::to_vec(&line)?)?;
    } else {
        print(&mut telling.out, format!("\n{}", table(&report, lang)).as_bytes())?;
    }
    telling.flush()?;
    Ok(if telling.finish() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn tell(out: &mut impl Write, json: bool, change: &Change) -> anyhow::Result<bool> {
    let mut path = change.path.to_string_lossy().into_owned();
    if change.kind == Kind::Dir {
        path.push('/');
    }
    let modifier = change.modifier();
    if json {
        let line = json!({
            "message_type": "change", "path": path, "modifier": modifier,
            "size_before": change.sizes.0, "size_after": change.sizes.1,
        });
        return print(out, &serde_json::to_vec(&line)?);
    }
    print(out, format!("{modifier:<4} {}", printable(&path)).as_bytes())
}

fn table(report: &DiffReport, lang: Lang) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(lang.pick(["", "new", "removed", "changed"], ["", "追加", "削除", "変更"]));
    let (added, removed) = (&report.added, &report.removed);
    let count = |new: u64, gone: u64| [new.to_string(), gone.to_string(), String::new()];
    let mut files = count(added.files, removed.files);
    files[2] = report.changed_files.to_string();
    for (name, cells) in [
        (lang.pick("files", "ファイル"), files),
        (lang.pick("folders", "フォルダー"), count(added.dirs, removed.dirs)),
        (lang.pick("others", "その他"), count(added.others, removed.others)),
        (lang.pick("pieces of content", "内容の断片"), count(added.data_blobs, removed.data_blobs)),
        (lang.pick("lists of folders", "フォルダー一覧"), count(added.tree_blobs, removed.tree_blobs)),
        (lang.pick("bytes", "容量"), [bytes(added.bytes), bytes(removed.bytes), String::new()]),
    ] {
        let [new, gone, changed] = cells;
        table.add_row([name.to_owned(), new, gone, changed]);
    }
    table.column_iter_mut().skip(1).for_each(|column| {
        column.set_cell_alignment(CellAlignment::Right);
    });
    table
}
