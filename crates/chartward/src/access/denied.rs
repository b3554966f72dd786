use std::io;
use std::path::PathBuf;

use jiff::SignedDuration;
use schema::Lang;

/// Why something was not done, for the status of a web page and for the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// Name, password or one-time code is wrong, or the account cannot be used: one answer for all.
    Credentials,
    /// Too many tries; there is a time after which to try again.
    Limited,
    /// Nobody is logged in, or no longer.
    NoSession,
    /// The role does not include it.
    Role,
    /// The second factor has to be set up first.
    TotpNeeded,
    /// It has been too long since the password was typed.
    NotFresh,
    /// The request did not come from our own page.
    Csrf,
    /// What was given cannot be used; the text says how it has to be.
    Input,
    /// It would have left nobody who can administer the hub.
    LastAdmin,
    /// The state folder cannot be used just now.
    Broken,
}

impl Why {
    /// The HTTP status that says so.
    pub(crate) fn status(self) -> u16 {
        match self {
            Why::Credentials | Why::NoSession => 401,
            Why::Role | Why::TotpNeeded | Why::NotFresh | Why::Csrf => 403,
            Why::LastAdmin => 409,
            Why::Input => 422,
            Why::Limited => 429,
            Why::Broken => 500,
        }
    }
}

/// A refusal, in words that may be shown to whoever asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{en}")]
pub(crate) struct Denied {
    /// Which kind.
    pub(crate) why: Why,
    /// English: what, and what to do next.
    pub(crate) en: String,
    /// Japanese.
    pub(crate) ja: String,
    /// After which time it is worth trying again.
    pub(crate) retry_after: Option<SignedDuration>,
}

impl Denied {
    pub(crate) fn new(why: Why, en: impl Into<String>, ja: impl Into<String>) -> Self {
        Self { why, en: en.into(), ja: ja.into(), retry_after: None }
    }

    /// The text in one language.
    pub(crate) fn text(&self, lang: Lang) -> &str {
        lang.pick(&self.en, &self.ja)
    }

    /// The same words whatever was wrong, so that they say nothing about which accounts exist.
    pub(super) fn credentials() -> Self {
        Self::new(
            Why::Credentials,
            "the name, the password or the one-time code is wrong",
            "ユーザー名、パスワード、または確認コードが正しくありません。",
        )
    }

    pub(super) fn limited(wait: SignedDuration) -> Self {
        let seconds = wait.as_secs().max(1);
        let denied = Self::new(
            Why::Limited,
            format!("too many tries; try again in {seconds} seconds"),
            format!("試行回数が多すぎます。{seconds}秒後にもう一度お試しください。"),
        );
        Self { retry_after: Some(SignedDuration::from_secs(seconds)), ..denied }
    }

    pub(super) fn no_session() -> Self {
        Self::new(Why::NoSession, "log in first", "ログインしてください。")
    }

    pub(super) fn last_admin() -> Self {
        Self::new(
            Why::LastAdmin,
            "this is the last account that can administer the hub; make another administrator first",
            "管理できる最後のアカウントです。先に別の管理者を追加してください。",
        )
    }

    pub(super) fn no_such_user() -> Self {
        Self::new(Why::Input, "there is no such account", "そのアカウントはありません。")
    }
}

/// What went wrong below: files, the database, the machine.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The database.
    #[error("cannot use the accounts")]
    State(#[from] prove::Error),
    /// A file of the sealed store.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The key is there and is none.
    #[error("{} does not hold a sealing key: 32 bytes or 64 hexadecimal digits are expected", .0.display())]
    KeyMalformed(PathBuf),
    /// Others than the owner can read the key.
    #[error("{} can be read by others (mode {mode:03o}); run: chmod 600 {}", path.display(), path.display())]
    KeyOpenToOthers {
        /// The key.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// There are secrets and the key that sealed them is gone.
    #[error("the sealing key {} is missing while there are secrets sealed with it", .0.display())]
    KeyMissing(PathBuf),
    /// The secrets were sealed with another key.
    #[error("{} was sealed with another key", .0.display())]
    OtherKey(PathBuf),
    /// The file is not what was written.
    #[error("{} is damaged or was altered", .0.display())]
    Damaged(PathBuf),
    /// A name, a value or their number is beyond what the store takes.
    #[error("the secret cannot be stored: {0}")]
    Unfit(&'static str),
    /// The operating system gave no random bytes.
    #[error("cannot draw random bytes")]
    Random(#[source] getrandom::Error),
    /// A password's hash could not be computed.
    #[error("cannot hash a password: {0}")]
    Hash(String),
}

impl Error {
    pub(super) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }

    /// What an operator can do about it, where there is something.
    pub(crate) fn next_step(&self) -> Option<&'static str> {
        Some(match self {
            Error::KeyMissing(_) | Error::OtherKey(_) => {
                "put seal.key back from where it is kept (or name the credential chartward-seal again); without it \
                 move secrets.sealed aside, set the secrets again and reset the accounts' second factor"
            }
            Error::KeyMalformed(_) => "put the key back from where it is kept",
            Error::Damaged(_) => {
                "move secrets.sealed aside and set the secrets again with `chartward secret set`"
            }
            _ => return None,
        })
    }
}

impl From<Error> for Denied {
    fn from(error: Error) -> Self {
        // The chain is for the journal; who asks over the network learns only that it was not their fault.
        let mut chain = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(next) = cause {
            chain.push_str(": ");
            chain.push_str(&next.to_string());
            cause = next.source();
        }
        eprintln!("chartward: access: {}", crate::output::printable(&chain));
        Self::new(
            Why::Broken,
            "the hub cannot use its accounts just now; its journal says why",
            "ハブが現在アカウント情報を利用できません。原因はログをご確認ください。",
        )
    }
}

impl From<prove::Error> for Denied {
    fn from(error: prove::Error) -> Self {
        Error::from(error).into()
    }
}
