//! The hub's own door: a socket in the state folder, for commands typed on this machine by root or the hub's own user.

use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, bail};
use crossbeam_channel::{Receiver, TryRecvError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::handle::{Answer, Command, Hub, Refusal};
use crate::wiring::control::{self, Control};

const NAME: &str = "hub.sock";
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Opening a vault and starting a viewer take their time.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is asked through the door.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Knock {
    command: Command,
    /// Who asks, for the ledger: the user that typed the command. The door lets only root and the hub's own user in, so a name
    /// that is not theirs is theirs to answer for.
    by: String,
}

/// What comes back.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reply {
    Answer(Answer),
    Refusal(Refusal),
}

fn path(folder: &Path) -> PathBuf {
    folder.join("control").join(NAME)
}

/// Serves the door until `end` is closed.
pub(super) fn serve(folder: &Path, hub: Hub, end: Receiver<()>) -> anyhow::Result<JoinHandle<()>> {
    let control = Control::<Knock>::serve(&path(folder))?;
    let serve = move || {
        while end.try_recv() == Err(TryRecvError::Empty) {
            let Some(asked) = control.next() else {
                thread::sleep(LOOK_AGAIN);
                continue;
            };
            let reply = match hub.ask(asked.request.command, &asked.request.by) {
                Ok(answer) => Reply::Answer(answer),
                Err(refusal) => Reply::Refusal(refusal),
            };
            let _ = asked.answer.send(serde_json::to_value(reply).unwrap_or_default());
        }
    };
    Ok(thread::Builder::new().name("door".into()).spawn(serve)?)
}

/// Asks the hub that runs on this state folder.
pub(crate) fn ask(folder: &Path, command: Command) -> anyhow::Result<Result<Answer, Refusal>> {
    let by =
        std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_else(|_| "root".to_owned());
    let knock = serde_json::to_value(Knock { command, by: format!("{by} (command line)") })?;
    let reply = control::ask(&path(folder), &knock, PATIENCE).with_context(|| {
        format!("no hub answers for the state folder {}; start it with `chartward up`, or name its folder with --state", folder.display())
    })?;
    match serde_json::from_value(reply.clone()) {
        Ok(Reply::Answer(answer)) => Ok(Ok(answer)),
        Ok(Reply::Refusal(refusal)) => Ok(Err(refusal)),
        Err(_) => bail!("the hub answered what this program does not know: {}", said(&reply)),
    }
}

fn said(reply: &Value) -> String {
    let text = reply["error"].as_str().map_or_else(|| reply.to_string(), str::to_owned);
    crate::output::printable(&text.chars().take(300).collect::<String>())
}
