use std::ffi::OsString;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use prove::state::JobKind;
use recover::drill::SampleSize;
use recover::media::Rotation;
use schema::{RecoveryStep, SnapshotId};

use super::due::{Plan, Retry};
use crate::config::{
    Bundle, Check, Config, Media, Moment, Protect, Retention, Sampled, Secret, Share, Source, Timing, When,
};

/// Name of the job that renews the static bundle.
pub(crate) const BUNDLE: &str = "bundle";

/// Something that is done at its times by a process of its own: a command of this same binary.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Job {
    /// `backup:NAME`, `drill:NAME`, `sample:NAME`, `check`, `forget`, `prune`, `bundle` or `export`; never changes while the configuration keeps its names.
    pub(crate) name: String,
    pub(crate) kind: JobKind,
    /// Name of what is protected, for a backup or a drill.
    pub(crate) protect: Option<String>,
    pub(crate) plan: Plan,
    pub(crate) retry: Retry,
    pub(crate) timeout: SignedDuration,
    work: Work,
}

/// What the command is asked to do.
#[derive(Debug, Clone, PartialEq)]
enum Work {
    Backup {
        /// The share that is copied first.
        share: Option<Share>,
        stores: Vec<String>,
        paths: Vec<PathBuf>,
        exclude: Vec<PathBuf>,
        moment: Moment,
        sandbox: Option<PathBuf>,
        recovery: Vec<RecoveryStep>,
    },
    /// `alone`: nothing else is in the vault, so its newest snapshot is the one to drill.
    Drill {
        sandbox: Option<PathBuf>,
        alone: bool,
        /// Only so much of it.
        sample: Option<SampleSize>,
    },
    Check(Reads),
    Forget {
        keep: Retention,
        /// Whose days and months; `None`: the machine's.
        zone: Option<String>,
    },
    Prune {
        delay: SignedDuration,
        repack_max: u64,
    },
    Export {
        dir: PathBuf,
    },
    Media {
        rotation: Rotation,
        paths: Vec<PathBuf>,
        newest: Option<u32>,
        read_data: bool,
    },
    Bundle(Bundle),
}

/// What a check reads besides the structure.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Reads {
    Nothing,
    Everything,
    /// Hundredths of the bytes, those that have not been read for the longest time.
    Percent(f64),
}

/// What a job is told when it starts.
#[derive(Debug, Clone)]
pub(crate) struct Known<'k> {
    pub(crate) vault: &'k Path,
    pub(crate) state: &'k Path,
    /// The newest snapshot of what the job protects.
    pub(crate) newest: Option<&'k SnapshotId>,
    pub(crate) now: Timestamp,
}

/// The jobs of a configuration, in its order. Without a vault there is nothing to do but to give out the ledger.
pub(crate) fn jobs(config: &Config) -> Vec<Job> {
    let mut jobs = Vec::new();
    if config.vault.is_some() {
        for protect in &config.protect {
            jobs.push(backup(config, protect));
            jobs.push(drill(config, protect));
            jobs.extend(protect.sample.as_ref().map(|sampled| sample(config, protect, sampled)));
        }
        let check = &config.schedule.check;
        let work = Work::Check(reads(check));
        jobs.push(job(config, "check".to_owned(), JobKind::Check, None, &check.timing, work));
        if let Some(keep) = &config.retention {
            let zone = config.zone().iana_name().map(str::to_owned);
            let work = Work::Forget { keep: keep.clone(), zone };
            jobs.push(job(config, "forget".to_owned(), JobKind::Forget, None, &keep.forget, work));
            let work = Work::Prune { delay: keep.delay.0, repack_max: keep.repack_max.0 };
            jobs.push(job(config, "prune".to_owned(), JobKind::Prune, None, &keep.prune, work));
        }
    }
    if config.vault.is_some() {
        jobs.extend(config.media.iter().map(|media| copy_to(config, media)));
        jobs.extend(config.bundle.iter().map(renew));
    }
    if let Some(export) = &config.schedule.export {
        let work = Work::Export { dir: export.dir.clone() };
        jobs.push(job(config, "export".to_owned(), JobKind::Export, None, &export.timing, work));
    }
    jobs
}

/// A tenth more than a share for each run: runs are missed, and vaults grow.
fn reads(check: &Check) -> Reads {
    let Some(within) = check.read_within.filter(|_| check.read_data) else {
        return if check.read_data { Reads::Everything } else { Reads::Nothing };
    };
    let every = match check.timing.when {
        When::Every(every) => every.0,
        When::DailyAt(_) => SignedDuration::from_hours(24),
    };
    let percent = 110.0 * every.as_secs_f64() / within.0.as_secs_f64().max(1.0);
    if percent < 100.0 { Reads::Percent(percent.max(0.01)) } else { Reads::Everything }
}

