use schema::AuthProtocol;

use super::{DAY, HOUR, MINUTE, Scene, Stage, attack, benign};
use crate::logins::Rules;

pub(super) fn scenes() -> Vec<Scene> {
    vec![
        attack("bruteforce.login_source", "fast", fast(12, "10.1.1.66")),
        attack("bruteforce.login_source", "by_workstation", fast(12, "KALI")),
        benign("bruteforce.login_source", "monday_morning", monday_morning()),
        benign("bruteforce.login_source", "ward_behind_one_address", ward_behind_one_address()),
        benign("bruteforce.login_source", "known_scanner", known_scanner()),
        attack("bruteforce.login_spray", "fast", spray(10, 20.0)),
        attack("bruteforce.login_spray", "slow", spray(14, 50.0 * MINUTE)),
        benign("bruteforce.login_spray", "ward_behind_one_address", ward_behind_one_address()),
        benign("bruteforce.login_spray", "password_change_day", password_change_day()),
        attack("bruteforce.login_hosts", "eleven_hosts", eleven_hosts()),
        benign("bruteforce.login_hosts", "administrators_round", administrators_round()),
        benign("bruteforce.login_hosts", "known_scanner", known_scanner()),
        attack("bruteforce.login_account", "four_sources", four_sources()),
        attack("bruteforce.login_account", "without_a_source", fast(12, "")),
        benign("bruteforce.login_account", "shared_account", shared_account()),
        benign("bruteforce.login_account", "password_change_day", password_change_day()),
        attack("bruteforce.login_host", "eight_sources", eight_sources()),
        benign("bruteforce.login_host", "monday_morning", monday_morning()),
        benign("bruteforce.login_host", "password_change_day", password_change_day()),
        attack("bruteforce.login_many_sources", "five_days", five_days()),
        attack("bruteforce.login_many_sources", "from_inside", from_inside()),
        benign("bruteforce.login_many_sources", "vpn_from_home", vpn_from_home()),
        benign("bruteforce.login_many_sources", "password_change_day", password_change_day()),
        attack("bruteforce.login_slow", "a_few_an_hour", slow()),
        benign("bruteforce.login_slow", "one_person_each_day", one_person_each_day()),
        benign("bruteforce.login_slow", "old_password", every(15.0 * MINUTE, 200)),
        attack("exposure.stale_password", "every_five_minutes", every(5.0 * MINUTE, 900)),
        attack("exposure.stale_password", "every_half_minute", every(30.0, 60)),
        benign("exposure.stale_password", "monday_morning", monday_morning()),
        benign("exposure.stale_password", "one_person_each_day", one_person_each_day()),
        attack("bruteforce.login_success", "after_many", after_many()),
        attack("bruteforce.login_success", "after_slow_guessing", after_slow_guessing()),
        attack("bruteforce.login_success", "by_account", by_account()),
        attack("bruteforce.login_success", "without_a_source", without_a_source()),
        benign("bruteforce.login_success", "monday_morning", monday_morning()),
        benign("bruteforce.login_success", "forgotten_password", forgotten_password()),
        benign("bruteforce.login_success", "password_change_day", password_change_day()),
    ]
}

fn fast(times: u32, from: &str) -> Stage {
    let mut stage = Stage::default();
    for _ in 0..times {
        stage.fail("tanaka", from, "emr01");
        let pause = stage.roll(12) as f64;
        stage.wait(2.0 + pause);
    }
    stage
}

/// One mistypes three times, others once, and all get in.
fn monday_morning() -> Stage {
    let mut stage = Stage::by(AuthProtocol::Kerberos);
    for desk in 1..=200_u32 {
        let (user, from) = (format!("user{desk:03}"), format!("10.1.{}.{}", desk / 100, desk % 100 + 10));
        for _ in 0..if desk == 17 { 3 } else { u32::from(desk % 6 == 0) } {
            stage.fail(&user, &from, "dc01");
            stage.wait(4.0);
        }
        stage.enter(&user, &from, "dc01");
        stage.wait(3.0);
    }
    stage
}

