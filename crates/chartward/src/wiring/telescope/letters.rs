//! Sources of some days into drafts, and what people do with them into the ledger.

use std::path::{Path, PathBuf};
use std::time::Duration;

use act::notify::{self, Channel};
use anyhow::{Context, bail, ensure};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use judge::telescope::{Confirmed, SourceRow, group};
use prove::Ledger;
use prove::observation::{Kind, Letter, LetterState, Letters, Services, Step, Store};

use super::{contacts, keep};
use crate::access::open_sealed;
use crate::config::Config;
use crate::hub;

/// Rows that letters are made of: months of a busy telescope.
const ROWS_MAX: usize = 4_000_000;

/// How long a mail server may take.
const PATIENCE: Duration = Duration::from_secs(60);
const RECEIVERS_MAX: usize = 20;

/// What is asked for.
pub(crate) struct Wanted<'a> {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) zone: &'a TimeZone,
    pub(crate) contacts: &'a [PathBuf],
    pub(crate) packets_min: u64,
    pub(crate) sender: &'a str,
    pub(crate) by: &'a str,
}

/// What came of it.
pub(crate) struct Drafted {
    pub(crate) letters: Vec<Letter>,
    /// Sources whose network nobody named.
    pub(crate) unknown: u64,
}

/// Writes a draft for each network whose sources were seen.
pub(crate) fn draft(state: &Path, wanted: &Wanted<'_>, now: Timestamp) -> anyhow::Result<Drafted> {
    let contacts = contacts::read(wanted.contacts)?;
    let (rows, confirmed) = sources(&Store::open(state)?, wanted)?;
    let (groups, unknown) = group(&contacts, &rows, &confirmed, wanted.packets_min);
    let (store, services) = (Letters::open(state)?, Services::of_this_machine());
    let ledger = Ledger::open(state, now)?;
    let mut letters = Vec::new();
    for (network, evidence, more) in groups {
        let letter = Letter {
            id: String::new(),
            network,
            from: wanted.from,
            to: wanted.to,
            zone: wanted.zone.iana_name().unwrap_or("UTC").to_owned(),
            sender: wanted.sender.to_owned(),
            evidence,
            more,
            steps: Vec::new(),
        };
        let letter = store.draft(letter, &services, now, wanted.by)?;
        ledger.append(letter.fact(), now)?;
        letters.push(letter);
    }
    Ok(Drafted { letters, unknown })
}

fn sources(store: &Store, wanted: &Wanted<'_>) -> anyhow::Result<(Vec<SourceRow>, Vec<Confirmed>)> {
    let day = |at: Timestamp| at.as_second().div_euclid(86_400);
    let span = wanted.from.as_microsecond()..wanted.to.as_microsecond();
    let (mut rows, mut confirmed) = (Vec::new(), Vec::new());
    for stored in store.list(day(wanted.from)..=day(wanted.to))? {
        let it = keep::load(store, &stored)?;
        match stored.kind {
            // A row is of a whole day in UTC: it belongs to the time asked for when it lies in it with a part.
            Kind::Addresses => {
                let inside = |row: &SourceRow| row.last >= span.start && row.first < span.end;
                rows.extend(it.sources.rows.into_iter().filter(inside));
            }
            Kind::Counts => confirmed.extend(it.confirmed.into_iter().filter(|it| span.contains(&it.at))),
        }
        anyhow::ensure!(rows.len() <= ROWS_MAX, "there are more than {ROWS_MAX} sources: ask for fewer days");
    }
    Ok((rows, confirmed))
}

/// Says what became of a letter; a line of the ledger says so too.
pub(crate) fn mark(state: &Path, id: &str, step: Step, now: Timestamp) -> anyhow::Result<Letter> {
    let ledger = Ledger::open(state, now)?;
    let letter = Letters::open(state)?.mark(id, step)?;
    ledger.append(letter.fact(), now).context("record what became of the letter")?;
    Ok(letter)
}

/// A letter on its way, as a person asked for it.
pub(crate) struct Sending<'a> {
    pub(crate) id: &'a str,
    /// Receivers, typed by that person: an address from whois is somebody else's word.
    pub(crate) to: &'a [String],
    /// A mail channel of `[[notify]]`; `None`: the only one there is.
    pub(crate) channel: Option<&'a str>,
    pub(crate) by: &'a str,
}

/// Mails an approved letter and says so in the ledger. Nothing is marked as sent that the mail server did not take.
pub(crate) fn send(
    config: &Config,
    state: &Path,
    sending: &Sending<'_>,
    now: Timestamp,
) -> anyhow::Result<Letter> {
    ensure!(!sending.to.is_empty(), "name a receiver with --to");
    ensure!(sending.to.len() <= RECEIVERS_MAX, "a letter goes to at most {RECEIVERS_MAX} receivers");
    let (name, channel) = channel(config, sending.channel)?;
    // Opened first: what nobody can record is not done.
    let ledger = Ledger::open(state, now)?;
    let letters = Letters::open(state)?;
    let _alone = letters.lock(sending.id)?;
    let letter = letters.to_send(sending.id)?;
    let (subject, body) = letter.mail(&Services::of_this_machine());
    let mail = notify::Letter { to: sending.to.to_vec(), subject, body, at: now };
    let sealed = |name: &str| open_sealed(state).ok()?.get(name).ok().flatten()?.text().map(str::to_owned);
    let delivery = notify::send_letter(&channel, &mail, &|name| hub::secret(name, sealed), PATIENCE)
        .with_context(|| format!("send {} over the channel {name}", sending.id))?;
    let note = format!("mailed to {} over {name}: {}", sending.to.join(", "), delivery.proof);
    let step = Step { at: now, state: LetterState::Sent, by: sending.by.to_owned(), note };
    let letter = letters
        .mark(sending.id, step)
        .with_context(|| format!("the mail server took {}, but that could not be noted", sending.id))?;
    ledger.append(letter.fact(), now).context("record that the letter was sent")?;
    Ok(letter)
}

fn channel(config: &Config, wanted: Option<&str>) -> anyhow::Result<(String, Channel)> {
    let all = config.notify.iter().map(|it| (it.name.clone(), Channel::from(&it.channel)));
    let mut mail = all.filter(|(_, channel)| matches!(channel, Channel::Smtp { .. }));
    if let Some(wanted) = wanted {
        return mail
            .find(|(name, _)| name == wanted)
            .with_context(|| format!("there is no [[notify]] with smtp that is named {wanted:?}"));
    }
    match (mail.next(), mail.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => bail!("no [[notify]] has smtp: declare one in the configuration"),
        (Some(_), Some(_)) => bail!("several [[notify]] have smtp: name one with --channel"),
    }
}
