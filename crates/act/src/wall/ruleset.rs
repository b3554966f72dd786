//! The table as text for `nft -f -`: one text is one transaction.

use std::fmt::Write;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::Barrier;

/// One of the sets that hold single addresses with a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Set {
    barrier: Barrier,
    is_v4: bool,
}

impl Set {
    pub(super) fn of(barrier: Barrier) -> [Set; 2] {
        [true, false].map(|is_v4| Set { barrier, is_v4 })
    }

    pub(super) fn name(self) -> &'static str {
        match (self.barrier, self.is_v4) {
            (Barrier::Ban, true) => "ban4",
            (Barrier::Ban, false) => "ban6",
            (Barrier::Isolate, true) => "isolate4",
            (Barrier::Isolate, false) => "isolate6",
            (Barrier::Egress, true) => "egress4",
            (Barrier::Egress, false) => "egress6",
        }
    }

    pub(super) fn takes(self, address: IpAddr) -> bool {
        self.is_v4 == address.is_ipv4()
    }
}

const CHAINS: [&str; 7] = ["from", "to", "isolated", "outbound", "input", "forward", "output"];
const HOOKS: [&str; 3] = ["input", "forward", "output"];

/// What the hooks share. Returning lets a packet on to the next step, so an allowed sender may still be kept from a banned
/// receiver.
///
/// Who talks to a banned address is told so by a reset, which ends its half of the session at once; the banned one hears nothing.
/// Whoever was banned once begins anew: what belongs to no connection that the kernel knows, since [`super::Wall::ban`] had it
/// forget them, is a session from before the ban, and is reset at both ends.
const RULES: &str = "\
add rule inet chartward from ip saddr @allow4 return
add rule inet chartward from ip6 saddr @allow6 return
add rule inet chartward from ip saddr @spare4 return
add rule inet chartward from ip6 saddr @spare6 return
add rule inet chartward from ip saddr @ban4 drop
add rule inet chartward from ip6 saddr @ban6 drop
add rule inet chartward from ip saddr @ended4 ct state new,invalid tcp flags & (syn | rst) == 0 reject with tcp reset
add rule inet chartward from ip6 saddr @ended6 ct state new,invalid tcp flags & (syn | rst) == 0 reject with tcp reset
add rule inet chartward to ip daddr @allow4 return
add rule inet chartward to ip6 daddr @allow6 return
add rule inet chartward to ip daddr @spare4 return
add rule inet chartward to ip6 daddr @spare6 return
add rule inet chartward to ip daddr @ban4 meta l4proto tcp reject with tcp reset
add rule inet chartward to ip6 daddr @ban6 meta l4proto tcp reject with tcp reset
add rule inet chartward to ip daddr @ban4 drop
add rule inet chartward to ip6 daddr @ban6 drop
add rule inet chartward to ip daddr @ended4 ct state new,invalid tcp flags & (syn | rst) == 0 reject with tcp reset
add rule inet chartward to ip6 daddr @ended6 ct state new,invalid tcp flags & (syn | rst) == 0 reject with tcp reset
add rule inet chartward isolated ip saddr != @allow4 ip saddr @isolate4 ip daddr != @reach4 drop
add rule inet chartward isolated ip6 saddr != @allow6 ip6 saddr @isolate6 ip6 daddr != @reach6 drop
add rule inet chartward isolated ip daddr != @allow4 ip daddr @isolate4 ip saddr != @reach4 drop
add rule inet chartward isolated ip6 daddr != @allow6 ip6 daddr @isolate6 ip6 saddr != @reach6 drop
add rule inet chartward outbound ip saddr != @allow4 ip saddr @egress4 ct direction original ip daddr != @reach4 drop
add rule inet chartward outbound ip6 saddr != @allow6 ip6 saddr @egress6 ct direction original ip6 daddr != @reach6 drop
add rule inet chartward input iif lo accept
add rule inet chartward output oif lo accept
";

/// Neighbour discovery is the ARP of IPv6: without it an isolated host could not even find the way to the vault. It is never
/// forwarded, so not let through there either.
const NEIGHBOURS: &str =
    "icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept";
/// "Packet too big" from this machine, about a connection that an isolated host has to the vault.
const ICMP_ERRORS: &str = "meta l4proto { icmp, ipv6-icmp } ct state related accept";