fn backup(config: &Config, protect: &Protect) -> Job {
    let work = Work::Backup {
        share: match &protect.source {
            Source::Share(share) => Some(share.clone()),
            Source::Paths(_) | Source::Stores(_) => None,
        },
        stores: protect.source.stores().to_vec(),
        paths: protect.source.paths(),
        exclude: protect.exclude.clone(),
        moment: protect.moment,
        sandbox: protect.sandbox.clone(),
        recovery: config.recovery.clone(),
    };
    job(config, format!("backup:{}", protect.name), JobKind::Backup, Some(protect), &protect.backup, work)
}

fn drill(config: &Config, protect: &Protect) -> Job {
    let work =
        Work::Drill { sandbox: protect.sandbox.clone(), alone: config.protect.len() == 1, sample: None };
    job(config, format!("drill:{}", protect.name), JobKind::Drill, Some(protect), &protect.drill, work)
}

fn sample(config: &Config, protect: &Protect, sampled: &Sampled) -> Job {
    let alone = config.protect.len() == 1;
    let work = Work::Drill { sandbox: protect.sandbox.clone(), alone, sample: Some(sampled.size.0) };
    job(config, format!("sample:{}", protect.name), JobKind::Drill, Some(protect), &sampled.timing, work)
}

fn copy_to(config: &Config, media: &Media) -> Job {
    let timing = Timing {
        when: When::Every(media.every),
        timeout: media.timeout,
        // What could not be done now is tried when it is looked again.
        retry: media.every,
        retries: 0,
    };
    let work = Work::Media {
        rotation: media.rotation(config.zone()),
        paths: media.paths.clone(),
        newest: media.newest,
        read_data: media.read_data,
    };
    job(config, format!("media:{}", media.name), JobKind::Media, None, &timing, work)
}

/// When there is something to renew is up to the hub, which knows of proofs and of sticks.
fn renew(bundle: &Bundle) -> Job {
    let timeout = bundle.timeout.map_or_else(|| usual_timeout(JobKind::Bundle), |timeout| timeout.0);
    Job {
        name: BUNDLE.to_owned(),
        kind: JobKind::Bundle,
        protect: None,
        plan: Plan::WhenAsked,
        retry: Retry { after: SignedDuration::ZERO, times: 0 },
        timeout,
        work: Work::Bundle(bundle.clone()),
    }
}

fn job(
    config: &Config,
    name: String,
    kind: JobKind,
    protect: Option<&Protect>,
    timing: &Timing,
    work: Work,
) -> Job {
    let plan = match timing.when {
        When::Every(every) => Plan::Every(every.0),
        When::DailyAt(at) => Plan::Daily { at: at.0, zone: config.zone() },
    };
    let timeout = timing.timeout.map_or_else(|| usual_timeout(kind), |timeout| timeout.0);
    let retry = Retry { after: timing.retry.0, times: timing.retries };
    Job { name, kind, protect: protect.map(|protect| protect.name.clone()), plan, retry, timeout, work }
}

fn usual_timeout(kind: JobKind) -> SignedDuration {
    match kind {
        JobKind::Backup | JobKind::Prune | JobKind::Bundle => SignedDuration::from_hours(6),
        JobKind::Drill | JobKind::Check | JobKind::Media => SignedDuration::from_hours(24),
        JobKind::Forget => SignedDuration::from_hours(1),
        JobKind::Export => SignedDuration::from_mins(10),
    }
}

