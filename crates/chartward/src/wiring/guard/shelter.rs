//! Databases in the guard's loop: what passes without waiting, who is looked at, and the thread that takes snapshots.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use crossbeam_channel::Receiver;
use jiff::{SignedDuration, Timestamp};
use observe::files::Actor;
use observe::files::fanotify::{Waiting, Watch, path_of};
use schema::{Finding, FindingClass, GateInput, Lang, Reason, Severity, Verdict};
use serde::Serialize;

use super::databases::{self, Database};
use super::response::{sentence, subjects_of_machine};
use super::servants::{Servants, Writer, without_servers};
use super::snapshots::{self, Cover, Pace, Snapshot};
use super::{Guard, Report, Settings};

/// Lines about snapshots that nobody has read yet.
const QUEUE: usize = 256;
/// Of one database, whoever it may be.
const ALARMS_EVERY: SignedDuration = SignedDuration::from_hours(1);

/// Something about a database.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Said {
    /// A snapshot was taken.
    Snapshot(Snapshot),
    /// None could be taken.
    Failed { database: PathBuf, cause: String },
    /// Somebody other than its server overwrote its files.
    Harmed {
        database: PathBuf,
        files: u64,
        /// The newest snapshot from before.
        snapshot: Option<String>,
        taken_at: Option<Timestamp>,
    },
}

/// The databases of a guard.
#[derive(Debug)]
pub(super) struct Shelter {
    pub(super) covers: Vec<Cover>,
    /// Not every folder was looked into.
    pub(super) cut: bool,
    /// Opens of these databases wait all the same, and why.
    pub(super) held: Vec<String>,
    said: Receiver<Said>,
    /// Dropped, the thread ends.
    _stop: Sender<()>,
    servants: Servants,
    accused: Vec<(Actor, Vec<Reason>)>,
    /// Databases that only their own server, or what it starts, can have overwritten, and whether that was told.
    suspected: Vec<(PathBuf, Vec<Reason>)>,
    alarmed: Vec<(PathBuf, Timestamp)>,
    /// By database: files that were found harmed, and when the first was.
    harmed: Vec<(PathBuf, u64, Timestamp)>,
}

impl Shelter {
    /// Looks for databases, lets their servers pass, and takes the first snapshots before it returns.
    pub(super) fn start(
        watch: &Watch,
        named: &[PathBuf],
        store: &Path,
        state: &Path,
        pace: Pace,
    ) -> anyhow::Result<Self> {
        let roots: Vec<PathBuf> = watch.trees().map(|(path, _, _)| path.to_owned()).collect();
        let left_out: Vec<PathBuf> = watch.left_out().map(|foreign| foreign.at.clone()).collect();
        let (found, cut) = databases::find(&roots, named, &left_out);
        let mut held = Vec::new();
        for database in &found {
            let marked = database.unheld().iter().try_for_each(|path| watch.ignore_opens(path));
            if let Err(error) = marked {
                held.push(format!("{}: {:#}", database.path.display(), anyhow::Error::from(error)));
            }
        }
        let covers: Vec<Cover> =
            found.into_iter().map(|database| snapshots::cover(database, store, &roots, pace)).collect();
        if !covers.is_empty() {
            // On a full disk the commands do not find the snapshots; protecting comes first.
            let _ = snapshots::write_covers(state, &covers);
        }
        let (say, said) = crossbeam_channel::bounded(QUEUE);
        let (stop, stopped) = channel::<()>();
        let covered: Vec<(Database, PathBuf)> = covers
            .iter()
            .filter_map(|cover| Some((cover.database.clone(), cover.snapshots.clone()?)))
            .collect();
        let take_all = move |covered: &[(Database, PathBuf)]| {
            for (database, home) in covered {
                // Nobody reads lines any faster when this waits.
                let _ = say.try_send(match snapshots::take(database, home, pace) {
                    Ok(snapshot) => Said::Snapshot(snapshot),
                    Err(error) => {
                        Said::Failed { database: database.path.clone(), cause: format!("{error:#}") }
                    }
                });
            }
        };
        take_all(&covered);
        if !covered.is_empty() {
            let every = Duration::try_from(pace.every).unwrap_or(Duration::from_secs(300));
            thread::Builder::new().name("snapshots".into()).spawn(move || {
                while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                    take_all(&covered);
                }
            })?;
        }
        Ok(Self {
            covers,
            cut,
            held,
            said,
            _stop: stop,
            servants: Servants::default(),
            accused: vec![],
            suspected: vec![],
            alarmed: vec![],
            harmed: vec![],
        })
    }

    /// The database that `path` is a part of that nobody waits for.
    pub(super) fn of(&self, path: &Path) -> Option<&Cover> {
        self.covers.iter().find(|cover| cover.database.lets_pass(path))
    }
}

