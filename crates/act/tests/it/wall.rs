use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

use act::wall::{Barrier, InForce, Settings, Wall};
use act::{Error, NeverTouch};
use ipnet::IpNet;

use crate::net::{Host, Net};

const HOUR: Option<Duration> = Some(Duration::from_secs(3600));
const FAMILIES: [bool; 2] = [false, true];

fn both(host: &Host) -> [IpAddr; 2] {
    FAMILIES.map(|v6| host.address(v6))
}

fn settings(net: &Net, allowed: &[&str], reach: &[&str]) -> Settings {
    let mut never = NeverTouch::default();
    for name in allowed {
        never.know(name, both(net.host(name)));
    }
    let reach = reach.iter().flat_map(|name| both(net.host(name))).map(IpNet::from).collect();
    Settings { command: net.gateway().nft_command(), ..Settings::local(never, reach) }
}

fn wall(settings: Settings) -> Wall {
    let wall = Wall::new(settings);
    wall.ensure().unwrap();
    wall
}

fn for_an_hour(host: &Host) -> Vec<(IpAddr, Option<Duration>)> {
    both(host).map(|address| (address, HOUR)).to_vec()
}

fn barriers(wall: &Wall) -> Vec<(Barrier, IpAddr)> {
    wall.in_force().unwrap().iter().map(|known| (known.barrier, known.address)).collect()
}

#[test]
fn a_ban_ends_established_connections_for_good_and_its_undo_lets_new_ones_in() {
    let Some(net) = Net::new("a_ban_cuts", &["attacker", "host"]) else { return };
    let wall = wall(settings(&net, &[], &[]));
    let (attacker, host, gateway) = (net.host("attacker"), net.host("host"), net.gateway());
    for v6 in FAMILIES {
        assert!(attacker.opens(host.address(v6)) && attacker.talks(host.address(v6), 2.0));
        assert!(host.opens(attacker.address(v6)) && gateway.opens(attacker.address(v6)));
    }
    wall.ban(&for_an_hour(attacker)).unwrap();
    for v6 in FAMILIES {
        let gateways_own: IpAddr = if v6 { "fd77:1::1" } else { "10.77.1.1" }.parse().unwrap();
        assert!(!attacker.talks(host.address(v6), 0.4));
        assert!(!host.talks(attacker.address(v6), 0.4));
        assert!(!gateway.talks(attacker.address(v6), 0.4));
        assert!(attacker.is_cut_off_from(host.address(v6)));
        assert!(host.is_cut_off_from(attacker.address(v6)));
        assert!(attacker.is_cut_off_from(gateways_own) && gateway.is_cut_off_from(attacker.address(v6)));
        assert!(host.reaches(if v6 { "fd77:2::1" } else { "10.77.2.1" }.parse().unwrap()));
    }
    wall.unban(&both(attacker)).unwrap();
    wall.unban(&both(attacker)).unwrap();
    assert_eq!(wall.in_force().unwrap(), []);
    for v6 in FAMILIES {
        // What was open is over at both ends, also where nobody said a word meanwhile.
        assert!(!attacker.talks(host.address(v6), 1.0) && !host.talks(attacker.address(v6), 1.0));
        assert!(!gateway.talks(attacker.address(v6), 1.0));
        assert!(host.reaches(attacker.address(v6)) && attacker.reaches(host.address(v6)));
        assert!(attacker.opens(host.address(v6)) && attacker.talks(host.address(v6), 2.0));
    }
}

