//! A console with everything behind it: a real state, ledger, door and hub, and a thread that carries commands out.

use std::process::Command as Process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::Receiver;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use prove::state::{Arming, JobKind, JobOutcome, Promise};
use prove::{Fact, Ledger, State};
use schema::*;
use tempfile::TempDir;

use crate::access::{Access, Audit, Auditor, Cost, Sealed};
use crate::console::{Protect, Serving, Settings, Shows, serve};
use crate::hub::{Answer, Command, Hub, Live, Refusal, Request};
use crate::wiring::mail::training::Training;
use crate::wiring::mail::training::departments::Departments;

/// The served console; it ends with the test.
pub(super) struct Fixture {
    pub(super) serving: Option<Serving>,
    pub(super) hub: Option<Hub>,
    pub(super) access: Access,
    pub(super) state: State,
    ending: Arc<AtomicBool>,
    core: Option<JoinHandle<()>>,
    pub(super) dir: TempDir,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let dir = TempDir::with_prefix("chartward-console-").unwrap();
        let now = Timestamp::now();
        let state = State::open(dir.path(), now).unwrap();
        let ledger = Arc::new(Ledger::open(dir.path(), now).unwrap());
        let access = open_access(dir.path(), &state, &ledger);
        let (requests, asked) = crossbeam_channel::bounded(8);
        let hub = Hub::new(state.clone(), requests);
        let ending = Arc::new(AtomicBool::new(false));
        let core = core(hub.clone(), asked, Arc::clone(&ending));
        let settings = Settings {
            listen: "127.0.0.1:0".parse().unwrap(),
            names: vec!["localhost".into(), "127.0.0.1".into()],
            tls: true,
            state_dir: dir.path().to_owned(),
            release_to: "127.0.0.1:9".into(),
            weighing: None,
            training: training(),
            zone: TimeZone::get("Asia/Tokyo").unwrap(),
            shows: shows(),
        };
        let serving = serve(settings, hub.clone(), access.clone(), ledger).unwrap();
        Self { serving: Some(serving), hub: Some(hub), access, state, ending, core: Some(core), dir }
    }

    pub(super) fn url(&self) -> String {
        format!("https://localhost:{}", self.serving.as_ref().unwrap().addr.port())
    }

    /// The head of an answer and its body, as curl sees them.
    pub(super) fn curl(&self, args: &[&str], path: &str) -> String {
        let port = self.serving.as_ref().unwrap().addr.port();
        let url = format!("{}{path}", self.url());
        let evil = format!("evil.example:{port}:127.0.0.1");
        let out = Process::new("curl")
            .args(["-sik", "--max-time", "20", "--resolve", &evil])
            .args(args)
            .arg(url)
            .output()
            .unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        drop(self.serving.take());
        self.ending.store(true, Ordering::Relaxed);
        drop(self.hub.take());
        if let Some(core) = self.core.take() {
            let _ = core.join();
        }
    }
}

fn open_access(dir: &std::path::Path, state: &State, ledger: &Arc<Ledger>) -> Access {
    let written = Arc::clone(ledger);
    let auditor: Auditor = Arc::new(move |audit: &Audit| {
        let fact = Fact::Access {
            user: audit.user.clone(),
            role: audit.role.map_or("", |role| role.name()).to_owned(),
            what: audit.what.clone(),
            object: audit.object.clone(),
            allowed: audit.allowed,
        };
        written.append(fact, audit.at).unwrap();
    });
    let settings = crate::access::Settings {
        cost: Cost { kib: 64, passes: 1 },
        ..crate::access::Settings::new("Kita Clinic", true)
    };
    Access::open(state.clone(), Sealed::open(dir, None).unwrap(), settings, auditor).unwrap()
}

/// What the hub does with commands, as far as pages show it.
fn core(hub: Hub, asked: Receiver<Request>, ending: Arc<AtomicBool>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        while !ending.load(Ordering::Relaxed) {
            let Ok(request) = asked.recv_timeout(Duration::from_millis(50)) else { continue };
            let answer = carry_out(&hub.state, &request.command, &request.by);
            hub.tell(Live::Jobs);
            let _ = request.answer.send(answer);
        }
    })
}

