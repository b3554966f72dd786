//! `chartward guard removed`: what was removed while a guard watched, and bringing it back.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

use act::undo::{Announced, Undo, Way};
use anyhow::{Context, bail};
use jiff::{SignedDuration, Timestamp};
use schema::Lang;
use serde_json::json;

use super::after::{Common, HEARD};
use crate::output::{Output, printable, shell_quoted};
use crate::wiring::guard::removed::{Brought, Entry, Place};

/// List what was removed: what, when, by whom, how long it is still kept; or bring it back
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only these files, and what was below these folders
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Only what was removed within this time, such as 2h
    #[arg(long, value_name = "TIME")]
    since: Option<SignedDuration>,
    /// Bring them back, never over anything that stands there
    #[arg(long)]
    restore: bool,
    /// Bring them back below this folder instead
    #[arg(long, value_name = "DIR", requires = "restore")]
    to: Option<PathBuf>,
    /// Undo a bringing-back, by its id or the beginning of it: what was not changed since goes away again
    #[arg(long, value_name = "ID", conflicts_with_all = ["restore", "paths", "since"])]
    undo: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// What is kept in one place, as far as it was asked for.
type Chosen = (Place, Vec<Entry>);

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let places = Place::all(&args.common.state()?)?;
    if let Some(id) = &args.undo {
        return undo(&args.common, &places, id);
    }
    let mut chosen: Vec<Chosen> = Vec::new();
    for place in places {
        let entries = entries(&place, args)?;
        chosen.push((place, entries));
    }
    if args.restore { restore(args, &chosen) } else { list(&args.common, &chosen) }
}

fn entries(place: &Place, args: &Args) -> anyhow::Result<Vec<Entry>> {
    let absolute =
        |path: &PathBuf| std::path::absolute(path).with_context(|| format!("find {}", path.display()));
    let paths: Vec<PathBuf> = args.paths.iter().map(absolute).collect::<anyhow::Result<_>>()?;
    let since = args.since.and_then(|since| Timestamp::now().checked_sub(since).ok());
    let mut entries = place.entries();
    entries.retain(|entry| {
        (paths.is_empty() || paths.iter().any(|path| entry.path.starts_with(path)))
            && since.is_none_or(|since| entry.removed_at >= since)
    });
    Ok(entries)
}

fn list(common: &Common, chosen: &[Chosen]) -> anyhow::Result<ExitCode> {
    let (output, lang) = (common.output(), common.lang());
    for (place, entry) in chosen.iter().flat_map(|(place, all)| all.iter().map(move |entry| (place, entry))) {
        let (until, stands) = (entry.kept_until(place.bounds), entry.path.symlink_metadata().is_ok());
        let mut value = serde_json::to_value(entry)?;
        value["type"] = "removed".into();
        value["kept_until"] = json!(until);
        value["stands"] = stands.into();
        output.line(&value)?;
        output.say(printable(&words(entry, until, stands, lang)));
    }
    if chosen.iter().all(|(_, entries)| entries.is_empty()) {
        output
            .say(lang.pick("nothing that was removed is kept", "保管されている削除済みファイルはありません"));
    }
    Ok(ExitCode::SUCCESS)
}

fn words(entry: &Entry, until: Timestamp, stands: bool, lang: Lang) -> String {
    let (at, until) = (entry.removed_at.strftime("%Y-%m-%d %H:%M:%SZ"), until.strftime("%Y-%m-%d %H:%M:%SZ"));
    let Entry { path, bytes, remover, .. } = entry;
    let uid = remover.uid.map(|uid| format!(", uid {uid}")).unwrap_or_default();
    let stands = match (stands, lang) {
        (false, _) => "",
        (true, Lang::En) => "; something stands there again",
        (true, Lang::Ja) => "（現在は同じ場所に別のものがあります）",
    };
    let (path, by) = (path.display(), &remover.words);
    match lang {
        Lang::En => format!("{path}: {bytes} bytes, removed {at} by {by}{uid}; kept until {until}{stands}"),
        Lang::Ja => {
            format!("{path}: {bytes}バイト、{at} に {by}{uid} が削除、{until} まで保管{stands}")
        }
    }
}

