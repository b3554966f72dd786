//! The `chartward.toml` of a rehearsal, as a hospital would write it.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::network::{CONSOLE, Network, SERVER, VAULT};
use super::script::Script;
use super::stage::Stage;

/// Name of what is protected.
pub(super) const PROTECTED: &str = "emr";
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
    writeln!(text, "paths = [{}]", quoted(&stage.hospital()))?;
    // Half a day from now is never during the rehearsal.
    let far = (jiff::Zoned::now().time() + jiff::SignedDuration::from_hours(12)).strftime("%H:%M");
    let (backup, drill) = if script.backup {
        ("every = \"1h\"".to_owned(), "every = \"24h\"".to_owned())
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
    let playbook = format!(
        "\n[[playbook]]\nname = \"encryption\"\nwatchers = [\"guard\"]\nacts = [{}]\napproval = \"none\"\n",
        acts.join(", ")
    );
    format!(
        "\n[[watch]]\nname = \"{WATCHER}\"\nguard = {{ dirs = [{}], store = {} }}\n{}",
        quoted(&stage.hospital()),
        quoted(&stage.guard_store()),
        if acts.is_empty() { "" } else { &playbook },
    )
}

fn quoted(path: &Path) -> String {
    toml::Value::String(path.display().to_string()).to_string()
}
