//! Ending the sessions of those who were just banned.
//!
//! The packet filter alone only silences them: a shell that waits, or a desktop that stands still, would go on where it was when
//! the ban is over. So the kernel's table of connections forgets them and this machine's own sockets to them are destroyed; a rule
//! beside the bans resets whatever else is left ([`super::ruleset`]).

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::Settings;
use super::program::{Output, beside};

/// So many addresses are asked about one by one; of more, the kernel is asked once what is open, and only that is ended.
const ONE_BY_ONE_MAX: usize = 8;
/// Addresses whose sessions one batch ends; no attacker has thousands of sessions that stand.
const ENDED_MAX: usize = 512;
/// Addresses in one filter of `ss`.
const FILTER_MAX: usize = 32;

/// What a ban did to sessions that stood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cut {
    /// Connections that the kernel forgot.
    pub connections: u32,
    /// Sockets of this machine that were closed.
    pub sockets: u32,
    /// Why it could not be done; the ban stands all the same.
    pub trouble: Option<String>,
}

/// Ends what these addresses have open. They are banned already: what is ended cannot come back meanwhile.
pub(super) fn cut(settings: &Settings, addresses: &[IpAddr]) -> Cut {
    let mut cut = Cut::default();
    let of_machine = Machine { settings };
    let (connected, open) = if addresses.len() <= ONE_BY_ONE_MAX {
        (addresses.to_vec(), addresses.to_vec())
    } else {
        (of_machine.listed(&["conntrack", "-L"], addresses), of_machine.listed(&["ss", "-Htun"], addresses))
    };
    for address in connected.iter().take(ENDED_MAX) {
        match of_machine.forget(*address) {
            Ok(count) => cut.connections = cut.connections.saturating_add(count),
            Err(trouble) => cut.trouble = Some(trouble),
        }
    }
    for some in open.chunks(FILTER_MAX).take(ENDED_MAX / FILTER_MAX) {
        match of_machine.close(some) {
            Ok(count) => cut.sockets = cut.sockets.saturating_add(count),
            Err(trouble) => cut.trouble = Some(trouble),
        }
    }
    cut
}

struct Machine<'a> {
    settings: &'a Settings,
}

impl Machine<'_> {
    fn run(&self, words: &[&str]) -> Result<Output, String> {
        let program = words.first().copied().unwrap_or_default();
        beside(&self.settings.command, words, self.settings.timeout)
            .map_err(|error| format!("{program}: {error}"))
    }

    /// Which of the addresses a listing names: `src=A dst=B` of one program, `A:PORT` of the other. Where nothing is listed, all of
    /// them are tried.
    fn listed(&self, words: &[&str], addresses: &[IpAddr]) -> Vec<IpAddr> {
        let wanted: BTreeSet<IpAddr> = addresses.iter().copied().collect();
        let Ok(output) = self.run(words) else { return addresses.to_vec() };
        let text = String::from_utf8_lossy(&output.stdout);
        let found: BTreeSet<IpAddr> = text.split_whitespace().filter_map(address_of).collect();
        found.intersection(&wanted).copied().collect()
    }

    /// Has the kernel forget the connections that the address began or took.
    fn forget(&self, address: IpAddr) -> Result<u32, String> {
        let family = if address.is_ipv4() { "ipv4" } else { "ipv6" };
        let text = address.to_string();
        let mut count = 0;
        for end in ["-s", "-d"] {
            let output = self.run(&["conntrack", "-D", "-f", family, end, &text])?;
            let lines =
                String::from_utf8_lossy(&output.stdout).lines().filter(|line| line.contains("src=")).count();
            count += u32::try_from(lines).unwrap_or(u32::MAX);
            // It ends with an error when there was nothing to delete, and says so.
            let answer = output.answer();
            if !output.is_success && !answer.contains("0 flow entries") {
                return Err(format!("conntrack: {answer}"));
            }
        }
        Ok(count)
    }

    /// Destroys this machine's own sockets to these addresses.
    fn close(&self, addresses: &[IpAddr]) -> Result<u32, String> {
        let filters: Vec<String> = addresses
            .iter()
            .map(|address| match address {
                IpAddr::V4(v4) => v4.to_string(),
                IpAddr::V6(v6) => format!("[{v6}]"),
            })
            .collect();
        let mut words = vec!["ss", "-K", "-H", "-t", "-u", "-n"];
        for (nth, filter) in filters.iter().enumerate() {
            if nth > 0 {
                words.push("or");
            }
            words.extend(["dst", filter]);
        }
        let output = self.run(&words)?;
        if !output.is_success {
            return Err(format!("ss: {}", output.answer()));
        }
        Ok(u32::try_from(String::from_utf8_lossy(&output.stdout).lines().count()).unwrap_or(u32::MAX))
    }
}

/// The address in `src=A`, `dst=A`, `A:PORT` or `[A]:PORT`.
fn address_of(word: &str) -> Option<IpAddr> {
    let text = word.strip_prefix("src=").or_else(|| word.strip_prefix("dst=")).unwrap_or(word);
    let bare = |text: &str| text.parse::<IpAddr>().ok().map(|address| address.to_canonical());
    bare(text).or_else(|| {
        let (host, _) = text.rsplit_once(':')?;
        bare(host.trim_start_matches('[').trim_end_matches(']').split('%').next()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_what_both_programs_list() {
        for (word, expected) in [
            ("src=198.51.100.7", Some("198.51.100.7")),
            ("dst=2001:db8::7", Some("2001:db8::7")),
            ("198.51.100.7:50022", Some("198.51.100.7")),
            ("[::ffff:198.51.100.7]:22", Some("198.51.100.7")),
            ("[fe80::1%eth0]:22", Some("fe80::1")),
            ("ESTAB", None),
            ("sport=22", None),
            ("*:*", None),
        ] {
            assert_eq!(address_of(word), expected.map(|text| text.parse().unwrap()), "{word}");
        }
    }
}