#[test]
fn a_session_that_stood_still_during_a_ban_does_not_go_on_behind_it() {
    let Some(net) = Net::new("a_session_that_stood_still", &["attacker", "host", "other"]) else { return };
    testkit::tool("a_session_that_stood_still", "conntrack");
    let wall = wall(settings(&net, &[], &[]));
    let (attacker, host) = (net.host("attacker"), net.host("host"));
    for v6 in FAMILIES {
        assert!(attacker.opens(host.address(v6)) && net.host("other").opens(host.address(v6)));
        // The gateway is a server as well.
        let own: IpAddr = if v6 { "fd77:1::1" } else { "10.77.1.1" }.parse().unwrap();
        assert!(attacker.opens(own));
    }
    let short = Some(Duration::from_millis(700));
    let cut = wall.ban(&both(attacker).map(|address| (address, short))).unwrap();
    assert_eq!((cut.trouble.clone(), cut.connections >= 4, cut.sockets), (None, true, 2), "{cut:?}");
    thread::sleep(Duration::from_millis(900));
    assert_eq!(wall.in_force().unwrap(), []);
    for v6 in FAMILIES {
        assert!(!attacker.talks(host.address(v6), 1.0), "{v6}");
        let own: IpAddr = if v6 { "fd77:1::1" } else { "10.77.1.1" }.parse().unwrap();
        assert!(!attacker.talks(own, 1.0), "{v6}");
        assert!(attacker.reaches(host.address(v6)) && attacker.reaches(own), "{v6}");
        assert!(net.host("other").talks(host.address(v6), 2.0), "who was not banned goes on: {v6}");
    }
}

#[test]
fn who_is_spared_is_never_banned_and_may_be_isolated() {
    let Some(net) = Net::new("who_is_spared", &["server", "host"]) else { return };
    let settings = settings(&net, &[], &[]);
    let (server, host) = (net.host("server"), net.host("host"));
    let first = wall(settings.clone());
    first.ban(&for_an_hour(server)).unwrap();
    assert!(server.is_cut_off_from(host.address(false)));
    settings.never.spared.add("a name server", both(server));
    assert!(matches!(first.ban(&for_an_hour(server)), Err(Error::NeverTouch { .. })));
    // Banned before anybody said so: the kernel's own list lets it through.
    first.ensure().unwrap();
    for v6 in FAMILIES {
        assert!(server.reaches(host.address(v6)) && host.reaches(server.address(v6)));
    }
    first.isolate(&for_an_hour(server)).unwrap();
    assert!(server.is_cut_off_from(host.address(false)) && host.is_cut_off_from(server.address(true)));
}

#[test]
fn ten_thousand_addresses_are_one_batch_and_only_those_with_sessions_are_looked_for() {
    let Some(net) = Net::new("ten_thousand", &["attacker", "host"]) else { return };
    let wall = wall(settings(&net, &[], &[]));
    let (attacker, host) = (net.host("attacker"), net.host("host"));
    assert!(attacker.opens(host.address(false)));
    let base = u32::from(std::net::Ipv4Addr::new(198, 18, 0, 0));
    let many = (0..9_999).map(|n| (IpAddr::from(std::net::Ipv4Addr::from(base + n)), HOUR));
    let batch: Vec<_> = many.chain([(attacker.address(false), HOUR)]).collect();
    let cut = wall.ban(&batch).unwrap();
    assert_eq!((cut.connections, cut.trouble), (1, None));
    assert_eq!(wall.in_force().unwrap().len(), 10_000);
    assert!(!attacker.talks(host.address(false), 0.4));
    wall.unban(&batch.iter().map(|(address, _)| *address).collect::<Vec<_>>()).unwrap();
    assert_eq!(wall.in_force().unwrap(), []);
}

