//! Starting the hub's threads in the order in which they need one another, and ending them in the other.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::Context;
use crossbeam_channel::{Sender, bounded, unbounded};
use jiff::{SignedDuration, Timestamp};
use judge::correlate::{Correlator, Settings as Correlation};
use prove::lake::{self, Lake};
use prove::state::{CountermeasureFilter, State};
use prove::{Fact, Ledger};
use recover::status::Limits;
use recover::vault::Password;
use schema::{ActKind, CountermeasureState, IncidentId};
use zeroize::Zeroizing;

use super::core::{Core, Ears, PART};
use super::handle::Hub;
use super::hands::{self, Order, Tools};
use super::jobs::{self, Jobs};
use super::keeper::Keeper;
use super::outbox::{self, Channels};
use super::{door, intake, promise, setup, tide};
use crate::config::{Config, When};
use crate::supervise::Supervisor;

/// Lines that wait for the core; more of them wait in the pipes of their watchers.
const LINES_MAX: usize = 8_192;
const REQUESTS_MAX: usize = 64;
/// Events of the journal that are judged again at once.
const REPLAYED_TOGETHER: usize = 4_096;
/// Countermeasures in force that are taken up again after a restart.
const IN_FORCE_MAX: u32 = 100_000;

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
    pub(crate) sealed: Arc<dyn Fn(&str) -> Option<String> + Send + Sync>,
}

/// A hub that runs.
pub(crate) struct Running {
    pub(crate) hub: Hub,
    end: Sender<()>,
    core: JoinHandle<anyhow::Result<()>>,
    /// Threads that end when their channel is closed, with the channel.
    others: Vec<(Option<Sender<()>>, JoinHandle<()>)>,
}

impl Running {
    /// Drains: the watchers end and are heard out, what was decided is written down, then the threads end.
    pub(crate) fn stop(self) -> anyhow::Result<()> {
        drop(self.end);
        let ended = self.core.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the hub's core failed")));
        for (end, thread) in self.others {
            drop(end);
            let _ = thread.join();
        }
        ended
    }

    /// Whether the core ended by itself, which it never should.
    pub(crate) fn has_ended(&self) -> bool {
        self.core.is_finished()
    }
}

pub(crate) fn start(settings: Settings) -> anyhow::Result<Running> {
    let Settings { config, folder, state, ledger, passphrase, config_sha256, sealed } = settings;
    let rules = setup::rules(&config)?;
    let (requests_in, requests) = bounded(REQUESTS_MAX);
    let hub = Hub::new(state.clone(), requests_in);
    let (orders, orders_out) = unbounded();
    let (done_in, done) = unbounded();
    let (lines_in, lines) = bounded(LINES_MAX);
    let mut others = Vec::new();

    let keeper = match (&config.vault, &passphrase) {
        (Some(vault), Some(passphrase)) => {
            let password = Password::new(passphrase.to_vec());
            Some(Arc::new(Keeper::new(vault.dir.clone(), password, limits(&config))))
        }
        _ => None,
    };
    let jobs = Jobs::new(&config, &folder, state.clone(), Arc::clone(&ledger), hub.clone(), passphrase.clone())?;
    let tools = Tools {
        wall: act::wall::Wall::new(setup::wall(&config, &rules.never)),
        never: rules.never.clone(),
        state: folder.clone(),
        keeper: keeper.clone(),
        snapshot_now: {
            let jobs = jobs.clone();
            Box::new(move |protect| jobs.backup_now(protect))
        },
        start_viewer: viewer(&config, &folder, passphrase),
    };
    others.push((None, hands::start(tools, orders_out, done_in.clone())?));
    let channels = Channels {
        named: setup::channels(&config),
        secret: Box::new(move |name| setup::secret(name, |name| sealed(name))),
    };
    let (end, ended) = bounded(0);
    others.push((Some(end), outbox::start(state.clone(), channels, done_in, ended)?));
    let (end, ended) = bounded(0);
    others.push((Some(end), jobs::start(jobs.clone(), ended)?));
    if let Some(keeper) = keeper {
        let (end, ended) = bounded(0);
        others.push((Some(end), promise::start(hub.clone(), keeper, ended)?));
    }

    let lake = Arc::new(open_lake(&config, &folder)?);
    let (end, ended) = bounded(0);
    others.push((Some(end), tide::start(Arc::clone(&lake), state.clone(), hub.clone(), ended)?));
    let (end, ended) = bounded(0);
    others.push((Some(end), door::serve(&folder, hub.clone(), ended)?));
    let correlator = correlator(&config, &state, &rules)?;
    let armed: BTreeSet<_> = state.armed()?.into_iter().map(|arming| (arming.kind, arming.class)).collect();
    ledger.append(Fact::HubStarted { version: env!("CARGO_PKG_VERSION").to_owned(), config_sha256 }, Timestamp::now())?;
    let (watermark, correlator) = correlator;
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
        expiring: BTreeSet::new(),
        superseded: Vec::new(),
        waiting: std::collections::BTreeMap::new(),
        dirty: BTreeSet::new(),
        daily: Vec::new(),
        watermark,
        facts: Vec::new(),
        written: Instant::now(),
        checkpointed: (watermark, Instant::now()),
        trouble: None,
    };
    core.catch_up()?;
    core.take_up()?;
    let specs = setup::specs(&config, &folder);
    core.supervisor = Some(Supervisor::start(specs, std::env::current_exe()?, lines_in)?);
    let (end, ended) = bounded(0);
    let ears = Ears { lines, requests, done, end: ended };
    let core = std::thread::Builder::new().name("core".into()).spawn(move || core.run(ears))?;
    Ok(Running { hub, end, core, others })
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