/// Sixty people come from one address: a terminal server, a VDI, a ward behind a router.
fn ward_behind_one_address() -> Stage {
    let mut stage = Stage::by(AuthProtocol::Web);
    for _ in 0..3 {
        for person in 0..60_u32 {
            let user = format!("nurse{person:02}");
            if person % 5 == 0 {
                stage.fail(&user, "10.1.1.5", "emr01");
                stage.wait(6.0);
            }
            stage.enter(&user, "10.1.1.5", "emr01");
            stage.wait(15.0);
        }
        stage.wait(8.0 * HOUR);
    }
    stage
}

fn known_scanner() -> Stage {
    let mut stage = Stage::by(AuthProtocol::Ssh);
    stage.rules = Rules { scanners: vec!["10.1.9.9/32".parse().unwrap()], ..stage.rules };
    for host in 1..=20 {
        for user in ["root", "admin", "test", "scan"] {
            stage.fail(user, "10.1.9.9", &format!("srv{host:02}"));
            stage.wait(1.0);
        }
    }
    stage
}

fn spray(accounts: u32, pause: f64) -> Stage {
    let mut stage = Stage::by(AuthProtocol::Kerberos);
    for user in 0..accounts {
        stage.fail(&format!("user{user:03}"), "10.1.1.66", "dc01");
        stage.wait(pause);
    }
    stage
}

/// Everybody has a new password: old ones are typed once or twice, telephones go on with them for a while.
fn password_change_day() -> Stage {
    let mut stage = Stage::by(AuthProtocol::Kerberos);
    for desk in 1..=100_u32 {
        let (user, from) = (format!("user{desk:03}"), format!("10.1.1.{desk}"));
        for _ in 0..desk % 4 {
            stage.fail(&user, &from, "dc01");
            stage.wait(5.0);
        }
        stage.enter(&user, &from, "dc01");
        stage.wait(20.0);
    }
    for _ in 0..2 {
        for desk in (1..=100_u32).step_by(20) {
            stage.fail(&format!("user{desk:03}"), &format!("10.2.1.{desk}"), "mail01");
            stage.wait(40.0);
            stage.enter(&format!("user{desk:03}"), &format!("10.2.1.{desk}"), "mail01");
        }
    }
    stage
}

/// 154 connections over eleven hosts, 14 each.
fn eleven_hosts() -> Stage {
    let mut stage = Stage::default();
    for _ in 0..14 {
        for host in 1..=11 {
            stage.reach("10.1.1.66", &format!("pc{host:02}"));
            stage.wait(3.0);
        }
    }
    stage
}

fn administrators_round() -> Stage {
    let mut stage = Stage::default();
    for host in 1..=20 {
        stage.reach("10.1.9.2", &format!("srv{host:02}"));
        stage.wait(5.0);
        stage.enter("t-admin", "10.1.9.2", &format!("srv{host:02}"));
        stage.wait(20.0);
    }
    stage
}

fn four_sources() -> Stage {
    let mut stage = Stage::by(AuthProtocol::Smb);
    for round in 0..3 {
        for source in 1..=4 {
            stage.fail("tanaka", &format!("10.1.{source}.66"), "files01");
            stage.wait(20.0 + f64::from(round));
        }
    }
    stage
}

/// A ward's account that everybody knows, on ten terminals.
fn shared_account() -> Stage {
    let mut stage = Stage::by(AuthProtocol::Kerberos);
    for hour in 0..24 {
        for terminal in 1..=10_u32 {
            let from = format!("10.1.3.{terminal}");
            if (terminal + hour) % 4 == 0 {
                stage.fail("ward3", &from, "dc01");
                stage.wait(5.0);
            }
            stage.enter("ward3", &from, "dc01");
            stage.wait(300.0);
        }
    }
    stage
}

fn eight_sources() -> Stage {
    let mut stage = Stage::default();
    for round in 0..5_u32 {
        for source in 1..=8_u32 {
            stage.fail(&format!("user{:03}", round * 8 + source), &format!("10.1.{source}.66"), "emr01");
            stage.wait(10.0);
        }
    }
    stage
}

