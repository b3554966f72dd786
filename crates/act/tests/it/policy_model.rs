//! What `wall test` says, against what connections do: policies and probes that chance makes.

use std::collections::BTreeMap;

use act::wall::policy::{Action, Egress, Limit, Moment, Pair, Policy, Probe, Transport, Zone};
use ipnet::IpNet;
use jiff::Timestamp;

use crate::legs::{HOSTS, Legs, PORTS, Stands};
use crate::policy::{allow, nets, words};

/// Policies, and probes of each.
const POLICIES: usize = 14;
const PROBES: usize = 14;

/// The same numbers each time: what fails here fails everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn pick<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        let at = self.roll(of.len());
        &of[at]
    }

    fn some<T: Clone>(&mut self, of: &[T]) -> Vec<T> {
        let mut picked: Vec<T> = of.iter().filter(|_| self.roll(3) == 0).cloned().collect();
        if picked.is_empty() {
            picked.push(self.pick(of).clone());
        }
        picked
    }
}

const SERVICES: [&str; 7] = ["ssh", "dns", "dicom", "smb", "rdp", "http-alt", "ping"];

fn host_nets(dice: &mut Dice, legs: &Legs) -> Vec<IpNet> {
    if dice.roll(2) == 0 {
        return vec![];
    }
    let names: Vec<&str> = HOSTS.iter().map(|(name, ..)| *name).collect();
    let chosen = dice.some(&names);
    let v6 = dice.roll(3);
    chosen
        .iter()
        .flat_map(|name| [false, true].map(|family| (family, legs.host(name).address(family))))
        .filter(|(family, _)| v6 == 2 || *family == (v6 == 1))
        .map(|(_, address)| IpNet::from(address))
        .collect()
}

fn policy(dice: &mut Dice, legs: &Legs) -> Policy {
    let actions = [Action::Allow, Action::Refuse, Action::Refuse, Action::Watch];
    let lan = Zone { name: "lan".into(), networks: nets(&["10.10.0.0/24", "fd10::/64"]), ..Zone::default() };
    // By its interface alone, and by both.
    let emr = match dice.roll(3) {
        0 => Zone { interfaces: words(&["leg20"]), ..Zone::default() },
        1 => Zone { networks: nets(&["10.20.0.0/24", "fd20::/64"]), ..Zone::default() },
        _ => Zone { networks: nets(&["10.20.0.0/24"]), interfaces: words(&["leg20"]), ..Zone::default() },
    };
    let emr = Zone {
        name: "emr".into(),
        egress: if dice.roll(3) == 0 { Egress::Listed } else { Egress::Open },
        quarantine: dice.roll(8) == 0,
        ..emr
    };
    let zones = ["lan", "emr", "outside"];
    let mut policy = Policy { default: *dice.pick(&actions), zones: vec![lan, emr], ..Policy::default() };
    if dice.roll(2) == 0 {
        policy.zones.reverse();
    }
    for _ in 0..dice.roll(5) {
        let to = [&zones[..], &["self"]].concat();
        let mut rule = allow(&dice.some(&zones), &dice.some(&to), &dice.some(&SERVICES));
        if dice.roll(5) == 0 {
            rule.services.clear();
        }
        (rule.from_hosts, rule.to_hosts) = (host_nets(dice, legs), host_nets(dice, legs));
        if !rule.from_hosts.is_empty() && dice.roll(3) == 0 {
            rule.from.clear();
        }
        let texts = ["Mon-Sun 00:00-24:00", "Mon-Wed 00:00-24:00", "Thu-Sun 00:00-24:00", "12:00-11:59"];
        if dice.roll(3) == 0 {
            rule.hours = Some(dice.pick(&texts).parse().unwrap());
        }
        policy.allow.push(rule);
    }
    for _ in 0..dice.roll(3) {
        let to = [&zones[..], &["self"]].concat();
        let (from, to) = ((*dice.pick(&zones)).to_owned(), (*dice.pick(&to)).to_owned());
        policy.pairs.push(Pair { from, to, action: *dice.pick(&actions) });
    }
    if dice.roll(4) == 0 {
        policy.spared = host_nets(dice, legs);
    }
    if dice.roll(4) == 0 {
        policy.reach = host_nets(dice, legs);
    }
    if dice.roll(4) == 0 {
        // So many that none of these probes meets it.
        let (rate, burst) = ("1000/second".parse().unwrap(), 1000);
        policy.limits = vec![Limit { from: words(&["lan"]), services: words(&["smb"]), rate, burst }];
    }
    policy
}

fn probe(dice: &mut Dice, legs: &Legs) -> (&'static str, Option<&'static str>, bool, Probe) {
    let interfaces: BTreeMap<u8, &str> = BTreeMap::from([(10, "leg10"), (20, "leg20"), (30, "leg30")]);
    let (from, from_leg, _) = *dice.pick(&HOSTS);
    let others: Vec<_> = HOSTS.iter().filter(|(_, leg, _)| *leg != from_leg).collect();
    let v6 = dice.roll(2) == 1;
    let is_to_self = dice.roll(5) == 0;
    let to = **dice.pick(&others);
    let port = *dice.pick(&PORTS);
    let transport = if dice.roll(3) == 0 { Transport::Udp(port) } else { Transport::Tcp(port) };
    let own = match v6 {
        false => format!("10.{from_leg}.0.254"),
        true => format!("fd{from_leg}::fe"),
    };
    let destination = if is_to_self { own.parse().unwrap() } else { legs.host(to.0).address(v6) };
    let probe = Probe {
        source: legs.host(from).address(v6),
        destination,
        in_interface: Some(interfaces[&from_leg].to_owned()),
        out_interface: Some(interfaces[&to.1].to_owned()),
        is_to_self,
        transport,
        at: Moment::of(Timestamp::now()),
    };
    (from, (!is_to_self).then_some(to.0), v6, probe)
}

#[test]
fn what_the_model_answers_is_what_connections_do() {
    let Some(legs) = Legs::new("what_the_model_answers", Stands::Router) else { return };
    // Neighbours know each other before anything is refused.
    for (name, leg, _) in HOSTS {
        for v6 in [false, true] {
            let own = if v6 { format!("fd{leg}::fe") } else { format!("10.{leg}.0.254") };
            assert!(legs.host(name).reaches(own.parse().unwrap(), 22));
        }
    }
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let gate = legs.gate();
    let (mut passed, mut refused) = (0, 0);
    for number in 0..POLICIES {
        let policy = policy(&mut dice, &legs);
        if policy.check().iter().any(|problem| problem.is_error) {
            continue;
        }
        gate.apply(&policy, None, Timestamp::now()).unwrap();
        for _ in 0..PROBES {
            let (from, _, _, probe) = probe(&mut dice, &legs);
            let answer = policy.answer(&probe).unwrap();
            let expected = answer.action != Action::Refuse;
            let from = legs.host(from);
            let does = match probe.transport {
                Transport::Tcp(port) if expected => from.reaches(probe.destination, port),
                Transport::Tcp(port) => !from.is_refused_by(probe.destination, port),
                Transport::Udp(port) => {
                    from.reaches_by_udp(probe.destination, port, if expected { 2.0 } else { 0.3 })
                }
                Transport::Ping => continue,
            };
            assert_eq!(does, expected, "policy {number}: {probe:?} {answer:?}\n{policy:#?}");
            if does { passed += 1 } else { refused += 1 }
        }
    }
    assert!(passed > 30 && refused > 30, "{passed} passed and {refused} were refused: hardly a test");
}