#[test]
fn an_allowed_address_is_never_cut_off_and_shields_no_banned_one() {
    let Some(net) = Net::new("an_allowed_address", &["attacker", "host", "vault"]) else { return };
    let first = wall(settings(&net, &[], &["vault"]));
    let (attacker, host, vault) = (net.host("attacker"), net.host("host"), net.host("vault"));
    assert!(vault.opens(host.address(false)));
    // Banned and isolated before anybody said that it is never touched.
    first.ban(&for_an_hour(vault)).unwrap();
    first.isolate(&for_an_hour(vault)).unwrap();
    assert!(!vault.talks(host.address(false), 0.4));
    let second = wall(settings(&net, &["vault"], &["vault"]));
    assert_eq!(second.in_force().unwrap().len(), 4);
    assert!(vault.talks(host.address(false), 10.0));
    for v6 in FAMILIES {
        assert!(vault.reaches(host.address(v6)) && host.reaches(vault.address(v6)));
        let mapped = match vault.address(false) {
            IpAddr::V4(v4) => IpAddr::V6(v4.to_ipv6_mapped()),
            v6 => v6,
        };
        for address in [vault.address(v6), mapped, "127.0.0.1".parse().unwrap(), "ff02::1".parse().unwrap()] {
            let batch = [(attacker.address(v6), HOUR), (address, HOUR)];
            assert!(matches!(second.ban(&batch), Err(Error::NeverTouch { .. })), "{address}");
            assert!(matches!(second.isolate(&batch), Err(Error::NeverTouch { .. })), "{address}");
        }
    }
    assert!(attacker.reaches(vault.address(false)), "nothing of a refused batch is in force");
    second.ban(&for_an_hour(attacker)).unwrap();
    for v6 in FAMILIES {
        assert!(attacker.is_cut_off_from(vault.address(v6)) && vault.is_cut_off_from(attacker.address(v6)));
    }
}

#[test]
fn an_isolated_host_reaches_the_vault_the_console_and_named_hosts_and_nobody_else() {
    let names = ["infected", "host", "vault", "console", "named"];
    let Some(net) = Net::new("an_isolated_host", &names) else { return };
    let wall = wall(settings(&net, &["vault", "console"], &["vault", "console", "named"]));
    let infected = net.host("infected");
    assert!(
        infected.opens(net.host("host").address(false)) && infected.opens(net.host("vault").address(false))
    );
    wall.isolate(&for_an_hour(infected)).unwrap();
    assert!(!infected.talks(net.host("host").address(false), 0.4));
    assert!(infected.talks(net.host("vault").address(false), 2.0));
    for v6 in FAMILIES {
        for name in ["vault", "console", "named"] {
            let other = net.host(name);
            assert!(infected.reaches(other.address(v6)), "{name} {v6}");
            assert!(other.reaches(infected.address(v6)), "{name} {v6}");
            assert!(other.reaches(net.host("host").address(v6)), "others go on: {name} {v6}");
        }
        let host = net.host("host");
        assert!(infected.is_cut_off_from(host.address(v6)) && host.is_cut_off_from(infected.address(v6)));
        let own: IpAddr = if v6 { "fd77:1::1" } else { "10.77.1.1" }.parse().unwrap();
        assert!(infected.is_cut_off_from(own) && net.gateway().is_cut_off_from(infected.address(v6)));
    }
    // A ban of an isolated host takes the vault from it as well, and its end gives it back.
    wall.ban(&for_an_hour(infected)).unwrap();
    assert!(infected.is_cut_off_from(net.host("vault").address(false)));
    wall.unban(&both(infected)).unwrap();
    assert!(infected.reaches(net.host("vault").address(false)));
    wall.release(&both(infected)).unwrap();
    assert!(
        infected.reaches(net.host("host").address(false)) && infected.reaches(net.host("host").address(true))
    );
}

