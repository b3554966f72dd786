//! How the gateway stands, for whoever asks over its control socket.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use jiff::Timestamp;
use schema::MailVerdict;
use serde::Deserialize;
use serde_json::{Value, json};

use super::policy::{Action, verdict_name};
use super::{Reload, Settings};
use crate::wiring::control::{Asked, Control, done, refused};

/// What may be asked of it. What becomes of mail stands in the configuration, so there is nothing to arm.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Request {
    /// How does it stand?
    Health,
    /// Weigh by this policy, or by what its file says now.
    Reload {
        #[serde(default)]
        policy: Option<String>,
    },
}

/// Counters since the start.
#[derive(Debug)]
pub(super) struct Standing {
    since: Timestamp,
    listen: String,
    armed: bool,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    verdicts: [u64; 5],
    actions: [u64; 4],
    last: Option<Timestamp>,
}

const VERDICTS: [MailVerdict; 5] = [
    MailVerdict::Clean,
    MailVerdict::Unreadable,
    MailVerdict::Suspicious,
    MailVerdict::Phishing,
    MailVerdict::Malicious,
];

impl Standing {
    pub(super) fn new(settings: &Settings, now: Timestamp) -> Self {
        let armed = settings.policy.is_armed();
        Self { since: now, listen: settings.listen.to_string(), armed, counted: Mutex::default() }
    }

    pub(super) fn count(&self, verdict: MailVerdict, action: Action) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let places = [VERDICTS.iter().position(|it| *it == verdict), Some(action as usize)];
        if let [Some(verdict), Some(action)] = places {
            counted.verdicts.iter_mut().skip(verdict).take(1).for_each(|count| *count += 1);
            counted.actions.iter_mut().skip(action).take(1).for_each(|count| *count += 1);
        }
        counted.last = Some(Timestamp::now());
    }

    /// Answers on a thread of its own; without a socket nowhere.
    pub(super) fn serve(self: &Arc<Self>, path: Option<&Path>, reload: Reload) -> anyhow::Result<()> {
        let Some(path) = path else { return Ok(()) };
        let control = Control::<Request>::serve(path)?;
        let standing = Arc::clone(self);
        let answer = move || {
            while let Some(Asked { request, answer }) = control.wait() {
                let _ = answer.send(match request {
                    Request::Health => standing.health(),
                    Request::Reload { policy } => match reload(policy.as_deref()) {
                        Ok(entries) => done(json!({"entries": entries})),
                        Err(error) => refused(&format!("{error:#}")),
                    },
                });
            }
        };
        let thread = std::thread::Builder::new().name("health".into()).spawn(answer);
        thread.map(|_| ()).context("start a thread for the control socket")
    }

    fn health(&self) -> Value {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let verdicts = VERDICTS.iter().zip(counted.verdicts);
        let verdicts: serde_json::Map<String, Value> =
            verdicts.map(|(verdict, count)| (verdict_name(*verdict).to_owned(), count.into())).collect();
        let actions: serde_json::Map<String, Value> = Action::NAMES
            .iter()
            .zip(counted.actions)
            .map(|(name, count)| ((*name).to_owned(), count.into()))
            .collect();
        done(json!({
            "mode": "milter",
            "armed": self.armed,
            "listen": self.listen,
            "since": self.since,
            "last_mail_at": counted.last,
            "verdicts": verdicts,
            "actions": actions,
        }))
    }
}
