//! `chartward snapshots --vault DIR`.

use std::process::ExitCode;

use comfy_table::{Table, presets};
use recover::vault::{Snapshot, Vault};
use recover::{manifest, proof};
use schema::{Manifest, Proof};
use serde_json::json;

use super::vault_args::{VaultArgs, name_unreadable_snapshots};
use crate::output::{Output, printable};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    vault: VaultArgs,
    /// Name every file that is not in its snapshot as it should be
    #[arg(long)]
    exceptions: bool,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.json);
    let vault = args.vault.open()?;
    let proofs = proof::proofs(&vault)?;
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["id", "captured", "host", "paths", "files", "patients", "exceptions", "proven"]);
    let snapshots = proof::data_snapshots(&vault)?;
    for snapshot in &snapshots {
        let row = Row::read(&vault, snapshot, &proofs)?;
        output.line(&row.json(args.exceptions))?;
        table.add_row(row.cells());
        if args.exceptions && output == Output::People {
            row.say_exceptions(output);
        }
    }
    if output == Output::People {
        output.say(table);
        output.say(format_args!("{} snapshots in {}", snapshots.len(), args.vault.dir().display()));
    }
    let all_read = name_unreadable_snapshots(&vault)?;
    Ok(if all_read { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

struct Row<'s> {
    snapshot: &'s Snapshot,
    manifest: Option<Manifest>,
    proof: Option<&'s Proof>,
}

impl<'s> Row<'s> {
    fn read(vault: &Vault, snapshot: &'s Snapshot, proofs: &'s [Proof]) -> anyhow::Result<Row<'s>> {
        let last = proofs.iter().rev().find(|proof| proof.snapshot == snapshot.id);
        let proof = proof::standing(&snapshot.id, proofs).or(last);
        Ok(Row { snapshot, manifest: manifest::read(vault, snapshot)?, proof })
    }

    fn cells(&self) -> [String; 8] {
        let of_manifest = |count: fn(&Manifest) -> u64| {
            self.manifest.as_ref().map_or_else(|| "?".to_owned(), |manifest| count(manifest).to_string())
        };
        let proven = match self.proof {
            Some(proof) if proof.proves_all() => proof.proven_at.to_string(),
            Some(proof) if proof.passed => "sample".to_owned(),
            Some(_) => "FAILED".to_owned(),
            None => "no".to_owned(),
        };
        [
            self.snapshot.id.short().to_owned(),
            self.snapshot.time.to_string(),
            self.snapshot.hostname.clone(),
            self.snapshot.paths.iter().map(|path| printable(path)).collect::<Vec<_>>().join("\n"),
            of_manifest(|manifest| manifest.census.files),
            of_manifest(|manifest| manifest.census.patients()),
            of_manifest(|manifest| manifest.exceptions.len() as u64),
            proven,
        ]
    }

    fn json(&self, with_exceptions: bool) -> serde_json::Value {
        let exceptions = self.manifest.as_ref().map(|manifest| &manifest.exceptions);
        let mut line = json!({
            "type": "snapshot",
            "id": self.snapshot.id,
            "short_id": self.snapshot.id.short(),
            "time": self.snapshot.time,
            "hostname": self.snapshot.hostname,
            "paths": self.snapshot.paths,
            "tags": self.snapshot.tags,
            "census": self.manifest.as_ref().map(|manifest| &manifest.census),
            "exceptions": exceptions.map(Vec::len),
            "passed": self.proof.map(|proof| proof.passed),
            "coverage": self.proof.and_then(|proof| proof.evidence.coverage.as_ref()),
            "proven_at": self.proof.filter(|proof| proof.proves_all()).map(|proof| proof.proven_at),
        });
        if with_exceptions {
            line["named"] = json!(exceptions);
        }
        line
    }

    fn say_exceptions(&self, output: Output) {
        for exception in self.manifest.iter().flat_map(|manifest| &manifest.exceptions) {
            let id = self.snapshot.id.short();
            output.say(format_args!(
                "{id}: {:?}: {}: {}",
                exception.kind,
                printable(&exception.path),
                printable(&exception.cause)
            ));
        }
    }
}
