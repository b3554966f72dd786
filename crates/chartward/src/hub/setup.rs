//! From the configuration to what the hub's parts work with.

use std::collections::BTreeMap;
use std::net::{IpAddr, UdpSocket};
use std::path::{Path, PathBuf};

use act::never::{NeverTouch, Spared};
use act::notify;
use act::playbook;
use act::wall;
use anyhow::{Context, ensure};
use ipnet::IpNet;
use observe::mail::milter::Listen;

use super::core::Rules;
use crate::config::{Allow, Config, Mail, Program, Watch, WatchedShare};
use crate::supervise::{Confinement, Limits, Program as Run, Spec};
use crate::wiring::guard::approval::Standing;

/// The lists that bound every act, and the playbooks.
pub(super) fn rules(config: &Config, spared: Spared) -> anyhow::Result<Rules> {
    let mut never = config.never_touch.for_act();
    never.spared = spared;
    never.pids = vec![std::process::id().try_into().context("an own process id")?];
    never.know("this machine", own_addresses());
    never.know("the vault", config.vault.iter().filter_map(|vault| vault.address));
    never.know("the console", Some(config.console.listen.ip()).filter(|ip| !ip.is_unspecified()));
    for host in &config.never_touch.hosts {
        let named = config.protect.iter().filter(|protect| protect.host.as_ref() == Some(host));
        never.know(host, named.filter_map(|protect| protect.address));
    }
    spare(config, &never);
    let zones = config.wall.zone.iter().flat_map(|zone| &zone.networks);
    Ok(Rules {
        internal: zones.map(|network| network.0).filter(|network| network.prefix_len() > 0).collect(),
        playbooks: config.playbook.iter().map(playbook::Playbook::from).collect(),
        never,
        protects: config.protect.iter().map(|protect| protect.name.clone()).collect(),
        classes: config.watch.iter().map(|watch| (watch.name.clone(), watch.class)).collect(),
        channels: config
            .notify
            .iter()
            .map(|it| (it.name.clone(), (it.lang.unwrap_or(config.lang), it.severity_min.0)))
            .collect(),
        hosts: hosts(config),
        stores: stores(config),
    })
}

/// Where this machine's name servers stand.
const RESOLVER: &str = "/etc/resolv.conf";

/// Whom no ban ever holds. What stands around the packet filter is asked of its machine, by the hands.
fn spare(config: &Config, never: &NeverTouch) {
    let spared = &never.spared;
    spared.add("a server that is never blocked", config.never_touch.servers.iter().copied());
    spared.add("a server of the record", config.protect.iter().filter_map(|protect| protect.address));
    let resolver = std::fs::read_to_string(RESOLVER).unwrap_or_default();
    spared.add("a name server", wall::name_servers(&resolver));
}

/// Names of hosts by address, as the configuration has them.
fn hosts(config: &Config) -> BTreeMap<IpAddr, String> {
    let named = config.protect.iter().filter_map(|protect| Some((protect.address?, protect.host.clone()?)));
    named.map(|(address, host)| (address, host.to_lowercase())).collect()
}

fn stores(config: &Config) -> BTreeMap<String, Vec<String>> {
    let mut stores: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for protect in &config.protect {
        let host = protect.host.clone().or_else(|| protect.address.map(|address| address.to_string()));
        if let Some(host) = host {
            stores.entry(host.to_lowercase()).or_default().push(protect.name.clone());
        }
    }
    stores
}

/// The addresses that this machine uses towards the outside, found without sending anything: connecting a datagram socket only
/// asks the routing table.
fn own_addresses() -> Vec<IpAddr> {
    let towards = [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")];
    let own = |(from, to): (&str, &str)| {
        let socket = UdpSocket::bind(from).ok()?;
        socket.connect(to).ok()?;
        socket.local_addr().ok().map(|address| address.ip())
    };
    towards.into_iter().filter_map(own).collect()
}

pub(super) fn wall(config: &Config, never: &NeverTouch) -> wall::Settings {
    let reach = config.wall.reachable.iter().copied();
    let reach = reach.chain(config.vault.iter().filter_map(|vault| vault.address));
    let console = Some(config.console.listen.ip()).filter(|ip| !ip.is_unspecified() && !ip.is_loopback());
    let reach: Vec<IpNet> = reach.chain(console).map(IpNet::from).collect();
    wall::Settings { command: config.wall.command.clone(), ..wall::Settings::local(never.clone(), reach) }
}

/// The wall as the hub has it, for who looks at it or changes it beside the hub.
pub(crate) fn wall_settings(config: &Config) -> anyhow::Result<wall::Settings> {
    let rules = rules(config, Spared::default())?;
    Ok(wall(config, &rules.never))
}

/// The channels by their names. A secret in a file is named by its path, which no name in the sealed store begins like.
pub(super) fn channels(config: &Config) -> BTreeMap<String, notify::Channel> {
    config.notify.iter().map(|it| (it.name.clone(), notify::Channel::from(&it.channel))).collect()
}

/// What a secret stands for: the content of a private file, or what the sealed store holds under that name.
pub(crate) fn secret(name: &str, sealed: impl Fn(&str) -> Option<String>) -> Option<String> {
    if name.starts_with('/') { read_private(Path::new(name)).ok() } else { sealed(name) }
}

/// A file that only its owner can read, without the white space around its content.
pub(crate) fn read_private(path: &Path) -> anyhow::Result<String> {
    use std::io::Read;
    use std::os::unix::fs::MetadataExt;
    let file = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mode = file.metadata()?.mode() & 0o077;
    ensure!(mode == 0, "{} can be read by others; run `chmod 600 {0}`", path.display());
    let mut text = String::new();
    file.take(64 * 1024)
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.trim().to_owned())
}