/// The correlation as it was last kept, with the place in the journal that it includes.
fn correlator(config: &Config, state: &State, rules: &super::core::Rules) -> anyhow::Result<(u64, Correlator)> {
    let next = state.read(|db| {
        db.query_row("SELECT coalesce(max(id), 0) + 1 FROM incidents", [], |row| row.get::<_, i64>(0))
    })?;
    let next = IncidentId(next.unsigned_abs());
    let settings = Correlation {
        hosts: rules.hosts.clone(),
        watching: config.watch.iter().map(|watch| watch.class).collect(),
        ..Correlation::default()
    };
    let kept: Option<(u64, Correlator)> = state.checkpoint(PART).unwrap_or_default();
    let (watermark, mut correlator) = kept.unwrap_or_else(|| (0, Correlator::new(settings.clone(), next)));
    correlator.number_from(next);
    correlator.configure(settings, &mut Vec::new());
    Ok((watermark, correlator))
}

/// A promise is stale when two backups, or two drills, in a row did not happen.
fn limits(config: &Config) -> Limits {
    let twice = |when: When| match when {
        When::Every(period) => period.0.checked_mul(2).unwrap_or(SignedDuration::MAX),
        When::DailyAt(_) => SignedDuration::from_hours(26),
    };
    let longest = |of: &dyn Fn(&crate::config::Protect) -> When| config.protect.iter().map(|it| twice(of(it))).max();
    let defaults = Limits::default();
    Limits {
        snapshot_age_max: longest(&|it| it.backup.when).unwrap_or(defaults.snapshot_age_max),
        proof_age_max: longest(&|it| it.drill.when).unwrap_or(defaults.proof_age_max),
    }
}

type StartViewer = Box<dyn Fn() -> Result<(Child, String), String> + Send>;

/// The downtime viewer: this program again, which needs the vault and nothing of the hub.
fn viewer(config: &Config, folder: &Path, passphrase: Option<Zeroizing<Vec<u8>>>) -> StartViewer {
    let Some((vault, passphrase)) = config.vault.clone().zip(passphrase) else {
        return Box::new(|| Err("the configuration names no vault, so there is nothing to read charts from".to_owned()));
    };
    let (listen, folder) = (config.viewer.listen, folder.to_owned());
    Box::new(move || start_viewer(&vault.dir, &passphrase, listen, &folder).map_err(|error| format!("{error:#}")))
}

