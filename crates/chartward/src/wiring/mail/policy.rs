//! What becomes of a mail by its verdict.

use std::str::FromStr;

use schema::MailVerdict;
use serde::{Deserialize, Serialize};

/// What is done with a mail, mildest first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    /// Nothing; it is only told.
    #[default]
    Watch,
    /// It goes on with fields in its header, and a banner and a word before its subject if they are wished for.
    Tag,
    /// It is held back here; its sender believes it delivered.
    Quarantine,
    /// It is refused; its sender learns it.
    Reject,
}

impl Action {
    pub(crate) const NAMES: [&str; 4] = ["watch", "tag", "quarantine", "reject"];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Action::Watch => "watch",
            Action::Tag => "tag",
            Action::Quarantine => "quarantine",
            Action::Reject => "reject",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Action::Watch, Action::Tag, Action::Quarantine, Action::Reject]
            .into_iter()
            .find(|it| it.name() == name)
    }
}

/// What is done with a mail that could not be judged because something here failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnFailure {
    /// It goes on (fail open).
    #[default]
    Accept,
    /// Its sender is asked to try later (fail closed).
    Tempfail,
}

impl OnFailure {
    pub(crate) fn name(self) -> &'static str {
        match self {
            OnFailure::Accept => "accept",
            OnFailure::Tempfail => "tempfail",
        }
    }
}

/// The action for each verdict; a clean mail goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Policy {
    pub(crate) unreadable: Action,
    pub(crate) suspicious: Action,
    pub(crate) phishing: Action,
    pub(crate) malicious: Action,
}

impl Policy {
    pub(crate) fn of(&self, verdict: MailVerdict) -> Action {
        match verdict {
            MailVerdict::Clean => Action::Watch,
            MailVerdict::Unreadable => self.unreadable,
            MailVerdict::Suspicious => self.suspicious,
            MailVerdict::Phishing => self.phishing,
            MailVerdict::Malicious => self.malicious,
        }
    }

    /// Whether it does anything at all.
    pub(crate) fn is_armed(&self) -> bool {
        self.all().into_iter().any(|(_, action)| action != Action::Watch)
    }

    pub(crate) fn all(&self) -> [(&'static str, Action); 4] {
        [
            ("unreadable", self.unreadable),
            ("suspicious", self.suspicious),
            ("phishing", self.phishing),
            ("malicious", self.malicious),
        ]
    }

    /// The same with one word of the command line carried out.
    pub(crate) fn with(mut self, word: Word) -> Self {
        let Word { verdict, action } = word;
        let each = [
            (MailVerdict::Unreadable, &mut self.unreadable),
            (MailVerdict::Suspicious, &mut self.suspicious),
            (MailVerdict::Phishing, &mut self.phishing),
            (MailVerdict::Malicious, &mut self.malicious),
        ];
        for (it, place) in each {
            if verdict.is_none_or(|verdict| verdict == it) {
                *place = action;
            }
        }
        self
    }
}

/// `phishing=quarantine`, or `watch` for every verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word {
    verdict: Option<MailVerdict>,
    action: Action,
}

impl FromStr for Word {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (verdict, action) = match text.split_once('=') {
            None => (None, text),
            Some((verdict, action)) => (Some(verdict), action),
        };
        let verdict = match verdict {
            None => None,
            Some("unreadable") => Some(MailVerdict::Unreadable),
            Some("suspicious") => Some(MailVerdict::Suspicious),
            Some("phishing") => Some(MailVerdict::Phishing),
            Some("malicious") => Some(MailVerdict::Malicious),
            Some(other) => {
                return Err(format!("{other} is none of unreadable, suspicious, phishing and malicious"));
            }
        };
        let wrong = || format!("{action} is none of {}", Action::NAMES.join(", "));
        Ok(Self { verdict, action: Action::from_name(action).ok_or_else(wrong)? })
    }
}

/// A verdict as it stands in headers, lines and the configuration.
pub(super) fn verdict_name(verdict: MailVerdict) -> &'static str {
    match verdict {
        MailVerdict::Clean => "clean",
        MailVerdict::Unreadable => "unreadable",
        MailVerdict::Suspicious => "suspicious",
        MailVerdict::Phishing => "phishing",
        MailVerdict::Malicious => "malicious",
    }
}

#[cfg(test)]
mod word_tests {
    use super::*;

    #[test]
    fn words_of_the_command_line_add_up() {
        let policy = |words: &[&str]| {
            words
                .iter()
                .try_fold(Policy::default(), |policy, word| Ok::<_, String>(policy.with(word.parse()?)))
        };
        let both = policy(&["tag", "phishing=quarantine", "malicious=reject"]).unwrap();
        assert_eq!(both.all().map(|(_, action)| action.name()), ["tag", "tag", "quarantine", "reject"]);
        assert!(both.is_armed() && !policy(&["tag", "watch"]).unwrap().is_armed());
        assert_eq!(both.of(MailVerdict::Clean), Action::Watch);
        for wrong in ["", "clean=tag", "phishing=", "phishing=block", "=tag"] {
            assert!(policy(&[wrong]).is_err(), "{wrong}");
        }
    }
}
