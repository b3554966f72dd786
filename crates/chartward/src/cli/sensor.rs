//! `chartward sensor`: the watcher of a network, and what its memory answers afterwards.

mod evidence;
mod learnt;
mod rpz;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use ipnet::IpNet;
use jiff::tz::TimeZone;
use schema::Lang;

use crate::cli::lang::LangArgs;
use crate::config::{self, Config, Network, Size};
use crate::output::{Output, printable_lines};
use crate::wiring::sensor::{self, Place, Report, Settings};

/// Watch a network from the mirror port of its switch
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct SensorArgs {
    #[command(subcommand)]
    afterwards: Option<Afterwards>,
    #[command(flatten)]
    watch: WatchArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Afterwards {
    /// After an incident: what left the network, who talked to the infected hosts, and what the answer rests on
    Evidence(evidence::Args),
    /// Show which machines the sensor learnt to work with each other, or forget them
    Learnt(learnt::Args),
    /// Write names of malware, phishing and look-alikes as a zone that the hospital's resolver refuses
    Rpz(rpz::Args),
}

#[derive(Debug, clap::Args)]
struct WatchArgs {
    /// An interface that the switch mirrors its traffic to; can be given several times (default: as [sensor] of the configuration says)
    #[arg(long, value_name = "IF")]
    interface: Vec<String>,
    /// A network of the hospital's own; can be given several times (default: as [sensor] says, else private addresses)
    #[arg(long, value_name = "NET", value_parser = network)]
    internal: Vec<Network>,
    /// Memory in which packets of an interface wait, such as "64 MiB"
    #[arg(long, value_name = "SIZE", value_parser = size)]
    ring: Option<Size>,
    /// Answer there how the sensor stands (default: control.sock in its folder)
    #[arg(long, value_name = "SOCKET")]
    control: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
    /// Everything that the configuration says, from the hub
    #[arg(long, hide = true, value_name = "JSON")]
    settings: Option<String>,
    /// The sensor's own folder, from the hub
    #[arg(long, hide = true, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// End when the process that started this one ends, however it ends
    #[arg(long, hide = true)]
    end_with_parent: bool,
}

/// What all of them take.
#[derive(Debug, Clone, clap::Args)]
struct Common {
    /// Configuration file (default: chartward.toml, then /etc/chartward/chartward.toml)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// State folder: the sensor's own lies below it (default: /var/lib/chartward for root, else ~/.local/state/chartward)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// JSON lines on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lang: LangArgs,
}

/// What [`Common`] leads to.
struct Site {
    settings: Settings,
    /// The sensor's own folder.
    folder: PathBuf,
    zone: TimeZone,
    config: Option<PathBuf>,
}

impl Common {
    fn site(&self) -> anyhow::Result<Site> {
        let file = config::find(self.config.as_deref());
        let config = file.as_deref().map(Config::load).transpose()?;
        let state = self.state.clone().or_else(|| config.as_ref()?.state.clone());
        let folder = std::path::absolute(super::state_dir(state)?).context("find the state folder")?;
        let zone = config.as_ref().map_or_else(TimeZone::system, Config::zone);
        let sensor = config.and_then(|config| config.sensor).unwrap_or_default();
        let settings = Settings::of(&sensor, zone.clone());
        Ok(Site { settings, folder: folder.join("sensor"), zone, config: file })
    }

    fn output(&self) -> Output {
        Output::new(self.json)
    }

    fn lang(&self) -> Lang {
        self.lang.lang()
    }
}

fn network(text: &str) -> Result<Network, String> {
    config::network(text).map_err(|fault| fault.to_string())
}

fn size(text: &str) -> Result<Size, String> {
    config::size(text).map_err(|fault| fault.to_string())
}

fn nets(networks: &[Network]) -> Vec<IpNet> {
    networks.iter().map(|network| network.0).collect()
}

pub(crate) fn run(args: SensorArgs) -> anyhow::Result<ExitCode> {
    match args.afterwards {
        Some(Afterwards::Evidence(args)) => evidence::run(&args),
        Some(Afterwards::Learnt(args)) => learnt::run(&args),
        Some(Afterwards::Rpz(args)) => rpz::run(&args),
        None => watch(args.watch),
    }
}

fn watch(args: WatchArgs) -> anyhow::Result<ExitCode> {
    if args.end_with_parent {
        let asked = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM));
        asked.context("ask to be told of the parent's end")?;
    }
    let args = Arc::new(args);
    let (settings, config) = settings(&args)?;
    let folder = match &args.folder {
        Some(folder) => folder.clone(),
        None => args.common.site()?.folder,
    };
    let control = args.control.clone().unwrap_or_else(|| folder.join("control.sock"));
    let place = Place { control: Some(absolute(&control)?), folder: absolute(&folder)?, config };
    let again = {
        let args = Arc::clone(&args);
        Box::new(move || self::settings(&args).map(|(settings, _)| settings))
    };
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        // No thread of its own: rights are given up by thread.
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("listen to signals")?;
    }
    let (output, lang) = (args.common.output(), args.common.lang());
    sensor::watch(settings, &place, again, &stop, move |report| tell(output, lang, &report))?;
    Ok(ExitCode::SUCCESS)
}

/// Under the hub its folder is reached as the working folder, whose parents may be closed.
fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    if std::env::var_os("CHARTWARD_FOLDER").is_some() && path.is_relative() {
        return Ok(path.to_owned());
    }
    std::path::absolute(path).with_context(|| format!("find {}", path.display()))
}

/// What the hub says, else the configuration with what the command line says instead, and the file that it came from.
fn settings(args: &WatchArgs) -> anyhow::Result<(Settings, Option<PathBuf>)> {
    if let Some(whole) = &args.settings {
        return Ok((serde_json::from_str(whole).context("read what the hub says")?, None));
    }
    let Site { mut settings, config, .. } = args.common.site()?;
    if !args.interface.is_empty() {
        settings.interfaces.clone_from(&args.interface);
    }
    if !args.internal.is_empty() {
        settings.rules.internal = nets(&args.internal);
    }
    if let Some(ring) = args.ring {
        settings.ring_bytes = ring.0;
    }
    Ok((settings, config))
}

fn tell(output: Output, lang: Lang, report: &Report) {
    for line in sensor::as_json(report) {
        // A reader that went away does not end the watch.
        let _ = output.line(&line);
    }
    if let Some(words) = sensor::words(report, lang) {
        output.say(printable_lines(&words));
    }
}
