//! The declared policy against real connections.

use std::thread;
use std::time::{Duration, Instant};

use act::wall::gate::{Drift, Gate};
use act::wall::policy::{Action, Allow, Egress, Limit, Mode, Pair, Policy, Zone};
use act::wall::{Settings, Wall};
use act::{Error, NeverTouch};
use ipnet::IpNet;
use jiff::Timestamp;

use crate::legs::{Legs, Space, Stands};

const FAMILIES: [bool; 2] = [false, true];

pub(crate) fn nets(texts: &[&str]) -> Vec<IpNet> {
    let net = |text: &&str| match text.parse::<IpNet>() {
        Ok(net) => net,
        Err(_) => IpNet::from(text.parse::<std::net::IpAddr>().unwrap()),
    };
    texts.iter().map(net).collect()
}

pub(crate) fn words(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn zone(name: &str, networks: &[&str]) -> Zone {
    Zone { name: name.to_owned(), networks: nets(networks), ..Zone::default() }
}

pub(crate) fn allow(from: &[&str], to: &[&str], services: &[&str]) -> Allow {
    Allow { from: words(from), to: words(to), services: words(services), ..Allow::default() }
}

/// The clinic reads images from the record and looks up names outside; all the rest is refused.
fn clinic(stands: Stands) -> Policy {
    let (lan, emr) = match stands {
        Stands::Router => (["10.10.0.0/24", "fd10::/64"], ["10.20.0.0/24", "fd20::/64"]),
        Stands::Bridge => (["10.10.10.0/24", "fd10::10:0/112"], ["10.10.20.0/24", "fd10::20:0/112"]),
    };
    let mode = if stands == Stands::Bridge { Mode::Bridge } else { Mode::Router };
    Policy {
        mode,
        default: Action::Refuse,
        zones: vec![zone("lan", &lan), Zone { egress: Egress::Listed, ..zone("emr", &emr) }],
        allow: vec![
            allow(&["lan"], &["emr"], &["dicom"]),
            allow(&["lan"], &["outside"], &["dns"]),
            allow(&["lan"], &["self"], &["ssh"]),
        ],
        ..Policy::default()
    }
}

fn both(space: &Space) -> Vec<IpNet> {
    FAMILIES.iter().map(|v6| IpNet::from(space.address(*v6))).collect()
}

fn load(gate: &Gate, policy: &Policy) {
    assert!(policy.check().iter().all(|problem| !problem.is_error), "{:?}", policy.check());
    gate.apply(policy, None, Timestamp::now()).unwrap();
}

#[test]
fn only_what_is_declared_passes_between_the_legs_by_both_families() {
    for stands in [Stands::Router, Stands::Bridge] {
        let Some(legs) = Legs::new("only_what_is_declared_passes", stands) else { return };
        let (lan, emr, out) = (legs.host("lan1"), legs.host("emr1"), legs.host("out1"));
        for v6 in FAMILIES {
            assert!(lan.reaches(emr.address(v6), 445), "before: {stands:?} {v6}");
        }
        load(&legs.gate(), &clinic(stands));
        for v6 in FAMILIES {
            let place = format!("{stands:?} {v6}");
            assert!(lan.reaches(emr.address(v6), 104), "{place}");
            assert!(lan.is_refused_by(emr.address(v6), 445), "{place}");
            assert!(emr.is_refused_by(lan.address(v6), 104), "{place}");
            assert!(lan.reaches_by_udp(out.address(v6), 53, 2.0), "{place}");
            assert!(!lan.reaches_by_udp(out.address(v6), 445, 0.4), "{place}");
            assert!(emr.is_refused_by(out.address(v6), 53), "{place}");
            assert!(out.is_refused_by(lan.address(v6), 104), "{place}");
            assert!(lan.reaches(legs.host("lan2").address(v6), 445), "{place}: two hosts of one zone");
        }
        if stands == Stands::Router {
            let own = |leg: u8, v6: bool| match v6 {
                false => format!("10.{leg}.0.254").parse().unwrap(),
                true => format!("fd{leg}::fe").parse().unwrap(),
            };
            for v6 in FAMILIES {
                assert!(lan.reaches(own(10, v6), 22) && lan.is_refused_by(own(10, v6), 8080));
                assert!(emr.is_refused_by(own(20, v6), 22) && out.is_refused_by(own(30, v6), 22));
                assert!(legs.box_.reaches(emr.address(v6), 445), "the box itself goes where it wants");
            }
        }
    }
}

#[test]
fn a_policy_that_nobody_confirms_ends_by_itself_and_one_that_is_confirmed_stays() {
    let Some(legs) = Legs::new("a_policy_that_nobody_confirms", Stands::Router) else { return };
    let (gate, lan, emr) = (legs.gate(), legs.host("lan1"), legs.host("emr1"));
    let first = clinic(Stands::Router);
    load(&gate, &first);
    let mut second = first.clone();
    second.allow[0].services = words(&["smb"]);
    let lasts = Duration::from_secs(6);
    let standing = gate.apply(&second, Some(lasts), Timestamp::now()).unwrap();
    let begun = Instant::now();
    assert_eq!(standing.current.as_ref().map(|kept| kept.number), Some(2));
    assert_eq!(standing.drift(gate.loaded().unwrap().as_ref()), None);
    assert!(lan.reaches(emr.address(false), 445) && lan.is_refused_by(emr.address(true), 104));
    assert!(matches!(gate.apply(&first, None, Timestamp::now()), Err(Error::TrialPending { .. })));
    thread::sleep(lasts.saturating_sub(begun.elapsed()) + Duration::from_millis(100));
    // No process of ours did anything meanwhile.
    for v6 in FAMILIES {
        assert!(lan.reaches(emr.address(v6), 104) && lan.is_refused_by(emr.address(v6), 445));
    }
    let standing = gate.standing(Timestamp::now()).unwrap();
    assert_eq!(standing.current.map(|kept| kept.number), Some(1));
    assert!(standing.rolled_back_at.is_some());
    assert!(matches!(gate.confirm(Timestamp::now()), Err(Error::TrialOver { .. })));

    gate.apply(&second, Some(Duration::from_secs(60)), Timestamp::now()).unwrap();
    let standing = gate.confirm(Timestamp::now()).unwrap();
    assert_eq!(standing.current.as_ref().map(|kept| kept.number), Some(3));
    assert_eq!(standing.drift(gate.loaded().unwrap().as_ref()), None);
    assert!(matches!(gate.confirm(Timestamp::now()), Err(Error::NoTrial)));
    assert!(lan.reaches(emr.address(false), 445));
    gate.undo(Timestamp::now()).unwrap();
    assert!(lan.reaches(emr.address(false), 104) && lan.is_refused_by(emr.address(false), 445));
    gate.undo(Timestamp::now()).unwrap();
    assert!(lan.reaches(emr.address(false), 445), "an undo is undone");
}

#[test]
fn a_transfer_goes_on_across_the_first_load_a_trial_its_end_and_an_undo() {
    let Some(legs) = Legs::new("a_transfer_goes_on", Stands::Router) else { return };
    let (gate, lan, vault) = (legs.gate(), legs.host("lan1"), legs.host("emr2"));
    let mut policy = clinic(Stands::Router);
    policy.reach = both(vault);
    policy.spared = both(vault);
    // Begun before the kernel followed connections here at all.
    for v6 in FAMILIES {
        lan.transfers(vault.address(v6), 8080);
        // What a rule allows goes on as well, although it is the answering side that speaks first.
        assert!(
            legs.host("emr1").opens(lan.address(v6), 8080) && lan.opens(legs.host("emr1").address(v6), 104)
        );
    }
    let goes_on = |what: &str| {
        for v6 in FAMILIES {
            let before = lan.rounds(vault.address(v6), 8080).unwrap_or_else(|| panic!("{what}: broken"));
            let begun = Instant::now();
            while lan.rounds(vault.address(v6), 8080).unwrap_or_else(|| panic!("{what}: broken")) < before + 3
            {
                assert!(begun.elapsed() < Duration::from_secs(10), "{what}: it stands still");
                thread::sleep(Duration::from_millis(10));
            }
        }
    };
    goes_on("at first");
    load(&gate, &policy);
    goes_on("loaded");
    for v6 in FAMILIES {
        assert!(lan.talks(legs.host("emr1").address(v6), 104, 3.0));
    }
    policy.allow.clear();
    gate.apply(&policy, Some(Duration::from_millis(300)), Timestamp::now()).unwrap();
    goes_on("on trial");
    thread::sleep(Duration::from_millis(350));
    goes_on("rolled back");
    load(&gate, &policy);
    goes_on("loaded anew");
    gate.undo(Timestamp::now()).unwrap();
    goes_on("undone");
    for _ in 0..5 {
        gate.load(Timestamp::now()).unwrap();
    }
    goes_on("loaded again and again");
}

#[test]
fn what_is_loaded_is_known_again_after_a_flush_and_a_reboot_and_by_another_process() {
    let Some(legs) = Legs::new("what_is_loaded_is_known", Stands::Router) else { return };
    let (gate, lan, emr) = (legs.gate(), legs.host("lan1"), legs.host("emr1"));
    let now = Timestamp::now;
    assert!(matches!(gate.undo(now()), Err(Error::NothingToUndo)));
    assert_eq!(gate.standing(now()).unwrap().drift(gate.loaded().unwrap().as_ref()), None);
    load(&gate, &clinic(Stands::Router));
    let drift = || gate.standing(now()).unwrap().drift(gate.loaded().unwrap().as_ref());
    assert_eq!(drift(), None);
    lan.reaches(emr.address(false), 104);
    assert_eq!(drift(), None, "counters are no drift");
    for (tamper, expected) in [
        ("insert rule inet chartward_policy forward accept", Drift::Changed),
        ("flush chain inet chartward_policy input", Drift::Changed),
        ("delete table inet chartward_policy", Drift::Gone),
        // As after a reboot.
        ("flush ruleset", Drift::Gone),
    ] {
        legs.box_.run(&["nft", tamper]);
        assert_eq!(drift(), Some(expected), "{tamper}");
        legs.gate().load(now()).unwrap();
        assert_eq!(drift(), None, "{tamper}");
        assert!(lan.is_refused_by(emr.address(false), 445), "{tamper}");
    }
    // After a reboot the state before the last apply is still known.
    let mut second = clinic(Stands::Router);
    second.allow[0].services = words(&["smb"]);
    load(&gate, &second);
    legs.box_.run(&["nft", "flush ruleset"]);
    gate.undo(now()).unwrap();
    assert!(lan.is_refused_by(emr.address(false), 445) && lan.reaches(emr.address(false), 104));
}

#[test]
fn limits_hours_quarantine_and_the_never_touch_list_do_what_they_say() {
    let Some(legs) = Legs::new("limits_hours_quarantine", Stands::Router) else { return };
    let (gate, lan, emr, out) = (legs.gate(), legs.host("lan1"), legs.host("emr1"), legs.host("out1"));
    let mut policy = clinic(Stands::Router);
    policy.limits = vec![Limit {
        from: words(&["lan"]),
        services: words(&["dicom"]),
        rate: "2/hour".parse().unwrap(),
        burst: 3,
    }];
    load(&gate, &policy);
    for v6 in FAMILIES {
        let reached = (0..6).filter(|_| lan.ask_quickly(emr.address(v6), 104)).count();
        assert_eq!(reached, 3, "{v6}: three at once, and then two in an hour");
        assert!(legs.host("lan2").reaches(emr.address(v6), 104), "each source by itself");
    }
    let counted = gate.loaded().unwrap().unwrap();
    assert!(counted.counters.iter().any(|((_, name), counted)| name == "limit:1" && counted.packets >= 6));

    // Hours of this minute and of another one, told in the kernel's clock.
    let at = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let minutes = i32::from(at.hour()) * 60 + i32::from(at.minute());
    let clock = |minutes: i32| format!("{:02}:{:02}", minutes.rem_euclid(1440) / 60, minutes.rem_euclid(60));
    for (from, until, is_open) in [(-10, 10, true), (30, 90, false)] {
        for offset_hours in [0, 9, -5] {
            let shift = offset_hours * 60 + minutes;
            policy.utc_offset_seconds = offset_hours * 3600;
            policy.limits.clear();
            let hours = format!("{}-{}", clock(from + shift), clock(until + shift));
            policy.allow[0].hours = Some(hours.parse().unwrap());
            load(&gate, &policy);
            let lan2 = legs.host("lan2");
            match is_open {
                true => assert!(lan2.reaches(emr.address(false), 104), "{hours} at {offset_hours}"),
                false => assert!(lan2.is_refused_by(emr.address(false), 104), "{hours} at {offset_hours}"),
            }
        }
    }

    let mut policy = clinic(Stands::Router);
    policy.zones[1].quarantine = true;
    policy.reach = both(legs.host("lan2"));
    policy.spared = both(legs.host("lan2"));
    load(&gate, &policy);
    for v6 in FAMILIES {
        assert!(lan.is_refused_by(emr.address(v6), 104) && emr.is_refused_by(out.address(v6), 53));
        assert!(emr.is_refused_by(lan.address(v6), 445));
        assert!(emr.reaches(legs.host("lan2").address(v6), 445), "the vault is reached from quarantine");
        assert!(
            legs.host("lan2").reaches(emr.address(v6), 3389)
                && legs.host("lan2").reaches(out.address(v6), 445)
        );
        // Being on the list opens no door from outside.
        assert!(out.is_refused_by(legs.host("lan2").address(v6), 445));
    }
}

/// The packet filter knows a VLAN by the name of its interface alone, so a leg of that name stands for one where the kernel makes none.
#[test]
fn a_quarantine_is_told_by_its_interface_as_that_of_a_vlan_is() {
    let Some(legs) = Legs::new("a_quarantine_is_told_by_its_interface", Stands::Router) else { return };
    let (gate, lan, emr) = (legs.gate(), legs.host("lan1"), legs.host("emr1"));
    legs.box_.ip("link set leg20 name lan0.99");
    for networks in [&[][..], &["10.20.0.0/24", "fd20::/64"]] {
        let mut policy = clinic(Stands::Router);
        let vlan = Zone { interfaces: words(&["lan0.99"]), quarantine: true, ..zone("emr", networks) };
        policy.zones[1] = vlan;
        policy.reach = both(legs.host("lan2"));
        load(&gate, &policy);
        for v6 in FAMILIES {
            assert!(emr.is_refused_by(lan.address(v6), 445) && lan.is_refused_by(emr.address(v6), 104));
            // An interface that was renamed a moment ago may have to find its neighbours again.
            let vault = legs.host("lan2").address(v6);
            let reached = (0..20).any(|turn| {
                std::thread::sleep(std::time::Duration::from_millis(if turn == 0 { 0 } else { 100 }));
                emr.reaches(vault, 445)
            });
            assert!(reached, "the vault is reached from quarantine");
        }
        policy.zones[1].quarantine = false;
        load(&gate, &policy);
        assert!(lan.reaches(emr.address(false), 104), "{networks:?}");
    }
}

#[test]
fn a_pair_that_is_watched_passes_and_is_counted() {
    let Some(legs) = Legs::new("a_pair_that_is_watched", Stands::Router) else { return };
    let gate = legs.gate();
    let mut policy = clinic(Stands::Router);
    let pair = |action| Pair { from: "lan".into(), to: "emr".into(), action };
    policy.pairs = vec![pair(Action::Watch)];
    load(&gate, &policy);
    assert!(legs.host("lan1").reaches(legs.host("emr1").address(true), 445));
    let counters = gate.loaded().unwrap().unwrap().counters;
    assert!(counters[&(1, "default:0>1".to_owned())].packets >= 1, "{counters:?}");
}

#[test]
fn of_two_applies_at_once_one_waits_for_the_other_and_a_trial_is_not_run_over() {
    let Some(legs) = Legs::new("of_two_applies_at_once", Stands::Router) else { return };
    let policies: Vec<Policy> = [["dicom"], ["smb"], ["rdp"], ["http-alt"]]
        .iter()
        .map(|services| {
            let mut policy = clinic(Stands::Router);
            policy.allow[0].services = words(services);
            policy
        })
        .collect();
    let at_once = |trial: Option<Duration>| -> Vec<bool> {
        thread::scope(|scope| {
            let started: Vec<_> = policies
                .iter()
                .map(|policy| {
                    let gate = legs.gate();
                    scope.spawn(move || match gate.apply(policy, trial, Timestamp::now()) {
                        Ok(_) => true,
                        Err(Error::TrialPending { .. }) => false,
                        Err(error) => panic!("{error:?}"),
                    })
                })
                .collect();
            started.into_iter().map(|it| it.join().unwrap()).collect()
        })
    };
    let gate = legs.gate();
    let is_one_of_them = || {
        let standing = gate.standing(Timestamp::now()).unwrap();
        assert_eq!(standing.drift(gate.loaded().unwrap().as_ref()), None);
        let current = standing.current.unwrap().policy;
        let (lan, emr) = (legs.host("lan1"), legs.host("emr1"));
        let open: Vec<u16> = [104, 445, 3389, 8080]
            .into_iter()
            .filter(|port| lan.ask_quickly(emr.address(false), *port))
            .collect();
        let expected = current.ports(&current.allow[0].services[0]).unwrap();
        assert_eq!(open, [expected.tcp[0].0]);
    };
    assert_eq!(at_once(None), [true; 4]);
    is_one_of_them();
    let won = at_once(Some(Duration::from_secs(60)));
    assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
    is_one_of_them();
}

#[test]
fn a_host_whose_egress_is_blocked_begins_nothing_and_is_still_answered() {
    let Some(legs) = Legs::new("a_host_whose_egress_is_blocked", Stands::Router) else { return };
    let (infected, emr, vault) = (legs.host("lan1"), legs.host("emr1"), legs.host("emr2"));
    let mut never = NeverTouch::default();
    never.know("the vault", FAMILIES.map(|v6| vault.address(v6)));
    let wall = Wall::new(Settings { command: legs.nft_command(), ..Settings::local(never, both(vault)) });
    wall.ensure().unwrap();
    for v6 in FAMILIES {
        assert!(infected.opens(emr.address(v6), 445) && emr.opens(infected.address(v6), 8080));
    }
    let hour = Some(Duration::from_secs(3600));
    wall.block_egress(&FAMILIES.map(|v6| (infected.address(v6), hour))).unwrap();
    for v6 in FAMILIES {
        assert!(!infected.talks(emr.address(v6), 445, 0.4), "what it began before ends, too");
        assert!(
            infected.is_refused_by(emr.address(v6), 445)
                && infected.is_refused_by(legs.host("out1").address(v6), 53)
        );
        assert!(emr.talks(infected.address(v6), 8080, 3.0) && emr.reaches(infected.address(v6), 445));
        assert!(infected.reaches(vault.address(v6), 22), "the vault is reached");
        assert!(legs.host("lan2").reaches(emr.address(v6), 445));
        assert!(matches!(wall.block_egress(&[(vault.address(v6), hour)]), Err(Error::NeverTouch { .. })));
    }
    // The policy comes and goes beside it.
    load(&legs.gate(), &Policy { default: Action::Allow, ..clinic(Stands::Router) });
    assert!(infected.is_refused_by(emr.address(false), 445) && wall.in_force().unwrap().len() == 2);
    let barred = |from: &Space, to: &Space| {
        let standing = wall.in_force().unwrap();
        let settings = Settings::local(NeverTouch::default(), both(vault));
        act::wall::barred(&standing, &settings, from.address(false), to.address(false)).is_some()
    };
    assert!(barred(infected, emr) && !barred(emr, infected) && !barred(infected, vault));
    wall.unblock_egress(&FAMILIES.map(|v6| infected.address(v6))).unwrap();
    legs.gate().undo(Timestamp::now()).unwrap();
    assert!(infected.reaches(emr.address(true), 445));
}

#[test]
fn a_session_that_could_not_come_back_is_named() {
    let Some(legs) = Legs::new("a_session_that_could_not_come_back", Stands::Router) else { return };
    let (gate, lan, emr) = (legs.gate(), legs.host("lan1"), legs.host("emr1"));
    let own = |leg: u8| -> std::net::IpAddr { format!("10.{leg}.0.254").parse().unwrap() };
    assert!(lan.opens(own(10), 22) && emr.opens(own(20), 22) && emr.opens(own(20), 8080));
    assert!(lan.opens("fd10::fe".parse().unwrap(), 22));
    let sessions = gate.sessions(&[22]).unwrap();
    assert_eq!(sessions.len(), 3, "{sessions:?}");
    let at = act::wall::policy::Moment::of(Timestamp::now());
    let mut policy = clinic(Stands::Router);
    let cut = gate.cut_off(&policy, &sessions, at);
    assert_eq!(cut.iter().map(|it| (it.from, it.port)).collect::<Vec<_>>(), [(emr.address(false), 22)]);
    // By their interfaces as well, which the machine's own routes tell.
    policy.zones[1] = Zone { name: "emr".into(), interfaces: words(&["leg20"]), ..Zone::default() };
    assert_eq!(gate.cut_off(&policy, &sessions, at).len(), 1);
    policy.allow.push(allow(&["emr"], &["self"], &["ssh"]));
    assert_eq!(gate.cut_off(&policy, &sessions, at), []);
}
