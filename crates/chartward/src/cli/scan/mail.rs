//! `chartward scan mail`: one verdict per mail, with its reasons.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail};
use observe::mail::clamd::Endpoint;
use schema::MailVerdict;

use super::line::{Line, Summary};
use super::ordered::{self, Bounds};
use super::people::People;
use super::source::{self, Raw, Sink};
use crate::cli::lang::LangArgs;
use crate::cli::progress::Bar;
use crate::output::{Output, printable};
use crate::wiring::mail::{Examined, Examiner, Means};

/// Bytes of a mail that are read; what is longer is judged by these and `unreadable` at least. Far above what mail servers let through.
const MAIL_BYTES_MAX: usize = 32 << 20;
/// With the files that a mail carries decoded beside it, this keeps the whole below 256 MB.
const UNDER_WAY: Bounds = Bounds { count: 256, weight: 40 << 20 };

#[derive(clap::Args)]
pub(crate) struct MailArgs {
    /// .eml files, mbox files, Maildirs, folders of them; `-` for the standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// One JSON object a line on stdout
    #[arg(long)]
    json: bool,
    /// Below each mail, all that speaks for and against it
    #[arg(long)]
    explain: bool,
    /// Believe the Authentication-Results of this server (repeatable; `*` for collections of mail)
    #[arg(long, value_name = "ID")]
    trust_authserv_id: Vec<String>,
    /// Further protected brands, such as the hospital itself and its vendors
    #[arg(long, value_name = "FILE")]
    brands: Option<PathBuf>,
    /// Weights to judge by instead of those that come with the program
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Reasons to raise, lower or silence, and senders to allow
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Have each mail scanned by clamd too: its socket's path, or host:port on this machine
    #[arg(long, value_name = "ENDPOINT")]
    clamd: Option<Endpoint>,
    #[command(flatten)]
    lang: LangArgs,
}

/// What came in: a mail, or what could not be read.
enum Job {
    Mail(Raw),
    Failed(PathBuf, io::Error),
}

enum Done {
    Mail(Box<Line>, Option<observe::Error>),
    Failed(PathBuf, io::Error),
}

pub(crate) fn run(args: MailArgs) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.json);
    let examiner = Examiner::new(&args.means())?;
    for path in args.paths.iter().filter(|path| *path != Path::new("-")) {
        fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    }
    let started = Instant::now();
    let mut summary = Summary { kind: "summary", ..Summary::default() };
    let mut people = People::new(args.lang.lang(), args.explain);
    let bar = Bar::new(output, "judging");
    let mut failure = None;
    ordered::run(
        UNDER_WAY,
        |give| {
            let mut feed = Feed { give };
            args.paths.iter().all(|path| source::read(path, MAIL_BYTES_MAX, &mut feed));
        },
        |job| match job {
            Job::Mail(raw) => {
                let Examined { judgement, message, looks, unscanned } =
                    examiner.examine(&raw.bytes, None, None);
                Done::Mail(Box::new(Line::new(raw.path, judgement, &message, &looks)), unscanned)
            }
            Job::Failed(path, error) => Done::Failed(path, error),
        },
        |done| {
            summary.count(&done);
            bar.at(summary.messages, 0);
            let told = tell(output, &mut people, &done);
            told.map_err(|error| failure = Some(error)).is_ok()
        },
    );
    bar.finish();
    if let Some(error) = failure {
        return ended(error);
    }
    if summary.messages == 0 && summary.failed == 0 {
        bail!("no mail in what was named");
    }
    summary.seconds = started.elapsed().as_secs_f64();
    output.line(&summary)?;
    if !args.json {
        people.summary(&summary).or_else(|error| ended(error.into()).map(|_| ()))?;
    }
    Ok(if summary.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// A reader that went away is no failure.
fn ended(error: anyhow::Error) -> anyhow::Result<ExitCode> {
    let is_closed = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    if error.downcast_ref().is_some_and(is_closed) { Ok(ExitCode::SUCCESS) } else { Err(error) }
}

fn tell(output: Output, people: &mut People, done: &Done) -> anyhow::Result<()> {
    if let Done::Mail(line, Some(error)) = done {
        eprintln!("chartward: not scanned for viruses: {}: {error}", printable(&line.path));
    }
    match (done, output) {
        (Done::Mail(line, _), Output::Json) => output.line(line),
        (Done::Mail(line, _), Output::People) => Ok(people.mail(line)?),
        (Done::Failed(path, error), _) => {
            eprintln!("chartward: cannot read {}: {error}", printable(&path.to_string_lossy()));
            Ok(())
        }
    }
}

struct Feed<'a> {
    give: &'a mut dyn FnMut(usize, Job) -> bool,
}

impl Sink for Feed<'_> {
    fn mail(&mut self, raw: Raw) -> bool {
        (self.give)(raw.bytes.len(), Job::Mail(raw))
    }

    fn failed(&mut self, path: &Path, error: &io::Error) {
        let error = io::Error::new(error.kind(), error.to_string());
        (self.give)(0, Job::Failed(path.to_owned(), error));
    }
}

impl Summary {
    fn count(&mut self, done: &Done) {
        let Done::Mail(line, scan_failed) = done else {
            self.failed += 1;
            return;
        };
        self.failed += u64::from(scan_failed.is_some());
        self.messages += 1;
        *match line.judgement.verdict {
            MailVerdict::Clean => &mut self.clean,
            MailVerdict::Unreadable => &mut self.unreadable,
            MailVerdict::Suspicious => &mut self.suspicious,
            MailVerdict::Phishing => &mut self.phishing,
            MailVerdict::Malicious => &mut self.malicious,
        } += 1;
    }

    fn is_clean(&self) -> bool {
        self.clean == self.messages && self.failed == 0
    }
}

impl MailArgs {
    fn means(&self) -> Means {
        Means {
            brands: self.brands.clone(),
            weights: self.weights.clone(),
            policy: self.policy.clone(),
            trusted: self.trust_authserv_id.clone(),
            clamd: self.clamd.clone(),
            bytes_max: MAIL_BYTES_MAX,
        }
    }
}
