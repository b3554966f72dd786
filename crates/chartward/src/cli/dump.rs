//! `chartward dump SNAPSHOT PATH --vault DIR`.

use std::fs::OpenOptions;
use std::io::{BufWriter, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use recover::Error;
use recover::vault::Kind;

use super::lang::LangArgs;
use super::vault_args::VaultArgs;
use crate::output::printable;

/// Damaged files printed one by one.
const NAMED_MAX: usize = 50;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A snapshot's id or its first digits, or `latest`
    snapshot: String,
    /// A file, written as it is, or a folder, written as a tar archive
    path: PathBuf,
    #[command(flatten)]
    vault: VaultArgs,
    /// Write into this new file, which only its owner may read, rather than to the standard output
    #[arg(short, long, value_name = "FILE")]
    target: Option<PathBuf>,
    #[command(flatten)]
    lang: LangArgs,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let lang = args.lang.lang();
    let vault = args.vault.open()?;
    let snapshot = vault.find(&args.snapshot)?;
    let is_folder = vault.files(&snapshot).entry(&args.path)?.kind() == Kind::Dir;
    let mut out: Box<dyn Write> = match &args.target {
        Some(target) => {
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(target);
            let file = file.with_context(|| format!("cannot create {}", target.display()))?;
            Box::new(BufWriter::with_capacity(1 << 20, file))
        }
        None if is_folder && std::io::stdout().is_terminal() => {
            bail!(
                "a folder is written as a tar archive: send it into a program or a file, or name one with --target"
            )
        }
        None => Box::new(BufWriter::with_capacity(1 << 20, std::io::stdout().lock())),
    };
    match vault.dump(&snapshot, &args.path, &mut *out) {
        Ok(report) => {
            for lost in report.not_dumped.iter().take(NAMED_MAX) {
                let path = printable(&lost.path.to_string_lossy());
                eprintln!("chartward: {path}: {}", lost.cause);
            }
            if let Some(more) = report.not_dumped.len().checked_sub(NAMED_MAX).filter(|more| *more > 0) {
                eprintln!("chartward: {}", lang.pick(format!("and {more} more"), format!("ほか {more} 件")));
            }
            Ok(if report.not_dumped.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
        }
        // `dump … | head -1` got what it wanted.
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::BrokenPipe => {
            Ok(ExitCode::SUCCESS)
        }
        Err(error) if matches!(error, Error::UnusablePath { .. }) => Err(error.into()),
        Err(error) => {
            super::explain(&error.into());
            let text = lang.pick("what was written is not whole", "出力は途中までで、完全ではありません");
            eprintln!("chartward: {text}");
            Ok(ExitCode::from(1))
        }
    }
}
