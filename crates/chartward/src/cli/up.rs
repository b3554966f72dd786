//! `chartward up`: the hub in the foreground, until it is asked to end.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use jiff::Timestamp;
use prove::{Fact, Ledger, State};
use recover::vault::{Password, VaultAt};
use serde_json::json;
use sha2::{Digest, Sha256};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use zeroize::Zeroizing;

use super::state_dir;
use super::vault_args::RestArgs;
use crate::access::desk::Desk;
use crate::access::{self, Access, Audit, Sealed};
use crate::config::{self, Config, Secret};
use crate::console;
use crate::hub;
use crate::output::{Output, printable};
use crate::sample::protected;

/// Between two looks at whether the hub still runs.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Run the hub: watchers, decisions, schedule, console
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Configuration (default: chartward.toml here, then /etc/chartward/chartward.toml; without any, a synthetic hospital is made in a
    /// folder of its own and protected)
    #[arg(long, value_name = "F")]
    config: Option<PathBuf>,
    /// State folder (default: /var/lib/chartward for root, else ~/.local/state/chartward)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Folder of the synthetic hospital that is made when there is no configuration
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    sample: Option<PathBuf>,
    /// Its patients
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(3..=i64::from(crate::sample::PATIENTS_MAX)))]
    patients: u32,
    /// End when the process that started this one ends, however it ends
    #[arg(long, hide = true)]
    end_with_parent: bool,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.end_with_parent {
        let asked = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM));
        asked.context("ask to be told of the parent's end")?;
    }
    // Before any thread is started, so that a signal during the start ends everything in order, too.
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("wait for signals")?;
    let output = Output::new(args.json);
    let path = match config::find(args.config.as_deref()).filter(|_| args.sample.is_none()) {
        Some(path) => path,
        None => protected::make(&sample_dir(args.sample)?, args.patients, output)?,
    };
    let config = Config::load(&path)?;
    let folder = args.state.or_else(|| config.state.clone());
    let folder = std::path::absolute(state_dir(folder)?).context("find the state folder")?;
    let config_sha256 = hex::encode(Sha256::digest(std::fs::read(&path)?));
    let up = start(config, config_sha256, &folder, output)?;
    output.line(&json!({
        "type": "ready",
        "console": up.url(),
        "fingerprint": up.serving.fingerprint,
        "state": folder,
        "setup_code": up.set_up_code,
        "config": path,
    }))?;
    up.welcome(output);
    while signals.pending().next().is_none() && !up.running.has_ended() {
        std::thread::sleep(LOOK_AGAIN);
    }
    output.say("ending: watchers are heard out and everything is written down");
    drop(up.desk);
    up.serving.stop();
    up.running.stop()?;
    Ok(ExitCode::SUCCESS)
}

fn sample_dir(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let dir = match given {
        Some(dir) => dir,
        None => state_dir(None)?.with_file_name("chartward-sample"),
    };
    std::path::absolute(dir).context("find the folder of the synthetic hospital")
}

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
    let door = open_door(&config, &state, &ledger, sealed.clone())?;
    let set_up_code = door.set_up_code(now).map_err(|denied| anyhow::anyhow!(denied.en))?;
    let running = hub::start(hub::Settings {
        config: config.clone(),
        folder: folder.to_owned(),
        state,
        ledger: Arc::clone(&ledger),
        passphrase,
        config_sha256,
        sealed: Arc::new(move |name| sealed.get(name).ok().flatten()?.text().map(str::to_owned)),
    })?;
    let desk = Desk::open(folder, door.clone())?;
    let serving = console::serve(shown(&config, folder), running.hub.clone(), door, ledger)?;
    let set_up_code = set_up_code.map(|code| code.code.text().to_owned());
    Ok(Up { running, serving, set_up_code, desk, is_tls: config.console.tls })
}

fn open_door(config: &Config, state: &State, ledger: &Arc<Ledger>, sealed: Sealed) -> anyhow::Result<Access> {
    let ledger = Arc::clone(ledger);
    let settings = access::Settings::new(config.hospital.clone(), config.console.tls);
    Ok(Access::open(state.clone(), sealed, settings, Arc::new(move |audit| record(&ledger, audit)))?)
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
        zone: config.zone(),
        shows: console::Shows {
            hospital: config.hospital.clone(),
            protects: protects.collect(),
            never_touch: addresses.chain(others).collect(),
            channels: config
                .notify
                .iter()
                .map(|it| (it.name.clone(), it.channel.kind().to_owned()))
                .collect(),
        },
    }
}

impl Up {
    pub(crate) fn url(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}/", self.serving.addr)
    }

    fn welcome(&self, output: Output) {
        output.say(format_args!("console: {}", self.url()));
        if let Some(fingerprint) = &self.serving.fingerprint {
            output.say(format_args!("its certificate (SHA-256): {fingerprint}"));
        }
        if let Some(code) = &self.set_up_code {
            output.say(format_args!("set-up code for the first administrator, shown once: {code}"));
        }
    }
}