fn carry_out(state: &State, command: &Command, by: &str) -> Result<Answer, Refusal> {
    let now = Timestamp::now();
    let change = |id: CountermeasureId, to: CountermeasureState| {
        let mut it = state.countermeasure(id).unwrap().unwrap();
        it.state = to;
        match to {
            CountermeasureState::Applied => {
                (it.applied_at, it.approved_by) = (Some(now), Some(by.to_owned()))
            }
            _ => it.undone_at = Some(now),
        }
        state.write(|tx| tx.put_countermeasure(&it)).unwrap();
        Ok(Answer::Countermeasure { countermeasure: Box::new(it) })
    };
    match command {
        Command::Approve { id } => change(*id, CountermeasureState::Applied),
        Command::Reject { id } => change(*id, CountermeasureState::Rejected),
        Command::Undo { id } => change(*id, CountermeasureState::Undone),
        Command::Mark { id, status } => {
            let mut incident = state.incident(*id).unwrap().unwrap();
            incident.status = *status;
            state.write(|tx| tx.put_incident(&incident)).unwrap();
            Ok(Answer::Incident { incident: Box::new(incident) })
        }
        Command::Arm { kind, class, armed: true } => {
            let arming = Arming { kind: *kind, class: *class, by: by.to_owned(), at: now };
            state.write(|tx| tx.arm(&arming)).unwrap();
            Ok(Answer::Done { en: "armed".into(), ja: "有効にしました".into() })
        }
        Command::RunJob { name } if name == "unknown" => {
            Err(Refusal { en: "there is no such job".into(), ja: "その処理はありません".into() })
        }
        _ => Ok(Answer::Done { en: "done".into(), ja: "完了しました".into() }),
    }
}

fn shows() -> Shows {
    Shows {
        hospital: "Kita Clinic".into(),
        protects: vec![Protect {
            name: "emr".into(),
            what: vec!["/srv/ssmix2".into()],
            jobs: vec![
                ("emr-backup".into(), "毎時 / every hour".into()),
                ("emr-drill".into(), "毎日 02:00 / daily".into()),
            ],
        }],
        never_touch: vec!["192.0.2.0/28".into(), "ct-console".into()],
        channels: vec![("duty".into(), "smtp".into())],
        wall: None,
    }
}

pub(super) fn incident(id: u64, at: Timestamp) -> Incident {
    let ago = |minutes: i64| at - SignedDuration::from_mins(minutes);
    let chapter =
        |tactic, technique: &str, name: &str, from: i64, to: i64, findings, en: &str, ja: &str| Chapter {
            tactic: Some(tactic),
            attack: Some(Attack { technique: technique.into(), name: name.into(), tactic }),
            first_at: ago(from),
            last_at: ago(to),
            findings,
            en: en.into(),
            ja: ja.into(),
        };
    let actor =
        Subject { role: SubjectRole::Actor, entity: Entity::Address { address: [192, 0, 2, 77].into() } };
    let store = Subject { role: SubjectRole::Target, entity: Entity::Store { name: "/srv/ssmix2".into() } };
    let story = vec![
        chapter(
            Tactic::InitialAccess,
            "T1133",
            "External Remote Services",
            42,
            38,
            3,
            "A log-in over the VPN from a place not seen before",
            "これまでにない場所からのVPNログイン",
        ),
        chapter(
            Tactic::LateralMovement,
            "T1021.001",
            "Remote Desktop Protocol",
            30,
            12,
            18,
            "Remote desktop from 192.0.2.77 to three servers",
            "192.0.2.77から3台のサーバーへのリモートデスクトップ接続",
        ),
        chapter(
            Tactic::Impact,
            "T1486",
            "Data Encrypted for Impact",
            6,
            1,
            412,
            "Structured records are replaced by noise",
            "構造のある記録が、読めないデータに置き換えられています",
        ),
    ];
    Incident {
        id: IncidentId(id),
        first_at: ago(42),
        last_at: ago(1),
        status: IncidentStatus::Open,
        severity_id: Severity::Critical,
        title: "192.0.2.77 encrypts the record store /srv/ssmix2".into(),
        title_ja: "192.0.2.77が記録の保存先 /srv/ssmix2 を暗号化しています".into(),
        subjects: vec![(actor.clone(), 433), (store.clone(), 412)],
        findings: 433,
        detectors: [("encryption.noise".into(), 412), ("lateral.rdp".into(), 18)].into(),
        watchers: [("files".into(), WatcherClass::Guard), ("net".into(), WatcherClass::Sensor)].into(),
        samples: vec![Finding {
            time: ago(6),
            class: FindingClass::Detection,
            detector: "encryption.noise".into(),
            title: "Structured records replaced by noise".into(),
            title_ja: "構造のある記録が乱数状データに置換".into(),
            severity_id: Severity::Critical,
            attacks: Vec::new(),
            actor: "192.0.2.77".into(),
            reasons: vec!["12 of 12 files no longer decode".into()],
            reasons_ja: vec!["12件中12件のファイルが解読不能になりました".into()],
            uid: "1".into(),
            subjects: vec![actor, store],
        }],
        story,
        unknowns: vec![Unknown {
            en: "Nobody looked at outgoing traffic before 21:00: whether data was taken is not known.".into(),
            ja: "21:00以前の外向き通信は監視されていません。情報が持ち出されたかどうかは不明です。".into(),
        }],
    }
}

