use schema::AuthProtocol;

use super::{HOUR, Scene, Stage, attack, benign};
use crate::logins::{Contractor, Rules};

pub(super) fn scenes() -> Vec<Scene> {
    let vpn = || entered(AuthProtocol::Vpn, None, "203.0.113.7", "suzuki");
    vec![
        attack(
            "lateral.login_outside",
            "remote_desktop",
            entered(AuthProtocol::Rdp, Some(10), "203.0.113.7", "suzuki"),
        ),
        attack(
            "lateral.login_outside",
            "a_share",
            entered(AuthProtocol::Smb, Some(3), "203.0.113.7", "suzuki"),
        ),
        benign("lateral.login_outside", "vpn", vpn()),
        benign(
            "lateral.login_outside",
            "from_inside",
            entered(AuthProtocol::Rdp, Some(10), "10.1.1.7", "suzuki"),
        ),
        benign("lateral.login_outside", "only_reached", reached()),
        attack("exposure.login_service", "remote_desktop", reached()),
        attack("exposure.login_service", "ssh", refused(AuthProtocol::Ssh, None, "203.0.113.7")),
        benign("exposure.login_service", "vpn", vpn()),
        benign("exposure.login_service", "inside", refused(AuthProtocol::Ssh, None, "10.1.1.7")),
        benign("exposure.login_service", "a_contractor", a_contractor()),
        attack(
            "exposure.login_nla",
            "refused_at_the_screen",
            refused(AuthProtocol::Rdp, Some(10), "10.1.1.7"),
        ),
        benign("exposure.login_nla", "refused_before", refused(AuthProtocol::Rdp, Some(3), "10.1.1.7")),
        attack(
            "exposure.login_account",
            "administrator",
            entered(AuthProtocol::Vpn, None, "203.0.113.7", "administrator"),
        ),
        benign("exposure.login_account", "a_person", vpn()),
        benign(
            "exposure.login_account",
            "inside",
            entered(AuthProtocol::Rdp, Some(10), "10.1.1.7", "administrator"),
        ),
    ]
}

fn entered(protocol: AuthProtocol, logon_type: Option<u8>, from: &str, account: &str) -> Stage {
    let mut stage = Stage::by(protocol);
    stage.logon_type = logon_type;
    for _ in 0..2 {
        stage.enter(account, from, "gate01");
        stage.wait(HOUR);
    }
    stage
}

fn reached() -> Stage {
    let mut stage = Stage::default();
    for _ in 0..3 {
        stage.reach("203.0.113.7", "gate01");
        stage.wait(30.0);
    }
    stage
}

fn refused(protocol: AuthProtocol, logon_type: Option<u8>, from: &str) -> Stage {
    let mut stage = Stage::by(protocol);
    stage.logon_type = logon_type;
    for _ in 0..2 {
        stage.unknown("guest", from, "gate01");
        stage.wait(30.0);
    }
    stage
}

fn a_contractor() -> Stage {
    let mut stage = entered(AuthProtocol::Ssh, None, "203.0.113.7", "vendor");
    stage.rules = Rules {
        contractors: vec![Contractor {
            name: "vendor".into(),
            accounts: vec!["vendor".into()],
            windows: vec![crate::logins::Window::default()],
            sources: vec!["203.0.113.7/32".parse().unwrap()],
            ..Contractor::default()
        }],
        ..stage.rules
    };
    stage
}
