//! The `chartward.toml` of a rehearsal, as a hospital would write it.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::network::{CONSOLE, Network, SERVER, VAULT};
use super::samba::SHARE;
use super::script::Script;
use super::stage::Stage;

/// Name of what is protected.
pub(super) const PROTECTED: &str = "emr";
/// The storage's folder in the share.
pub(super) const STORAGE: &str = "ssmix2";
/// Name of the watcher.
pub(super) const WATCHER: &str = "watch-emr";

/// Writes it into the rehearsal's folder.
pub(super) fn write(script: &Script, stage: &Stage, network: Option<&Network>) -> anyhow::Result<PathBuf> {
    let path = stage.root().join("chartward.toml");
    std::fs::write(&path, text(script, stage, network)?)?;
    Ok(path)
}

fn text(script: &Script, stage: &Stage, network: Option<&Network>) -> anyhow::Result<String> {
    let mut text = format!(
        "# A rehearsal: the hospital, its patients and its attacker are synthetic.\n\
         hospital = \"架空病院\"\nlang = \"ja\"\nstate = {}\n\n\
         [console]\nlisten = \"{}\"\n\n\
         [vault]\ndir = {}\npassphrase = {{ file = {} }}\n",
        quoted(&stage.state()),
        if network.is_some() { format!("{CONSOLE}:8443") } else { "127.0.0.1:0".to_owned() },
        quoted(&stage.vault()),
        quoted(&stage.password_file()?),
    );
    if network.is_some() {
        writeln!(text, "address = \"{VAULT}\"")?;
    }
    writeln!(text, "\n[[protect]]\nname = \"{PROTECTED}\"\nhost = \"emr-server\"")?;
    if network.is_some() {
        writeln!(text, "address = \"{SERVER}\"")?;
    }
    if script.agentless {
        let (share, mirror) = (share(stage), quoted(&stage.mirror()));
        writeln!(text, "share = {{ {share}, mirror = {mirror} }}")?;
    } else {
        writeln!(text, "paths = [{}]", quoted(&stage.hospital()))?;
    }
    // Half a day from now is never during the rehearsal.
    let far = (jiff::Zoned::now().time() + jiff::SignedDuration::from_hours(12)).strftime("%H:%M");
    let (backup, drill) = if script.backup {
        ("every = \"15m\"".to_owned(), "every = \"24h\"".to_owned())
    } else {
        (format!("at = \"{far}\""), format!("at = \"{far}\""))
    };
    writeln!(text, "backup = {{ {backup} }}\ndrill = {{ {drill} }}\n\n[schedule.check]\nat = \"{far}\"")?;
    if script.guard {
        text.push_str(&watch(script, stage, network.is_some()));
    }
    if let Some(network) = network {
        let words: Vec<String> = network.wall_command().map(|word| format!("\"{word}\"")).into();
        writeln!(text, "\n[wall]\ncommand = [{}]", words.join(", "))?;
    }
    Ok(text)
}

fn watch(script: &Script, stage: &Stage, has_network: bool) -> String {
    let mut acts = Vec::new();
    if has_network {
        acts.push("{ act = \"isolate_host\", of = \"target\" }");
    }
    if script.backup {
        acts.push("\"lock_vault\"");
    }
    let class = if script.agentless { "share" } else { "guard" };
    let playbook = format!(
        "\n[[playbook]]\nname = \"encryption\"\nwatchers = [\"{class}\"]\nacts = [{}]\napproval = \"none\"\n",
        acts.join(", ")
    );
    let program = if script.agentless {
        // The account may be read by its owner only.
        format!(
            "user = \"root\"\nshare = {{ {}, canary_every = \"1s\", look_every = \"5s\", plant = true }}",
            share(stage)
        )
    } else {
        format!(
            "guard = {{ dirs = [{}], store = {} }}",
            quoted(&stage.hospital()),
            quoted(&stage.guard_store())
        )
    };
    format!("\n[[watch]]\nname = \"{WATCHER}\"\n{program}\n{}", if acts.is_empty() { "" } else { &playbook },)
}

/// The fields that say which share.
fn share(stage: &Stage) -> String {
    format!(
        "path = \"//{SERVER}/{SHARE}\", folders = [\"{STORAGE}\"], credentials = {}",
        quoted(&stage.account())
    )
}

fn quoted(path: &Path) -> String {
    toml::Value::String(path.display().to_string()).to_string()
}
