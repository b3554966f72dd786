//! Starting the hub's threads in the order in which they need one another, and ending them in the other.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use jiff::{SignedDuration, Timestamp};
use judge::correlate::{Correlator, Settings as Correlation, Update};
use prove::lake::{self, Lake};
use prove::state::State;
use prove::{Fact, Ledger};
use recover::status::Limits;
use recover::vault::Password;
use schema::IncidentId;
use zeroize::Zeroizing;

use super::book::Book;
use super::core::{Core, Ears, PART};
use super::handle::Hub;
use super::hands::{self, Tools};
use super::jobs::{self, Jobs};
use super::keeper::Keeper;
use super::outbox::{self, Channels, FindSecret};
use super::{bundle, clock, door, grants, media, promise, replay, setup, tide, viewer};
use crate::config::{Config, When};
use crate::supervise::Supervisor;
use crate::vault_at::RestArgs;

/// Lines that wait for the core; more of them wait in the pipes of their watchers.
const LINES_MAX: usize = 8_192;
const REQUESTS_MAX: usize = 64;
/// A receiver of notices that does not answer keeps nobody from restarting the machine; the notice is sent after the next start.
const LEAVE_AFTER: Duration = Duration::from_secs(5);

/// What the hub is started with.
pub(crate) struct Settings {
    pub(crate) config: Config,
    /// The state folder.
    pub(crate) folder: PathBuf,
    pub(crate) state: State,
    pub(crate) ledger: Arc<Ledger>,
    /// The vault's passphrase; `None` without a vault.
    pub(crate) passphrase: Option<Zeroizing<Vec<u8>>>,
    /// SHA-256 of the configuration's file, for the ledger.
    pub(crate) config_sha256: String,
    /// What the sealed store holds under a name.
    pub(crate) sealed: Arc<FindSecret>,
    /// Who has just proven to be an administrator, and is not banned for it.
    pub(crate) spared: act::never::Spared,
}

/// A hub that runs.
pub(crate) struct Running {
    pub(crate) hub: Hub,
    end: Sender<()>,
    core: JoinHandle<anyhow::Result<()>>,
    /// Threads that end when their channel is closed, with the channel.
    others: Vec<Other>,
}

type Other = (Option<Sender<()>>, JoinHandle<()>);

impl Running {
    /// Drains: the watchers end and are heard out, what was decided is written down, then the threads end.
    pub(crate) fn stop(self) -> anyhow::Result<()> {
        drop(self.end);
        let ended = self.core.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the hub's core failed")));
        // All at once: each of them may have something to wait for.
        let threads: Vec<JoinHandle<()>> = self.others.into_iter().map(|(_, thread)| thread).collect();
        let by = Instant::now() + LEAVE_AFTER;
        while threads.iter().any(|thread| !thread.is_finished()) && Instant::now() < by {
            std::thread::sleep(Duration::from_millis(20));
        }
        ended
    }

    /// Whether the core ended by itself, which it never should.
    pub(crate) fn has_ended(&self) -> bool {
        self.core.is_finished()
    }
}

pub(crate) fn start(settings: Settings) -> anyhow::Result<Running> {
    let Settings { config, folder, state, ledger, passphrase, config_sha256, sealed, spared } = settings;
    let rules = setup::rules(&config, spared)?;
    let (requests_in, requests) = bounded(REQUESTS_MAX);
    let hub = Hub::new(state.clone(), requests_in);
    let (orders, orders_out) = unbounded();
    let (done_in, done) = unbounded();
    let (lines_in, lines) = bounded(LINES_MAX);
    let mut others = Vec::new();

    let keeper = keeper(&config, &folder, passphrase.as_ref())?;
    let jobs = Jobs::new(
        &config,
        &folder,
        state.clone(),
        Arc::clone(&ledger),
        hub.clone(),
        passphrase.clone(),
        Arc::clone(&sealed),
    )?;
    let tools = Tools {
        wall: act::wall::Wall::new(setup::wall(&config, &rules.never)),
        gate: crate::wiring::wall::gate(&config, &folder),
        look_every: config.wall.look_every.0.unsigned_abs(),
        never: rules.never.clone(),
        state: folder.clone(),
        keeper: keeper.clone(),
        snapshot_now: {
            let jobs = jobs.clone();
            Box::new(move |protect| jobs.backup_now(protect))
        },
        start_viewer: viewer::viewer(&config, &folder, passphrase, Arc::clone(&ledger)),
    };
    let (wall_said_in, wall_said) = unbounded();
    others.push((None, hands::start(tools, orders_out, done_in.clone(), wall_said_in)?));
    let channels = Channels {
        named: setup::channels(&config),
        secret: Box::new(move |name| setup::secret(name, |name| sealed(name))),
    };
    for (end, thread) in outbox::start(&state, channels, &done_in)? {
        others.push((Some(end), thread));
    }
    drop(done_in);
    let lake = Arc::new(open_lake(&config, &folder)?);
    others.push(until_ended(|ended| jobs::start(jobs.clone(), ended))?);
    others.push(until_ended(|ended| bundle::start(&config, jobs.clone(), hub.clone(), ended))?);
    others.push(until_ended(|ended| promise::start(hub.clone(), keeper, ended))?);
    others.push(until_ended(|ended| media::start(&config, folder.clone(), hub.clone(), ended))?);
    others.push(until_ended(|ended| tide::start(Arc::clone(&lake), state.clone(), hub.clone(), ended))?);
    others.push(until_ended(|ended| door::serve(&folder, hub.clone(), ended))?);
    let (watermark, correlator, changed) = correlator(&config, &state, &lake, &rules)?;
    let book = Book::open(&state)?;
    let boot = clock::boot();
    let armed: BTreeSet<_> = state.armed()?.into_iter().map(|arming| (arming.kind, arming.class)).collect();
    ledger.append(
        Fact::HubStarted { version: env!("CARGO_PKG_VERSION").to_owned(), config_sha256 },
        Timestamp::now(),
    )?;
    let told = Arc::clone(&ledger);
    others.push(until_ended(|ended| grants::start(folder.clone(), told, hub.clone(), ended))?);
    let scribe = super::scribe::Scribe::start(Arc::clone(&lake), state.clone(), Arc::clone(&ledger))?;
    let mut core = Core {
        hub: hub.clone(),
        folder: folder.clone(),
        state,
        ledger,
        lake,
        correlator,
        rules,
        orders,
        supervisor: None,
        run_job: Box::new(move |name| jobs.run_now(name)),
        armed,
        planned: VecDeque::new(),
        wall_told_at: None,
        expiring: super::outcomes::Expiring::default(),
        reconnecting: std::collections::BTreeMap::new(),
        left_out: BTreeSet::new(),
        book,
        pending: super::pending::Pending::default(),
        ready: Vec::new(),
        replay: None,
        waiting: std::collections::BTreeMap::new(),
        dirty: BTreeSet::new(),
        written_to: None,
        daily: Vec::new(),
        watermark,
        facts: Vec::new(),
        scribe,
        to_keep: super::scribe::Note::default(),
        unsynced: VecDeque::new(),
        written: Instant::now(),
        checkpointed: (watermark, Instant::now()),
        trouble: std::collections::BTreeMap::new(),
        unjournaled: Vec::new(),
        batched_at: Timestamp::UNIX_EPOCH,
        clock: clock::Clock::new(clock::Reading::take(&boot)),
        boot,
        lines_open: Some(lines_in.clone()),
    };
    core.open_clock();
    core.catch_up(changed)?;
    core.take_up()?;
    let specs = setup::specs(&config, &folder);
    core.supervisor = Some(Supervisor::start(specs, std::env::current_exe()?, lines_in)?);
    let (end, ended) = bounded(0);
    let ears = Ears { lines, requests, done, wall_said, end: ended };
    let core = std::thread::Builder::new().name("core".into()).spawn(move || core.run(ears))?;
    Ok(Running { hub, end, core, others })
}

