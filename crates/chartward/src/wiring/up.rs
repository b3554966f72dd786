//! A hub with its state, its door and its console.

mod vouched;

use std::path::Path;
use std::sync::Arc;

use ::act::never::Spared;
use anyhow::{Context, ensure};
use jiff::Timestamp;
use prove::{Fact, Ledger, State};
use recover::vault::{Password, VaultAt};
use zeroize::Zeroizing;

use crate::access::desk::Desk;
use crate::access::{self, Access, Audit, Sealed};
use crate::config::{Config, Secret};
use crate::console;
use crate::hub;
use crate::output::{Output, printable};
use crate::vault_at::RestArgs;

/// A hub with its console.
pub(crate) struct Up {
    pub(crate) running: hub::Running,
    pub(crate) serving: console::Serving,
    pub(crate) set_up_code: Option<String>,
    desk: Desk,
    is_tls: bool,
}

pub(crate) fn start(
    config: Config,
    config_sha256: String,
    folder: &Path,
    output: Output,
) -> anyhow::Result<Up> {
    let now = Timestamp::now();
    ::act::evidence::private_dir(folder)?;
    let state = State::open(folder, now)?;
    let ledger = Arc::new(Ledger::open(folder, now)?);
    if let Some(recovered) = &state.opened().recovered {
        let because = recovered.because.to_string();
        output.say(printable(&format!(
            "the state database was recovered: {because}; {} changes replayed, {} missing",
            recovered.replayed, recovered.missing
        )));
        let (changes, missing, set_aside) =
            (recovered.replayed, recovered.missing, recovered.set_aside.clone());
        ledger.append(Fact::StateRecovered { because, changes, missing, set_aside }, now)?;
    }
    let sealed = access::open_sealed(folder)?;
    let passphrase = config.vault.as_ref().map(|vault| passphrase(&vault.passphrase, &sealed)).transpose()?;
    if let (Some(vault), Some(passphrase)) = (&config.vault, &passphrase) {
        make_vault(&RestArgs::of(vault).at(&vault.dir)?, &Password::new(passphrase.to_vec()), &ledger)?;
    }
    let spared = Spared::default();
    vouched::take_up(&state, &spared, now)?;
    let door = open_door(&config, &state, &ledger, sealed.clone(), spared.clone())?;
    let set_up_code = door.set_up_code(now).map_err(|denied| anyhow::anyhow!(denied.en))?;
    let running = hub::start(hub::Settings {
        config: config.clone(),
        folder: folder.to_owned(),
        state,
        ledger: Arc::clone(&ledger),
        passphrase,
        config_sha256,
        sealed: Arc::new(move |name| sealed.get(name).ok().flatten()?.text().map(str::to_owned)),
        spared,
    })?;
    let desk = Desk::open(folder, door.clone())?;
    let serving = console::serve(shown(&config, folder), running.hub.clone(), door, ledger)?;
    let set_up_code = set_up_code.map(|code| code.code.text().to_owned());
    Ok(Up { running, serving, set_up_code, desk, is_tls: config.console.tls })
}

fn open_door(
    config: &Config,
    state: &State,
    ledger: &Arc<Ledger>,
    sealed: Sealed,
    spared: Spared,
) -> anyhow::Result<Access> {
    let ledger = Arc::clone(ledger);
    let settings = access::Settings::new(config.hospital.clone(), config.console.tls);
    let auditor = move |audit: &Audit| {
        vouched::hear(&spared, audit);
        record(&ledger, audit);
    };
    Ok(Access::open(state.clone(), sealed, settings, Arc::new(auditor))?)
}

/// Who was let in or refused, for the ledger. Trouble with it locks nobody out: the hub raises the alarm about its disk.
fn record(ledger: &Ledger, audit: &Audit) {
    let fact = Fact::Access {
        user: audit.user.clone(),
        role: audit.role.map_or("", |role| role.name()).to_owned(),
        what: audit.what.clone(),
        object: audit.object.clone(),
        allowed: audit.allowed,
    };
    if let Err(error) = ledger.append(fact, audit.at) {
        eprintln!("chartward: an access could not be recorded: {error}");
    }
}

fn passphrase(secret: &Secret, sealed: &Sealed) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let text = match secret {
        Secret::File(path) => hub::read_private(path)?,
        Secret::Secret(name) => {
            let held = sealed.get(name)?;
            let text = held.as_ref().and_then(|secret| secret.text()).map(str::to_owned);
            text.with_context(|| {
                format!("the sealed store holds no secret {name:?}; put it there with `chartward secret set {name}`")
            })?
        }
    };
    ensure!(!text.is_empty(), "the vault's passphrase is empty");
    Ok(Zeroizing::new(text.into_bytes()))
}

/// An empty or missing folder becomes a vault; anything else is left for the alarms to tell of.
fn make_vault(at: &VaultAt, password: &Password, ledger: &Ledger) -> anyhow::Result<()> {
    use recover::Error;
    use recover::vault::Vault;
    let is_fresh = match at {
        VaultAt::Folder(dir) => std::fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none()),
        VaultAt::Rest(_) => true,
    };
    // A medium that was there before and is gone must not be replaced by a new empty vault: then the alarm is right.
    let was_there = ledger.entries()?.iter().any(|entry| {
        matches!(
            entry.fact,
            Fact::VaultInitialised { .. } | Fact::SnapshotSealed { .. } | Fact::VaultOpened { .. }
        )
    });
    match Vault::probe(at) {
        Err(Error::MediumAbsent { .. } | Error::NoRepository { .. }) if is_fresh && !was_there => {
            let vault = Vault::init(at, password)?;
            ledger.append(Fact::VaultInitialised { vault_id: vault.id().to_owned() }, Timestamp::now())?;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// What the console shows of the configuration.
fn shown(config: &Config, folder: &Path) -> console::Settings {
    let names =
        [config.console.names.clone(), vec![config.console.listen.ip().to_string(), "localhost".to_owned()]];
    let jobs = crate::schedule::jobs(config);
    let protects = config.protect.iter().map(|protect| console::Protect {
        name: protect.name.clone(),
        what: {
            let paths = protect.source.paths().into_iter().map(|path| path.display().to_string());
            protect.source.stores().iter().cloned().chain(paths).collect()
        },
        jobs: jobs
            .iter()
            .filter(|job| job.protect.as_ref() == Some(&protect.name))
            .map(|job| (job.name.clone(), job.plan.to_string()))
            .collect(),
    });
    let never = &config.never_touch;
    let addresses = never.addresses.iter().map(|network| network.0.to_string());
    let others = [&never.hosts, &never.commands, &never.cgroups].into_iter().flatten().cloned();
    console::Settings {
        listen: config.console.listen,
        names: names.concat(),
        tls: config.console.tls,
        state_dir: folder.to_owned(),
        release_to: config.mail.clone().unwrap_or_default().release_to,
        weighing: config.mail.as_ref().and_then(|mail| mail.weighing.clone()),
        training: super::mail::training::Training::new(config),
        zone: config.zone(),
        shows: console::Shows {
            hospital: config.hospital.clone(),
            protects: protects.collect(),
            never_touch: addresses.chain(others).collect(),
            wall: super::wall::Site::of(config, folder).ok(),
            channels: config
                .notify
                .iter()
                .map(|it| (it.name.clone(), it.channel.kind().to_owned()))
                .collect(),
        },
    }
}

impl Up {
    /// Hears the watchers out and writes everything down.
    pub(crate) fn stop(self) -> anyhow::Result<()> {
        drop(self.desk);
        self.serving.stop();
        self.running.stop()
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}/", self.serving.addr)
    }
}