pub(super) fn countermeasure(
    id: u64,
    incident: u64,
    act: Act,
    state: CountermeasureState,
    now: Timestamp,
) -> Countermeasure {
    Countermeasure {
        id: CountermeasureId(id),
        incident: Some(IncidentId(incident)),
        act,
        caused_by: Some(WatcherClass::Guard),
        because: "it encrypts the record store".into(),
        because_ja: "記録の保存先を暗号化しているため".into(),
        planned_at: now - SignedDuration::from_mins(2),
        deadline: now + SignedDuration::from_mins(28),
        lasts_seconds: Some(14_400),
        state,
        approved_by: None,
        applied_at: None,
        undone_at: None,
        detail: String::new(),
    }
}

/// A hospital with one attack going on, as pages and screenshots show it. Nothing in it is about a real one.
pub(super) fn attacked(fixture: &Fixture) {
    let now = Timestamp::now();
    let ago = |minutes: i64| now - SignedDuration::from_mins(minutes);
    let host: std::net::IpAddr = [192, 0, 2, 77].into();
    fixture
        .state
        .write(|tx| {
            tx.put_incident(&incident(1, now))?;
            let waits = CountermeasureState::Proposed;
            tx.put_countermeasure(&countermeasure(1, 1, Act::IsolateHost { address: host }, waits, now))?;
            tx.put_countermeasure(&countermeasure(2, 1, Act::LockVault, waits, now))?;
            tx.add_moment(
                IncidentId(1),
                &Moment {
                    at: ago(5),
                    stage: Stage::Contain,
                    en: "The duty officer was told by mail".into(),
                    ja: "当直担当者へメールで通知しました".into(),
                },
            )?;
            for hour in 0..(14 * 24) {
                let at = ago(hour * 60);
                let rpo = 600.0 + 2_400.0 * ((hour % 12) as f64 / 12.0);
                let proven = !(100..130).contains(&hour);
                tx.put_promise(&Promise {
                    at,
                    rpo_seconds: proven.then_some(rpo),
                    rto_first_chart_seconds: proven.then_some(9.0 + (hour % 7) as f64),
                    rto_full_seconds: Some(340.0),
                    alarms: u64::from(!proven),
                })?;
            }
            for (name, kind) in [("emr-backup", JobKind::Backup), ("emr-drill", JobKind::Drill)] {
                let run = tx.start_job(name, kind, ago(40), ago(40))?;
                tx.finish_job(run, JobOutcome::Done, ago(38), "{}")?;
            }
            tx.miss_job("emr-backup", JobKind::Backup, ago(300))?;
            Ok(())
        })
        .unwrap();
    let alarm = Alarm {
        id: "incident.open".into(),
        severity_id: Severity::Critical,
        title: "An incident is open: 192.0.2.77 encrypts the record store".into(),
        title_ja: "インシデント進行中：192.0.2.77が記録の保存先を暗号化しています".into(),
        next_step: "Open the incident and decide on what is proposed.".into(),
        next_step_ja: "インシデントを開き、提案された対処を判断してください。".into(),
    };
    let promise = Status {
        at: now,
        rpo_seconds: Some(2_580.0),
        snapshot_age_seconds: Some(2_700.0),
        rto_first_chart_seconds: Some(11.2),
        rto_full_seconds: Some(340.0),
        proven_at: Some(ago(90)),
        snapshot: None,
        alarms: vec![alarm],
        remarks: Vec::new(),
    };
    let watcher = |name: &str, class, state, trouble: &str| WatcherHealth {
        name: name.into(),
        class,
        state,
        pid: Some(4_711),
        ready_at: Some(ago(600)),
        last_line_at: Some(ago(1)),
        lines: 1_204_331,
        garbage: 2,
        dropped: 0,
        restarts: 1,
        trouble: trouble.into(),
        blind_spots: vec!["Does not see what is written over the network by other machines.".into()],
        blind_spots_ja: vec!["ほかの機器がネットワーク越しに書き込む内容".into()],
        packets: None,
    };
    let watchers = vec![
        watcher("files", WatcherClass::Guard, WatcherState::Ready, ""),
        watcher("net", WatcherClass::Sensor, WatcherState::Ready, ""),
        watcher(
            "mail",
            WatcherClass::Mail,
            WatcherState::BackingOff,
            "connection to the mail gateway refused",
        ),
    ];
    let hub = fixture.hub.as_ref().unwrap();
    hub.show(|shown| (shown.watchers, shown.promise) = (watchers, Some(promise)), Live::Promise);
}

fn training() -> Training {
    let named = [("内科".to_owned(), vec!["dr@hospital.example".to_owned()])];
    Training {
        departments: Departments::new(&named.into()),
        contact: "+81-3-0000-0000".into(),
        hospital: "Test".into(),
        zone: TimeZone::get("Asia/Tokyo").unwrap(),
    }
}
