//! `chartward restore [SNAPSHOT] --vault DIR --target D [PATH…]`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use recover::proof;
use recover::vault::{Facet, Snapshot, Vault};
use schema::Lang;
use serde_json::json;

use super::lang::LangArgs;
use super::progress::Bar;
use super::vault_args::{VaultArgs, name_unreadable_snapshots};
use crate::output::{Output, printable};

/// Files printed one by one.
const NAMED_MAX: usize = 50;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A snapshot's id or its first digits, or `latest`; without it the newest proven one
    snapshot: Option<String>,
    /// Only these paths, as they were on the protected host
    paths: Vec<PathBuf>,
    #[command(flatten)]
    vault: VaultArgs,
    /// Folder to restore into; files that are there and differ are replaced, others are left alone
    #[arg(long, value_name = "DIR")]
    target: PathBuf,
    #[command(flatten)]
    lang: LangArgs,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.json);
    let lang = args.lang.lang();
    let vault = args.vault.open()?;
    let (snapshot, paths) = select(&vault, args.snapshot, args.paths)?;
    say_how_proven(&vault, &snapshot)?;
    let bar = Bar::new(output, "restoring");
    let said = vault.notes().len();
    let report = vault.restore(&snapshot, &args.target, &paths, &|progress| bar.engine(&progress))?;
    bar.finish();
    for (number, lost) in report.not_restored.iter().enumerate() {
        if number < NAMED_MAX {
            eprintln!("chartward: not restored: {}: {}", printable(&lost.path.to_string_lossy()), lost.cause);
        }
        output.line(
            &json!({ "type": "not_restored", "path": lost.path.to_string_lossy(), "cause": lost.cause }),
        )?;
    }
    for not_set in &report.metadata {
        let (what, first) = (facet(not_set.facet, lang), printable(&not_set.first.to_string_lossy()));
        let (paths, cause) = (not_set.paths, printable(&not_set.cause));
        eprintln!(
            "chartward: {}",
            lang.pick(
                format!("restored without {what}: {paths} paths, the first {first}: {cause}"),
                format!("{what}は戻せませんでした: {paths} 件(最初は {first}): {cause}"),
            )
        );
        output.line(&json!({
            "type": "not_set", "what": facet(not_set.facet, Lang::En), "paths": paths, "first": not_set.first.to_string_lossy(),
            "cause": not_set.cause,
        }))?;
    }
    // What was wrong on the way and made up for, such as an index that led to the wrong place.
    let notes = vault.notes().split_off(said);
    for note in notes.iter().take(NAMED_MAX) {
        eprintln!("chartward: {}", printable(note));
    }
    output.line(&json!({
        "type": "summary",
        "snapshot": snapshot.id,
        "made_up_for": notes.len(),
        "files": report.files,
        "bytes": report.bytes,
        "not_restored": report.not_restored.len(),
        "not_set": report.metadata.iter().map(|not_set| not_set.paths).sum::<u64>(),
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
    if report.not_restored.len() > NAMED_MAX {
        eprintln!("chartward: and {} more; --json names them all", report.not_restored.len() - NAMED_MAX);
    }
    let all_read = name_unreadable_snapshots(&vault)?;
    let whole = report.not_restored.is_empty() && report.metadata.is_empty();
    Ok(if whole && all_read { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// What could not be set, in words.
fn facet(facet: Facet, lang: Lang) -> &'static str {
    match facet {
        Facet::Owner => lang.pick("owner", "所有者"),
        Facet::Mode => lang.pick("permissions", "アクセス権"),
        Facet::AccessList => lang.pick("access lists", "アクセス制御リスト"),
        Facet::SystemAttribute => lang.pick("attributes of the system", "システムの拡張属性"),
        Facet::UserAttribute => lang.pick("attributes of users", "ユーザーの拡張属性"),
        Facet::Times => lang.pick("times", "日時"),
        Facet::Everything => lang.pick("owner, permissions and times", "所有者・アクセス権・日時"),
    }
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
            without_a_name(vault)?
        }
        Some(id) => vault.find(&id)?,
        None => without_a_name(vault)?,
    };
    Ok((snapshot, paths))
}

/// The newest proven snapshot: in an attack the newest of all may hold what was encrypted already. A vault in which
/// no drill ever passed gives the newest one that no drill found wanting.
fn without_a_name(vault: &Vault) -> anyhow::Result<Snapshot> {
    let snapshots = proof::data_snapshots(vault)?;
    ensure!(!snapshots.is_empty(), "the vault in {} holds no snapshot", vault.dir().display());
    let chosen = match proof::newest_proven(vault)? {
        Some(proof) => vault.find(&proof.snapshot.0)?,
        None => newest_not_failed(vault, &snapshots)?,
    };
    let of_this_job =
        |snapshot: &&Snapshot| snapshot.paths == chosen.paths && snapshot.hostname == chosen.hostname;
    let newer = snapshots.iter().filter(of_this_job).filter(|snapshot| snapshot.time > chosen.time).count();
    if newer > 0 {
        eprintln!(
            "chartward: passing over {newer} newer snapshots that no drill has proven; `latest` or an id restores them"
        );
    }
    for job in
        proof::jobs(vault)?.iter().filter(|job| job.paths != chosen.paths || job.hostname != chosen.hostname)
    {
        let label = printable(&job.label());
        eprintln!(
            "chartward: this vault also holds {label}, which is not restored now; name a snapshot of it"
        );
    }
    Ok(chosen)
}

fn newest_not_failed(vault: &Vault, snapshots: &[Snapshot]) -> anyhow::Result<Snapshot> {
    let proofs = proof::proofs(vault)?;
    let failed = |snapshot: &&Snapshot| proofs.iter().any(|proof| proof.snapshot == snapshot.id);
    let chosen = snapshots.iter().rev().find(|snapshot| !failed(snapshot));
    chosen
        .cloned()
        .context("a drill found every snapshot of this vault wanting; name the one to restore all the same")
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