/// The watchers as the supervisor starts them.
pub(super) fn specs(config: &Config, state: &Path) -> Vec<Spec> {
    config.watch.iter().map(|watch| spec(config, watch, state)).collect()
}

/// Standing approvals, as `chartward guard` reads them.
fn standing(allowed: &[Allow]) -> impl Iterator<Item = String> + '_ {
    (1..).zip(allowed).filter_map(|(number, allow)| {
        let Allow { tool, sha256, user, group, dir, reason } = allow;
        let standing = Standing {
            id: format!("config-{number}"),
            tool: tool.clone(),
            sha256: sha256.clone(),
            user: user.clone(),
            group: group.clone(),
            dir: dir.clone(),
            reason: reason.clone(),
        };
        serde_json::to_string(&standing).ok()
    })
}

fn spec(config: &Config, watch: &Watch, state: &Path) -> Spec {
    let folder = match &watch.program {
        // Where the command line and the console find its quarantine.
        Program::Mail => state.join("mail"),
        Program::Sensor => state.join("sensor"),
        Program::Logs => crate::wiring::logs::folder(state),
        _ => state.join("watch").join(&watch.name),
    };
    let control = state.join("control").join(format!("{}.sock", watch.name));
    let path = |path: &Path| path.display().to_string();
    let mut confinement = Confinement::of(watch.class, folder.clone());
    let program = match &watch.program {
        Program::Guard(guard) => {
            let store = guard.store.clone().unwrap_or_else(|| state.join("guard").join(&watch.name));
            let mut args = vec!["guard".to_owned()];
            args.extend(guard.dirs.iter().map(|dir| path(dir)));
            args.extend(["--json", "--store"].map(str::to_owned));
            args.extend([path(&store), "--state".to_owned(), path(state)]);
            args.extend(["--max-store".to_owned(), guard.store_max.0.to_string()]);
            args.extend(["--control".to_owned(), path(&control)]);
            args.extend(
                addresses(config, &guard.dirs).flat_map(|ip| ["--address".to_owned(), ip.to_string()]),
            );
            for database in &guard.databases {
                args.extend(["--database".to_owned(), path(database)]);
            }
            args.extend(["--snapshot-every".to_owned(), format!("{}s", guard.snapshot_every.0.as_secs())]);
            args.extend(["--removed-max".to_owned(), guard.removed_max.0.to_string()]);
            args.extend(["--removed-keep".to_owned(), format!("{}s", guard.removed_keep.0.as_secs())]);
            for standing in standing(&guard.allow) {
                args.extend(["--allow".to_owned(), standing]);
            }
            for command in &config.never_touch.commands {
                args.extend(["--never".to_owned(), command.clone()]);
            }
            Run::Own(args)
        }
        Program::Share(share) => {
            confinement.read.extend(share.credentials.iter().cloned());
            if share.is_mounted() {
                let may = if share.plant { &mut confinement.write } else { &mut confinement.read };
                may.push(PathBuf::from(&share.path));
            }
            Run::Own(share_args(share, &folder))
        }
        Program::Mail => {
            let mail = config.mail.clone().unwrap_or_default();
            match mail.listen.parse() {
                Ok(Listen::Inet(at)) => confinement.listen.push(at.port()),
                Ok(Listen::Unix(socket)) => {
                    confinement.write.extend(socket.parent().map(Path::to_owned));
                }
                // The check of the configuration says so.
                Err(_) => {}
            }
            // Read at each start. What is changed later comes over the control socket: a file that took its place could not be read.
            confinement.read.extend(mail.brands.iter().chain(&mail.weighing).cloned());
            Run::Own(mail_args(&mail))
        }
        Program::Sensor => {
            let sensor = config.sensor.clone().unwrap_or_default();
            let settings = crate::wiring::sensor::Settings::of(&sensor, config.zone());
            confinement = Confinement::sensor(folder.clone());
            confinement.read.extend(settings.readable());
            Run::Own(sensor_args(&settings))
        }
        Program::Logs => {
            let settings = crate::wiring::logs::Settings::of(Some(config), config.zone());
            confinement = Confinement::logs(folder.clone());
            confinement.listen.extend(settings.ports());
            confinement.read.extend(settings.readable());
            let people = state.join(crate::wiring::logins::FOLDER);
            // It can only be let into a folder that is there.
            let _ = std::fs::create_dir_all(&people);
            confinement.read.push(people.clone());
            Run::Own(logs_args(&settings, &people))
        }
        Program::Exec(words) => Run::Exec(words.clone()),
    };
    if let Some(user) = &watch.user {
        confinement.user.clone_from(user);
    }
    confinement.read.extend(watch.read.iter().cloned());
    confinement.network |= watch.network;
    // While a guard or a gateway is down everything passes: it is started again at once, the first time.
    let restart_after_ms = match watch.class {
        schema::WatcherClass::Guard | schema::WatcherClass::Mail => 100,
        _ => Limits::default().restart_after_ms,
    };
    let limits = Limits {
        restart_after_ms,
        lines_per_second_max: watch.lines_per_second_max,
        burst_lines_max: watch.lines_per_second_max.saturating_mul(2),
        ..Limits::default()
    };
    Spec { name: watch.name.clone(), class: watch.class, program, confinement, env: Vec::new(), limits }
}

