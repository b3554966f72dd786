//! Tables in Markdown, so that they can be pasted where people read them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::attack::{Attack, End};
use super::job::Ordinary;
use super::volume::FileSystem;

/// Everything that a run found.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Record {
    /// Of the guard that was run.
    pub(crate) version: String,
    pub(crate) kernel: String,
    pub(crate) seed: u64,
    pub(crate) files: usize,
    pub(crate) attacks: Vec<Attack>,
    pub(crate) jobs: Vec<Ordinary>,
    /// What did not run, with the reason.
    pub(crate) skipped: Vec<String>,
    /// Cases that could not be carried out.
    pub(crate) failed: Vec<String>,
    /// The same with each indicator switched off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ablation: Option<Box<Record>>,
}

impl Record {
    /// Whether the guard did what it is meant to: every attack stopped with nothing lost, nobody stopped wrongly.
    pub(crate) fn is_clean(&self) -> bool {
        self.failed.is_empty() && self.attacks.iter().all(is_held) && self.jobs.iter().all(is_left_alone)
    }
}

/// Stopped, every file as before, and nobody else the worse for it.
fn is_held(attack: &Attack) -> bool {
    let others_are_well = !attack.bystander_stopped && attack.bystander_harmed == 0;
    let guard_is_well = !attack.guard_died && !attack.timed_out;
    let share_is_well = attack.share_still_served != Some(false);
    attack.end == End::Stopped
        && attack.files_irrecoverable == 0
        && others_are_well
        && guard_is_well
        && share_is_well
}

fn is_left_alone(job: &Ordinary) -> bool {
    job.false_stops == 0 && job.completed && !job.guard_died
}

/// A table whose columns line up.
pub(crate) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([heads.get(column).map_or(0, |head| head.chars().count())]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |cells: &[String]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!(" {cell:<width$} |"));
        format!("|{}\n", padded.collect::<String>())
    };
    let heads: Vec<String> = heads.iter().map(|&head| head.to_owned()).collect();
    let rule: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
    [heads, rule].iter().chain(rows).map(|row| line(row)).collect()
}

/// A line per class and file system.
pub(crate) fn attacks(attacks: &[Attack]) -> String {
    let mut order: Vec<&str> = Vec::new();
    let mut cases: BTreeMap<(usize, FileSystem), Vec<&Attack>> = BTreeMap::new();
    for attack in attacks {
        let place = order.iter().position(|name| *name == attack.class).unwrap_or_else(|| {
            order.push(attack.class);
            order.len() - 1
        });
        cases.entry((place, attack.fs)).or_default().push(attack);
    }
    let rows: Vec<_> = cases.values().filter_map(|cases| attack_row(cases)).collect();
    let heads = [
        "class",
        "fs",
        "runs",
        "stopped",
        "touched p50",
        "touched max",
        "irrecoverable",
        "brought back by hand",
        "leftovers",
        "to stop p50 ms",
        "p95 ms",
    ];
    table(&heads, &rows)
}

fn attack_row(cases: &[&Attack]) -> Option<Vec<String>> {
    let first = cases.first()?;
    let stopped = cases.iter().filter(|case| case.end == End::Stopped).count();
    let mut touched: Vec<i64> =
        cases.iter().filter_map(|case| i64::try_from(case.files_touched).ok()).collect();
    let mut times: Vec<i64> = cases.iter().filter_map(|case| case.time_to_stop_ms).collect();
    let sum =
        |count: &dyn Fn(&Attack) -> usize| cases.iter().map(|case| count(case)).sum::<usize>().to_string();
    Some(vec![
        first.class.to_owned(),
        first.fs.to_string(),
        cases.len().to_string(),
        stopped.to_string(),
        percentile(&mut touched, 50),
        touched.iter().max().map_or("–".into(), i64::to_string),
        sum(&|case| case.files_irrecoverable),
        sum(&|case| case.files_brought_back),
        sum(&|case| case.files_leftover),
        percentile(&mut times, 50),
        percentile(&mut times, 95),
    ])
}

/// Nearest rank; a dash for nothing.
fn percentile(values: &mut [i64], percent: usize) -> String {
    values.sort_unstable();
    let rank = (values.len() * percent).div_ceil(100).max(1) - 1;
    values.get(rank).map_or("–".into(), i64::to_string)
}

/// A line per job, over all file systems.
pub(crate) fn jobs(jobs: &[Ordinary]) -> String {
    let mut order: Vec<&str> = Vec::new();
    for job in jobs.iter().filter(|job| job.without.is_none()) {
        if !order.contains(&job.job) {
            order.push(job.job);
        }
    }
    let rows: Vec<_> = order
        .iter()
        .map(|name| {
            let cases: Vec<_> = jobs.iter().filter(|job| job.job == *name).collect();
            let wrongly: Vec<_> =
                cases.iter().filter(|job| job.false_stops > 0).map(|job| job.fs.to_string()).collect();
            vec![
                (*name).to_owned(),
                cases.len().to_string(),
                wrongly.len().to_string(),
                wrongly.join(" "),
                cases.iter().map(|job| job.informational).sum::<usize>().to_string(),
                cases.iter().filter(|job| !job.completed && job.false_stops == 0).count().to_string(),
                format!("{:.1}", cases.iter().map(|job| job.seconds).sum::<f64>()),
            ]
        })
        .collect();
    table(&["job", "runs", "stopped wrongly", "on", "notices", "failed", "seconds"], &rows)
}

