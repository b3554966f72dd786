//! How many hosts of a list are called look-alikes, of which brands and how, and what one host costs.
//!
//! `cargo run --release -p judge --example lookalike_rate HOSTS.txt[.gz] [--even|--odd] [--list]`
//!
//! A line is a host, or tab-separated fields: date, host, registrable domain, brand. With `--names` a line is a display name, a
//! subject and the sender's host, and the brands that they pose as are told.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "it measures, and ends on the first surprise"
)]

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Instant;

use judge::impersonation::{Claims, Impersonation, Posing};
use judge::lookalike::{Brands, Lookalikes};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let path = arguments.iter().find(|argument| !argument.starts_with("--")).unwrap();
    let text = read(path);
    if has("--names") {
        return names(&text);
    }
    let lines: Vec<Vec<&str>> = text
        .lines()
        .enumerate()
        .filter(|(number, _)| !(has("--even") && number % 2 == 1 || has("--odd") && number % 2 == 0))
        .map(|(_, line)| line.split('\t').collect())
        .filter(|fields: &Vec<&str>| fields[0] != "date")
        .collect();
    let host = |fields: &Vec<&str>| -> String { fields.get(1).unwrap_or(&fields[0]).to_string() };

    let started = Instant::now();
    let lookalikes = Lookalikes::new(&Brands::builtin());
    println!("made in {:.1} ms", started.elapsed().as_secs_f64() * 1e3);
    let hosts: Vec<String> = lines.iter().map(host).collect();
    let started = Instant::now();
    let found: Vec<_> = hosts.iter().map(|host| lookalikes.judge(host)).collect();
    let seconds = started.elapsed().as_secs_f64();

    let (mut by_how, mut by_brand, mut by_year) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for ((fields, host), found) in lines.iter().zip(&hosts).zip(&found) {
        let labelled: &mut (usize, usize) =
            by_brand.entry(fields.get(3).copied().unwrap_or("-")).or_default();
        let year: &mut (usize, usize) =
            by_year.entry(fields[0].get(..4).filter(|_| fields.len() > 1).unwrap_or("-")).or_default();
        labelled.0 += 1;
        year.0 += 1;
        let Some(found) = found else { continue };
        labelled.1 += 1;
        year.1 += 1;
        *by_how.entry(found.how.as_str()).or_insert(0_usize) += 1;
        if has("--list") {
            let brand =
                found.brand.and_then(|brand| lookalikes.brands().get(brand)).map_or("-", |brand| &brand.id);
            println!("{host}\t{brand}\t{}\t{}", found.how.as_str(), found.token);
        }
    }
    let count = found.iter().flatten().count();
    println!(
        "{} hosts, {count} look-alikes = {:.1} ppm, {:.0} ns a host",
        hosts.len(),
        count as f64 * 1e6 / hosts.len() as f64,
        seconds * 1e9 / hosts.len() as f64
    );
    println!("{by_how:?}");
    for (year, (all, found)) in by_year {
        println!("{year}\t{found}/{all}\t{:.1} %", found as f64 * 100.0 / all as f64);
    }
    let mut brands: Vec<_> = by_brand.into_iter().collect();
    brands.sort_by_key(|(_, (all, _))| std::cmp::Reverse(*all));
    for (brand, (all, found)) in brands.into_iter().take(40) {
        println!("{brand}\t{found}/{all}\t{:.1} %", found as f64 * 100.0 / all as f64);
    }
}

fn names(text: &str) {
    let brands = Brands::builtin();
    let (lookalikes, impersonation) = (Lookalikes::new(&brands), Impersonation::new(&brands));
    let (mut all, mut named, mut foreign) = (0, 0, 0);
    for line in text.lines() {
        let mut fields = line.split('\t');
        let mut next = || fields.next().unwrap_or_default();
        let (name, subject, sender) = (next(), next(), next());
        let claims = Claims { name, subject, senders: &[sender], ..Claims::default() };
        let posing = impersonation.judge(&claims, &lookalikes);
        all += 1;
        named += usize::from(!posing.is_empty());
        foreign += usize::from(posing.iter().any(Posing::is_foreign));
        for posing in posing.iter().filter(|posing| posing.is_foreign()) {
            let brand = brands.get(posing.brand).map_or("-", |brand| &brand.id);
            let mentions: Vec<_> = posing
                .mentions
                .iter()
                .map(|mention| (mention.place, mention.strength, mention.disguised, &mention.name))
                .collect();
            println!("{brand}\t{line}\t{mentions:?}");
        }
    }
    println!("{all} senders, {named} name a brand, {foreign} a foreign one");
}

fn read(path: &str) -> String {
    if !path.ends_with(".gz") {
        return std::fs::read_to_string(path).unwrap();
    }
    let output = Command::new("gzip").args(["-dc", path]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}
