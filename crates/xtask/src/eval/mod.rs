//! The evaluation of the guard: real guard, real file systems, real programs, simulated attackers.

mod attack;
mod bystander;
mod classes;
mod corpus;
mod guard;
mod indicators;
mod job;
mod jobs;
mod report;
mod samba;
mod settings;
mod stage;
mod tidy;
mod tree;
mod volume;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, bail, ensure};

use attack::Order;
use classes::{CLASSES, Class};
use corpus::Corpus;
use jobs::{JOBS, Job};
use report::Record;
use stage::Stage;
use volume::Volume;

pub(crate) use report::table;
pub(crate) use settings::Settings;

/// Runs what was asked for, prints the tables, and says by its exit status whether the guard held everything.
pub(crate) fn run(settings: &Settings) -> anyhow::Result<ExitCode> {
    let (mut classes, mut jobs) = (chosen_classes(settings)?, chosen_jobs(settings)?);
    if settings.benign_only {
        classes.clear();
    }
    if settings.attacks_only {
        jobs.clear();
    }
    if settings.list {
        println!("attacks: {}", names(classes.iter().map(|class| class.name)));
        println!("jobs: {}", names(jobs.iter().map(|job| job.name)));
        return Ok(ExitCode::SUCCESS);
    }
    let binary = binary(settings)?;
    let room = tidy::Room::new()?;
    tidy::watch_over(room.path())?;
    let token = mark(room.path())?;
    attack::write_scripts(room.path())?;
    let cache = settings.cache();
    fs::create_dir_all(&cache).context("make the cache folder")?;
    let corpus = corpus::make(room.path(), &cache, &binary, settings.seed, settings.files)?;
    let mut run = Run {
        settings,
        binary: &binary,
        room: room.path(),
        token: &token,
        corpus: &corpus,
        classes,
        jobs,
        record: Record {
            version: tidy::run(Command::new(&binary).arg("--version"))?.trim().to_owned(),
            kernel: tidy::run(Command::new("uname").arg("-r"))?.trim().to_owned(),
            seed: settings.seed,
            files: corpus.contents.len(),
            skipped: corpus.missing.iter().map(|what| format!("files: {what}")).collect(),
            ..Record::default()
        },
    };
    if settings.samba && !samba::kernel_has_cifs() {
        run.record.skipped.push("a cifs mount: this kernel has no cifs; smbclient is used".to_owned());
    }
    println!(
        "{} on Linux {}, {} files, seed {}",
        run.record.version, run.record.kernel, run.record.files, settings.seed
    );
    for &fs in &settings.fs {
        let volume = Volume::new(fs, room.path())?;
        run.all(&volume, None, settings.rounds)?;
    }
    run.tell();
    if settings.ablation {
        run.ablate()?;
    }
    run.write_json()?;
    Ok(if run.record.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Run<'a> {
    settings: &'a Settings,
    binary: &'a Path,
    room: &'a Path,
    token: &'a str,
    corpus: &'a Corpus,
    classes: Vec<&'static Class>,
    jobs: Vec<&'static Job>,
    record: Record,
}

impl Run<'_> {
    /// Every class and every job on one file system.
    fn all(&mut self, volume: &Volume, without: Option<&str>, rounds: u32) -> anyhow::Result<()> {
        let stage = Stage {
            settings: self.settings,
            binary: self.binary,
            room: self.room,
            token: self.token,
            volume,
            corpus: self.corpus,
            python: python()?,
            without: without.map(str::to_owned),
        };
        for class in self.classes.clone() {
            if let Some(why) = attack::hindrance(class, volume.fs, self.settings.samba) {
                self.skip(format!("{} on {}: {why}", class.name, volume.fs));
                continue;
            }
            for round in 0..rounds {
                let seed = self.settings.seed.wrapping_add(round.into());
                self.attack(&stage, class, Order::of_round(round), seed);
            }
        }
        for job in self.jobs.clone() {
            match job::missing(job) {
                Some(name) => self.skip(format!("{}: {name} is not installed", job.name)),
                None => {
                    for _ in 0..rounds {
                        self.job(&stage, job);
                    }
                }
            }
        }
        Ok(())
    }

    fn attack(&mut self, stage: &Stage<'_>, class: &Class, order: Order, seed: u64) {
        let outcome = attack::run(stage, class, order, seed);
        match outcome {
            Ok(case) => {
                eprintln!(
                    "{:28} {:6} {:?}: {} touched, {} irrecoverable, {} brought back by hand, {} left, {}{}",
                    case.class,
                    case.fs,
                    case.end,
                    case.files_touched,
                    case.files_irrecoverable,
                    case.files_brought_back,
                    case.files_leftover,
                    case.time_to_stop_ms.map_or("never".into(), |ms| format!("{ms} ms")),
                    case.aside(),
                );
                self.record.attacks.push(case);
            }
            Err(error) => self.fail(format!("{} on {}: {error:#}", class.name, stage.volume.fs)),
        }
    }

    fn job(&mut self, stage: &Stage<'_>, job: &Job) {
        match job::run(stage, job) {
            Ok(case) => {
                let how = if case.false_stops > 0 {
                    "STOPPED WRONGLY".to_owned()
                } else if case.completed {
                    "left alone".to_owned()
                } else {
                    format!("failed by itself: {}", case.job_said)
                };
                let notices = if case.informational > 0 { ", with a notice" } else { "" };
                eprintln!("{:28} {:6} {how}{notices}, {:.1} s", case.job, case.fs, case.seconds);
                self.record.jobs.push(case);
            }
            Err(error) => self.fail(format!("{} on {}: {error:#}", job.name, stage.volume.fs)),
        }
    }

    fn skip(&mut self, what: String) {
        if !self.record.skipped.contains(&what) {
            eprintln!("skipped {what}");
            self.record.skipped.push(what);
        }
    }

    /// A case that could not be carried out says nothing about the guard, and must not pass for a good one.
    fn fail(&mut self, what: String) {
        eprintln!("not carried out: {what}");
        tidy::end_others(&[]);
        self.record.failed.push(what);
    }

    fn tell(&self) {
        let record = &self.record;
        if !record.attacks.is_empty() {
            println!("\n## Attacks\n\n{}", report::attacks(&record.attacks));
        }
        if !record.jobs.is_empty() {
            println!(
                "\n## Ordinary jobs\n\n{}\n{}",
                report::jobs(&record.jobs),
                report::false_stops(&record.jobs)
            );
        }
        for (title, lines) in [("Not run", &record.skipped), ("Not carried out", &record.failed)] {
            if !lines.is_empty() {
                println!("\n## {title}\n\n- {}", lines.join("\n- "));
            }
        }
        let evasions = report::evasions(&record.attacks);
        if !record.attacks.is_empty() {
            println!("\n{}", report::summary(&record.attacks));
        }
        if record.attacks.is_empty() {
            println!("\nNo attack ran, so no evasion was looked for.");
        } else if evasions.is_empty() {
            println!("\nEvasions that work: none of the classes that ran.");
        } else {
            println!("\n## Evasions that work\n\n- {}", evasions.join("\n- "));
        }
    }

    fn ablate(&mut self) -> anyhow::Result<()> {
        let indicators = indicators::of(self.binary)?;
        if indicators.is_empty() {
            println!("\nNo ablation: this guard has no option --without.");
            return Ok(());
        }
        let Some(&fs) = self.settings.fs.first() else { return Ok(()) };
        let volume = Volume::new(fs, self.room)?;
        let whole = std::mem::take(&mut self.record);
        self.all(&volume, None, 1)?;
        for indicator in &indicators {
            self.all(&volume, Some(indicator), 1)?;
        }
        println!("\n## Each indicator switched off ({fs}, one round)\n\n{}", report::ablation(&self.record));
        let ablated = std::mem::replace(&mut self.record, whole);
        self.record.ablation = Some(Box::new(ablated));
        Ok(())
    }

    fn write_json(&self) -> anyhow::Result<()> {
        let Some(path) = &self.settings.json else { return Ok(()) };
        let mut file = fs::File::create(path).with_context(|| format!("make {}", path.display()))?;
        serde_json::to_writer_pretty(&mut file, &self.record).context("write the cases")?;
        writeln!(file).context("write the cases")
    }
}