/// False stops per hour of jobs.
pub(crate) fn false_stops(jobs: &[Ordinary]) -> String {
    let stops = jobs.iter().filter(|job| job.false_stops > 0).count();
    let hours = jobs.iter().map(|job| job.seconds).sum::<f64>() / 3600.0;
    let rate = if hours > 0.0 { stops as f64 / hours } else { 0.0 };
    format!(
        "{stops} of {} jobs were stopped wrongly; {rate:.1} false stops per job-hour ({hours:.3} h)",
        jobs.len()
    )
}

/// Classes that were not held each time, with what happened.
pub(crate) fn evasions(attacks: &[Attack]) -> Vec<String> {
    let mut found: BTreeMap<&str, Vec<&Attack>> = BTreeMap::new();
    for attack in attacks.iter().filter(|attack| !is_held(attack)) {
        found.entry(attack.class).or_default().push(attack);
    }
    found
        .iter()
        .map(|(class, cases)| {
            let of = attacks.iter().filter(|attack| attack.class == *class).count();
            let count = |test: &dyn Fn(&Attack) -> bool| cases.iter().filter(|case| test(case)).count();
            let worst = cases.iter().map(|case| case.files_irrecoverable).max().unwrap_or(0);
            let back = cases.iter().map(|case| case.files_brought_back).max().unwrap_or(0);
            let mut line = format!(
                "{class}: {} of {of} runs not held ({} never found, {} found after the last file), at most {worst} files lost",
                cases.len(),
                count(&|case| case.end == End::Missed),
                count(&|case| case.end == End::Late),
            );
            if back > 0 {
                line += &format!(", up to {back} brought back by hand");
            }
            for (what, number) in [
                ("bystander stopped", count(&|case| case.bystander_stopped)),
                ("bystander's files changed", count(&|case| case.bystander_harmed > 0)),
                ("share served nobody any more", count(&|case| case.share_still_served == Some(false))),
                ("guard died", count(&|case| case.guard_died)),
                ("timed out", count(&|case| case.timed_out)),
                ("events missed", count(&|case| case.events_missed)),
            ] {
                if number > 0 {
                    line += &format!(", {what}: {number}");
                }
            }
            line
        })
        .collect()
}

/// The figures that the guard is measured by, over all attacks.
pub(crate) fn summary(attacks: &[Attack]) -> String {
    let stopped: Vec<_> = attacks.iter().filter(|attack| attack.end == End::Stopped).collect();
    // An attacker that takes its time decides itself how long it is at work.
    let hasty = stopped.iter().filter(|attack| attack.class != "slow");
    let mut times: Vec<i64> = hasty.filter_map(|attack| attack.time_to_stop_ms).collect();
    let few = stopped.iter().filter(|attack| attack.files_touched <= 3).count();
    let left: BTreeSet<_> =
        stopped.iter().filter(|attack| attack.files_leftover > 0).map(|attack| attack.class).collect();
    let mut lines = format!(
        "{} of {} attacks stopped, {few} of them after at most 3 files; {} held with nothing lost and nobody else the worse for it. \
         Time to stop: p50 {} ms, p95 {} ms (without `slow`).",
        stopped.len(),
        attacks.len(),
        attacks.iter().filter(|attack| is_held(attack)).count(),
        percentile(&mut times, 50),
        percentile(&mut times, 95),
    );
    if !left.is_empty() {
        lines +=
            &format!(" Stopped, but files of the attacker are left: {}.", Vec::from_iter(left).join(", "));
    }
    lines
}

/// One line per indicator that was switched off.
pub(crate) fn ablation(record: &Record) -> String {
    let mut names: Vec<Option<&String>> =
        record.attacks.iter().map(|attack| attack.without.as_ref()).collect();
    names.extend(record.jobs.iter().map(|job| job.without.as_ref()));
    names.sort();
    names.dedup();
    let rows: Vec<_> = names
        .into_iter()
        .map(|name| {
            let attacks: Vec<_> = record.attacks.iter().filter(|a| a.without.as_ref() == name).collect();
            let jobs: Vec<_> = record.jobs.iter().filter(|job| job.without.as_ref() == name).collect();
            let stopped = attacks.iter().filter(|attack| attack.end == End::Stopped).count();
            vec![
                name.map_or("(nothing)", String::as_str).to_owned(),
                format!("{stopped}/{}", attacks.len()),
                attacks.iter().map(|attack| attack.files_touched).sum::<usize>().to_string(),
                attacks.iter().map(|attack| attack.files_irrecoverable).sum::<usize>().to_string(),
                format!("{}/{}", jobs.iter().filter(|job| job.false_stops > 0).count(), jobs.len()),
                no_longer_held(&record.attacks, name).join(" "),
            ]
        })
        .collect();
    let heads = [
        "switched off",
        "attacks stopped",
        "files touched",
        "irrecoverable",
        "jobs stopped wrongly",
        "no longer held",
    ];
    table(&heads, &rows)
}

/// Classes that are held with everything switched on and not without this indicator.
fn no_longer_held<'a>(attacks: &'a [Attack], without: Option<&String>) -> Vec<&'a str> {
    let held = |class: &str, without: Option<&String>| {
        attacks.iter().filter(|a| a.class == class && a.without.as_ref() == without).all(is_held)
    };
    let own = attacks.iter().filter(|attack| attack.without.as_ref() == without).map(|attack| attack.class);
    own.filter(|class| held(class, None) && !held(class, without)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_the_nearest_rank() {
        let mut values: Vec<i64> = (1..=20).rev().collect();
        assert_eq!(percentile(&mut values, 50), "10");
        assert_eq!(percentile(&mut values, 95), "19");
        assert_eq!(percentile(&mut [], 50), "–");
    }

    #[test]
    fn columns_line_up() {
        let text = table(&["a", "long head"], &[vec!["longer".into(), "–".into()]]);
        let widths: Vec<_> = text.lines().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{text}");
    }
}