/// As measured: 126 failures without an account from 62 addresses in five days, at most 17 from one.
fn five_days() -> Stage {
    let mut stage = Stage::default();
    let mut sources: Vec<u32> = (0..62).collect();
    sources.extend(std::iter::repeat_n(3, 16));
    sources.extend(std::iter::repeat_n(11, 12));
    sources.extend((0..36).map(|n| n % 18 + 20));
    assert_eq!(sources.len(), 126);
    for n in (1..sources.len()).rev() {
        let other = stage.roll(n as u64 + 1) as usize;
        sources.swap(n, other);
    }
    for source in sources {
        stage.fail("", &format!("198.51.100.{}", source + 1), "emr01");
        let pause = stage.roll(6600) as f64;
        stage.wait(120.0 + pause);
    }
    stage
}

/// Fourteen machines inside that were taken over, each of which tries twice a day.
fn from_inside() -> Stage {
    let mut stage = Stage::by(AuthProtocol::Smb);
    for _ in 0..4 {
        for source in 1..=14 {
            stage.fail("administrator", &format!("10.1.{source}.20"), "backup01");
            let pause = stage.roll(3000) as f64;
            stage.wait(pause);
        }
    }
    stage
}

/// People mistype at home too, and get in.
fn vpn_from_home() -> Stage {
    let mut stage = Stage::by(AuthProtocol::Vpn);
    for day in 0..5 {
        for person in 0..40_u32 {
            let from = format!("203.0.113.{}", person + 1);
            for _ in 0..u32::from((person + day) % 3 == 0) * 2 {
                stage.fail(&format!("dr{person:02}"), &from, "vpn");
                stage.wait(8.0);
            }
            stage.enter(&format!("dr{person:02}"), &from, "vpn");
            stage.wait(600.0);
        }
        stage.wait(DAY - 40.0 * 610.0);
    }
    stage
}

fn slow() -> Stage {
    let mut stage = Stage::by(AuthProtocol::Ssh);
    for _ in 0..8 {
        stage.fail("root", "10.1.1.66", "files01");
        let pause = stage.roll(2400) as f64;
        stage.wait(11.0 * MINUTE + pause);
    }
    stage
}

fn one_person_each_day() -> Stage {
    let mut stage = Stage::default();
    for _ in 0..10 {
        stage.fail("suzuki", "10.1.1.30", "emr01");
        stage.wait(7.0);
        stage.enter("suzuki", "10.1.1.30", "emr01");
        stage.wait(DAY - 7.0);
    }
    stage
}

/// A service whose password has expired.
fn every(pause: f64, times: u32) -> Stage {
    let mut stage = Stage::by(AuthProtocol::Smb);
    stage.logon_type = Some(3);
    for _ in 0..times {
        stage.fail("svc-scan", "10.1.7.7", "files01");
        let late = stage.roll(1000) as f64 / 1000.0;
        stage.wait(pause + late);
        stage.at -= (late * 5e5) as i64;
    }
    stage
}

fn after_many() -> Stage {
    let mut stage = fast(14, "10.1.1.66");
    stage.enter("tanaka", "10.1.1.66", "emr01");
    stage
}

fn after_slow_guessing() -> Stage {
    let mut stage = slow();
    stage.fail("root", "10.1.1.66", "files01");
    stage.wait(12.0 * MINUTE);
    stage.fail("root", "10.1.1.66", "files01");
    stage.wait(12.0 * MINUTE);
    stage.enter("root", "10.1.1.66", "files01");
    stage
}

fn by_account() -> Stage {
    let mut stage = four_sources();
    stage.enter("tanaka", "10.1.3.66", "files01");
    stage
}

fn without_a_source() -> Stage {
    let mut stage = fast(12, "");
    stage.enter("tanaka", "", "emr01");
    stage
}

/// Six tries, and then it comes back to mind.
fn forgotten_password() -> Stage {
    let mut stage = Stage::default();
    for _ in 0..6 {
        stage.fail("suzuki", "10.1.1.30", "emr01");
        stage.wait(20.0);
    }
    stage.enter("suzuki", "10.1.1.30", "emr01");
    stage
}