#[test]
fn a_time_ends_by_itself_and_naming_an_address_again_begins_it_anew() {
    let Some(net) = Net::new("a_time_ends", &["attacker", "host"]) else { return };
    let wall = wall(settings(&net, &[], &[]));
    let (attacker, host) = (net.host("attacker"), net.host("host"));
    wall.ban(&for_an_hour(attacker)).unwrap();
    let short = Duration::from_millis(1200);
    wall.ban(&both(attacker).map(|address| (address, Some(short)))).unwrap();
    let begun = Instant::now();
    assert!(wall.in_force().unwrap().iter().all(|known| known.remaining <= Some(Duration::from_secs(1))));
    assert!(attacker.is_cut_off_from(host.address(false)));
    thread::sleep(short.saturating_sub(begun.elapsed()) + Duration::from_millis(100));
    assert!(attacker.reaches(host.address(false)) && attacker.reaches(host.address(true)));
    assert_eq!(wall.in_force().unwrap(), []);
    // The last word about an address that is named twice counts, and no time means no end.
    let address = attacker.address(false);
    wall.ban(&[(address, Some(short)), (address, None)]).unwrap();
    let barrier = Barrier::Ban;
    assert_eq!(wall.in_force().unwrap(), [InForce { barrier, address, remaining: None }]);
    wall.ban(&[(address, HOUR)]).unwrap();
    let remaining = wall.in_force().unwrap()[0].remaining.unwrap();
    assert!(remaining <= HOUR.unwrap() && remaining >= Duration::from_secs(3590), "{remaining:?}");
    // Longer than the packet filter's program takes in milliseconds.
    let month = Duration::from_secs(30 * 24 * 3600);
    wall.ban(&[(address, Some(month))]).unwrap();
    let remaining = wall.in_force().unwrap()[0].remaining.unwrap();
    assert!(remaining <= month && remaining + Duration::from_secs(60) >= month, "{remaining:?}");
}

#[test]
fn what_is_in_force_is_found_again_by_a_new_wall_and_no_other_table_is_touched() {
    let Some(net) = Net::new("what_is_in_force", &["attacker", "infected", "host", "vault"]) else { return };
    let gateway = net.gateway();
    let foreign = "table inet theirs {\n set ban4 { type ipv4_addr; flags timeout; elements = { 10.77.3.2 }; }\n \
                   chain input { type filter hook input priority 0; policy accept; ip saddr 10.9.9.9 drop; }\n}\n\
                   table ip chartward {\n set ban4 { type ipv4_addr; }\n}\n";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), foreign).unwrap();
    gateway.run(&["nft", "-f", file.path().to_str().unwrap()]);
    let theirs = || {
        [["inet", "theirs"], ["ip", "chartward"]].map(|t| gateway.run(&["nft", "list", "table", t[0], t[1]]))
    };
    let before = theirs();
    let first = wall(settings(&net, &[], &[]));
    first.ban(&for_an_hour(net.host("attacker"))).unwrap();
    first.isolate(&for_an_hour(net.host("infected"))).unwrap();
    let in_force = barriers(&first);
    assert_eq!(in_force.len(), 4);
    drop(first);
    // As after a restart with another configuration: more size, the vault reachable.
    let settings = Settings { size_max: 70_000, ..settings(&net, &["vault"], &["vault"]) };
    let second = Wall::new(settings);
    assert!(net.host("infected").is_cut_off_from(net.host("vault").address(false)));
    for _ in 0..3 {
        second.ensure().unwrap();
        assert_eq!(barriers(&second), in_force);
    }
    let rules = gateway.run(&["nft", "list", "chain", "inet", "chartward", "from"]);
    assert_eq!(rules.matches(" drop").count(), 2, "rules are not doubled: {rules}");
    assert!(net.host("attacker").is_cut_off_from(net.host("host").address(false)));
    assert!(net.host("infected").reaches(net.host("vault").address(false)));
    assert_eq!(theirs(), before);
    second.remove().unwrap();
    second.remove().unwrap();
    assert!(net.host("attacker").reaches(net.host("host").address(false)));
    assert_eq!(theirs(), before);
    assert!(matches!(second.in_force(), Err(Error::PacketFilter { .. })));
}

