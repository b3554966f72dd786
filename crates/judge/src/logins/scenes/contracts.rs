use jiff::Timestamp;
use schema::AuthProtocol;

use super::{HOUR, Scene, Stage, attack, benign};
use crate::logins::{Contractor, Grant, Rules, Window};
use crate::network::Weekday;

pub(super) fn scenes() -> Vec<Scene> {
    let mut kitchen = vpn();
    // Osaka, 2022: from the caterer's VPN with an administrator's account, on to machines that are not the caterer's.
    kitchen.wait(18.0 * HOUR);
    kitchen.fail("administrator", "10.9.0.4", "menu01");
    kitchen.wait(5.0);
    kitchen.enter("administrator", "10.9.0.4", "menu01");
    kitchen.wait(60.0);
    kitchen.enter("kitchen", "10.9.0.4", "emr01");
    let mut at_night = vpn();
    at_night.wait(18.0 * HOUR);
    at_night.enter("kitchen", "10.9.0.4", "menu01");
    let mut from_elsewhere = vpn();
    from_elsewhere.wait(2.0 * HOUR);
    from_elsewhere.enter("kitchen", "10.1.1.66", "menu01");
    let mut by_name = vpn();
    by_name.wait(2.0 * HOUR);
    by_name.enter("kitchen", "KALI", "menu01");
    let mut agreed = vpn();
    agreed.wait(2.0 * HOUR);
    agreed.fail("kitchen", "10.9.0.4", "menu01");
    agreed.wait(5.0);
    agreed.enter("kitchen", "10.9.0.4", "menu01");
    let mut opened = vpn();
    opened.rules.grants = vec![grant(&opened)];
    opened.wait(18.0 * HOUR);
    opened.enter("kitchen", "10.9.0.4", "menu01");
    let mut over = opened.clone();
    over.wait(3.0 * HOUR);
    over.enter("kitchen", "10.9.0.4", "menu01");
    vec![
        attack("contract.login", "osaka", kitchen),
        attack("contract.login", "at_night", at_night),
        attack("contract.login", "from_elsewhere", from_elsewhere),
        attack("contract.login", "another_workstation", by_name),
        attack("contract.login", "after_the_opening", over),
        benign("contract.login", "as_agreed", agreed),
        benign("contract.login", "opened_for_a_ticket", opened),
    ]
}

fn vpn() -> Stage {
    let mut stage = Stage::by(AuthProtocol::Rdp);
    stage.rules = Rules {
        contractors: vec![Contractor {
            name: "caterer".into(),
            accounts: vec!["kitchen".into()],
            windows: vec![Window {
                days: vec![Weekday::Monday, Weekday::Thursday],
                from: Some("09:00".parse().unwrap()),
                to: Some("17:00".parse().unwrap()),
            }],
            sources: vec!["10.9.0.0/24".parse().unwrap()],
            workstations: vec!["caterer-*".into()],
            hosts: vec!["menu*".into()],
        }],
        ..stage.rules
    };
    stage
}

/// For two hours around the middle of the night.
fn grant(stage: &Stage) -> Grant {
    let at = |hours: f64| Timestamp::from_microsecond(stage.at + (hours * HOUR * 1e6) as i64).unwrap();
    Grant {
        id: 1,
        contractor: "caterer".into(),
        from: at(17.5),
        until: at(19.5),
        reason: "ticket 4711".into(),
        by: "duty".into(),
        revoked: None,
    }
}
