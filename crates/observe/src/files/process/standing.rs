//! What a process shares with others beside its descent: whose it is, and the control group it was put into.
//!
//! A double fork, a new session and a job of cron's or systemd's hide a process from its ancestors; none of them changes who it runs
//! as or, without privileges, the group it is accounted to.

use std::hash::{DefaultHasher, Hash, Hasher};

use schema::Circle;

use super::whole;

/// Of proc_pid_status(5), as far as the guard needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// The process that a thread belongs to.
    pub(super) process: i32,
    /// Who started it: it stays when a program with the set-user-ID bit is run.
    pub(super) user: u32,
    /// As whom it acts now: a server that serves several users changes it.
    pub(super) effective_user: u32,
}

impl Standing {
    pub(super) fn of(tid: i32) -> Option<Self> {
        Self::parse(&String::from_utf8_lossy(&whole(&format!("/proc/{tid}/status"))?))
    }

    fn parse(status: &str) -> Option<Self> {
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        let mut users = field("Uid:")?.split_ascii_whitespace();
        Some(Self {
            process: field("Tgid:")?.trim().parse().ok()?,
            user: users.next()?.parse().ok()?,
            effective_user: users.next()?.parse().ok()?,
        })
    }
}

/// The process that a thread belongs to.
pub(in crate::files) fn process_of(tid: i32) -> Option<i32> {
    Some(Standing::of(tid)?.process)
}

/// The control group of process `pid`, unless it holds so many that sharing it says nothing: the root, a slice, a login session
/// (that is the user again), or `own`, the one the guard itself was started in.
pub(super) fn control_group(pid: i32, own: Option<&str>) -> Option<String> {
    let text = whole(&format!("/proc/{pid}/cgroup"))?;
    narrowest(&String::from_utf8_lossy(&text)).filter(|path| Some(path.as_str()) != own && !is_wide(path))
}

/// Version 2 where it is in use, else systemd's own hierarchy, else the longest path of any other (cgroups(7)).
pub(super) fn narrowest(text: &str) -> Option<String> {
    let of = |wanted: &str| {
        text.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            (controllers == wanted && path.len() > 1).then(|| path.to_owned())
        })
    };
    let any = || {
        let paths = text.lines().filter_map(|line| Some(line.split_once(':')?.1.split_once(':')?.1));
        paths.filter(|path| path.len() > 1).max_by_key(|path| path.len()).map(str::to_owned)
    };
    of("").or_else(|| of("name=systemd")).or_else(any)
}

fn is_wide(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    last.ends_with(".slice")
        || last == "init.scope"
        || last.starts_with("session-") && last.ends_with(".scope")
        || last.starts_with("user@")
}

/// The circles that a process with this standing belongs to, narrowest first.
pub(super) fn circles(group: Option<&str>, user: u32) -> Vec<Circle> {
    let group = group.map(|path| {
        let mut hasher = DefaultHasher::new();
        path.hash(&mut hasher);
        Circle::Cgroup { number: hasher.finish() }
    });
    group.into_iter().chain([Circle::User { uid: user }]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_says_its_process_and_its_users() {
        let status = "Name:\tx\nTgid:\t42\nPid:\t43\nUid:\t1000\t0\t0\t0\nGid:\t5\t5\t5\t5\n";
        let expected = Standing { process: 42, user: 1000, effective_user: 0 };
        assert_eq!(Standing::parse(status), Some(expected));
        assert_eq!(Standing::parse("Tgid:\t42\nUid:\n"), None);
    }

    #[test]
    fn only_a_group_that_a_job_has_for_itself_counts() {
        for (text, expected) in [
            ("0::/system.slice/run-r12.service\n", Some("/system.slice/run-r12.service")),
            ("0::/\n", None),
            ("0::/user.slice/user-1000.slice/session-3.scope\n", None),
            ("0::/user.slice/user-1000.slice/user@1000.service\n", None),
            (
                "3:memory:/a\n2:cpu:/\n1:name=systemd:/system.slice/cron.service\n0::/\n",
                Some("/system.slice/cron.service"),
            ),
            ("3:memory:/jobs/7\n1:name=systemd:/\n0::/\n", Some("/jobs/7")),
            ("garbage\n:\n", None),
        ] {
            let found = narrowest(text).filter(|path| !is_wide(path));
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
