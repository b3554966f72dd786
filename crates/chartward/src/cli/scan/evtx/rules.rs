//! The rules that an operator names.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use judge::sigma::{Engine, Filter, NotLoaded};
use schema::{Lang, Severity};
use serde::Serialize;

use crate::output::{Output, printable};

/// Rule files are texts of some kilobytes.
const FILE_MAX: u64 = 4 << 20;
const FILES_MAX: usize = 100_000;
const DEPTH_MAX: usize = 32;

#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    rule: &'a str,
    reason: &'a str,
}

/// Loads all rules below some paths.
pub(super) fn load(
    paths: &[PathBuf],
    level: Severity,
    tags: &[String],
) -> anyhow::Result<(Engine, Vec<NotLoaded>)> {
    let (mut files, mut unread) = (Vec::new(), Vec::new());
    for path in paths {
        fs::metadata(path).with_context(|| format!("cannot read the rules {}", path.display()))?;
        gather(path, DEPTH_MAX, true, &mut files, &mut unread);
    }
    let filter = Filter { level_min: level, tags: tags.to_vec(), ..Filter::default() };
    let (engine, mut not_loaded) = Engine::load(files, &filter);
    not_loaded.extend(unread);
    if engine.rules().next().is_none() {
        bail!("none of the rules was loaded ({} were refused)", not_loaded.len());
    }
    Ok((engine, not_loaded))
}

/// In the order of their names; links are not followed below a folder.
fn gather(
    path: &Path,
    depth: usize,
    is_named: bool,
    files: &mut Vec<(String, String)>,
    unread: &mut Vec<NotLoaded>,
) {
    let shown = path.to_string_lossy().into_owned();
    let mut refuse = |reason: String| unread.push(NotLoaded { name: shown.clone(), reason });
    if path.is_dir() {
        let entries = fs::read_dir(path)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>());
        match entries {
            Ok(_) if depth == 0 => refuse("folders lie too deep in one another".to_owned()),
            Ok(mut entries) => {
                entries.retain(|entry| !entry.is_symlink());
                entries.sort();
                entries.iter().for_each(|entry| gather(entry, depth - 1, false, files, unread));
            }
            Err(error) => refuse(error.to_string()),
        }
        return;
    }
    let is_rule = path.extension().is_some_and(|ending| ending == "yml" || ending == "yaml");
    if !is_rule && !is_named {
        return;
    }
    if files.len() >= FILES_MAX {
        return refuse(format!("there are more than {FILES_MAX} files"));
    }
    match fs::metadata(path) {
        Ok(meta) if meta.len() > FILE_MAX => refuse(format!("the file is longer than {FILE_MAX} bytes")),
        Ok(_) => match fs::read_to_string(path) {
            Ok(text) => files.push((shown, text)),
            Err(error) => refuse(error.to_string()),
        },
        Err(error) => refuse(error.to_string()),
    }
}

/// Says which rules were not loaded, and why.
pub(super) fn tell(output: Output, lang: Lang, not_loaded: &[NotLoaded]) -> anyhow::Result<()> {
    for NotLoaded { name, reason } in not_loaded {
        output.line(&Line { kind: "rule_not_loaded", rule: name, reason })?;
        if output == Output::People {
            let words = lang.pick("not loaded", "読み込めません");
            output.say(format!("{words}: {}: {}", printable(name), printable(reason)));
        }
    }
    Ok(())
}

/// A level as Sigma writes it.
pub(super) fn level(text: &str) -> Result<Severity, String> {
    Ok(match text.to_ascii_lowercase().as_str() {
        "informational" => Severity::Informational,
        "low" => Severity::Low,
        "medium" => Severity::Medium,
        "high" => Severity::High,
        "critical" => Severity::Critical,
        _ => return Err(format!("{text} is none of informational, low, medium, high, critical")),
    })
}
