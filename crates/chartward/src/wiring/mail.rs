//! The mail gateway: observe asks who sent a mail and speaks with the mail server, judge weighs, and the policy says what becomes of it.

mod decide;
mod examiner;
pub(crate) mod policy;
pub(crate) mod release;
mod report;
mod standing;
#[cfg(test)]
mod tests;
pub(crate) mod training;
pub(crate) mod weighing;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context;
use ipnet::IpNet;
use jiff::Timestamp;
use observe::mail::authentication::{Authenticator, Origin};
use observe::mail::dns::Dns;
use observe::mail::milter::{Bounds, Envelope, Handler, Listen, Mail, Server};
use observe::mail::quarantine::{Keeping, Store};
use schema::{Authentication, MailJudgement, MailVerdict};

use decide::Gate;
pub(crate) use examiner::{Examined, Examiner, Means};
use policy::{OnFailure, Policy};
pub(crate) use report::{Report, as_json, words};
use standing::Standing;

/// How long name servers may take for one mail; the mail server's own patience is ten times that.
const NAMES_WITHIN: Duration = Duration::from_secs(15);
/// How often what is too old is looked for.
const EXPIRE_EVERY: Duration = Duration::from_secs(3600);

/// What the operator chose.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) listen: Listen,
    pub(crate) policy: Policy,
    pub(crate) on_failure: OnFailure,
    /// `None`: nobody is asked about senders.
    pub(crate) dns: Option<Dns>,
    /// Machines that pass on others' mail: their address says nothing about its sender.
    pub(crate) relays: Vec<IpNet>,
    pub(crate) quarantine: PathBuf,
    pub(crate) keeping: Keeping,
    /// Whether mails that are tagged get a warning at their top.
    pub(crate) banner: bool,
    /// Before the subject of mails that are tagged; empty for none.
    pub(crate) subject_prefix: String,
    /// Whom a sender whose mail is rejected may call; empty for nobody.
    pub(crate) contact: String,
    pub(crate) bounds: Bounds,
    /// Where it answers whoever asks how it stands; `None`: nowhere.
    pub(crate) control: Option<PathBuf>,
}

/// What a mail is, and what of it a finding names.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    pub(crate) judgement: MailJudgement,
    /// SHA-256 of what it carries, in hexadecimal digits.
    pub(crate) attachments: Vec<String>,
    /// Decoded; only the quarantine learns it.
    pub(crate) subject: String,
}

/// Weighs one mail; an error where it could not be examined.
pub(crate) type Weigh =
    Box<dyn Fn(&[u8], &Envelope, &Authentication) -> anyhow::Result<Judged> + Send + Sync>;

/// Takes another policy, or reads its file again. How many entries it has.
pub(crate) type Reload = Box<dyn Fn(Option<&str>) -> anyhow::Result<usize> + Send + Sync>;

/// What the gateway goes by.
pub(crate) struct Judge {
    pub(crate) weigh: Weigh,
    pub(crate) reload: Reload,
}

/// Takes what it has to say.
pub(crate) type Tell = Arc<dyn Fn(Report) + Send + Sync>;

/// The judge of the gateway: the one place where it meets the rooms that read and weigh.
pub(crate) fn judge(examiner: Examiner) -> Judge {
    let examiner = Arc::new(examiner);
    let again = Arc::clone(&examiner);
    let weigh: Weigh = Box::new(move |message, envelope, authentication| {
        // Named by nobody, it was measured by nobody: a colleague's mail, or one that a relay passed on.
        let measured = Some(authentication).filter(|authentication| !authentication.by.is_empty());
        let Examined { judgement, message, looks, unscanned } =
            examiner.examine(message, measured, Some(&envelope.from));
        match unscanned {
            // What is known to be bad need not be scanned.
            Some(error) if judgement.verdict < MailVerdict::Phishing => Err(error.into()),
            _ => Ok(Judged {
                judgement,
                attachments: looks.into_iter().map(|look| look.sha256).collect(),
                subject: message.subject,
            }),
        }
    });
    Judge { weigh, reload: Box::new(move |text| again.reload(text)) }
}

/// Serves until `stop` says otherwise.
pub(crate) fn serve(settings: Settings, judge: Judge, stop: &AtomicBool, tell: Tell) -> anyhow::Result<()> {
    let store = Arc::new(Store::make(&settings.quarantine, settings.keeping)?);
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let names = settings.dns.map(|dns| Authenticator::new(dns, &host, NAMES_WITHIN)).transpose()?;
    let server = Server::bind(&settings.listen)?;
    let standing = Arc::new(Standing::new(&settings, Timestamp::now()));
    let Judge { weigh, reload } = judge;
    standing.serve(settings.control.as_deref(), reload)?;
    tell(Report::Ready(Box::new(report::ready(&settings))));
    expire_for_ever(Arc::clone(&store), Arc::clone(&tell))?;
    let bounds = settings.bounds;
    let relays = settings.relays.clone();
    let gate = Gate { settings, store, tell, standing };
    let handler = Handler {
        judge: Box::new(move |mail: &Mail| {
            let authentication = authenticate(names.as_ref(), &relays, mail);
            weigh(&mail.message, &mail.envelope, &authentication)
        }),
        decide: Box::new(move |mail, judged| gate.decide(mail, judged)),
    };
    server.serve(handler, bounds, stop)?;
    Ok(())
}

/// Who sent it, where its way here can say so: not for colleagues who logged in, nor for machines that pass on others' mail.
fn authenticate(names: Option<&Authenticator>, relays: &[IpNet], mail: &Mail) -> Authentication {
    let envelope = &mail.envelope;
    let from_outside = envelope.client.filter(|client| {
        !envelope.authenticated && !client.is_loopback() && !relays.iter().any(|net| net.contains(client))
    });
    let Some((client, names)) = from_outside.zip(names) else { return Authentication::default() };
    names.check(&Origin { client, helo: &envelope.helo, mail_from: &envelope.from }, &mail.message)
}

fn expire_for_ever(store: Arc<Store>, tell: Tell) -> anyhow::Result<()> {
    let work = move || {
        loop {
            match store.expire(Timestamp::now()) {
                Ok(gone) if gone.is_empty() => {}
                Ok(gone) => tell(Report::Expired(gone)),
                Err(error) => tell(Report::trouble(&error.into())),
            }
            std::thread::sleep(EXPIRE_EVERY);
        }
    };
    std::thread::Builder::new()
        .name("expire".into())
        .spawn(work)
        .context("start a thread for the quarantine")?;
    Ok(())
}
