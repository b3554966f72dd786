//! One mail taken apart, its files looked at, the scanner asked, and all of it weighed: the same for the gateway and for `scan mail`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context;
use decode::attachment::{self, Look, passwords_in};
use decode::mail::{Address, Message};
use judge::lookalike::Brands;
use judge::mail::{Given, MailJudge, MailPolicy, Trusted, Weights, trusted_authentication};
use observe::mail::clamd::{Clamd, Endpoint, Scan};
use schema::{Authentication, MailJudgement};

/// Passwords out of a mail's text that are tried on what it carries.
const PASSWORDS_MAX: usize = 16;
/// Unpacked bytes of one attachment.
const UNPACKED_MAX: u64 = 32 << 20;

/// What an operator may give beside what comes with the program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Means {
    /// Further protected brands: the hospital itself, its vendors.
    pub(crate) brands: Option<PathBuf>,
    pub(crate) weights: Option<PathBuf>,
    /// Reasons raised, lowered or silenced, senders allowed.
    pub(crate) policy: Option<PathBuf>,
    /// Servers whose Authentication-Results are believed where nobody measured here.
    pub(crate) trusted: Vec<String>,
    pub(crate) clamd: Option<Endpoint>,
    /// Bytes of a mail that are read.
    pub(crate) bytes_max: usize,
}

/// Everything that a mail is judged with.
#[derive(Debug)]
pub(crate) struct Examiner {
    judge: RwLock<Arc<MailJudge>>,
    /// The file of the policy, to be read again.
    policy: Option<PathBuf>,
    trusted: Trusted,
    limits: decode::mail::Limits,
    files: attachment::Limits,
    clamd: Option<Clamd>,
}

/// What came of one mail.
#[derive(Debug)]
pub(crate) struct Examined {
    pub(crate) judgement: MailJudgement,
    pub(crate) message: Message,
    /// Of each of its parts.
    pub(crate) looks: Vec<Look>,
    /// Why clamd could not be asked; the judgement is without it then.
    pub(crate) unscanned: Option<observe::Error>,
}

impl Examiner {
    pub(crate) fn new(means: &Means) -> anyhow::Result<Self> {
        let text =
            |path: &Path| fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
        let in_file = |path: &Path| format!("cannot use {}", path.display());
        let mut brands = Brands::builtin();
        if let Some(path) = &means.brands {
            brands = brands.join(Brands::parse(&text(path)?).with_context(|| in_file(path))?);
        }
        let weights = match &means.weights {
            Some(path) => Weights::parse(&text(path)?).with_context(|| in_file(path))?,
            None => Weights::builtin()?,
        };
        let policy = match &means.policy {
            Some(path) => MailPolicy::parse(&text(path)?).with_context(|| in_file(path))?,
            None => MailPolicy::default(),
        };
        let clamd = means.clamd.clone().map(Clamd::new);
        if let Some(clamd) = &clamd {
            clamd.ping()?;
        }
        Ok(Self {
            judge: RwLock::new(Arc::new(MailJudge::new(&brands, weights, policy)?)),
            policy: means.policy.clone(),
            trusted: Trusted::new(means.trusted.iter().cloned()),
            limits: decode::mail::Limits { bytes: means.bytes_max, ..decode::mail::Limits::default() },
            files: attachment::Limits { bytes: UNPACKED_MAX, ..attachment::Limits::default() },
            clamd,
        })
    }

    /// Weighs by this policy from the next mail on, or by what its file says now. One that cannot be used changes nothing. How many entries
    /// it has.
    pub(crate) fn reload(&self, text: Option<&str>) -> anyhow::Result<usize> {
        let policy = match (text, &self.policy) {
            (Some(text), _) => MailPolicy::parse(text)?,
            (None, Some(path)) => {
                let text =
                    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
                MailPolicy::parse(&text).with_context(|| format!("cannot use {}", path.display()))?
            }
            (None, None) => MailPolicy::default(),
        };
        let entries = policy.reasons.len() + policy.allow.len();
        let mut judge = self.judge.write().unwrap_or_else(PoisonError::into_inner);
        *judge = Arc::new(judge.with_policy(policy));
        Ok(entries)
    }

    /// What `bytes` are, with what was `measured` here of where they come from and the envelope's `sender`, where there is one.
    pub(crate) fn examine(
        &self,
        bytes: &[u8],
        measured: Option<&Authentication>,
        sender: Option<&str>,
    ) -> Examined {
        let mut message = decode::mail::read(bytes, &self.limits);
        if let Some(address) = sender {
            message.return_path = Some(Address { name: String::new(), address: address.to_owned() });
        }
        let told = if measured.is_none() { trusted_authentication(&message, &self.trusted) } else { None };
        let looks = looks(&message, &self.files);
        // The mail as a whole: clamd takes it apart in its own way.
        let (signatures, unscanned) = match self.clamd.as_ref().map(|clamd| clamd.scan(bytes)) {
            Some(Ok(Scan::Found(name))) => (vec![name], None),
            Some(Ok(Scan::Clean | Scan::TooLarge)) | None => (Vec::new(), None),
            Some(Err(error)) => (Vec::new(), Some(error)),
        };
        let given = Given {
            message: &message,
            authentication: measured.or(told.as_ref()),
            looks: &looks,
            signatures: &signatures,
        };
        let judge = Arc::clone(&self.judge.read().unwrap_or_else(PoisonError::into_inner));
        let judgement = judge.judge(&given);
        Examined { judgement, message, looks, unscanned }
    }
}

fn looks(message: &Message, limits: &attachment::Limits) -> Vec<Look> {
    if message.parts.is_empty() {
        return Vec::new();
    }
    let texts = std::iter::once(message.subject.as_str())
        .chain(message.bodies.iter().map(|body| body.visible.as_str()));
    let mut passwords: Vec<String> = texts.flat_map(passwords_in).collect();
    passwords.truncate(PASSWORDS_MAX);
    let passwords: Vec<&str> = passwords.iter().map(String::as_str).collect();
    message.parts.iter().map(|part| attachment::look(&part.name, &part.bytes, limits, &passwords)).collect()
}
