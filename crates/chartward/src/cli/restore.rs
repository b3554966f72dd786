//! `chartward restore [SNAPSHOT] --vault DIR --target D [PATH…]`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use recover::proof;
use recover::vault::{Snapshot, Vault};
use serde_json::json;

use super::progress::Bar;
use super::vault_args::VaultArgs;
use crate::output::Output;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A snapshot's id or its first digits, or `latest`; without it the newest one that no drill found wanting
    snapshot: Option<String>,
    /// Only these paths, as they were on the protected host
    paths: Vec<PathBuf>,
    #[command(flatten)]
    vault: VaultArgs,
    /// Folder to restore into; files that are there and differ are replaced, others are left alone
    #[arg(long, value_name = "DIR")]
    target: PathBuf,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.json);
    let vault = args.vault.open()?;
    let (snapshot, paths) = select(&vault, args.snapshot, args.paths)?;
    say_how_proven(&vault, &snapshot)?;
    let bar = Bar::new(output, "restoring");
    let report = vault.restore(&snapshot, &args.target, &paths, &|progress| bar.engine(&progress))?;
    bar.finish();
    for lost in &report.not_restored {
        eprintln!("chartward: not restored: {}: {}", lost.path.display(), lost.cause);
        output.line(
            &json!({ "type": "not_restored", "path": lost.path.to_string_lossy(), "cause": lost.cause }),
        )?;
    }
    output.line(&json!({
        "type": "summary",
        "snapshot": snapshot.id,
        "files": report.files,
        "bytes": report.bytes,
        "not_restored": report.not_restored.len(),
        "target": args.target,
    }))?;
    if output == Output::People {
        let (id, time) = (snapshot.id.short(), snapshot.time);
        output.say(format_args!(
            "{} files of snapshot {id} ({time}) are in {}; {} could not be restored.",
            report.files,
            args.target.display(),
            report.not_restored.len()
        ));
    }
    Ok(if report.not_restored.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The snapshot that was asked for. A first word that is a path and no id is the first of the paths.
fn select(
    vault: &Vault,
    wanted: Option<String>,
    mut paths: Vec<PathBuf>,
) -> anyhow::Result<(Snapshot, Vec<PathBuf>)> {
    let snapshot = match wanted {
        Some(path) if path.starts_with('/') => {
            paths.insert(0, path.into());
            newest_not_failed(vault)?
        }
        Some(id) => vault.find(&id)?,
        None => newest_not_failed(vault)?,
    };
    Ok((snapshot, paths))
}

/// In an attack the newest snapshot may hold what was encrypted already, so one that a drill found wanting is
/// passed over.
fn newest_not_failed(vault: &Vault) -> anyhow::Result<Snapshot> {
    let failed: Vec<_> =
        proof::proofs(vault)?.into_iter().filter(|proof| !proof.passed).map(|proof| proof.snapshot).collect();
    let mut snapshots = proof::data_snapshots(vault)?;
    ensure!(!snapshots.is_empty(), "the vault in {} holds no snapshot", vault.dir().display());
    let newest = snapshots.len() - 1;
    let chosen = snapshots.iter().rposition(|snapshot| !failed.contains(&snapshot.id)).context(
        "a drill found every snapshot of this vault wanting; name the one to restore all the same",
    )?;
    if chosen != newest {
        eprintln!("chartward: passing over {} newer snapshots that a drill found wanting", newest - chosen);
    }
    Ok(snapshots.swap_remove(chosen))
}

fn say_how_proven(vault: &Vault, snapshot: &Snapshot) -> anyhow::Result<()> {
    let proven = proof::proofs(vault)?.into_iter().rev().find(|proof| proof.snapshot == snapshot.id);
    match proven {
        Some(proof) if proof.passed => {
            eprintln!(
                "chartward: snapshot {} was proven by restoring it at {}",
                snapshot.id.short(),
                proof.proven_at
            );
        }
        Some(proof) => {
            eprintln!(
                "chartward: a drill found snapshot {} wanting at {}",
                snapshot.id.short(),
                proof.proven_at
            );
        }
        None => eprintln!("chartward: snapshot {} was never proven by a drill", snapshot.id.short()),
    }
    Ok(())
}
