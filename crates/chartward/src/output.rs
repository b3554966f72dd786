//! Where words go: people's text and progress to stderr or a terminal, JSON lines to stdout.

use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

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
            Output::lines(&line)?;
        }
        Ok(())
    }

    /// Prints whole lines that were made before, as one write: a flush for each of ten thousand costs more than what is told.
    pub(crate) fn lines(lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        unless_closed(stdout.write_all(lines).and_then(|()| stdout.flush()))
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

/// What `chartward … | head -1` leaves behind is no failure of the command, whose exit status speaks of its work.
fn unless_closed(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Text of others, such as a file's name or an argument, as one line that cannot command a terminal: control characters
/// (ESC and line ends among them), line separators and overrides of the writing direction are escaped, all else is kept.
pub(crate) fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        if commands_a_terminal(char) {
            safe.extend(char.escape_default());
        } else {
            safe.push(char);
        }
    }
    safe
}

/// The same for text of several lines, whose line ends are ours.
pub(crate) fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// A path as a POSIX shell reads it back: plain where that is safe, else in single quotes. What would command a terminal, or is not
/// UTF-8, is written as bytes in `$'…'`, which bash, zsh, ksh and BusyBox read.
pub(crate) fn shell_quoted(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"@%+=:,./-_".contains(byte);
    match path.to_str() {
        Some(text) if !bytes.is_empty() && bytes.iter().all(is_plain) => text.to_owned(),
        Some(text) if !text.chars().any(commands_a_terminal) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => {
            let escaped = |&byte: &u8| match byte {
                b'\'' | b'\\' => format!("\\{}", char::from(byte)),
                b' '..=b'~' => char::from(byte).to_string(),
                _ => format!("\\x{byte:02x}"),
            };
            format!("$'{}'", bytes.iter().map(escaped).collect::<String>())
        }
    }
}

fn commands_a_terminal(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn a_shell_reads_a_quoted_path_as_it_was() {
        for path in [
            b"/srv/vault".as_slice(),
            "/mnt/バックアップ/vault".as_bytes(),
            b"/mnt/My Vault/it's $HOME `x`\\n",
            b"/mnt/\x1b[31m\nred'\\",
            b"/mnt/\xff0",
            b"",
        ] {
            let path = Path::new(OsStr::from_bytes(path));
            let quoted = shell_quoted(path);
            assert_eq!(printable(&quoted), quoted);
            let script = format!("printf %s {quoted}");
            let read = std::process::Command::new("bash").arg("-c").arg(script).output().unwrap().stdout;
            assert_eq!(read, path.as_os_str().as_bytes(), "{quoted}");
        }
        assert_eq!(shell_quoted(Path::new("/srv/vault-1_a.b")), "/srv/vault-1_a.b");
    }

    #[test]
    fn nothing_printable_commands_a_terminal() {
        for (text, expected) in [
            ("/srv/診療 記録/a b'\\c.txt", "/srv/診療 記録/a b'\\c.txt"),
            ("\u{1b}[31mred\u{7}", "\\u{1b}[31mred\\u{7}"),
            ("two\nlines\r\t", "two\\nlines\\r\\t"),
            ("\u{9b}2J\u{7f}", "\\u{9b}2J\\u{7f}"),
            ("gpj.\u{202e}exe\u{2066}\u{200f}\u{2028}", "gpj.\\u{202e}exe\\u{2066}\\u{200f}\\u{2028}"),
            ("ﾀﾅｶ が\u{3099} 👩\u{200d}⚕", "ﾀﾅｶ が\u{3099} 👩\u{200d}⚕"),
        ] {
            assert_eq!(printable(text), expected);
        }
    }
}
