//! `chartward supervise`, hidden: runs watchers as the hub would and shows what the hub would take in, to try an `[[watch]] exec` before
//! it goes into the configuration.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::{RecvTimeoutError, bounded};
use schema::WatcherClass;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::supervise::{Confinement, Message, Spec, Supervisor};

/// Run watchers as the hub would and print what it would take in
#[derive(Debug, clap::Args)]
pub(crate) struct SuperviseArgs {
    /// A list of watchers in JSON; one without a confinement has that of its class
    #[arg(value_name = "FILE")]
    watchers: PathBuf,
    /// Where each watcher has a folder of its own
    #[arg(long, value_name = "DIR")]
    folders: PathBuf,
    /// For so long
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    seconds: f64,
    /// Let so many lines wait
    #[arg(long, value_name = "LINES", default_value_t = 1024)]
    queue: usize,
    /// Take one message in this time, as a busy hub does
    #[arg(long, value_name = "MS", default_value_t = 0)]
    busy_ms: u64,
    /// Restart this watcher halfway
    #[arg(long, value_name = "NAME")]
    restart: Option<String>,
}

pub(crate) fn run(args: SuperviseArgs) -> anyhow::Result<ExitCode> {
    let specs = specs(&args).context("read the list of watchers")?;
    let own = std::env::current_exe().context("find this program")?;
    let (send, messages) = bounded(args.queue);
    let terminate = signals()?;
    let supervisor = Supervisor::start(specs, own, send)?;
    let begun = Instant::now();
    let time = Duration::try_from_secs_f64(args.seconds).context("read --seconds")?;
    let mut restart = args.restart;
    while begun.elapsed() < time && terminate.is_empty() {
        if let Some(name) = restart.take_if(|_| begun.elapsed() >= time / 2) {
            supervisor.restart(&name);
        }
        match messages.recv_timeout(Duration::from_millis(50)) {
            Ok(message) => show(&message)?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        std::thread::sleep(Duration::from_millis(args.busy_ms));
    }
    // What they still say is taken in while they end.
    let stopped = std::thread::spawn(move || supervisor.stop());
    while let Ok(message) = messages.recv() {
        show(&message)?;
    }
    let health = stopped.join().unwrap_or_default();
    print(&json!({"type": "stopped", "watchers": health}))?;
    Ok(ExitCode::SUCCESS)
}

fn specs(args: &SuperviseArgs) -> anyhow::Result<Vec<Spec>> {
    let mut listed: Vec<Value> = serde_json::from_slice(&std::fs::read(&args.watchers)?)?;
    for spec in &mut listed {
        let class = WatcherClass::deserialize(&spec["class"])?;
        let folder = args.folders.join(spec["name"].as_str().context("a watcher has no name")?);
        if spec["confinement"].is_null() {
            spec["confinement"] = serde_json::to_value(Confinement::of(class, folder))?;
        }
    }
    Ok(listed.into_iter().map(serde_json::from_value).collect::<Result<_, _>>()?)
}

fn signals() -> anyhow::Result<crossbeam_channel::Receiver<i32>> {
    let (send, terminate) = bounded(1);
    let mut signals =
        signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT])
            .context("listen to signals")?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            let _ = send.try_send(signal);
        }
    });
    Ok(terminate)
}

fn show(message: &Message) -> anyhow::Result<()> {
    print(&match message {
        Message::Line { watcher, class, bytes, arrived } => json!({
            "type": "line", "watcher": &**watcher, "class": class, "arrived": arrived,
            "line": serde_json::from_slice::<Value>(bytes).unwrap_or_default(),
        }),
        Message::Health(health) => json!({"type": "health", "watcher": health}),
    })
}

fn print(value: &Value) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{value}").context("print")
}
