//! Running a program with a text, a time and a bound on what it answers.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

const ANSWER_MAX: u64 = 64 * 1024 * 1024;
const SHOWN_MAX: usize = 600;
/// What the program's own children may still hold open after it ended, such as the shared connection of ssh.
const GRACE: Duration = Duration::from_secs(2);

/// What a program answered.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) is_success: bool,
    pub(super) stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Output {
    /// Its first words about what went wrong.
    pub(super) fn answer(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr);
        text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN_MAX).collect()
    }
}

/// Runs `command` with `arguments`, gives it `input` and waits at most `timeout`; then it is killed.
pub(super) fn run(
    command: &[String],
    arguments: &[&str],
    input: &str,
    timeout: Duration,
) -> io::Result<Output> {
    let (program, first) = command.split_first().ok_or_else(|| io::Error::other("no program is named"))?;
    let mut child = Command::new(program)
        .args(first)
        .args(arguments)
        // Hours in rules are converted by the program, in its own time zone.
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let (stdin, input) = (child.stdin.take(), input.to_owned());
    // On a thread, since a program that does not read would hold us up longer than the timeout. Its error is the program's to
    // tell: a program that ended early says why.
    thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(input.as_bytes())));
    if !ends_within(&child, timeout)? {
        child.kill()?;
        child.wait()?;
        return Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no end within {} s", timeout.as_secs_f64()),
        ));
    }
    let status = child.wait()?;
    Ok(Output {
        is_success: status.success(),
        stdout: stdout.recv_timeout(GRACE).unwrap_or_default(),
        stderr: stderr.recv_timeout(GRACE).unwrap_or_default(),
    })
}

/// Runs a program where `command` runs `nft`: in its namespace, or beyond its ssh.
pub(super) fn beside(command: &[String], words: &[&str], timeout: Duration) -> io::Result<Output> {
    let before = match command.split_last() {
        Some((last, before)) if is_nft(last) => before,
        _ => &[],
    };
    let command: Vec<String> =
        before.iter().cloned().chain(words.iter().map(|word| (*word).to_owned())).collect();
    run(&command, &[], "", timeout)
}

/// Whether a word names the packet filter's program, by whatever path.
pub(super) fn is_nft(word: &str) -> bool {
    Path::new(word).file_name().is_some_and(|name| name == "nft")
}

fn ends_within(child: &Child, timeout: Duration) -> io::Result<bool> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::NotFound)?;
    let descriptor = pidfd_open(pid, PidfdFlags::empty())?;
    let timeout = timeout.try_into().map_err(io::Error::other)?;
    let mut polled = [PollFd::new(&descriptor, PollFlags::IN)];
    loop {
        match poll(&mut polled, Some(&timeout)) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn collect(from: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (send, receive) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(from) = from {
            let _ = from.take(ANSWER_MAX).read_to_end(&mut bytes);
        }
        let _ = send.send(bytes);
    });
    receive
}
