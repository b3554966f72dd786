use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::clock::Jump;

use crossbeam_channel::{Sender, bounded};
use decode::ocsf::Restored;
use jiff::Timestamp;
use prove::State;
use schema::{
    Act, ActKind, Alarm, Countermeasure, CountermeasureId, Incident, IncidentId, IncidentStatus, Status,
    WatcherClass, WatcherHealth,
};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use super::alarms::Mark;

/// What people may ask of the hub, over the console, the command line or the API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub(crate) enum Command {
    /// Approve a proposed countermeasure.
    Approve { id: CountermeasureId },
    /// Say no to a proposed countermeasure.
    Reject { id: CountermeasureId },
    /// Take an applied countermeasure back.
    Undo { id: CountermeasureId },
    /// Plan an act that a person wants; `apply` applies it as well.
    Plan { act: Act, because: String, apply: bool },
    /// Let a class of watcher cause an act, or stop it from doing so.
    Arm { kind: ActKind, class: WatcherClass, armed: bool },
    /// Say where an incident stands.
    Mark { id: IncidentId, status: IncidentStatus },
    /// Run a scheduled job now.
    RunJob { name: String },
    /// Let a host that was isolated back, once it was rescanned and its store proven.
    Reconnect { host: String },
    /// Forget what a watcher was restarted for and start it again now.
    RestartWatcher { name: String },
    /// What is wrong with the watchers, the jobs and the hub itself.
    Alarms,
}

/// What the hub answers to a command that it carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub(crate) enum Answer {
    /// The countermeasure as it stands now.
    Countermeasure { countermeasure: Box<Countermeasure> },
    /// The incident as it stands now.
    Incident { incident: Box<Incident> },
    /// Done; in words, English and Japanese.
    Done { en: String, ja: String },
    /// What is wrong now.
    Alarms { alarms: Vec<Alarm> },
}

/// Why the hub did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{en}")]
pub(crate) struct Refusal {
    /// English: what, why, and what to do next.
    pub(crate) en: String,
    /// Japanese.
    pub(crate) ja: String,
}

/// Something changed; whoever shows it should look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "live", rename_all = "snake_case")]
pub(crate) enum Live {
    Incident { id: IncidentId },
    Countermeasure { id: CountermeasureId },
    Watchers,
    Promise,
    Jobs,
}

/// Starts the job of that name.
pub(super) type RunJob = Box<dyn Fn(&str) -> Result<(), Refusal> + Send>;

/// A command on its way to the core, with who asks and where the answer goes.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) command: Command,
    pub(crate) by: String,
    pub(crate) answer: Sender<Result<Answer, Refusal>>,
}

/// The way to the running hub. Cheap to clone; what it shows is at most a second old.
#[derive(Debug, Clone)]
pub(crate) struct Hub {
    pub(crate) state: State,
    /// When it began to run.
    pub(super) since: Timestamp,
    requests: Sender<Request>,
    live: broadcast::Sender<Live>,
    shown: Arc<RwLock<Shown>>,
}

/// What lives in memory only, since it is measured anew at every start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    /// Each watcher, in the order of the configuration.
    pub(crate) watchers: Vec<WatcherHealth>,
    /// What each of them did wrong lately.
    pub(super) marks: BTreeMap<String, Mark>,
    /// Why the lake or the state takes nothing; `None` when all is well.
    pub(crate) trouble: Option<String>,
    /// Why the lake could not be put in order; `None` when all is well.
    pub(crate) lake_trouble: Option<String>,
    /// Why the ledger could not be told of openings that ended; `None` when all is well.
    pub(super) grants_trouble: Option<String>,
    /// Why jobs that are due cannot be started; `None` when all is well.
    pub(crate) jobs_trouble: Option<String>,
    /// By how much the machine's clock jumped; `None` while it is believed.
    pub(crate) clock: Option<Jump>,
    /// How the rotations of media stand; `None` until they were looked at, and without any.
    pub(crate) media: Option<super::media::Media>,
    /// How the static bundle stands; `None` until it was looked at, and without one.
    pub(crate) bundle: Option<super::bundle::Standing>,
    /// Why the packet filter cannot be looked at or mended; `None` when all is well.
    pub(crate) wall_trouble: Option<String>,
    /// The promise as it was last put together; `None` until then.
    pub(crate) promise: Option<Status>,
    /// What each guard did last for the files of somebody whom it had stopped.
    pub(crate) put_back: BTreeMap<String, Restored>,
}

impl Hub {
    pub(crate) fn new(state: State, requests: Sender<Request>) -> Self {
        let (live, _) = broadcast::channel(256);
        Self { state, since: Timestamp::now(), requests, live, shown: Arc::default() }
    }

    /// Asks and waits until it is done and durable.
    pub(crate) fn ask(&self, command: Command, by: &str) -> Result<Answer, Refusal> {
        let (answer, answered) = bounded(1);
        let request = Request { command, by: by.to_owned(), answer };
        let sent = self.requests.send(request).is_ok();
        sent.then(|| answered.recv().ok()).flatten().unwrap_or_else(|| {
            Err(Refusal {
                en: "the hub is shutting down; ask again when it runs".to_owned(),
                ja: "ハブは停止処理中です。起動後にもう一度操作してください。".to_owned(),
            })
        })
    }

    /// What is shown now.
    pub(crate) fn shown(&self) -> Shown {
        self.shown.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn show(&self, change: impl FnOnce(&mut Shown), live: Live) {
        change(&mut self.shown.write().unwrap_or_else(PoisonError::into_inner));
        self.tell(live);
    }

    /// Tells whoever listens; nobody has to.
    pub(crate) fn tell(&self, live: Live) {
        let _ = self.live.send(live);
    }

    /// What changes from now on; a listener that falls behind 256 changes is told so and looks at everything again.
    pub(crate) fn live(&self) -> broadcast::Receiver<Live> {
        self.live.subscribe()
    }
}