fn share_args(share: &WatchedShare, state: &Path) -> Vec<String> {
    let mut args = vec!["share".to_owned(), share.path.clone(), "--json".to_owned()];
    let mut add = |flag: &str, value: String| args.extend([flag.to_owned(), value]);
    share.folders.iter().for_each(|folder| add("--path", folder.clone()));
    add("--port", share.port.to_string());
    share.address.iter().for_each(|address| add("--address", address.to_string()));
    share.credentials.iter().for_each(|file| add("--credentials", file.display().to_string()));
    add("--canary-interval", share.canary_every.0.as_secs().to_string());
    add("--look-interval", share.look_every.0.as_secs().to_string());
    add("--state", state.display().to_string());
    // Not beside the hub's: this watcher is not root and may write to its own folder only.
    add("--control", state.join("control.sock").display().to_string());
    if share.plant {
        args.push("--plant".to_owned());
    }
    args
}

/// As `chartward mail serve` reads it. Its folder is its working folder, which it reaches without the folders above.
fn mail_args(mail: &Mail) -> Vec<String> {
    let mut args = vec!["mail".to_owned(), "serve".to_owned(), "--json".to_owned()];
    let mut add = |flag: &str, value: String| args.extend([flag.to_owned(), value]);
    add("--listen", mail.listen.clone());
    for (verdict, action) in mail.policy().all() {
        add("--policy", format!("{verdict}={}", action.name()));
    }
    add("--on-failure", mail.on_failure.name().to_owned());
    add("--dns", mail.dns.clone());
    mail.relays.iter().for_each(|network| add("--relay", network.0.to_string()));
    add("--quarantine", "quarantine".to_owned());
    add("--control", "control.sock".to_owned());
    add("--keep", format!("{}s", mail.quarantine_keep.0.as_secs()));
    add("--max-quarantine", mail.quarantine_max.0.to_string());
    add("--max-message", mail.message_max.0.to_string());
    // One word each, since a value may begin like a flag.
    args.push(format!("--subject-prefix={}", mail.subject_prefix));
    args.push(format!("--contact={}", mail.contact));
    let file = |path: &PathBuf| path.display().to_string();
    let further = [
        ("--brands", mail.brands.as_ref().map(file)),
        ("--weighing", mail.weighing.as_ref().map(file)),
        ("--clamd", mail.clamd.clone()),
    ];
    args.extend(further.into_iter().filter_map(|(flag, value)| Some(format!("{flag}={}", value?))));
    args.extend(mail.trust_authserv_ids.iter().map(|id| format!("--trust-authserv-id={id}")));
    if mail.banner {
        args.push("--banner".to_owned());
    }
    args
}

/// As `chartward sensor` reads it, whole: the file itself may be closed to the sensor's user. Its folder is its working folder.
fn sensor_args(settings: &crate::wiring::sensor::Settings) -> Vec<String> {
    let whole = serde_json::to_string(settings).unwrap_or_default();
    ["sensor", "--json", "--settings", &whole, "--folder", ".", "--control", "control.sock"]
        .map(str::to_owned)
        .to_vec()
}

/// As `chartward logs` reads it, whole, as for the sensor.
fn logs_args(settings: &crate::wiring::logs::Settings, people: &Path) -> Vec<String> {
    let whole = serde_json::to_string(settings).unwrap_or_default();
    let people = people.display().to_string();
    [
        "logs",
        "--json",
        "--settings",
        &whole,
        "--folder",
        ".",
        "--people",
        &people,
        "--control",
        "control.sock",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// Addresses of the machine that a guarded folder belongs to, as far as the configuration says which.
fn addresses<'a>(config: &'a Config, dirs: &'a [PathBuf]) -> impl Iterator<Item = IpAddr> + 'a {
    let guarded = |path: &Path| dirs.iter().any(|dir| path.starts_with(dir) || dir.starts_with(path));
    let of_dirs =
        config.protect.iter().filter(move |protect| protect.source.paths().iter().any(|it| guarded(it)));
    of_dirs.filter_map(|protect| protect.address)
}
