//! The downtime viewer as a process of the hub's.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use prove::{Fact, Ledger};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::config::Config;
use crate::schedule::PARENT;
use crate::vault_at::RestArgs;

const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// In the state folder, for its owner only, while the viewer runs.
const ENTRANCE: &str = "viewer-entrance.json";

/// How people get into the viewer. The code opens every chart: it stands neither in the countermeasure, nor in the
/// timeline, nor in the ledger, which more people read than may read charts.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entrance {
    pub(crate) url: String,
    pub(crate) code: String,
    /// Whether a drill has proven what it shows.
    pub(crate) is_proven: bool,
}

impl Entrance {
    /// That of the viewer that runs; `None` without one.
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(folder.join(ENTRANCE)).ok()?).ok()
    }

    fn keep(&self, folder: &Path) -> anyhow::Result<()> {
        Self::forget(folder);
        let mut file = private(&folder.join(ENTRANCE))?;
        std::io::Write::write_all(&mut file, &serde_json::to_vec(self)?)?;
        Ok(())
    }

    pub(super) fn forget(folder: &Path) {
        let _ = std::fs::remove_file(folder.join(ENTRANCE));
    }
}

pub(super) type StartViewer = Box<dyn Fn() -> Result<(Child, String), String> + Send>;

/// The downtime viewer: this program again, which needs the vault and nothing of the hub.
pub(super) fn viewer(
    config: &Config,
    folder: &Path,
    passphrase: Option<Zeroizing<Vec<u8>>>,
    ledger: Arc<Ledger>,
) -> StartViewer {
    let Some((vault, passphrase)) = config.vault.clone().zip(passphrase) else {
        return Box::new(|| {
            Err("the configuration names no vault, so there is nothing to read charts from".to_owned())
        });
    };
    let env = RestArgs::of(&vault).env();
    let (listen, folder) = (config.viewer.listen, folder.to_owned());
    // Of a hub that was killed.
    Entrance::forget(&folder);
    Box::new(move || {
        let mut started =
            start_viewer((&vault.dir, &env), &passphrase, listen, &folder, &ledger, Basis::Proven);
        for _ in 1..TRIES {
            if started.is_ok() {
                break;
            }
            // The viewer of a hub that was just killed may still have the port.
            std::thread::sleep(PAUSE);
            started = start_viewer((&vault.dir, &env), &passphrase, listen, &folder, &ledger, Basis::Proven);
        }
        // Charts that no drill has proven are better than none; the pages say that they are not.
        let started = started.or_else(|_| {
            start_viewer((&vault.dir, &env), &passphrase, listen, &folder, &ledger, Basis::Latest)
        });
        started.map_err(|error| format!("{error:#}"))
    })
}

/// What the viewer reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Basis {
    Proven,
    Latest,
}

fn start_viewer(
    (vault, env): (&Path, &[(&'static str, OsString)]),
    passphrase: &[u8],
    listen: std::net::SocketAddr,
    folder: &Path,
    ledger: &Arc<Ledger>,
    basis: Basis,
) -> anyhow::Result<(Child, String)> {
    use std::io::{BufRead, BufReader, Write};
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["charts", "serve", "--json", "--listen", &listen.to_string(), "--vault"]).arg(vault);
    command.args(["--password-file", "/dev/stdin"]);
    // Its accounts open charts, and the viewer's own record lies there.
    command.arg("--state").arg(folder);
    if basis == Basis::Latest {
        command.args(["--snapshot", "latest"]);
    }
    command.env_remove("CHARTWARD_REST_KEY").envs(env.iter().cloned());
    // However the hub ends, nobody serves charts that nobody knows of.
    command.env(PARENT, std::process::id().to_string());
    if !listen.ip().is_loopback() {
        command.arg("--certificate").arg(folder.join("tls/certificate.pem"));
        command.arg("--key").arg(folder.join("tls/key.pem"));
    }
    let log = std::fs::File::create(folder.join("viewer.log"))?;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn()?;
    // Neither its arguments nor its environment show the passphrase.
    child.stdin.take().context("the viewer has no input")?.write_all(passphrase)?;
    let stdout = child.stdout.take().context("the viewer has no output")?;
    let mut lines = BufReader::new(stdout).lines();
    let Some(Ok(first)) = lines.next() else {
        let _ = child.kill();
        let _ = child.wait();
        let said = std::fs::read_to_string(folder.join("viewer.log")).unwrap_or_default();
        let said: String = said.lines().next().unwrap_or_default().chars().take(300).collect();
        anyhow::bail!("the viewer ended before it was ready: {}", crate::output::printable(&said));
    };
    let ready: serde_json::Value = serde_json::from_str(&first)?;
    // Who opened which chart: kept beside the viewer's own messages, for its owner only.
    let access = folder.join("charts-opened.jsonl");
    let ledger = Arc::clone(ledger);
    std::thread::Builder::new().name("viewer".into()).spawn(move || keep(&access, &ledger, lines))?;
    let text = |field: &str| ready[field].as_str().unwrap_or_default().to_owned();
    let entrance = Entrance { url: text("url"), code: text("code"), is_proven: basis == Basis::Proven };
    if let Err(error) = entrance.keep(folder) {
        let _ = child.kill();
        let _ = child.wait();
        return Err(error.context(format!("cannot write {ENTRANCE}")));
    }
    let proven = if entrance.is_proven { "" } else { "; no drill has proven what it shows" };
    Ok((
        child,
        format!(
            "{} (its code: {ENTRANCE} in the state folder, or the console's charts){proven}",
            entrance.url
        ),
    ))
}

fn keep(path: &Path, ledger: &Ledger, lines: impl Iterator<Item = std::io::Result<String>>) {
    use std::io::Write;
    let mut file = private(path).ok();
    for line in lines.map_while(Result::ok) {
        if let Some(file) = &mut file {
            let _ = writeln!(file, "{line}").and_then(|()| file.sync_data());
        }
        let fact = serde_json::from_str(&line).ok().and_then(|line| fact(&line));
        if let Some(Err(error)) = fact.map(|fact| ledger.append(fact, Timestamp::now())) {
            eprintln!("chartward: the ledger did not take an access to a chart: {error}");
        }
    }
}

/// What the ledger learns, which more people read than may read charts: who and how, and for the patient a tag that
/// only the viewer's own record can be compared with.
fn fact(line: &serde_json::Value) -> Option<Fact> {
    let text = |field: &str| line[field].as_str().unwrap_or_default().to_owned();
    let (what, object) = match text("type").as_str() {
        "chart_opened" => ("charts.open", format!("chart {}", text("tag"))),
        "emergency_entered" => ("charts.emergency", format!("until {}", text("until"))),
        _ => return None,
    };
    let role = if what == "charts.open" { text("way") } else { "emergency".to_owned() };
    Some(Fact::Access { user: text("reader"), role, what: what.to_owned(), object, allowed: true })
}

/// A file to write on to, for its owner only.
fn private(path: &Path) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}
