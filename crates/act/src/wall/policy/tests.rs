use schema::Lang;

use super::*;

fn zone(name: &str, networks: &[&str]) -> Zone {
    let networks = networks.iter().map(|text| text.parse().unwrap()).collect();
    Zone { name: name.to_owned(), networks, ..Zone::default() }
}

fn words(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn allow(from: &[&str], to: &[&str], services: &[&str]) -> Allow {
    Allow { from: words(from), to: words(to), services: words(services), ..Allow::default() }
}

fn clinic() -> Policy {
    Policy {
        default: Action::Refuse,
        zones: vec![
            zone("lan", &["10.10.0.0/24", "fd10::/64"]),
            Zone { egress: Egress::Listed, ..zone("emr", &["10.20.0.0/24"]) },
        ],
        allow: vec![allow(&["lan"], &["emr"], &["dicom", "smb"])],
        ..Policy::default()
    }
}

/// What somebody writes wrongly.
type Change<'c> = &'c dyn Fn(&mut Policy);

#[test]
fn what_is_wrong_with_a_policy_is_named_with_its_place() {
    let wrong = |change: &dyn Fn(&mut Policy)| {
        let mut policy = clinic();
        change(&mut policy);
        let problems = policy.check();
        assert!(problems.iter().all(|it| !it.words(Lang::Ja).is_empty() && it.place.starts_with("wall.")));
        problems
            .into_iter()
            .map(|it| format!("{}: {}", it.place, it.words(Lang::En)))
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(wrong(&|_| {}), "");
    let pair = |from: &str, to: &str, action| Pair { from: from.into(), to: to.into(), action };
    let cases: [(Change<'_>, &str); 12] = [
        (&|it| it.zones[1].name = "lan".into(), "wall.zone[1]: the name lan is taken"),
        (&|it| it.zones[0].name = "outside".into(), "wall.zone[0]: outside is there already"),
        (&|it| it.zones[0].networks.clear(), "wall.zone[0]: name networks or interfaces"),
        (&|it| it.zones[0].interfaces = words(&["eth0; drop"]), "is no name of an interface"),
        (
            &|it| {
                it.mode = Mode::Bridge;
                it.zones[0].interfaces = words(&["eth0"]);
            },
            "a bridge tells zones apart by their networks alone",
        ),
        (
            &|it| it.zones[1].networks = zone("", &["10.10.0.128/25"]).networks,
            "wall.zone[1].networks: 10.10.0.128/25 belongs to the zone lan above",
        ),
        (&|it| it.allow[0].services = words(&["smbb"]), "wall.allow[0].services: there is no service smbb"),
        (&|it| it.allow[0].from.clear(), "wall.allow[0].from: name a zone or hosts"),
        (&|it| it.allow[0].to = words(&["ward"]), "there is no zone ward; there are lan, emr, outside, self"),
        (
            &|it| it.allow.push(allow(&["emr"], &["outside"], &["https"])),
            "wall.allow[1].to_hosts: egress of emr is \"listed\"",
        ),
        (&|it| it.pairs.push(pair("self", "lan", Action::Allow)), "wall.pair[0].from: there is no zone self"),
        (
            &|it| it.pairs.push(pair("outside", "lan", Action::Allow)),
            "wall.pair[0]: everybody outside is let in",
        ),
    ];
    for (change, expected) in cases {
        let found = wrong(change);
        assert!(found.contains(expected), "{expected}: {found}");
    }
}

#[test]
fn a_difference_is_told_in_sentences_of_both_languages() {
    let mut after = clinic();
    after.allow[0].services = words(&["dicom"]);
    after.pairs.push(Pair { from: "lan".into(), to: OUTSIDE.into(), action: Action::Allow });
    let told: Vec<String> = differences(Some(&clinic()), Some(&after), Lang::En)
        .iter()
        .map(|it| format!("{} {}", if it.is_new { '+' } else { '-' }, it.sentence))
        .collect();
    assert_eq!(
        told,
        [
            "- Allowed: lan → emr: dicom (tcp 104, 11112), smb (tcp 445).",
            "- All the rest lan → outside is refused.",
            "+ Allowed: lan → emr: dicom (tcp 104, 11112).",
            "+ All the rest lan → outside is let through.",
        ]
    );
    assert_eq!(differences(Some(&after), Some(&after), Lang::Ja), []);
    let english = sentences(&after, Lang::En).len();
    assert_eq!(differences(None, Some(&after), Lang::Ja).len(), english);
}

#[test]
fn a_policy_is_the_same_after_it_was_written_down() {
    let mut policy = clinic();
    policy.allow[0].hours = Some("Mon-Fri 08:00-18:00".parse().unwrap());
    policy.limits.push(Limit {
        from: words(&["lan"]),
        services: words(&["ssh"]),
        rate: "5/hour".parse().unwrap(),
        burst: 2,
    });
    policy
        .services
        .push(Service { name: "x".into(), ports: Ports { tcp: vec![(1, 9)], ..Ports::default() } });
    let json = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<Policy>(&json).unwrap(), policy);
}

#[test]
fn a_zone_that_is_known_by_its_interface_alone_needs_to_be_told_it() {
    let mut policy = clinic();
    policy.zones[1] = Zone { name: "emr".into(), interfaces: words(&["eth1"]), ..Zone::default() };
    let probe = |out: Option<&str>| Probe {
        source: "10.10.0.1".parse().unwrap(),
        destination: "10.20.0.1".parse().unwrap(),
        in_interface: None,
        out_interface: out.map(str::to_owned),
        is_to_self: false,
        transport: Transport::Tcp(445),
        at: Moment(0),
    };
    assert_eq!(policy.answer(&probe(None)), Err("emr".to_owned()));
    assert_eq!(policy.answer(&probe(Some("eth1"))).unwrap().cause, Cause::Allow(1));
    assert_eq!(policy.answer(&probe(Some("eth2"))).unwrap().action, Action::Refuse);
}
