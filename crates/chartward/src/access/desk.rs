//! Errands about accounts, tokens and secrets, from the machine itself: done by the hub while one runs, since one process holds
//! the state folder, and by the command line where none does.

use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use jiff::{SignedDuration, Timestamp};
use prove::state::accounts::TokenRow;
use schema::Lang;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Access, Account, Code, Denied, Role, Secret, Who};
use crate::wiring::control::{self, Control};

const LOOK_AGAIN: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(30);

/// What is asked at the desk.
#[derive(Serialize, Deserialize)]
#[serde(tag = "errand", rename_all = "snake_case")]
pub(crate) enum Errand {
    Users,
    AddUser { name: String, role: Role, lang: Lang },
    ResetUser { name: String },
    DisableUser { name: String },
    EnableUser { name: String },
    SetRole { name: String, role: Role },
    Tokens,
    MakeToken { name: String, role: Role, days: i64 },
    RevokeToken { id: i64 },
    Secrets,
    SetSecret { name: String, value: String },
    RemoveSecret { name: String },
}

/// What came of it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ran {
    Users(Vec<Account>),
    /// A code, shown once.
    Code {
        text: String,
        expires_at: Timestamp,
    },
    Tokens(Vec<TokenRow>),
    /// A token, shown once.
    Token {
        text: String,
        expires_at: Timestamp,
    },
    Secrets(Vec<String>),
    Done,
    /// English and Japanese.
    Refused {
        en: String,
        ja: String,
    },
}

/// Runs an errand as whoever may write into the state folder.
pub(crate) fn run(access: &Access, errand: Errand, now: Timestamp) -> Ran {
    let denied = |denied: Denied| Ran::Refused { en: denied.en, ja: denied.ja };
    perform(access, errand, now).unwrap_or_else(denied)
}

fn perform(access: &Access, errand: Errand, now: Timestamp) -> Result<Ran, Denied> {
    let who = Who::local();
    let code = |code: Code| Ran::Code { text: code.code.text().to_owned(), expires_at: code.expires_at };
    Ok(match errand {
        Errand::Users => Ran::Users(access.users(&who, now)?),
        Errand::AddUser { name, role, lang } => code(access.add_user(&who, &name, role, lang, now)?),
        Errand::ResetUser { name } => code(access.reset(&who, &name, now)?),
        Errand::DisableUser { name } => done(access.disable(&who, &name, now)?),
        Errand::EnableUser { name } => done(access.enable(&who, &name, now)?),
        Errand::SetRole { name, role } => done(access.set_role(&who, &name, role, now)?),
        Errand::Tokens => Ran::Tokens(access.tokens(&who)?),
        Errand::MakeToken { name, role, days } => {
            let lasts = SignedDuration::from_hours(days.clamp(1, 366) * 24);
            let token = access.make_token(&who, &name, role, lasts, now)?;
            Ran::Token { text: token.text.text().to_owned(), expires_at: token.expires_at }
        }
        Errand::RevokeToken { id } => done(access.revoke_token(&who, id, now)?),
        Errand::Secrets => Ran::Secrets(access.secrets(&who, now)?),
        Errand::SetSecret { name, value } => done(access.set_secret(&who, &name, Secret::new(value), now)?),
        Errand::RemoveSecret { name } => done(access.remove_secret(&who, &name, now)?),
    })
}

fn done((): ()) -> Ran {
    Ran::Done
}

fn path(folder: &Path) -> PathBuf {
    folder.join("control").join("access.sock")
}

/// The desk of a running hub; dropped, it closes.
pub(crate) struct Desk {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Desk {
    /// Opens it to root and the hub's own user.
    pub(crate) fn open(folder: &Path, access: Access) -> anyhow::Result<Self> {
        let control = Control::<Errand>::serve(&path(folder))?;
        let (end, ended) = bounded(0);
        let thread =
            thread::Builder::new().name("desk".into()).spawn(move || attend(&control, &access, &ended))?;
        Ok(Self { end: Some(end), thread: Some(thread) })
    }
}

fn attend(control: &Control<Errand>, access: &Access, ended: &Receiver<()>) {
    while ended.try_recv() == Err(TryRecvError::Empty) {
        let Some(asked) = control.next() else {
            thread::sleep(LOOK_AGAIN);
            continue;
        };
        let ran = run(access, asked.request, Timestamp::now());
        let _ = asked.answer.send(serde_json::to_value(ran).unwrap_or_default());
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Asks the desk of the hub that runs on this state folder; the errand comes back when none does.
pub(crate) fn ask(folder: &Path, errand: Errand) -> anyhow::Result<Result<Ran, Errand>> {
    let path = path(folder);
    // A socket that nobody serves any more refuses the connection: then there is no hub, and a new one replaces it.
    if std::os::unix::net::UnixStream::connect(&path).is_err() {
        return Ok(Err(errand));
    }
    let reply: Value = control::ask(&path, &serde_json::to_value(&errand)?, PATIENCE)?;
    Ok(Ok(serde_json::from_value(reply)?))
}