/// Who stands for everybody that cannot be told from a database's server.
fn nobody(covers: &[Cover], database: &Database) -> Actor {
    let place = covers.iter().position(|cover| cover.database == *database).unwrap_or(0);
    Actor { pid: 0, start_ticks: place as u64 + 1 }
}

/// Whether the alarm about a database went out lately.
fn was_told(alarmed: &mut Vec<(PathBuf, Timestamp)>, database: &Path, now: Timestamp) -> bool {
    alarmed.retain(|(_, at)| now.duration_since(*at) < ALARMS_EVERY);
    alarmed.iter().any(|(known, _)| known == database)
}

/// The server of a database is never stopped for what happens in its own folder: all care would stop with it, and a person can stop it.
fn unblamed(reasons: &[Reason], settings: &Settings, now: Timestamp) -> Finding {
    let entry = &judge::gate::DATABASE;
    let sentences = |lang| reasons.iter().map(|reason| sentence(reason, lang)).collect::<Vec<_>>();
    let more = |mut sentences: Vec<String>, last: &str| {
        sentences.push(last.to_owned());
        sentences
    };
    Finding {
        time: now,
        class: FindingClass::Detection,
        detector: entry.id.to_owned(),
        title: entry.title.to_owned(),
        title_ja: entry.title_ja.to_owned(),
        severity_id: Severity::High,
        attacks: (entry.attacks)(),
        actor: "the server's own job, or a process that has ended".to_owned(),
        reasons: more(
            sentences(Lang::En),
            "nobody was stopped: whoever did it cannot be told from the database's own server. Look at what the server runs; stop it if \
             that is no work of yours",
        ),
        reasons_ja: more(
            sentences(Lang::Ja),
            "データベースのサーバー自身と区別できないため、何も停止していません。サーバーが実行しているものを確認し、心当たりがなければ\
             サーバーを停止してください",
        ),
        uid: format!("{}-{}", entry.id, now.as_nanosecond()),
        subjects: subjects_of_machine(settings),
    }
}

impl Guard {
    /// Of an actor's processes, those that are frozen: a database's server among them goes on, since all care would stop with it.
    pub(super) fn to_freeze(&self, actor: Actor) -> Vec<(i32, u64)> {
        let processes = self.processes(actor);
        let Some(shelter) = &self.shelter else { return processes };
        let databases: Vec<&Database> = shelter.covers.iter().map(|cover| &cover.database).collect();
        if databases.is_empty() { processes } else { without_servers(&databases, processes) }
    }

    /// A database's server opens its own data: it may, whatever others of its job have done.
    pub(super) fn is_servers_own(&self, waiting: &Waiting) -> bool {
        let Some(path) = path_of(waiting.file.as_fd()) else { return false };
        let cover = self.shelter.as_ref().and_then(|shelter| shelter.of(&path));
        cover.is_some_and(|cover| cover.database.is_server(waiting.tid))
    }

    /// Whether an open needs no judging since it is of a database's file.
    pub(super) fn is_of_database(&self, path: &Path) -> bool {
        self.shelter.as_ref().is_some_and(|shelter| shelter.of(path).is_some())
    }

    /// A new folder or log of a database is let alone, too.
    pub(super) fn shelter_new(&self, path: &Path) {
        if let (true, Some(watch)) = (self.is_of_database(path), &self.watch) {
            // Where the kernel refuses, its opens wait a moment each, and pass.
            let _ = watch.ignore_opens(path);
        }
    }

