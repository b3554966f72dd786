//! `chartward sensor rpz`: what is known to be bad, for the resolver of the hospital.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use jiff::{SignedDuration, Timestamp};
use schema::{Lang, Severity};
use serde_json::json;

use super::Common;
use crate::wiring::sensor::store::Record;
use crate::wiring::sensor::zone::{Names, zone};
use crate::wiring::sensor::{Place, domain, read_list, store};

/// Names that were seen longer ago are mostly somebody else's by now.
const SEEN_WITHIN: SignedDuration = SignedDuration::from_hours(90 * 24);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where the zone is written; replaced as a whole
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// A further list of names to refuse; can be given several times (besides those of [sensor])
    #[arg(long, value_name = "FILE")]
    list: Vec<PathBuf>,
    /// A name that is never refused, with all below it; can be given several times (besides those of [sensor])
    #[arg(long, value_name = "NAME")]
    allow: Vec<String>,
    /// Leave out the names that the sensor told of
    #[arg(long)]
    without_seen: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let site = args.common.site()?;
    let now = Timestamp::now();
    let mut names = Names::default();
    let settings = &site.settings;
    for list in settings.phishing_lists.iter().chain(&settings.malware_lists).chain(&args.list) {
        read_list(list, &mut names.blocked)?;
    }
    let listed = names.blocked.len();
    let dir = Place::flows(&site.folder);
    if !args.without_seen && dir.is_dir() {
        store::read(&dir, (now - SEEN_WITHIN, now), &mut |record| seen(record, &mut names.blocked))?;
    }
    for name in settings.rules.names_allowed.iter().chain(&args.allow) {
        match domain(name) {
            Some(name) => names.allowed.insert(name),
            None => bail!("{name:?} is no domain"),
        };
    }
    let seen = names.blocked.len() - listed;
    let (text, count) = zone(&names, now);
    replace(&args.to, &text)?;
    let output = args.common.output();
    output.line(&json!({"type": "rpz", "path": args.to, "names": count, "listed": listed, "seen": seen}))?;
    output.say(match args.common.lang() {
        Lang::En => format!(
            "{count} names, {seen} of them seen by the sensor, in {}; let the resolver load it as a response-policy zone",
            args.to.display()
        ),
        Lang::Ja => format!(
            "{count}件の名前（うちセンサーの検知によるもの{seen}件）を {} に書きました。リゾルバーに応答ポリシーゾーンとして読み込ませてください",
            args.to.display()
        ),
    });
    Ok(ExitCode::SUCCESS)
}

/// Names of phishing and malware that a finding of the sensor is about. What only resembles another name a little (low severity) is worth a
/// look and no reason to refuse an honest site.
fn seen(record: Record, names: &mut BTreeSet<String>) {
    let Record::Finding(told) = record else { return };
    let family = told.detector.split('.').next().unwrap_or_default();
    let is_sure = told.severity_id >= u8::from(Severity::Medium);
    if is_sure && matches!(family, "phishing" | "malware") {
        names.extend(told.names.iter().filter_map(|name| domain(name)));
    }
}

/// A resolver that reads meanwhile finds the old zone or the new one.
fn replace(to: &PathBuf, text: &str) -> anyhow::Result<()> {
    let failed = || format!("write {}", to.display());
    let mut fresh = to.clone().into_os_string();
    fresh.push(".new");
    fs::write(&fresh, text).with_context(failed)?;
    fs::rename(&fresh, to).with_context(failed)
}
