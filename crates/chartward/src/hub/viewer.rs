//! The downtime viewer as a process of the hub's.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context;
use zeroize::Zeroizing;

use crate::config::Config;

pub(super) type StartViewer = Box<dyn Fn() -> Result<(Child, String), String> + Send>;

/// The downtime viewer: this program again, which needs the vault and nothing of the hub.
pub(super) fn viewer(config: &Config, folder: &Path, passphrase: Option<Zeroizing<Vec<u8>>>) -> StartViewer {
    let Some((vault, passphrase)) = config.vault.clone().zip(passphrase) else {
        return Box::new(|| {
            Err("the configuration names no vault, so there is nothing to read charts from".to_owned())
        });
    };
    let (listen, folder) = (config.viewer.listen, folder.to_owned());
    Box::new(move || {
        start_viewer(&vault.dir, &passphrase, listen, &folder).map_err(|error| format!("{error:#}"))
    })
}

fn start_viewer(
    vault: &Path,
    passphrase: &[u8],
    listen: std::net::SocketAddr,
    folder: &Path,
) -> anyhow::Result<(Child, String)> {
    use std::io::{BufRead, BufReader, Write};
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["charts", "serve", "--json", "--listen", &listen.to_string(), "--vault"]).arg(vault);
    command.args(["--password-file", "/dev/stdin"]);
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
        anyhow::bail!("the viewer ended before it was ready; see {}", folder.join("viewer.log").display());
    };
    let ready: serde_json::Value = serde_json::from_str(&first)?;
    // Who opened which chart: kept beside the viewer's own messages, for its owner only.
    let access = folder.join("charts-opened.jsonl");
    std::thread::Builder::new().name("viewer".into()).spawn(move || keep(&access, lines))?;
    let text = |field: &str| ready[field].as_str().unwrap_or_default().to_owned();
    Ok((child, format!("{} (code {})", text("url"), text("code"))))
}

fn keep(path: &Path, lines: impl Iterator<Item = std::io::Result<String>>) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let opened = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    let Ok(mut file) = opened else { return };
    for line in lines.map_while(Result::ok) {
        let _ = writeln!(file, "{line}").and_then(|()| file.sync_data());
    }
}