impl Job {
    /// What the binary is called with; never a secret, since arguments are readable by every user. `None`: there is nothing to
    /// drill yet.
    pub(crate) fn args(&self, known: &Known<'_>) -> Option<Vec<OsString>> {
        let mut args: Vec<OsString> = Vec::new();
        let mut add = |flag: &str, value: &Path| args.extend([flag.into(), value.into()]);
        match &self.work {
            Work::Backup { stores, paths, exclude, moment, sandbox, recovery, .. } => {
                add("--vault", known.vault);
                add("--state", known.state);
                exclude.iter().for_each(|path| add("--exclude", path));
                sandbox.iter().for_each(|path| add("--sandbox", path));
                if *moment != Moment::Auto {
                    args.extend(["--moment".into(), moment.name().into()]);
                }
                let tag = self.protect.iter().flat_map(|name| ["--tag".into(), name.into()]);
                args.extend(tag);
                let steps = recovery.iter().filter_map(|step| serde_json::to_string(step).ok());
                args.extend(steps.flat_map(|step| ["--recovery-step".into(), step.into()]));
                args.extend(stores.iter().flat_map(|store| ["--source".into(), store.into()]));
                args.push("--json".into());
                args.push("--".into());
                args.extend(paths.iter().map(Into::into));
                args.insert(0, "backup".into());
            }
            Work::Drill { sandbox, alone, sample } => {
                add("--vault", known.vault);
                add("--state", known.state);
                sandbox.iter().for_each(|path| add("--sandbox", path));
                args.extend(sample.iter().map(|size| format!("--sample={size}").into()));
                args.push("--json".into());
                match known.newest {
                    Some(newest) => args.push(newest.to_string().into()),
                    None if *alone => {}
                    None => return None,
                }
                args.insert(0, "drill".into());
            }
            Work::Check(reads) => {
                add("--vault", known.vault);
                add("--state", known.state);
                match reads {
                    Reads::Nothing => {}
                    Reads::Everything => args.push("--read-data".into()),
                    Reads::Percent(percent) => {
                        args.extend(["--read-data-subset".into(), format!("{percent:.2}%").into()]);
                    }
                }
                args.splice(0..0, ["vault".into(), "check".into()]);
                args.push("--json".into());
            }
            Work::Media { rotation, paths, newest, read_data } => {
                add("--vault", known.vault);
                add("--state", known.state);
                paths.iter().for_each(|path| add("--path", path));
                let due = rotation.due(known.now);
                let mut say = |flag: &str, value: String| args.push(format!("{flag}={value}").into());
                say("--rotation", rotation.name.clone());
                say("--set", due.set);
                say("--since", due.since.to_string());
                newest.iter().for_each(|newest| say("--newest", newest.to_string()));
                if !read_data {
                    args.push("--written-only".into());
                }
                args.splice(0..0, ["media".into(), "write".into()]);
                args.push("--json".into());
            }
            Work::Bundle(bundle) => {
                add("--vault", known.vault);
                add("--state", known.state);
                add("--to", &bundle.to);
                if let Secret::File(file) = &bundle.passphrase {
                    add("--passphrase-file", file);
                }
                let lang = bundle.lang.iter().flat_map(|lang| ["--lang".into(), lang.tag().into()]);
                args.extend(lang);
                args.extend(["--lock-after".into(), bundle.lock_after.0.as_secs().to_string().into()]);
                args.splice(0..0, ["charts".into(), "export".into()]);
                args.push("--json".into());
            }
            Work::Forget { keep, zone } => {
                add("--vault", known.vault);
                add("--state", known.state);
                args.splice(0..0, ["vault".into(), "forget".into()]);
                args.extend(keep_args(keep).into_iter().map(Into::into));
                args.extend(zone.iter().flat_map(|zone| ["--zone".into(), zone.into()]));
                args.extend(["--apply".into(), "--json".into()]);
            }
            Work::Prune { delay, repack_max } => {
                add("--vault", known.vault);
                add("--state", known.state);
                args.splice(0..0, ["vault".into(), "prune".into()]);
                args.extend(["--delay".into(), format!("{}s", delay.as_secs()).into()]);
                args.extend(["--max-repack-size".into(), repack_max.to_string().into()]);
                args.extend(["--apply".into(), "--json".into()]);
            }
            Work::Export { dir } => {
                let name = known.now.strftime("ledger-%Y%m%dT%H%M%SZ.jsonl").to_string();
                add("--to", &dir.join(name));
                add("--state", known.state);
                args.splice(0..0, ["prove".into(), "export".into()]);
                args.push("--json".into());
            }
        }
        Some(args)
    }

    /// What has to be done before it: the copy of a share that it backs up.
    pub(crate) fn args_before(&self) -> Option<Vec<OsString>> {
        let Work::Backup { share: Some(share), .. } = &self.work else { return None };
        let mut args: Vec<OsString> = vec!["share".into(), "pull".into(), "--json".into()];
        args.extend(["--port".into(), share.port.to_string().into()]);
        args.extend(["--shadow-max-age".into(), share.shadow_max_age.0.as_secs().to_string().into()]);
        for folder in &share.folders {
            args.extend(["--path".into(), folder.into()]);
        }
        if let Some(file) = &share.credentials {
            args.extend(["--credentials".into(), file.into()]);
        }
        args.extend(["--to".into(), share.mirror.clone().into(), share.path.clone().into()]);
        Some(args)
    }

    /// Names of the passwords that its stores, or its bundle, want.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let mut names: Vec<String> = match &self.work {
            Work::Backup { stores, .. } => {
                stores.iter().filter_map(|it| recover::adapter::wanted_secret(it)).collect()
            }
            Work::Bundle(Bundle { passphrase: Secret::Secret(name), .. }) => vec![name.clone()],
            _ => Vec::new(),
        };
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Whether it opens the vault.
    pub(crate) fn needs_passphrase(&self) -> bool {
        !matches!(self.work, Work::Export { .. })
    }

    /// Whether it takes something out of the vault, which it does alone and never while somebody holds the vault.
    pub(crate) fn takes_away(&self) -> bool {
        matches!(self.kind, JobKind::Forget | JobKind::Prune)
    }
}

fn keep_args(keep: &Retention) -> Vec<String> {
    let hours = keep.keep_within.0.as_hours();
    let mut args = Vec::new();
    // Of nothing, a duration is none.
    if hours > 0 {
        args.extend(["--keep-within".to_owned(), format!("{hours}h")]);
    }
    for (flag, number) in [
        ("--keep-daily", keep.keep_daily),
        ("--keep-weekly", keep.keep_weekly),
        ("--keep-monthly", keep.keep_monthly),
        ("--keep-yearly", keep.keep_yearly),
        ("--generations", keep.generations),
        ("--protected-from", keep.protected_from),
    ] {
        args.extend([flag.to_owned(), number.to_string()]);
    }
    args
}
