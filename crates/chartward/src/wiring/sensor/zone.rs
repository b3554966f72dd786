//! A response-policy zone: names that the hospital's resolver (BIND, Unbound, PowerDNS, Knot) answers with "no such name".

use std::collections::BTreeSet;
use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A name below the zone has to fit into a name again; the zone's own name is given by whoever serves it.
const NAME_BYTES_MAX: usize = 200;

/// What goes into the zone, and what does not.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// As [`super::domain`] gives them.
    pub(crate) blocked: BTreeSet<String>,
    /// Never blocked, with all below them.
    pub(crate) allowed: BTreeSet<String>,
}

/// The zone's file (draft-vixie-dns-rpz), and how many names it has.
pub(crate) fn zone(names: &Names, now: Timestamp) -> (String, usize) {
    // Serial numbers of 32 bits that grow: minutes since 1970.
    let serial = now.as_second() / 60;
    let mut text = format!(
        "; Made by chartward {}. Names of malware and phishing, and look-alikes that the sensor saw.\n\
         $TTL 300\n\
         @ IN SOA localhost. hostmaster.localhost. {serial} 300 60 604800 300\n\
         @ IN NS localhost.\n",
        now.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    );
    let mut count = 0;
    for name in names.blocked.iter().filter(|name| goes_in(name, names)) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{name} CNAME .\n*.{name} CNAME .\n");
        count += 1;
    }
    (text, count)
}

fn goes_in(name: &str, names: &Names) -> bool {
    let parents = || std::iter::successors(Some(name), |name| name.split_once('.').map(|(_, rest)| rest));
    let covered =
        parents().skip(1).any(|parent| names.blocked.contains(parent) && !is_allowed(parent, names));
    // Blocking what stands above an allowed name would block that as well.
    let above = names
        .allowed
        .iter()
        .any(|allowed| allowed.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')));
    name.len() <= NAME_BYTES_MAX && !is_allowed(name, names) && !covered && !above
}

fn is_allowed(name: &str, names: &Names) -> bool {
    let mut parents = std::iter::successors(Some(name), |name| name.split_once('.').map(|(_, rest)| rest));
    parents.any(|parent| names.allowed.contains(parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(blocked: &[&str], allowed: &[&str]) -> Names {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Names { blocked: set(blocked), allowed: set(allowed) }
    }

    #[test]
    fn each_name_stands_once_and_what_is_allowed_does_not() {
        let names = names(
            &["bad.example", "cdn.bad.example", "a.good.example", "good.example", "up.test", "x.invalid"],
            &["good.example", "deep.up.test"],
        );
        let (text, count) = zone(&names, "2026-05-04T10:00:00Z".parse().unwrap());
        assert_eq!(count, 2, "{text}");
        assert!(text.contains("bad.example CNAME .\n*.bad.example CNAME .\n"));
        assert!(!text.contains("good.example") && !text.contains("cdn.") && !text.contains("up.test"));
    }

    #[test]
    fn a_name_server_takes_the_zone() {
        let Some(check) = testkit::tool("a_name_server_takes_the_zone", "named-checkzone") else { return };
        let long = format!("{}.example", ["a".repeat(60).as_str(); 3].join("."));
        let names = names(&["bad.example", "xn--94q6tt26erua.example", "_dmarc.x-1.test", &long], &[]);
        let (text, count) = zone(&names, Timestamp::now());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rpz.zone");
        std::fs::write(&path, text).unwrap();
        let checked = std::process::Command::new(check).arg("rpz.example.org").arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&checked.stdout).into_owned();
        assert!(checked.status.success() && said.contains("OK") && count == 4, "{said}");
    }
}
