//! `chartward logs`: the watcher of logs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use jiff::tz::TimeZone;

use crate::cli::lang::LangArgs;
use crate::config::{self, Config};
use crate::output::{Output, printable_lines};
use crate::wiring::logs::{self, Asked, Door, Level, Place, Settings};

/// Watch logs: files, syslog, the journal, what collectors send
#[derive(Debug, clap::Args)]
pub(crate) struct LogsArgs {
    /// Files and folders to follow (default: as [logs] of the configuration says)
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A folder of Sigma rules; can be given several times. They are read anew when they change
    #[arg(long, value_name = "DIR")]
    rules: Vec<PathBuf>,
    /// Leave out the rules that come with Chartward
    #[arg(long)]
    no_own_rules: bool,
    /// The least level of rules that are used
    #[arg(long, value_name = "LEVEL")]
    level: Option<Level>,
    /// Only rules with this tag, such as attack.t1110; can be given several times
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// Listen for syslog at udp://ADDR:PORT, tcp://ADDR:PORT or tls://ADDR:PORT; can be given several times
    #[arg(long, value_name = "DOOR")]
    syslog: Vec<Door>,
    /// Listen for JSON lines that collectors post, at http://127.0.0.1:PORT or https://ADDR:PORT; can be given several times
    #[arg(long, value_name = "DOOR")]
    http: Vec<Door>,
    /// Follow this machine's journal
    #[arg(long)]
    journal: bool,
    /// Go on until ended (default)
    #[arg(long, conflicts_with = "once")]
    follow: bool,
    /// Read the files once, from their beginnings, and end
    #[arg(long)]
    once: bool,
    /// Files that are met for the first time are read from their beginnings
    #[arg(long)]
    from_start: bool,
    /// Certificate of the TLS doors (default: one is made in its folder)
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// The key of that certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// Who may come through the TLS doors: certificates of this authority only
    #[arg(long, value_name = "FILE")]
    client_ca: Option<PathBuf>,
    /// Zone of lines that do not say theirs (default: the configuration's, else this machine's)
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// Answer there how the watcher stands (default: control.sock in its folder)
    #[arg(long, value_name = "SOCKET")]
    control: Option<PathBuf>,
    /// Configuration file (default: chartward.toml, then /etc/chartward/chartward.toml)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// State folder: the watcher's own lies below it (default: /var/lib/chartward for root, else ~/.local/state/chartward)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// JSON lines on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lang: LangArgs,
    /// Everything that the configuration says, from the hub
    #[arg(long, hide = true, value_name = "JSON")]
    settings: Option<String>,
    /// The watcher's own folder, from the hub
    #[arg(long, hide = true, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Where people say what is open for contractors and what is to be forgotten, from the hub
    #[arg(long, hide = true, value_name = "DIR")]
    people: Option<PathBuf>,
    /// End when the process that started this one ends, however it ends
    #[arg(long, hide = true)]
    end_with_parent: bool,
}

pub(crate) fn run(args: LogsArgs) -> anyhow::Result<ExitCode> {
    if args.end_with_parent {
        let asked = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM));
        asked.context("ask to be told of the parent's end")?;
    }
    let (output, lang) = (Output::new(args.json), args.lang.lang());
    let settings = args.settings()?;
    if args.once {
        return super::scan::judge_logs(&settings.files, &settings, output, lang);
    }
    let (folder, people) = match &args.folder {
        Some(folder) => (folder.clone(), args.people.clone()),
        None => {
            let state = args.state_folder()?;
            (logs::folder(&state), Some(state.join(crate::wiring::logins::FOLDER)))
        }
    };
    let control = args.control.clone().unwrap_or_else(|| folder.join("control.sock"));
    let place = Place { control: Some(absolute(&control)?), folder: absolute(&folder)?, people };
    act::evidence::private_dir(&place.folder)?;
    let tls = logs::tls(&settings, &place.folder)?;
    let asked = Asked::default();
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&asked.stop)).context("listen to signals")?;
    }
    signal_hook::flag::register(signal_hook::consts::SIGHUP, Arc::clone(&asked.reload))
        .context("listen to signals")?;
    let again = Box::new(move || args.settings());
    logs::watch(settings, &place, again, tls, &asked, move |report| {
        // A reader that went away does not end the watch.
        let _ = output.line(&logs::as_json(&report));
        if let Some(words) = logs::words(&report, lang) {
            output.say(printable_lines(&words));
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Under the hub its folder is reached as the working folder, whose parents may be closed.
fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    if std::env::var_os("CHARTWARD_FOLDER").is_some() && path.is_relative() {
        return Ok(path.to_owned());
    }
    std::path::absolute(path).with_context(|| format!("find {}", path.display()))
}

impl LogsArgs {
    fn state_folder(&self) -> anyhow::Result<PathBuf> {
        let file = config::find(self.config.as_deref());
        let config = file.as_deref().map(Config::load).transpose()?;
        let state = self.state.clone().or_else(|| config.as_ref()?.state.clone());
        std::path::absolute(super::state_dir(state)?).context("find the state folder")
    }

    /// What the hub says, else the configuration with what the command line says instead.
    fn settings(&self) -> anyhow::Result<Settings> {
        if let Some(whole) = &self.settings {
            return serde_json::from_str(whole).context("read what the hub says");
        }
        let file = config::find(self.config.as_deref());
        let config = file.as_deref().map(Config::load).transpose()?;
        let zone = match &self.zone {
            Some(name) => TimeZone::get(name).with_context(|| format!("find the time zone {name:?}"))?,
            None => config.as_ref().map_or_else(TimeZone::system, Config::zone),
        };
        let mut settings = Settings::of(config.as_ref(), zone);
        let is_given =
            !self.files.is_empty() || !self.syslog.is_empty() || !self.http.is_empty() || self.journal;
        if is_given {
            settings.files = self
                .files
                .iter()
                .map(std::path::absolute)
                .collect::<Result<_, _>>()
                .context("find the files")?;
            settings.syslog.clone_from(&self.syslog);
            settings.http.clone_from(&self.http);
            settings.journal = self.journal;
        }
        settings.from_start |= self.from_start;
        settings.rules.extend(self.rules.iter().cloned());
        settings.own_rules &= !self.no_own_rules;
        settings.level_min = self.level.unwrap_or(settings.level_min);
        if !self.tag.is_empty() {
            settings.tags.clone_from(&self.tag);
        }
        if let (Some(certificate), Some(key)) = (&self.certificate, &self.key) {
            settings.certificate = Some((certificate.clone(), key.clone()));
        }
        settings.client_ca = self.client_ca.clone().or(settings.client_ca);
        Ok(settings)
    }
}
