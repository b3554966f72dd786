//! `chartward sensor evidence`: the basis of "no leak observed".

use std::net::IpAddr;
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::{Common, nets, network};
use crate::config::Network;
use crate::wiring::sensor::evidence::{Gathering, Question, text};
use crate::wiring::sensor::{Place, store};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Since when: 2026-05-04, "2026-05-04 10:00" or with a zone, 2026-05-04T10:00:00Z
    #[arg(long, value_name = "TIME")]
    from: String,
    /// Until when; a date alone means its end
    #[arg(long, value_name = "TIME")]
    to: String,
    /// Address of an infected host; can be given several times (default: all that are inside)
    #[arg(long, value_name = "ADDR")]
    host: Vec<IpAddr>,
    /// A network of the hospital's own; can be given several times (default: as the sensor had it then)
    #[arg(long, value_name = "NET", value_parser = network)]
    internal: Vec<Network>,
    #[command(flatten)]
    common: Common,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let site = args.common.site()?;
    let from = moment(&args.from, &site.zone, false)?;
    let to = moment(&args.to, &site.zone, true)?;
    ensure!(from < to, "--from does not lie before --to");
    let dir = Place::flows(&site.folder);
    ensure!(dir.is_dir(), "no sensor kept flows in {}: name its state folder with --state", dir.display());
    let question = Question { from, to, hosts: args.host.clone(), internal: nets(&args.internal) };
    let mut gathering = Gathering::new(question, &site.settings.rules.internal);
    let unread = store::read(&dir, (from, to), &mut |record| gathering.take(record))?;
    let evidence = gathering.done(unread);
    let output = args.common.output();
    output.line(&evidence)?;
    if !args.common.json {
        output.say(text(&evidence, args.common.lang(), &site.zone));
    }
    let is_clean = !evidence.left() && evidence.observation.complete;
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A moment as people write it, in the configuration's zone where it names none.
fn moment(text: &str, zone: &TimeZone, end: bool) -> anyhow::Result<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    if let Ok(at) = text.parse::<Zoned>() {
        return Ok(at.timestamp());
    }
    let is_date = text.len() <= "2026-05-04".len();
    if let Some(date) = text.parse::<Date>().ok().filter(|_| is_date) {
        let date = if end { date.tomorrow().context("find the end of that day")? } else { date };
        return Ok(date.to_zoned(zone.clone())?.timestamp());
    }
    match text.parse::<DateTime>() {
        Ok(at) => Ok(at.to_zoned(zone.clone())?.timestamp()),
        Err(_) => {
            bail!("{text:?} is no time: write 2026-05-04, \"2026-05-04 10:00\" or 2026-05-04T10:00:00Z")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let zone = TimeZone::get("Asia/Tokyo").unwrap();
        for (text, end, expected) in [
            ("2026-05-04", false, "2026-05-03T15:00:00Z"),
            ("2026-05-04", true, "2026-05-04T15:00:00Z"),
            ("2026-05-04 10:00", false, "2026-05-04T01:00:00Z"),
            ("2026-05-04T10:00:00", true, "2026-05-04T01:00:00Z"),
            ("2026-05-04T10:00:00Z", false, "2026-05-04T10:00:00Z"),
            ("2026-05-04T10:00:00+09:00", false, "2026-05-04T01:00:00Z"),
        ] {
            assert_eq!(moment(text, &zone, end).unwrap().to_string(), expected, "{text}");
        }
        for bad in ["", "yesterday", "10:00", "2026-13-01"] {
            assert!(moment(bad, &zone, false).is_err(), "{bad}");
        }
    }
}
