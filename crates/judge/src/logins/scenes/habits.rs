use schema::AuthProtocol;

use super::{DAY, HOUR, Scene, Stage, attack, benign};
use crate::logins::Rules;

pub(super) fn scenes() -> Vec<Scene> {
    vec![
        attack("lateral.login_first_seen", "new_source_and_host", new_source_and_host(20)),
        benign("lateral.login_first_seen", "while_learning", new_source_and_host(5)),
        benign("lateral.login_first_seen", "terminal_of_a_ward", terminal_of_a_ward()),
        attack("lateral.login_hours", "three_at_night", at_hour(20, 19.0)),
        benign("lateral.login_hours", "overtime", at_hour(20, 8.0)),
        benign("lateral.login_hours", "works_nights_too", works_nights_too()),
        attack("lateral.login_service_account", "remote_desktop", service(AuthProtocol::Rdp, 10)),
        attack("lateral.login_service_account", "at_the_machine", service(AuthProtocol::Console, 2)),
        benign("lateral.login_service_account", "as_a_service", service(AuthProtocol::Service, 5)),
        benign("lateral.login_service_account", "over_the_network", service(AuthProtocol::Smb, 3)),
    ]
}

/// One works days, and then comes from elsewhere to somewhere else.
fn new_source_and_host(days: u32) -> Stage {
    let mut stage = working_days(days);
    stage.wait(2.0 * HOUR);
    stage.enter("suzuki", "10.1.8.66", "backup01");
    stage
}

/// On each of the days at eight and at one.
fn working_days(days: u32) -> Stage {
    let mut stage = Stage::default();
    for _ in 0..days {
        stage.enter("suzuki", "10.1.1.30", "emr01");
        stage.wait(5.0 * HOUR);
        stage.enter("suzuki", "10.1.1.30", "emr01");
        stage.wait(DAY - 5.0 * HOUR);
    }
    stage
}

/// New nurses at a terminal that everybody uses.
fn terminal_of_a_ward() -> Stage {
    let mut stage = Stage::by(AuthProtocol::Console);
    stage.logon_type = Some(3);
    for day in 0..25_u32 {
        for person in 0..20 {
            stage.enter(&format!("nurse{person:02}"), "10.1.3.1", "emr01");
            stage.wait(60.0);
        }
        if day > 15 {
            for person in 20..30 {
                stage.enter(&format!("nurse{person:02}"), "10.1.3.1", "emr01");
            }
        }
        stage.wait(DAY - 1200.0);
    }
    // A person whom nobody has ever seen has no habits; that is what is told then, by his account alone.
    stage.events.retain(|event| event.event().account.is_some_and(|name| name < "nurse20"));
    stage
}

fn at_hour(days: u32, hours_after_eight: f64) -> Stage {
    let mut stage = working_days(days);
    stage.wait(hours_after_eight * HOUR);
    stage.enter("suzuki", "10.1.1.30", "emr01");
    stage
}

fn works_nights_too() -> Stage {
    let mut stage = working_days(20);
    for _ in 0..3 {
        stage.wait(15.0 * HOUR);
        stage.enter("nurse01", "10.1.1.31", "emr01");
        stage.wait(DAY - 15.0 * HOUR);
    }
    for day in 0..20_u32 {
        stage.enter("nurse01", "10.1.1.31", "emr01");
        stage.wait(DAY + f64::from(day % 3) * 8.0 * HOUR);
    }
    stage
}

fn service(protocol: AuthProtocol, logon_type: u8) -> Stage {
    let mut stage = Stage::by(protocol);
    stage.rules = Rules { service_accounts: vec!["svc-*".into()], ..stage.rules };
    stage.logon_type = Some(logon_type);
    for _ in 0..3 {
        stage.enter("svc-backup", "10.1.7.7", "files01");
        stage.wait(HOUR);
    }
    stage
}