    /// A database's file was closed after a write; `true` when it was one.
    pub(super) fn closed_of_database(&mut self, file: &File, path: &Path, tid: i32) -> bool {
        let Some(shelter) = &mut self.shelter else { return false };
        let Some(cover) = shelter.covers.iter().find(|cover| cover.database.lets_pass(path)) else {
            return false;
        };
        let actor = self.lineage.actor(tid);
        let members = actor.map(|actor| self.lineage.members(actor)).unwrap_or_default();
        let writer = shelter.servants.writer(&cover.database, tid, actor, members);
        let actor = match writer {
            Writer::Server => return true,
            Writer::Somebody(actor) => actor,
            // One for each database, so that what is nobody's adds up.
            Writer::Nobody => nobody(&shelter.covers, &cover.database),
        };
        let now = Timestamp::now();
        let since = shelter.harmed.iter().find(|(known, ..)| *known == cover.database.path);
        let snapshot =
            cover.snapshots.as_deref().and_then(|home| good(home, since.map_or(now, |(.., at)| *at)));
        let Some(evidence) =
            cover.database.evidence(file, path, snapshot.as_ref().map(|(data, _)| data.as_path()))
        else {
            return true;
        };
        let input = GateInput { actor: actor.number(), evidence: vec![evidence] };
        let verdict = self.gate.decide(&input, now);
        if !matches!(verdict, Verdict::Allow) {
            match shelter.harmed.iter_mut().find(|(known, ..)| *known == cover.database.path) {
                Some((_, files, _)) => *files += 1,
                None => shelter.harmed.push((cover.database.path.clone(), 1, now)),
            }
            if let Some(home) = &cover.snapshots {
                snapshots::hold(home, now);
            }
        }
        if let (Verdict::Stop(reasons), Writer::Nobody) = (&verdict, writer) {
            let is_known = shelter.suspected.iter().any(|(known, _)| *known == cover.database.path);
            if !is_known && !was_told(&mut shelter.alarmed, &cover.database.path, now) {
                shelter.suspected.push((cover.database.path.clone(), reasons.clone()));
            }
        } else if let Verdict::Stop(reasons) = verdict
            && !self.frozen.contains_key(&actor)
            && !self.told.contains(&actor)
            && !shelter.accused.iter().any(|(accused, _)| *accused == actor)
        {
            shelter.accused.push((actor, reasons));
        }
        true
    }

    /// Stops who harmed a database, and says what there is to bring it back with. Its files are not put back one by one: a server that
    /// runs would find pages of two times beside each other.
    pub(super) fn keep_shelter(&mut self, tell: &mut dyn FnMut(Report)) -> anyhow::Result<()> {
        let Some(shelter) = &mut self.shelter else { return Ok(()) };
        let said: Vec<Said> = shelter.said.try_iter().collect();
        let accused = std::mem::take(&mut shelter.accused);
        let suspected = std::mem::take(&mut shelter.suspected);
        said.into_iter().for_each(|said| tell(Report::Database(said)));
        if accused.is_empty() && suspected.is_empty() {
            return Ok(());
        }
        for (database, reasons) in suspected {
            let now = Timestamp::now();
            shelter.alarmed.push((database, now));
            tell(Report::Finding(unblamed(&reasons, &self.settings, now)));
        }
        for (actor, reasons) in accused {
            if self.stop(actor, &self.processes(actor), &reasons, tell)? {
                self.set_right(&[actor], tell)?;
            }
        }
        let Some(shelter) = &mut self.shelter else { return Ok(()) };
        for (database, files, since) in std::mem::take(&mut shelter.harmed) {
            let cover = shelter.covers.iter().find(|cover| cover.database.path == database);
            let home = cover.and_then(|cover| cover.snapshots.clone());
            let snapshot = home.and_then(|home| good(&home, since)).map(|(_, snapshot)| snapshot);
            let taken_at = snapshot.as_ref().map(|snapshot| snapshot.began_at);
            let snapshot = snapshot.map(|snapshot| snapshot.id);
            tell(Report::Database(Said::Harmed { database, files, snapshot, taken_at }));
        }
        Ok(())
    }
}

/// The newest snapshot that had ended before, and where its data lies.
fn good(home: &Path, before: Timestamp) -> Option<(PathBuf, Snapshot)> {
    let snapshot = snapshots::list(home).into_iter().find(|snapshot| snapshot.ended_at < before)?;
    Some((snapshots::data(home, &snapshot), snapshot))
}