fn start_viewer(
    vault: &Path,
    passphrase: &[u8],
    listen: std::net::SocketAddr,
    folder: &Path,
) -> anyhow::Result<(Child, String)> {
    use std::io::{BufRead, BufReader, Write};
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["charts", "serve", "--json", "--listen", &listen.to_string(), "--vault"]).arg(vault);
    command.args(["--password-file", "/dev/stdin"]);
    if !listen.ip().is_loopback() {
        command.arg("--certificate").arg(folder.join("tls/certificate.pem"));
        command.arg("--key").arg(folder.join("tls/key.pem"));
    }
    let log = std::fs::File::create(folder.join("viewer.log"))?;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn()?;
    // Neither its arguments nor its environment show the passphrase.
    child.stdin.take().context("the viewer has no input")?.write_all(passphrase)?;
    let stdout = child.stdout.take().context("the viewer has no output")?;
    let mut lines = BufReader::new(stdout).lines();
    let Some(Ok(first)) = lines.next() else {
        let _ = child.kill();
        let _ = child.wait();
        anyhow::bail!("the viewer ended before it was ready; see {}", folder.join("viewer.log").display());
    };
    let ready: serde_json::Value = serde_json::from_str(&first)?;
    // Who opened which chart: kept beside the viewer's own messages, for its owner only.
    let access = folder.join("charts-opened.jsonl");
    std::thread::Builder::new().name("viewer".into()).spawn(move || keep(&access, lines))?;
    let text = |field: &str| ready[field].as_str().unwrap_or_default().to_owned();
    Ok((child, format!("{} (code {})", text("url"), text("code"))))
}

fn keep(path: &Path, lines: impl Iterator<Item = std::io::Result<String>>) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let opened = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    let Ok(mut file) = opened else { return };
    for line in lines.map_while(Result::ok) {
        let _ = writeln!(file, "{line}").and_then(|()| file.sync_data());
    }
}

impl Core {
    /// Judges again what the journal holds beyond the last checkpoint: the same lines give the same incidents, and what they call for
    /// and is not planned yet is planned now.
    fn catch_up(&mut self) -> anyhow::Result<()> {
        let lake = Arc::clone(&self.lake);
        let mut waiting: Vec<schema::Event> = Vec::new();
        let replayed = lake.replay(self.watermark, |_, _, event| {
            waiting.push(event);
            if waiting.len() >= REPLAYED_TOGETHER {
                self.judge_again(&std::mem::take(&mut waiting));
            }
            Ok(())
        })?;
        self.judge_again(&waiting);
        self.watermark = replayed.last;
        self.write_down(&[]);
        Ok(())
    }

    fn judge_again(&mut self, events: &[schema::Event]) {
        let classes = self.rules.classes.clone();
        let class_of = |watcher: &str| classes.get(watcher).copied().unwrap_or(schema::WatcherClass::External);
        intake::add(&mut self.daily, intake::daily(events));
        self.decide(&intake::again(events, class_of), Timestamp::now());
    }

    /// What was approved and not done when the hub died is done; what was in force and lives with the hub is put in force again.
    fn take_up(&mut self) -> anyhow::Result<()> {
        let states = vec![CountermeasureState::Approved, CountermeasureState::Applied];
        let filter = CountermeasureFilter { incident: None, states };
        let mut measures = self.state.countermeasures(&filter, IN_FORCE_MAX, None)?;
        measures.sort_by_key(|measure| measure.id);
        for measure in measures {
            let lives_with_the_hub = matches!(
                measure.act.kind(),
                ActKind::LockVault | ActKind::StartViewer | ActKind::BlockAddress | ActKind::IsolateHost
            );
            let is_new = measure.state == CountermeasureState::Approved;
            if (is_new && measure.act.kind() != ActKind::Notify) || (!is_new && lives_with_the_hub) {
                let _ = self.orders.send(Order::Apply(measure));
            }
        }
        Ok(())
    }
}
