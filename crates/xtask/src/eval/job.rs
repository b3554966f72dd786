//! One ordinary job on one tree beside one guard, and whether it was left alone.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;

use super::guard::Guard;
use super::jobs::Job;
use super::stage::{Stage, program};
use super::tidy;
use super::tree::lay_out;
use super::volume::FileSystem;

/// A few looks of the guard more, for what is judged only when the job is over, and for a notice, which comes a second later.
const AFTER: Duration = Duration::from_millis(1500);

/// What one job came to.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Ordinary {
    pub(crate) job: &'static str,
    pub(crate) fs: FileSystem,
    pub(crate) without: Option<String>,
    /// How often the guard took it for an attack.
    pub(crate) false_stops: usize,
    /// Findings for information only: nobody is stopped for them.
    pub(crate) informational: usize,
    /// The guard's reasons for it.
    pub(crate) reasons: Vec<String>,
    /// Of the job alone.
    pub(crate) seconds: f64,
    /// It ended as it should.
    pub(crate) completed: bool,
    pub(crate) timed_out: bool,
    pub(crate) guard_died: bool,
    pub(crate) events_missed: bool,
    /// What the job said when it ended badly.
    pub(crate) job_said: String,
}

/// The program that a job wants and that is not here.
pub(crate) fn missing(job: &Job) -> Option<&'static str> {
    job.programs.iter().copied().find(|name| program(name).is_none())
}

/// Runs one case.
pub(crate) fn run(stage: &Stage<'_>, job: &Job) -> anyhow::Result<Ordinary> {
    let tree = stage.volume.dir.join("tree");
    let place = stage.fresh_place()?;
    lay_out(&stage.corpus.dir, &tree)?;
    let beside = place.join("b");
    fs::create_dir(&beside).context("make room for the job")?;
    fs::set_permissions(&beside, std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
    let line = |text: &str| {
        let mut command = Command::new("sh");
        command.args(["-ec", text]).env("T", &tree).env("B", &beside).current_dir(&beside);
        command
    };
    if !job.before.is_empty() {
        tidy::run(&mut line(job.before)).context("prepare the job")?;
    }
    let mut guard =
        Guard::start(stage.binary, stage.settings.mode(), &tree, &place, &stage.guard_arguments())?;
    let mut command = line(job.line);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(place.join("job.log")).context("make the job's log")?);
    let began = Instant::now();
    let mut shell = tidy::start(std::os::unix::process::CommandExt::process_group(&mut command, 0))?;
    let end = began + stage.settings.patience();
    let mut status = None;
    while status.is_none() && guard.findings() == 0 && Instant::now() < end {
        guard.listen();
        status = shell.try_wait().context("wait for the job")?;
        thread::sleep(Duration::from_millis(5));
    }
    let seconds = began.elapsed().as_secs_f64();
    thread::sleep(AFTER);
    guard.listen();
    tidy::end_others(&[guard.pid()]);
    let _ = shell.wait();
    let guard_died = !guard.end();
    tidy::unmount_below(&tree);
    let log = fs::read_to_string(place.join("job.log")).unwrap_or_default();
    let reasons = guard.seen.iter().filter(|line| line["class_uid"] == 2004);
    Ok(Ordinary {
        job: job.name,
        fs: stage.volume.fs,
        without: stage.without.clone(),
        false_stops: guard.findings(),
        informational: guard.informational(),
        reasons: reasons.map(|line| line["finding_info"]["desc"].to_string()).collect(),
        seconds,
        completed: status.is_some_and(|status| status.success()),
        timed_out: status.is_none() && guard.findings() == 0,
        guard_died,
        events_missed: guard.said("missed").next().is_some(),
        job_said: log.trim().lines().last().unwrap_or_default().to_owned(),
    })
}
