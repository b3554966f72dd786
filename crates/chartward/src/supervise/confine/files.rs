//! Landlock: which files a watcher may read and write, and that it signals nobody and listens nowhere but where it must.

use std::io;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, LandlockStatus, NetPort, PathBeneath, PathFd, RestrictionStatus,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use super::Error;

/// Everything that the newest kernels can restrict; an older one restricts what it knows.
const ABI_ASKED: ABI = ABI::V7;

/// What almost every program needs, and nothing that holds secrets: /etc is listed file by file, so that not even a watcher that
/// runs as root reads /etc/shadow.
const SYSTEM: [&str; 45] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/proc",
    "/sys/devices/system/cpu",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload",
    "/etc/alternatives",
    "/etc/passwd",
    "/etc/group",
    "/etc/nsswitch.conf",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/locale.alias",
    "/etc/locale.conf",
    "/etc/default/locale",
    "/etc/machine-id",
    "/etc/os-release",
    "/etc/magic",
    "/etc/mime.types",
    "/etc/terminfo",
    "/etc/profile",
    "/etc/inputrc",
    "/etc/perl",
    "/etc/python3",
    "/etc/python3.11",
    "/etc/python3.12",
    "/etc/python3.13",
    "/etc/crypto-policies",
    "/etc/ssl/openssl.cnf",
    "/etc/ssl/certs",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust",
    "/etc/ca-certificates",
    "/nix/store",
    "/gnu/store",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
];

/// Besides, for a watcher that connects to other machines.
const NETWORK: [&str; 8] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/run/systemd/resolve",
    "/run/resolvconf",
];

/// Restricts the calling process for good. Landlock that is missing or older than asked is told, since the user and the filter
/// of system calls protect then as well.
pub(super) fn restrict<'a>(
    program: &'a Path,
    read: impl Iterator<Item = &'a Path>,
    write: impl Iterator<Item = &'a Path>,
    (network, listen): (bool, &[u16]),
    not_enforced: &mut Vec<String>,
) -> Result<(), Error> {
    let mut read: Vec<&Path> = read.collect();
    let write: Vec<&Path> = write.collect();
    for path in read.iter().chain(&write).filter(|path| std::fs::symlink_metadata(path).is_err()) {
        not_enforced.push(format!("access to {}: there is no such file", path.display()));
    }
    read.push(program);
    let status = rules(&read, &write, network, listen)
        .map_err(|error| Error::Step { step: "restrict the files", source: io::Error::other(error) })?;
    match (status.ruleset, status.landlock) {
        (RulesetStatus::FullyEnforced, _) => {}
        (_, LandlockStatus::Available { effective_abi, .. }) => not_enforced.push(format!(
            "Landlock in full: this kernel knows its version {effective_abi} of {ABI_ASKED}, and what came later is not restricted"
        )),
        (_, LandlockStatus::NotEnabled) => {
            not_enforced.push("Landlock: it is switched off in this kernel (lsm=)".to_owned());
        }
        (_, _) => not_enforced.push("Landlock: this kernel has none".to_owned()),
    }
    Ok(())
}

fn rules(
    read: &[&Path],
    write: &[&Path],
    network: bool,
    listen: &[u16],
) -> Result<RestrictionStatus, RulesetError> {
    let all = AccessFs::from_all(ABI_ASKED);
    // What is written must not be run, and nobody needs devices or commands to them.
    let written = all & !(AccessFs::Execute | AccessFs::MakeBlock | AccessFs::MakeChar | AccessFs::IoctlDev);
    let mut rules = Ruleset::default()
        .handle_access(all)?
        // With no rule for other ports: it connects nowhere unless it may, and listens nowhere.
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::from_all(ABI_ASKED))?;
    if !network {
        rules = rules.handle_access(AccessNet::ConnectTcp)?;
    }
    let system = SYSTEM.iter().chain(NETWORK.iter().filter(|_| network)).map(Path::new);
    let reading = system.chain(read.iter().copied()).map(|path| (path, AccessFs::from_read(ABI_ASKED)));
    let writing = write.iter().map(|path| (*path, written));
    let null = [(Path::new("/dev/null"), AccessFs::ReadFile | AccessFs::WriteFile)];
    let mut created = rules.create()?;
    for (path, access) in reading.chain(writing).chain(null) {
        // Not every system has every folder.
        let Ok(fd) = PathFd::new(path) else { continue };
        let is_dir = std::fs::metadata(path).is_ok_and(|meta| meta.is_dir());
        let access = if is_dir { access } else { access & AccessFs::from_file(ABI_ASKED) };
        created = created.add_rule(PathBeneath::new(fd, access))?;
    }
    for port in listen {
        created = created.add_rule(NetPort::new(*port, AccessNet::BindTcp))?;
    }
    created.restrict_self()
}