#[test]
fn a_full_set_a_flushed_table_and_a_broken_program_are_named_and_nothing_is_half_applied() {
    let Some(net) = Net::new("a_full_set", &["attacker"]) else { return };
    let wall = wall(Settings { size_max: 3, ..settings(&net, &[], &[]) });
    let batch = |numbers: std::ops::Range<u8>| -> Vec<(IpAddr, Option<Duration>)> {
        numbers.map(|n| (IpAddr::from([192, 0, 2, n]), HOUR)).collect()
    };
    wall.ban(&batch(0..2)).unwrap();
    let before = barriers(&wall);
    let mut further = batch(2..5);
    further.push(("2001:db8::1".parse().unwrap(), HOUR));
    let full = wall.ban(&further).unwrap_err();
    assert!(matches!(&full, Error::WallFull { set, size_max: 3 } if set == "ban4"), "{full:?}");
    assert!(full.next_step().is_some());
    assert_eq!(barriers(&wall), before);
    wall.ban(&batch(0..3)).unwrap();
    wall.ban(&batch(0..3)).unwrap();
    assert_eq!(wall.in_force().unwrap().len(), 3);
    wall.unban(&batch(0..255).iter().map(|(address, _)| *address).collect::<Vec<_>>()).unwrap();
    assert_eq!(wall.in_force().unwrap(), []);
    wall.ban(&[]).unwrap();

    net.gateway().run(&["nft", "flush", "chain", "inet", "chartward", "forward"]);
    assert!(matches!(wall.in_force(), Err(Error::WallBroken { chain: "forward" })));
    net.gateway().run(&["nft", "flush", "ruleset"]);
    assert!(matches!(wall.ban(&batch(0..1)), Err(Error::PacketFilter { .. })));
    wall.ensure().unwrap();
    wall.ban(&batch(0..1)).unwrap();

    let with = |words: &[&str]| {
        let command = words.iter().map(|word| (*word).to_owned()).collect();
        Wall::new(Settings { command, timeout: Duration::from_millis(200), ..settings(&net, &[], &[]) })
    };
    let begun = Instant::now();
    for words in [&["sh", "-c", "sleep 60"][..], &["/nonexistent/nft"], &[]] {
        assert!(matches!(with(words).ensure(), Err(Error::PacketFilterProgram { .. })), "{words:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(10));
    let flood = with(&["sh", "-c", "yes"]).in_force();
    assert!(
        matches!(flood, Err(Error::PacketFilterProgram { .. } | Error::PacketFilter { .. })),
        "{flood:?}"
    );
}

#[test]
fn a_wall_that_somebody_changed_looks_different_and_is_made_anew_with_what_stands() {
    let Some(net) = Net::new("a_wall_that_somebody_changed", &["attacker", "host"]) else { return };
    let wall = wall(settings(&net, &["host"], &["host"]));
    let (attacker, gateway) = (net.host("attacker"), net.gateway());
    wall.ban(&for_an_hour(attacker)).unwrap();
    let usual = wall.look().unwrap();
    wall.unban(&both(attacker)).unwrap();
    assert_eq!(wall.look().unwrap().shape, usual.shape);
    for changed in [
        "insert rule inet chartward forward accept",
        "insert rule inet chartward from accept",
        "add element inet chartward allow4 { 10.0.0.0/8 }",
        "flush chain inet chartward input",
        "flush table inet chartward",
        "delete table inet chartward",
        "flush ruleset",
        "add table inet chartward { flags dormant; }",
        "delete table inet chartward; add table inet chartward; add chain inet chartward input",
    ] {
        gateway.run(&["nft", changed]);
        assert!(wall.look().map_or(true, |look| look.shape != usual.shape), "{changed}");
        wall.rebuild(&usual.in_force).unwrap();
        let look = wall.look().unwrap();
        assert_eq!(look.shape, usual.shape, "{changed}");
        assert_eq!(barriers(&wall).len(), 2, "{changed}");
        let times = look.in_force.iter().map(|known| known.remaining.unwrap().as_secs());
        assert!(times.into_iter().all(|seconds| (3590..=3600).contains(&seconds)), "{changed}: {look:?}");
        let gateways_own = "10.77.1.1".parse().unwrap();
        assert!(attacker.is_cut_off_from(gateways_own), "{changed}");
    }
}
