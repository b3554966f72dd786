//! `chartward mail serve`: a milter in the foreground.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use jiff::SignedDuration;
use observe::mail::milter::Bounds;
use observe::mail::quarantine::Keeping;
use schema::Lang;

use crate::cli::lang::LangArgs;
use crate::config::{self, Config, Network, Size};
use crate::output::{Output, printable};
use crate::wiring::mail::policy::{OnFailure, Word};
use crate::wiring::mail::{self, Examiner, Means, Report, Settings, release, weighing};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where the mail server finds it: unix:/PATH or inet:PORT@127.0.0.1 (default: as [mail] of the configuration says, else inet:8891@127.0.0.1)
    #[arg(long, value_name = "SOCKET")]
    listen: Option<String>,
    /// What becomes of mails: VERDICT=ACTION, or ACTION for every verdict; can be given several times. Verdicts: unreadable, suspicious, phishing, malicious. Actions: watch, tag, quarantine, reject
    #[arg(long, value_name = "POLICY")]
    policy: Vec<Word>,
    /// What becomes of a mail that could not be examined because something failed here
    #[arg(long, value_enum, value_name = "WHAT")]
    on_failure: Option<OnFailure>,
    /// Who is asked about senders: system, ADDRESS[:PORT], or off
    #[arg(long, value_name = "SERVER")]
    dns: Option<String>,
    /// A machine or network that passes on others' mail; can be given several times
    #[arg(long, value_name = "NETWORK", value_parser = network)]
    relay: Vec<Network>,
    /// Folder of the quarantine (default: mail/quarantine in the state folder)
    #[arg(long, value_name = "DIR")]
    quarantine: Option<PathBuf>,
    /// How long mails are kept there, such as 30d
    #[arg(long, value_name = "TIME", value_parser = period)]
    keep: Option<SignedDuration>,
    /// The most that they take, such as "2 GiB"
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_quarantine: Option<Size>,
    /// Put a warning at the top of mails that are tagged
    #[arg(long)]
    banner: bool,
    /// Put this before the subject of mails that are tagged
    #[arg(long, value_name = "TEXT")]
    subject_prefix: Option<String>,
    /// Whom a sender whose mail is rejected may call
    #[arg(long, value_name = "TEXT")]
    contact: Option<String>,
    /// The longest mail that is examined, such as "64 MiB"
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_message: Option<Size>,
    /// Believe the Authentication-Results of this server for mails that a relay passed on; can be given several times
    #[arg(long, value_name = "ID")]
    trust_authserv_id: Vec<String>,
    /// Further protected brands, such as the hospital itself and its vendors
    #[arg(long, value_name = "FILE")]
    brands: Option<PathBuf>,
    /// Reasons to raise, lower or silence, and senders to allow (default: policy.toml beside the quarantine, as `mail policy` writes it)
    #[arg(long, value_name = "FILE")]
    weighing: Option<PathBuf>,
    /// Have each mail scanned by clamd too: its socket's path, or host:port on this machine
    #[arg(long, value_name = "ENDPOINT")]
    clamd: Option<String>,
    /// Answer there how the gateway stands, for the hub
    #[arg(long, value_name = "SOCKET")]
    control: Option<PathBuf>,
    /// Configuration file; read when it is given, or when --listen is not (default: chartward.toml, then /etc/chartward/chartward.toml)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// State folder: the quarantine lies below it (default: /var/lib/chartward for root, else ~/.local/state/chartward)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// JSON lines on stdout, as always
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lang: LangArgs,
}

fn network(text: &str) -> Result<Network, String> {
    config::network(text).map_err(|fault| fault.to_string())
}

fn size(text: &str) -> Result<Size, String> {
    config::size(text).map_err(|fault| fault.to_string())
}

fn period(text: &str) -> Result<SignedDuration, String> {
    config::period(text).map(|period| period.0).map_err(|fault| fault.to_string())
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let lang = args.lang.lang();
    let (settings, means) = settings(args)?;
    let examiner = Examiner::new(&means)?;
    let stop = Arc::new(AtomicBool::new(false));
    end_with_signals(&stop)?;
    let tell: mail::Tell = Arc::new(move |report| tell(&report, lang));
    mail::serve(settings, mail::judge(examiner), &stop, tell)?;
    Ok(ExitCode::SUCCESS)
}

/// The configuration's [mail], with what the command line says instead.
fn settings(args: Args) -> anyhow::Result<(Settings, Means)> {
    let file = match (&args.config, &args.listen) {
        (None, Some(_)) => None,
        (given, _) => config::find(given.as_deref()),
    };
    let config = file.as_deref().map(Config::load).transpose()?;
    let state = args.state.or_else(|| config.as_ref()?.state.clone());
    let mail = config.and_then(|config| config.mail).unwrap_or_default();
    let policy = args.policy.iter().fold(mail.policy(), |policy, word| policy.with(*word));
    let listen = args.listen.unwrap_or(mail.listen);
    let dns = args.dns.unwrap_or(mail.dns);
    let relays = if args.relay.is_empty() { mail.relays } else { args.relay };
    let quarantine = match args.quarantine {
        Some(dir) => dir,
        None => release::folder(&crate::cli::state_dir(state)?),
    };
    let for_ = args.keep.unwrap_or(mail.quarantine_keep.0);
    let bytes = args.max_quarantine.unwrap_or(mail.quarantine_max).0;
    let message_bytes = usize::try_from(args.max_message.unwrap_or(mail.message_max).0)?;
    let bounds = Bounds::default();
    let beside = quarantine.with_file_name(weighing::FILE_NAME);
    let means = Means {
        brands: args.brands.or(mail.brands),
        weights: None,
        policy: args.weighing.or(mail.weighing).or_else(|| Some(beside).filter(|file| file.exists())),
        trusted: if args.trust_authserv_id.is_empty() {
            mail.trust_authserv_ids
        } else {
            args.trust_authserv_id
        },
        clamd: args.clamd.or(mail.clamd).map(|given| given.parse()).transpose()?,
        bytes_max: message_bytes,
    };
    let settings = Settings {
        listen: listen.parse().context("read where to listen")?,
        policy,
        on_failure: args.on_failure.unwrap_or(mail.on_failure),
        dns: match dns.as_str() {
            "off" => None,
            other => Some(other.parse().context("read which name server to ask")?),
        },
        relays: relays.into_iter().map(|network| network.0).collect(),
        quarantine,
        keeping: Keeping { for_, bytes, ..Keeping::default() },
        banner: args.banner || mail.banner,
        subject_prefix: args.subject_prefix.unwrap_or(mail.subject_prefix),
        contact: args.contact.unwrap_or(mail.contact),
        bounds: Bounds { message_bytes, held_bytes: bounds.held_bytes.max(4 * message_bytes), ..bounds },
        control: args.control,
    };
    Ok((settings, means))
}

/// The first signal lets the mails that are being examined come to their end.
fn end_with_signals(stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT]).context("listen to signals")?;
    let stop = Arc::clone(stop);
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for _ in signals.forever() {
                stop.store(true, Ordering::Relaxed);
            }
        })
        .context("start a thread for signals")?;
    Ok(())
}

fn tell(report: &Report, lang: Lang) {
    for line in mail::as_json(report) {
        // A reader that went away does not end the gateway: mails would wait.
        let _ = Output::Json.line(&line);
    }
    if let Some(words) = mail::words(report, lang) {
        Output::Json.say(printable(&words));
    }
}