/// The whole table. What exists stays, but for rules and for the sets that come from the configuration.
pub(super) fn table(reach: &[IpNet], never: &[IpNet], spared: &[IpAddr], size_max: u32) -> String {
    let mut text = String::from("add table inet chartward\n");
    for (family, sort) in [("4", "ipv4_addr"), ("6", "ipv6_addr")] {
        for name in ["ban", "isolate", "egress", "ended"] {
            let _ = writeln!(
                text,
                "add set inet chartward {name}{family} {{ type {sort}; flags timeout; size {size_max}; }}"
            );
        }
        for name in ["allow", "reach", "spare"] {
            let _ = writeln!(
                text,
                "add set inet chartward {name}{family} {{ type {sort}; flags interval; auto-merge; }}\n\
                 flush set inet chartward {name}{family}"
            );
        }
    }
    for chain in CHAINS {
        let base = format!(" {{ type filter hook {chain} priority -10; policy accept; }}");
        let base = if HOOKS.contains(&chain) { base.as_str() } else { "" };
        let _ = writeln!(text, "add chain inet chartward {chain}{base}\nflush chain inet chartward {chain}");
    }
    text.push_str(RULES);
    for hook in HOOKS {
        let mut rule = |rule: &str| {
            let _ = writeln!(text, "add rule inet chartward {hook} {rule}");
        };
        // What goes out comes from this machine, but for resets that the kernel sends in a banned address's name.
        if hook != "output" {
            rule("jump from");
        }
        rule("jump to");
        if hook != "forward" {
            rule(NEIGHBOURS);
        }
        if hook == "output" {
            rule(ICMP_ERRORS);
        }
        rule("jump isolated");
        rule("jump outbound");
        // The last step of the order: behind it stands only what is new.
        rule("ct state established,related accept");
    }
    let spared: Vec<IpNet> = spared.iter().copied().map(IpNet::from).collect();
    for (name, networks) in [("allow", never), ("reach", reach), ("spare", &spared)] {
        // Overlapping networks in one transaction are refused by older versions in spite of auto-merge.
        let networks = IpNet::aggregate(&networks.to_vec());
        let (v4, v6): (Vec<IpNet>, Vec<IpNet>) =
            networks.into_iter().partition(|network| network.addr().is_ipv4());
        for (family, networks) in [("4", v4), ("6", v6)] {
            elements(&mut text, "add", &format!("{name}{family}"), networks.iter().map(IpNet::to_string));
        }
    }
    text
}

/// Puts addresses into a set with a new time. Adding what is there already would leave its time as it was (before Linux 6.12), so
/// each is added, deleted and added again within the one transaction; nobody is let through in between.
pub(super) fn change(barrier: Barrier, addresses: &[(IpAddr, Option<Duration>)]) -> String {
    let mut text = String::new();
    for set in Set::of(barrier) {
        let mut wanted: Vec<(IpAddr, Option<Duration>)> = addresses
            .iter()
            .map(|(address, lasts)| (address.to_canonical(), *lasts))
            .filter(|(address, _)| set.takes(*address))
            .collect();
        // Of one address that is named twice the last word counts.
        wanted.reverse();
        wanted.sort_by_key(|(address, _)| *address);
        wanted.dedup_by_key(|(address, _)| *address);
        let plain = || wanted.iter().map(|(address, _)| address.to_string());
        elements(&mut text, "add", set.name(), plain());
        elements(&mut text, "delete", set.name(), plain());
        let timed = wanted.iter().map(|(address, lasts)| match lasts {
            // The kernel takes 0 for "no end".
            Some(lasts) => {
                format!("{address} timeout {}", time(lasts.as_millis().clamp(1, TIMEOUT_MS_MAX)))
            }
            None => address.to_string(),
        });
        elements(&mut text, "add", set.name(), timed);
    }
    text
}

/// How long behind the end of a ban a session from before it is still known as such: the kernel keeps an idle one five days.
const ENDED_FOR: Duration = Duration::from_secs(5 * 24 * 3600);

/// Notes that whatever these addresses had open has ended, whenever their bans end.
pub(super) fn ended(addresses: &[(IpAddr, Option<Duration>)]) -> String {
    let mut text = String::new();
    for (set, is_v4) in [("ended4", true), ("ended6", false)] {
        let mut wanted: Vec<(IpAddr, u128)> = addresses
            .iter()
            .map(|(address, lasts)| {
                let ms = lasts.map_or(TIMEOUT_MS_MAX, |lasts| (lasts + ENDED_FOR).as_millis());
                (address.to_canonical(), ms.clamp(1, TIMEOUT_MS_MAX))
            })
            .filter(|(address, _)| address.is_ipv4() == is_v4)
            .collect();
        wanted.sort_by_key(|(address, ms)| (*address, std::cmp::Reverse(*ms)));
        wanted.dedup_by_key(|(address, _)| *address);
        let plain = || wanted.iter().map(|(address, _)| address.to_string());
        elements(&mut text, "add", set, plain());
        elements(&mut text, "delete", set, plain());
        let timed = wanted.iter().map(|(address, ms)| format!("{address} timeout {}", time(*ms)));
        elements(&mut text, "add", set, timed);
    }
    text
}

/// A year: far below what the kernel's 64 bits of jiffies hold.
const TIMEOUT_MS_MAX: u128 = 366 * 24 * 3600 * 1000;

/// A time as the packet filter's program reads it: at most eight digits, so that only short ones can have milliseconds.
fn time(ms: u128) -> String {
    const DIGITS: u128 = 100_000_000;
    if ms < DIGITS { format!("{ms}ms") } else { format!("{}s", ms.div_ceil(1000)) }
}

/// Takes addresses out of a set.
pub(super) fn remove_from(barrier: Barrier, addresses: &[IpAddr]) -> String {
    let mut text = String::new();
    for set in Set::of(barrier) {
        let held = addresses.iter().filter(|address| set.takes(**address)).map(IpAddr::to_string);
        elements(&mut text, "delete", set.name(), held);
    }
    text
}

fn elements(text: &mut String, verb: &str, set: &str, elements: impl Iterator<Item = String>) {
    let elements: Vec<String> = elements.collect();
    if !elements.is_empty() {
        let _ = writeln!(text, "{verb} element inet chartward {set} {{ {} }}", elements.join(", "));
    }
}