fn chosen_classes(settings: &Settings) -> anyhow::Result<Vec<&'static Class>> {
    for name in &settings.class {
        ensure!(CLASSES.iter().any(|class| class.name == name), "no such class: {name} (--list names them)");
    }
    let chosen = CLASSES
        .iter()
        .filter(|class| settings.class.is_empty() || settings.class.iter().any(|n| n == class.name));
    Ok(chosen.collect())
}

fn chosen_jobs(settings: &Settings) -> anyhow::Result<Vec<&'static Job>> {
    for name in &settings.job {
        ensure!(JOBS.iter().any(|job| job.name == name), "no such job: {name} (--list names them)");
    }
    Ok(JOBS
        .iter()
        .filter(|job| settings.job.is_empty() || settings.job.iter().any(|n| n == job.name))
        .collect())
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(" ")
}

/// The chartward to evaluate; one that was not given is built first, so that it is never an old one.
fn binary(settings: &Settings) -> anyhow::Result<PathBuf> {
    if let Some(path) = &settings.binary {
        return path.canonicalize().with_context(|| format!("find {}", path.display()));
    }
    let own = std::env::current_exe().context("find this program")?;
    let folder = own.parent().context("find this program's folder")?;
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["build", "--quiet", "--package", "chartward", "--bin", "chartward"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") => {}
        Some("release") => {
            command.arg("--release");
        }
        _ => bail!("name the chartward to run with --binary"),
    }
    if let Some(target) = folder.parent() {
        command.env("CARGO_TARGET_DIR", target);
    }
    tidy::run(&mut command)?;
    Ok(folder.join("chartward"))
}

/// Marks the room as made by this run; attackers refuse every other place.
fn mark(room: &Path) -> anyhow::Result<String> {
    let token = secret()?;
    fs::write(room.join(".chartward-evaluation"), &token).context("mark the room")?;
    Ok(token)
}

/// A hundred and twenty-eight random bits in hexadecimal digits.
fn secret() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("draw random bits: {error}"))?;
    Ok(hex::encode(bytes))
}

/// The system's own python where there is one: other users may run it, too.
fn python() -> anyhow::Result<PathBuf> {
    let system = PathBuf::from("/usr/bin/python3");
    if system.is_file() {
        return Ok(system);
    }
    stage::program("python3").context("the attackers are written in Python: python3 is not installed")
}