fn restore(args: &Args, chosen: &[Chosen]) -> anyhow::Result<ExitCode> {
    let (state, output, lang) = (args.common.state()?, args.common.output(), args.common.lang());
    let chosen: Vec<&Chosen> = chosen.iter().filter(|(_, entries)| !entries.is_empty()).collect();
    if chosen.is_empty() {
        bail!(lang.pick(
            "nothing of that is kept; `chartward guard removed` lists what is",
            "該当するものは保管されていません。`chartward guard removed` で一覧を確認してください"
        ));
    }
    let to =
        args.to.as_deref().map(std::path::absolute).transpose().context("find the folder to restore to")?;
    if let Some(to) = &to {
        act::evidence::private_dir(to)?;
    }
    let bring = || -> anyhow::Result<Vec<Brought>> {
        chosen.iter().map(|(place, entries)| place.bring_back(entries, to.as_deref())).collect()
    };
    let all = announced(&state, bring)?;
    for brought in &all {
        tell(brought, &args.common, output, lang)?;
    }
    Ok(ExitCode::from(u8::from(all.iter().any(|brought| !brought.refused.is_empty()))))
}

/// Without this a running guard takes what comes now for somebody's doing.
fn announced<T>(state: &Path, act: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let announced = Announced::new(state)?;
    thread::sleep(HEARD);
    let done = act();
    // The closes of what was written are still on their way to it.
    thread::sleep(HEARD);
    drop(announced);
    done
}

fn tell(brought: &Brought, common: &Common, output: Output, lang: Lang) -> anyhow::Result<()> {
    for path in &brought.back {
        output.line(&json!({"type": "back", "path": path}))?;
        output.say(printable(&path.display().to_string()));
    }
    for (path, reason) in &brought.refused {
        output.line(&json!({"type": "left", "path": path, "reason": reason}))?;
        let path = path.display();
        output.say(printable(&match lang {
            Lang::En => format!("{path}: left as it is: {reason}"),
            Lang::Ja => format!("{path}: 変更していません: {reason}"),
        }));
    }
    let (back, left, id) = (brought.back.len(), brought.refused.len(), &brought.id);
    output.line(&json!({"type": "brought_back", "id": id, "files": back, "left": left}))?;
    let state = common.state_given().map(|state| format!(" --state {}", shell_quoted(state)));
    let command = format!("chartward guard removed --undo {id}{}", state.unwrap_or_default());
    output.say(printable(&match lang {
        Lang::En => format!("{back} files were brought back, {left} left as they are. Undo: {command}"),
        Lang::Ja => format!("{back}ファイルを元に戻し、{left}件は変更していません。取り消すには: {command}"),
    }));
    Ok(())
}

fn undo(common: &Common, places: &[Place], id: &str) -> anyhow::Result<ExitCode> {
    let (state, output, lang) = (common.state()?, common.output(), common.lang());
    let mut found: Vec<PathBuf> = places.iter().flat_map(|place| place.brought(id)).collect();
    let folder = match (found.pop(), found.is_empty()) {
        (Some(folder), true) => folder,
        (None, _) => bail!("nothing was brought back under {id:?}"),
        (Some(_), false) => bail!("several begin with {id:?}: write more of the id"),
    };
    let mut undo = Undo::read(&folder)?;
    let turned = announced(&state, || Ok(undo.apply(&folder, Way::Undo)?))?;
    let (gone, left) = (turned.turned, turned.refused.len());
    for (path, reason) in &turned.refused {
        output.line(&json!({"type": "left", "path": path, "reason": reason}))?;
        output.say(printable(&format!("{}: {reason}", path.display())));
    }
    output.line(&json!({"type": "bringing_back_undone", "files": gone, "left": left}))?;
    output.say(match lang {
        Lang::En => format!("{gone} files are away again (and still kept); {left} were left as they are"),
        Lang::Ja => {
            format!("{gone}ファイルを再び取り除きました（保管は続きます）。{left}件は変更していません")
        }
    });
    Ok(ExitCode::from(u8::from(left > 0)))
}
