//! `chartward ls [SNAPSHOT] [PATH…] --vault DIR`.

use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use jiff::tz::TimeZone;
use recover::Error;
use recover::vault::{Entry, Kind, Snapshot, Vault};
use schema::Lang;
use serde_json::json;

use super::lang::LangArgs;
use super::look::{Unread, long_line, print};
use super::vault_args::VaultArgs;
use crate::output::printable;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A snapshot's id or its first digits; without it `latest`
    snapshot: Option<String>,
    /// Only these files, and these folders with what lies directly in them
    paths: Vec<PathBuf>,
    #[command(flatten)]
    vault: VaultArgs,
    /// Show kind, permissions, owner, size and time
    #[arg(short, long)]
    long: bool,
    /// Show all that lies below the folders that were named
    #[arg(short, long)]
    recursive: bool,
    #[command(flatten)]
    lang: LangArgs,
    /// Print JSON lines as restic does: the snapshot, then each entry
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(mut args: Args) -> anyhow::Result<ExitCode> {
    let lang = args.lang.lang();
    let vault = args.vault.open()?;
    // A first word that is a path and no id is the first of the paths.
    let wanted = match args.snapshot.take() {
        Some(path) if path.starts_with('/') => {
            args.paths.insert(0, path.into());
            "latest".to_owned()
        }
        wanted => wanted.unwrap_or_else(|| "latest".to_owned()),
    };
    let snapshot = vault.find(&wanted)?;
    let mut listing = Listing {
        vault: &vault,
        out: BufWriter::new(std::io::stdout().lock()),
        args: &args,
        lang,
        unread: Unread::default(),
        missing: false,
    };
    if listing.heading(&snapshot)? {
        listing.show(&snapshot)?;
    }
    listing.finish()
}

struct Listing<'l, W: Write> {
    vault: &'l Vault,
    out: W,
    args: &'l Args,
    lang: Lang,
    unread: Unread,
    missing: bool,
}

impl<W: Write> Listing<'_, W> {
    fn heading(&mut self, snapshot: &Snapshot) -> anyhow::Result<bool> {
        let (id, short) = (&snapshot.id, snapshot.id.short());
        if self.args.json {
            let line = json!({
                "time": snapshot.time, "tree": snapshot.tree, "paths": snapshot.paths, "hostname": snapshot.hostname,
                "username": snapshot.username, "tags": snapshot.tags, "id": id, "short_id": short,
                "struct_type": "snapshot", "message_type": "snapshot",
            });
            return print(&mut self.out, &serde_json::to_vec(&line)?);
        }
        let time = snapshot.time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S");
        let host = printable(&snapshot.hostname);
        eprintln!(
            "{}",
            self.lang.pick(
                format!("Snapshot {short} of {host}, captured {time}:"),
                format!("スナップショット {short}({host}、{time} 取得):"),
            )
        );
        Ok(true)
    }

    fn show(&mut self, snapshot: &Snapshot) -> anyhow::Result<()> {
        let files = self.vault.files(snapshot);
        if self.args.paths.is_empty() {
            self.below(&files.entry("/".as_ref())?, true)?;
            return Ok(());
        }
        for path in &self.args.paths {
            match files.entry(path) {
                Ok(entry) => {
                    let is_top = entry.path.as_os_str() == "/";
                    if !is_top && !self.line(&entry)? || !self.below(&entry, self.args.recursive)? {
                        return Ok(());
                    }
                }
                Err(error @ Error::PathNotFound { .. }) => {
                    self.missing = true;
                    eprintln!("chartward: {}", printable(&error.to_string()));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// What lies below a folder; `false` when nobody reads any more.
    fn below(&mut self, entry: &Entry, all: bool) -> anyhow::Result<bool> {
        let mut walk = self.vault.walk(entry);
        while let Some(next) = walk.next() {
            match next {
                Ok(entry) => {
                    if entry.kind() == Kind::Dir && !all {
                        walk.pass_over();
                    }
                    if !self.line(&entry)? {
                        return Ok(false);
                    }
                }
                Err(unlisted) => self.unread.name(&unlisted, self.lang),
            }
        }
        Ok(true)
    }

    fn line(&mut self, entry: &Entry) -> anyhow::Result<bool> {
        if self.args.json {
            return print(&mut self.out, &serde_json::to_vec(&entry.listed())?);
        }
        let line = if self.args.long { long_line(entry) } else { printable(&entry.path.to_string_lossy()) };
        print(&mut self.out, line.as_bytes())
    }

    fn finish(mut self) -> anyhow::Result<ExitCode> {
        match self.out.flush() {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(error.into()),
            _ => {}
        }
        let whole = self.unread.finish(self.lang) && !self.missing;
        Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}
