//! From root to somebody with fewer rights.

use std::fs;
use std::io;

use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, configure_capability_in_ambient_set,
    remove_capability_from_bounding_set, set_capabilities, set_keep_capabilities, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

use super::Error;

/// A line of passwd(5), or a number that stands for user and group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl User {
    pub(super) fn find(name: &str) -> Result<Self, Error> {
        // Name services of the network are left out on purpose: a watcher has to start when they are down.
        let known = fs::read_to_string("/etc/passwd").unwrap_or_default();
        Self::parse(&known, name).ok_or_else(|| Error::NoUser { name: name.to_owned() })
    }

    fn parse(passwd: &str, name: &str) -> Option<Self> {
        let listed = passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let login = fields.next()?;
            let uid: u32 = fields.nth(1)?.parse().ok()?;
            let gid: u32 = fields.next()?.parse().ok()?;
            (login == name || name.parse() == Ok(uid)).then_some(Self { uid, gid })
        });
        // The kernel takes the largest number for "leave it as it is".
        let number =
            || name.parse().ok().filter(|&id: &u32| id != u32::MAX).map(|id| Self { uid: id, gid: id });
        listed.or_else(number)
    }

    pub(super) fn is_another(&self) -> bool {
        geteuid().as_raw() != self.uid
    }

    pub(super) fn uid_now(&self) -> u32 {
        geteuid().as_raw()
    }

    /// Who it will be: only root becomes somebody else.
    pub(super) fn uid_then(&self) -> u32 {
        if geteuid().is_root() { self.uid } else { geteuid().as_raw() }
    }

    /// Threads that run for this user now.
    pub(super) fn threads(&self) -> u64 {
        let uid = self.uid_then();
        let Ok(entries) = fs::read_dir("/proc") else { return 0 };
        let statuses =
            entries.flatten().filter_map(|entry| fs::read_to_string(entry.path().join("status")).ok());
        let number = |status: &str, key: &str| -> Option<u64> {
            status.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
        };
        let own = statuses.filter(|status| number(status, "Uid:") == Some(u64::from(uid)));
        own.filter_map(|status| number(&status, "Threads:")).sum()
    }
}

/// Gives up groups, user and every capability but `caps`. An ordinary user keeps these across exec(2) as ambient ones.
pub(super) fn switch(
    user: &User,
    switches: bool,
    caps: CapabilitySet,
    not_enforced: &mut Vec<String>,
) -> Result<(), Error> {
    let step = |step| move |source: rustix::io::Errno| Error::Step { step, source: source.into() };
    if geteuid().is_root() {
        bound(caps, not_enforced);
        set_thread_groups(&[]).map_err(step("leave the supplementary groups"))?;
    }
    if switches {
        let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
        // Otherwise the kernel takes all of them with the user; exec(2) forgets this again.
        set_keep_capabilities(!caps.is_empty()).map_err(step("keep capabilities"))?;
        set_thread_res_gid(gid, gid, gid).map_err(step("switch the group"))?;
        set_thread_res_uid(uid, uid, uid).map_err(step("switch the user"))?;
    }
    // Kernels before 4.3 have no ambient set, so there is nothing in it.
    let _ = clear_ambient_capability_set();
    let had = rustix::thread::capabilities(None).map_err(step("read the capabilities"))?;
    let kept = had.permitted & caps;
    for (name, _) in (caps - kept).iter_names() {
        not_enforced.push(format!("the capability {} is missing", name.to_lowercase()));
    }
    let inherited = if switches { kept } else { CapabilitySet::empty() };
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: inherited };
    set_capabilities(None, sets).map_err(step("give up capabilities"))?;
    for (_, cap) in inherited.iter_names() {
        configure_capability_in_ambient_set(cap, true).map_err(step("hand a capability on"))?;
    }
    Ok(())
}

/// Gives up every capability for good, of the calling thread and of those that it starts.
pub(super) fn give_up_all(not_enforced: &mut Vec<String>) -> Result<(), Error> {
    let step = |step| move |source: rustix::io::Errno| Error::Step { step, source: source.into() };
    let had = rustix::thread::capabilities(None).map_err(step("read the capabilities"))?;
    if had.permitted.contains(CapabilitySet::SETPCAP) {
        bound(CapabilitySet::empty(), not_enforced);
    }
    let _ = clear_ambient_capability_set();
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    set_capabilities(None, sets).map_err(step("give up capabilities"))
}

/// Beyond these, not even a program of root's gains any.
fn bound(caps: CapabilitySet, not_enforced: &mut Vec<String>) {
    for bit in 0..64 {
        let cap = CapabilitySet::from_bits_retain(1 << bit);
        if caps.contains(cap) {
            continue;
        }
        match remove_capability_from_bounding_set(cap) {
            Ok(()) => {}
            // Beyond the last one that this kernel knows.
            Err(rustix::io::Errno::INVAL) => return,
            Err(error) => {
                let error = io::Error::from(error);
                return not_enforced.push(format!("the capability bounding set: {error}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name_and_number() {
        let passwd =
            "root:x:0:0:root:/root:/bin/bash\nbroken\nnobody:x:65534:65533:nobody:/:/usr/sbin/nologin\n";
        for (name, expected) in [
            ("root", Some((0, 0))),
            ("nobody", Some((65534, 65533))),
            ("65534", Some((65534, 65533))),
            ("1234", Some((1234, 1234))),
            ("4294967295", None),
            ("-1", None),
            ("", None),
            ("broken", None),
        ] {
            let found = User::parse(passwd, name).map(|user| (user.uid, user.gid));
            assert_eq!(found, expected, "{name}");
        }
    }
}
