//! Where words go: people's text and progress to stderr or a terminal, JSON lines to stdout.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

/// How a command talks: for people, or as one JSON object a line (`--json`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// Tables and sentences on stdout.
    People,
    /// JSON lines on stdout; people's text on stderr.
    Json,
}

impl Output {
    /// As the `--json` flag says.
    pub(crate) fn new(json: bool) -> Output {
        if json { Output::Json } else { Output::People }
    }

    /// Prints one JSON line, in JSON mode only. A reader that went away is no error.
    pub(crate) fn line(self, value: &impl Serialize) -> anyhow::Result<()> {
        if self == Output::Json {
            let mut line = serde_json::to_vec(value)?;
            line.push(b'\n');
            let mut stdout = io::stdout().lock();
            stdout.write_all(&line)?;
            stdout.flush()?;
        }
        Ok(())
    }

    /// Prints text for people: to stdout when they are the readers, else to stderr.
    pub(crate) fn say(self, text: impl std::fmt::Display) {
        // A closed pipe must not end a restore halfway, so the result is dropped on purpose.
        let _ = match self {
            Output::People => writeln!(io::stdout(), "{text}"),
            Output::Json => writeln!(io::stderr(), "{text}"),
        };
    }

    /// Whether progress bars can be drawn.
    pub(crate) fn draws_progress(self) -> bool {
        io::stderr().is_terminal()
    }
}
