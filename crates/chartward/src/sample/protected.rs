//! A synthetic hospital with a vault and a configuration, for a hub that was started without one.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Hospital, SEED, build};
use crate::output::Output;

/// The configuration's file; while it is there, the hospital is whole.
const CONFIG: &str = "chartward.toml";

/// Gives the configuration of the synthetic hospital in `dir`, which is made when it is missing or empty.
pub(crate) fn make(dir: &Path, patients: u32, output: Output) -> anyhow::Result<PathBuf> {
    let config = dir.join(CONFIG);
    if config.exists() {
        return Ok(config);
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("cannot make the folder {}", dir.display()))?;
    let is_empty = fs::read_dir(dir)?.next().is_none();
    ensure!(is_empty, "{} holds something else; name an empty folder with --sample DIR", dir.display());
    let until = Timestamp::now().to_zoned(TimeZone::system()).datetime();
    output.say(format_args!(
        "no configuration: a synthetic hospital of {patients} patients is made in {}",
        dir.display()
    ));
    build(&Hospital { patients, seed: SEED, until }, &dir.join("hospital"), &|_| {})?;
    let mut passphrase = [0u8; 24];
    getrandom::fill(&mut passphrase).map_err(|error| anyhow::anyhow!("cannot draw a passphrase: {error}"))?;
    write_private(&dir.join("vault.pass"), &hex::encode(passphrase))?;
    // Last: with it the folder is whole.
    write_private(&config, &text(dir))?;
    Ok(config)
}

fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all().with_context(|| format!("cannot write {}", path.display()))
}

fn text(dir: &Path) -> String {
    let path = |name: &str| toml::Value::String(dir.join(name).display().to_string()).to_string();
    format!(
        r#"# A synthetic hospital, made by `chartward up` since it found no configuration. No real person is in it.
hospital = "架空病院"
lang = "ja"
state = {state}

[console]
listen = "127.0.0.1:8443"

[vault]
dir = {vault}
passphrase = {{ file = {passphrase} }}

[[protect]]
name = "emr"
host = "emr"
paths = [{hospital}]
backup = {{ every = "15m" }}
drill = {{ every = "24h" }}

[[watch]]
name = "guard-emr"
guard = {{ dirs = [{hospital}] }}

# Nothing of this is done before an administrator arms it in the console, under "settings".
[[playbook]]
name = "encryption"
watchers = ["guard"]
detectors = ["encryption.*"]
severity_min = "high"
acts = ["lock_vault", "start_viewer"]
approval = "none"
lasts = "24h"
"#,
        state = path("state"),
        vault = path("vault"),
        passphrase = path("vault.pass"),
        hospital = path("hospital"),
    )
}
