//! The processes of a rehearsal: the attacker, and what reads a chart with no network.

use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::Context;

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
