//! A program whose output is backed up, such as a database's dump.

use std::ffi::OsString;
use std::io::{self, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use crate::Error;

/// The end of what it says about its troubles that is kept.
const MAX_WORDS: usize = 4096;
/// How long something that it left behind may hold its standard error open after it ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A running source command. It is killed when dropped before [`SourceCommand::finish`].
pub struct SourceCommand {
    name: String,
    child: Child,
    output: Option<ChildStdout>,
    words: Receiver<Vec<u8>>,
}

impl SourceCommand {
    /// Starts a program with its arguments, without a shell. Its standard input is empty.
    pub fn start(command: &[OsString]) -> Result<SourceCommand, Error> {
        let [program, arguments @ ..] = command else {
            return Err(Error::SourceNotStarted {
                command: String::new(),
                source: io::Error::new(io::ErrorKind::InvalidInput, "no command was named"),
            });
        };
        let name = program.to_string_lossy().into_owned();
        let spawned = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child =
            spawned.map_err(|source| Error::SourceNotStarted { command: name.clone(), source })?;
        let (send, words) = channel();
        let errors = child.stderr.take();
        // Read all the time, so that it never waits for a reader.
        thread::spawn(move || send.send(errors.map(tail).unwrap_or_default()));
        let output = child.stdout.take();
        Ok(SourceCommand { name, child, output, words })
    }

    /// What it prints.
    pub fn output(&mut self) -> impl Read + use<> {
        self.output
            .take()
            .map_or_else(|| Box::new(io::empty()) as Box<dyn Read + Send>, |output| Box::new(output))
    }

    /// Waits for its end. Anything but success is [`Error::SourceFailed`], with the end of what it said.
    pub fn finish(mut self) -> Result<(), Error> {
        // A program that writes on after its output was closed is told so.
        drop(self.output.take());
        let name = self.name.clone();
        let status =
            self.child.wait().map_err(|source| Error::SourceNotStarted { command: name.clone(), source })?;
        if status.success() {
            return Ok(());
        }
        let words = self.words.recv_timeout(LAST_WORDS).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).trim().to_owned();
        Err(Error::SourceFailed { command: name, status: status.to_string(), words })
    }
}

impl Drop for SourceCommand {
    fn drop(&mut self) {
        // One that has ended is not there to be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tail(mut errors: impl Read) -> Vec<u8> {
    let mut words = Vec::new();
    let mut block = [0; 4096];
    while let Ok(length @ 1..) = errors.read(&mut block) {
        words.extend_from_slice(&block[..length]);
        if words.len() > 2 * MAX_WORDS {
            words.drain(..words.len() - MAX_WORDS);
        }
    }
    words.split_off(words.len().saturating_sub(MAX_WORDS))
}
