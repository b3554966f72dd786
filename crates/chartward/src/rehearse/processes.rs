//! The processes of a rehearsal: the guard, the attacker, and what reads a chart with no network.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

/// This program, to be started again as another process.
pub(crate) fn this_program() -> anyhow::Result<std::path::PathBuf> {
    std::env::current_exe().context("cannot tell where this program's own file is")
}

/// Whether a process can be given a network of its own, without any interface.
pub(crate) fn can_unshare_network() -> bool {
    let tried = Command::new("unshare").args(["--net", "--", "true"]).stderr(Stdio::null()).status();
    tried.is_ok_and(|status| status.success())
}

/// A command for this program, in a network namespace without interfaces when `isolated`.
pub(crate) fn command(isolated: bool) -> anyhow::Result<Command> {
    let program = this_program()?;
    if !isolated {
        return Ok(Command::new(program));
    }
    let mut command = Command::new("unshare");
    command.args(["--net", "--"]).arg(program);
    Ok(command)
}

/// A watcher that prints JSON lines, read by a thread so that none is missed while other things happen.
pub(crate) struct Watcher {
    child: Child,
    lines: Receiver<Value>,
    /// Lines that were read while another was waited for.
    seen: Vec<Value>,
}

impl Watcher {
    /// Starts the guard on `store` and waits until it says that it protects; gives its first line as well. What it
    /// tells people goes into the file `log`.
    pub(crate) fn guard(
        store: &Path,
        guard_store: &Path,
        state: &Path,
        log: &Path,
    ) -> anyhow::Result<(Watcher, Value)> {
        let mut child = Command::new(this_program()?)
            .arg("guard")
            .arg(store)
            // A rehearsal that is killed must not leave a guard and its mount behind.
            .args(["--json", "--end-with-parent"])
            .arg("--store")
            .arg(guard_store)
            .arg("--state")
            .arg(state)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(log)?)
            .spawn()
            .context("the guard cannot be started")?;
        let stdout = child.stdout.take().context("the guard has no output")?;
        let mut watcher = Watcher { child, lines: json_lines(stdout), seen: Vec::new() };
        let ready = watcher
            .wait_for("ready", Duration::from_secs(300))?
            .with_context(|| format!("the guard ended before it was ready; see {}", log.display()))?;
        Ok((watcher, ready))
    }

    /// The next line of this type; `None` after `patience` or when the watcher has ended.
    pub(crate) fn wait_for(&mut self, kind: &str, patience: Duration) -> anyhow::Result<Option<Value>> {
        let deadline = Instant::now() + patience;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line["type"] == kind => return Ok(Some(line)),
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }

    /// Asks the watcher to end, waits until it has taken its marks and mounts away, and gives every line that
    /// nobody waited for.
    pub(crate) fn stop(mut self) -> anyhow::Result<Vec<Value>> {
        signal(&self.child, rustix::process::Signal::TERM)?;
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                self.child.kill()?;
                self.child.wait()?;
                bail!("the guard did not end within 30 seconds and was killed");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut lines = std::mem::take(&mut self.seen);
        lines.extend(self.lines.try_iter());
        Ok(lines)
    }
}

impl Drop for Watcher {
    /// An error on the way must not leave a guard behind that holds up the machine.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = signal(&self.child, rustix::process::Signal::TERM);
            std::thread::sleep(Duration::from_millis(500));
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The attacker's process; killed when dropped.
pub(crate) struct Attacker(pub(crate) Child);

impl Attacker {
    /// Ends it, frozen or not. SIGKILL reaches a stopped process.
    pub(crate) fn end(&mut self) -> anyhow::Result<ExitStatus> {
        if let Some(status) = self.0.try_wait()? {
            return Ok(status);
        }
        self.0.kill()?;
        self.0.wait().context("the attacker's process cannot be waited for")
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

fn signal(child: &Child, signal: rustix::process::Signal) -> anyhow::Result<()> {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).context("the guard cannot be signalled")
}

fn json_lines(stdout: ChildStdout) -> Receiver<Value> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Ok(value) = serde_json::from_str(&line)
                && sender.send(value).is_err()
            {
                return;
            }
        }
    });
    lines
}