/// Starts a thread that ends when its channel is closed.
fn until_ended<E>(start: impl FnOnce(Receiver<()>) -> Result<JoinHandle<()>, E>) -> Result<Other, E> {
    let (end, ended) = bounded(0);
    Ok((Some(end), start(ended)?))
}

fn keeper(
    config: &Config,
    folder: &Path,
    passphrase: Option<&Zeroizing<Vec<u8>>>,
) -> anyhow::Result<Option<Arc<Keeper>>> {
    let Some((vault, passphrase)) = config.vault.as_ref().zip(passphrase) else { return Ok(None) };
    let password = Password::new(passphrase.to_vec());
    let at = RestArgs::of(vault).at(&vault.dir)?;
    Ok(Some(Arc::new(Keeper::new(at, password, limits(config), folder.to_owned()))))
}

fn open_lake(config: &Config, folder: &Path) -> anyhow::Result<Lake> {
    let dir = config.lake.dir.clone().unwrap_or_else(|| folder.join("lake"));
    let settings = lake::Settings {
        retention_days: u16::try_from(config.lake.retention_days).unwrap_or(u16::MAX),
        region: config.lake.region.clone(),
        account: config.lake.account.clone(),
    };
    Lake::open(&dir, settings).with_context(|| format!("cannot open the lake in {}", dir.display()))
}

/// The correlation as it was last kept, with the place in the journal that it includes and what the configuration changed in it.
fn correlator(
    config: &Config,
    state: &State,
    lake: &Lake,
    rules: &super::core::Rules,
) -> anyhow::Result<(u64, Correlator, Vec<Update>)> {
    let settings = Correlation {
        hosts: rules.hosts.clone(),
        watching: config.watch.iter().map(|watch| watch.class).collect(),
        ..Correlation::default()
    };
    let (watermark, mut correlator) = match state.checkpoint(PART) {
        // Its own count: what the journal holds beyond it gets the same numbers again.
        Ok(Some(kept)) => {
            lake.skip_to(kept.0);
            kept
        }
        kept => {
            // Killed before the first checkpoint: the journal has everything from the first line. Otherwise something was lost, and
            // no number may be given twice.
            let is_whole = kept.is_ok() && lake.replay(0, |_, _, _| Ok(()))?.missing == 0;
            let first = if is_whole { IncidentId(1) } else { replay::next_incident(state)? };
            (0, Correlator::new(settings.clone(), first))
        }
    };
    let mut changed = Vec::new();
    correlator.configure(settings, &mut changed);
    Ok((watermark, correlator, changed))
}

/// A promise is stale when two backups, or two drills, in a row did not happen.
fn limits(config: &Config) -> Limits {
    let twice = |when: When| match when {
        When::Every(period) => period.0.checked_mul(2).unwrap_or(SignedDuration::MAX),
        When::DailyAt(_) => SignedDuration::from_hours(26),
    };
    let longest =
        |of: &dyn Fn(&crate::config::Protect) -> When| config.protect.iter().map(|it| twice(of(it))).max();
    let defaults = Limits::default();
    Limits {
        snapshot_age_max: longest(&|it| it.backup.when).unwrap_or(defaults.snapshot_age_max),
        proof_age_max: longest(&|it| it.drill.when).unwrap_or(defaults.proof_age_max),
        lock_lead: config.vault.as_ref().map_or(defaults.lock_lead, |vault| vault.lock_lead.0),
        generations: config.retention.as_ref().map_or(defaults.generations, |keep| keep.generations),
        zone: config.zone(),
    }
}
