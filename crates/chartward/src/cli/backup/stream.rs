//! `backup --stdin` and `backup --stdin-from-command -- COMMAND`.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use anyhow::bail;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use recover::Error;
use recover::capture::Captured;
use recover::stream::{StreamCapture, capture_stream};
use recover::vault::{SourceCommand, Vault};

use crate::cli::progress::Bar;
use crate::output::Output;

#[derive(Debug, clap::Args)]
pub(super) struct StreamArgs {
    /// Back up what comes on the standard input. Whether the program before the pipe failed cannot be seen: rather use --stdin-from-command
    #[arg(long, conflicts_with_all = ["sources", "stdin_from_command"])]
    stdin: bool,
    /// Back up what the command after `--` prints; if it fails, there is no snapshot
    #[arg(long)]
    stdin_from_command: bool,
    /// How the stream is called in the snapshot
    #[arg(long, value_name = "NAME", default_value = "stdin")]
    stdin_filename: PathBuf,
}

/// Where a stream comes from, and what it is called.
pub(super) struct Stream {
    command: Option<Vec<OsString>>,
    path: PathBuf,
}

impl StreamArgs {
    /// What is to be stored in place of folders, if it is a stream.
    pub(super) fn read(self, command: &[PathBuf]) -> anyhow::Result<Option<Stream>> {
        if !self.stdin && !self.stdin_from_command {
            return Ok(None);
        }
        let path = Path::new("/").join(&self.stdin_filename);
        let is_name = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::RootDir);
        if !path.components().all(is_name) || path.file_name().is_none() || path.starts_with("/.chartward") {
            bail!(
                "--stdin-filename {} is not a name for a file in the snapshot",
                self.stdin_filename.display()
            );
        }
        let command =
            self.stdin_from_command.then(|| command.iter().map(|word| word.clone().into()).collect());
        Ok(Some(Stream { command, path: path.components().collect() }))
    }
}

impl Stream {
    pub(super) fn capture(
        self,
        vault: &Vault,
        tags: Vec<String>,
        hostname: String,
        time: Option<Timestamp>,
        output: Output,
    ) -> Result<Captured, Error> {
        let request = StreamCapture { path: self.path, tags, hostname, zone: TimeZone::system(), time };
        let bar = Bar::new(output, "backing up");
        let progress = |progress| bar.engine(&progress);
        let now = &Timestamp::now;
        let captured = match self.command {
            Some(command) => {
                let mut command = SourceCommand::start(&command)?;
                let mut printed = command.output();
                capture_stream(vault, &request, &mut printed, || command.finish(), now, &progress)
            }
            None => capture_stream(vault, &request, &mut std::io::stdin().lock(), || Ok(()), now, &progress),
        }?;
        bar.finish();
        Ok(captured)
    }
}
