//! The system calls that no watcher needs answer EPERM.
//!
//! A list of what is forbidden rather than of what is allowed: watchers are any program, and one that dies from a harmless call that
//! nobody foresaw protects nobody. What a list of that kind misses, the user, the capabilities and Landlock stop.

use std::collections::BTreeMap;

use libc::*;
use seccompiler::{
    BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

use crate::supervise::Confinement;

/// Mounting, and watching or opening files past their paths: the guard does.
const MOUNTS: [i64; 5] = [SYS_mount, SYS_umount2, SYS_open_tree, SYS_open_by_handle_at, SYS_fanotify_init];

const NOBODY: [i64; 46] = [
    // Other forms of mounting, and another root.
    SYS_move_mount,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
    SYS_mount_setattr,
    SYS_pivot_root,
    SYS_chroot,
    // Namespaces, where an ordinary user is root and finds the kernel's least tested parts.
    SYS_setns,
    SYS_unshare,
    // Other processes' memory and descriptors.
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_process_madvise,
    SYS_pidfd_getfd,
    SYS_kcmp,
    SYS_move_pages,
    SYS_migrate_pages,
    // Code in the kernel.
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_kexec_file_load,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    // It opens files and sockets without system calls of their own.
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    // Keys, clocks, the machine.
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_adjtimex,
    SYS_clock_adjtime,
    SYS_reboot,
    SYS_swapon,
    SYS_swapoff,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_acct,
    SYS_quotactl,
    SYS_syslog,
    SYS_vhangup,
    SYS_personality,
];

#[cfg(target_arch = "x86_64")]
const PORTS: &[i64] = &[SYS_iopl, SYS_ioperm];
#[cfg(not(target_arch = "x86_64"))]
const PORTS: &[i64] = &[];

/// Any of them makes a namespace.
const NEW_NAMESPACES: [i32; 8] = [
    CLONE_NEWNS,
    CLONE_NEWUSER,
    CLONE_NEWPID,
    CLONE_NEWNET,
    CLONE_NEWIPC,
    CLONE_NEWUTS,
    CLONE_NEWCGROUP,
    // CLONE_NEWTIME, which libc does not name everywhere.
    0x80,
];

/// The x32 calls of x86-64 have the same architecture and numbers of their own, which would pass a list without them.
#[cfg(target_arch = "x86_64")]
const X32: Option<i64> = Some(0x4000_0000);
#[cfg(not(target_arch = "x86_64"))]
const X32: Option<i64> = None;

/// Those of them whose number differs by more than the bit: ptrace, kexec_load, move_pages, process_vm_readv, process_vm_writev, and
/// ioctl, whose 64-bit form every program has.
const X32_ONLY: [i64; 6] = [521, 528, 533, 539, 540, 514];

/// Forbids for good; children inherit it. Needs "no new privileges".
pub(super) fn apply(confinement: &Confinement) -> Result<(), Error> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(Error::Backend)?;
    let denied = compile(denied(confinement)?, EPERM, arch)?;
    // Its flags lie in memory, where a filter cannot look. Programs fall back to clone, whose flags it sees.
    let unknown = compile(forms(&[SYS_clone3]), ENOSYS, arch)?;
    apply_filter(&unknown)?;
    apply_filter(&denied)
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn compile(rules: Rules, errno: i32, arch: TargetArch) -> Result<BpfProgram, Error> {
    let action = SeccompAction::Errno(errno.unsigned_abs());
    Ok(SeccompFilter::new(rules, SeccompAction::Allow, action, arch)?.try_into()?)
}

/// Each call in all its forms, whatever its arguments.
fn forms(calls: &[i64]) -> Rules {
    let x32 = calls.iter().flat_map(|call| X32.map(|bit| call | bit));
    let other = X32_ONLY.iter().flat_map(|call| X32.map(|bit| call | bit));
    calls.iter().copied().chain(x32).chain(other).map(|call| (call, vec![])).collect()
}

fn denied(confinement: &Confinement) -> Result<Rules, Error> {
    let mut calls = [&NOBODY, PORTS].concat();
    if !confinement.mounts {
        calls.extend(MOUNTS);
    }
    if !confinement.local_sockets {
        // Without Unix sockets there is nothing it might serve: whoever may connect to other machines need not listen.
        calls.extend([SYS_listen, SYS_accept, SYS_accept4]);
    }
    let mut rules = forms(&calls);
    let mut some = |call: i64, when: Vec<SeccompRule>| {
        rules.insert(call, when.clone());
        if let Some(bit) = X32 {
            rules.insert(call | bit, when);
        }
    };
    some(SYS_socket, vec![SeccompRule::new(other_families(confinement)?)?]);
    // Pairs of Unix sockets lead nowhere else.
    some(SYS_socketpair, vec![SeccompRule::new(vec![word(0, SeccompCmpOp::Ne, AF_UNIX)?])?]);
    let namespaces = NEW_NAMESPACES.iter().map(|&flag| {
        let flag = u64::from(flag.unsigned_abs());
        SeccompRule::new(vec![SeccompCondition::new(
            0,
            SeccompCmpArgLen::Qword,
            SeccompCmpOp::MaskedEq(flag),
            flag,
        )?])
    });
    // The lowest byte of clone's flags is a signal: CLONE_NEWTIME cannot be asked for there.
    some(SYS_clone, namespaces.take(NEW_NAMESPACES.len() - 1).collect::<Result<_, _>>()?);
    // Typing into a terminal for somebody else.
    let typing = [TIOCSTI as i32, TIOCLINUX as i32];
    let typing =
        typing.into_iter().map(|request| Ok(SeccompRule::new(vec![word(1, SeccompCmpOp::Eq, request)?])?));
    some(SYS_ioctl, typing.collect::<Result<_, Error>>()?);
    Ok(rules)
}

/// Sockets of any family but the allowed ones.
fn other_families(confinement: &Confinement) -> Result<Vec<SeccompCondition>, Error> {
    let mut allowed = Vec::new();
    if confinement.local_sockets {
        allowed.push(AF_UNIX);
    }
    if confinement.packets {
        allowed.push(AF_PACKET);
    }
    if confinement.network {
        // Netlink tells which addresses a name can be reached by.
        allowed.extend([AF_INET, AF_INET6, AF_NETLINK]);
    }
    if allowed.is_empty() {
        // A rule needs a condition: no family has this number.
        allowed.push(i32::MAX);
    }
    allowed.into_iter().map(|family| word(0, SeccompCmpOp::Ne, family)).collect()
}

fn word(argument: u8, is: SeccompCmpOp, value: i32) -> Result<SeccompCondition, Error> {
    Ok(SeccompCondition::new(argument, SeccompCmpArgLen::Dword, is, u64::from(value.unsigned_abs()))?)
}
