//! The rules that an operator names.

use std::path::PathBuf;

use anyhow::bail;
use judge::sigma::{Engine, Filter, NotLoaded, own_rules};
use schema::{Lang, Severity};
use serde::Serialize;

use crate::output::{Output, printable};
use crate::wiring::logs::rules::RuleFiles;

#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    rule: &'a str,
    reason: &'a str,
}

/// Loads all rules below some paths, and those that come with Chartward.
pub(super) fn load(
    paths: &[PathBuf],
    with_own: bool,
    level: Severity,
    tags: &[String],
) -> anyhow::Result<(Engine, Vec<NotLoaded>)> {
    let mut read = RuleFiles::read(paths)?;
    if with_own {
        read.files.extend(own_rules(false));
    }
    let filter = Filter { level_min: level, tags: tags.to_vec(), ..Filter::default() };
    let (engine, mut not_loaded) = Engine::load(read.files, &filter);
    not_loaded.extend(read.unread);
    if engine.rules().next().is_none() {
        bail!("none of the rules was loaded ({} were refused)", not_loaded.len());
    }
    Ok((engine, not_loaded))
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
