use schema::{Sight, Transport};

use super::{SECOND, START, Scene, Stage, attack, benign};
use crate::network::{LearntPair, Rules};

pub(super) fn scenes() -> Vec<Scene> {
    vec![
        attack("scan.trw", "vertical", vertical()),
        attack("scan.trw", "worm_outward", worm_outward()),
        attack("scan.trw", "slow_horizontal", slow_horizontal()),
        benign("scan.trw", "vulnerability_scanner", vulnerability_scanner()),
        benign("scan.trw", "delivery_optimisation", delivery_optimisation()),
        benign("scan.trw", "no_way_to_the_internet", no_way_to_the_internet()),
        benign("scan.trw", "monitoring_at_night", monitoring_at_night()),
        benign("scan.trw", "spoofed_flood", spoofed_flood()),
        benign("scan.trw", "syslog_and_traps", syslog_and_traps()),
        benign("scan.trw", "archive_at_night", archive_at_night()),
        benign("scan.trw", "mllp_listener_restarts", mllp_listener_restarts()),
        attack("scan.icmp", "sweep", icmp_sweep(25, false)),
        attack("scan.icmp", "one_by_one", icmp_sweep(20, true)),
        benign("scan.icmp", "monitoring", icmp_monitoring()),
        attack("scan.fanout", "worm_that_succeeds", worm_that_succeeds()),
        attack("scan.fanout", "winrm_and_shares", winrm_and_shares()),
        benign("scan.fanout", "start_of_a_work_day", start_of_a_work_day()),
        benign("scan.fanout", "monitoring_of_all", monitoring_of_all()),
        benign("scan.fanout", "learnt_backup_server", learnt_backup_server()),
        benign("scan.fanout", "print_server", print_server()),
        benign("scan.fanout", "archive_sends_to_viewers", archive_sends_to_viewers()),
        attack("scan.flood", "forged", flood(1050, 1)),
        benign("scan.flood", "portal_at_nine", flood(300, 1)),
    ]
}

fn vertical() -> Stage {
    let mut stage = Stage::default();
    for port in [21, 22, 23, 25, 53, 80, 110, 135, 139, 143, 443, 445, 1433, 3306, 3389, 5900, 8080] {
        stage.refused("192.168.10.66", "192.168.10.20", port);
        stage.wait(0.01);
    }
    stage
}

fn worm_outward() -> Stage {
    let mut stage = Stage::default();
    for host in 1..=20 {
        stage.unanswered("192.168.10.66", &format!("198.51.100.{}", host * 11), 445);
        stage.wait(0.2);
    }
    stage
}

fn slow_horizontal() -> Stage {
    let mut stage = Stage::default();
    for host in 1..=14 {
        if host % 6 == 0 {
            stage.meet("192.168.10.66", &format!("192.168.20.{host}"), 1433);
        } else {
            stage.unanswered("192.168.10.66", &format!("192.168.20.{host}"), 1433);
        }
        stage.wait(600.0);
    }
    stage
}

fn vulnerability_scanner() -> Stage {
    let scanners = vec!["192.168.10.5/32".parse().unwrap()];
    let mut stage = Stage::with(Rules { scanners, ..Rules::default() });
    for host in 1..=40 {
        stage.unanswered("192.168.10.5", &format!("192.168.20.{host}"), 445);
        stage.wait(0.1);
    }
    stage
}

/// Windows asks its peers for updates; many of them are switched off.
fn delivery_optimisation() -> Stage {
    let mut stage = Stage::default();
    for host in 1..=30 {
        if host % 4 == 0 {
            stage.meet("192.168.10.31", &format!("192.168.10.{}", host + 100), 7680);
        } else {
            stage.unanswered("192.168.10.31", &format!("192.168.10.{}", host + 100), 7680);
        }
        stage.wait(2.0);
    }
    stage
}

/// A machine of the records' network tries its maker's servers, and the firewall lets none of it through.
fn no_way_to_the_internet() -> Stage {
    let mut stage = Stage::default();
    for host in 1..=30 {
        stage.unanswered("192.168.10.31", &format!("203.0.113.{}", host * 3), 443);
        stage.wait(30.0);
    }
    stage
}

/// By day the monitoring reached them; at night they are off.
fn monitoring_at_night() -> Stage {
    let mut stage = Stage::default();
    for _ in 0..2 {
        for host in 1..=30 {
            stage.meet("192.168.10.6", &format!("192.168.30.{host}"), 5666);
        }
        stage.wait(60.0);
    }
    stage.wait(36_000.0);
    for host in 1..=30 {
        stage.unanswered("192.168.10.6", &format!("192.168.30.{host}"), 5666);
    }
    stage
}

/// An archive asks each modality whether it is there (C-ECHO), every five minutes; most are switched off in the evening.
fn archive_at_night() -> Stage {
    let mut stage = Stage::default();
    let ask = |stage: &mut Stage, modality: u32, is_on: bool| {
        let host = format!("192.168.30.{modality}");
        if is_on {
            stage.meet("192.168.20.8", &host, 104);
        } else {
            stage.unanswered("192.168.20.8", &host, 104);
        }
        stage.wait(0.5);
    };
    for round in 0..8 {
        for modality in 1..=24 {
            ask(&mut stage, modality, round < 4 || modality <= 4);
        }
        stage.wait(300.0);
    }
    stage
}

/// An interface engine goes on calling systems whose listeners are being updated.
fn mllp_listener_restarts() -> Stage {
    let mut stage = Stage::default();
    for round in 0..20 {
        for system in 1..=6 {
            let host = format!("192.168.20.{}", 40 + system);
            if (5..15).contains(&round) {
                stage.refused("192.168.20.5", &host, 2575);
            } else {
                stage.meet("192.168.20.5", &host, 2575);
            }
        }
        stage.wait(30.0);
    }
    stage
}

/// An archive sends the morning's pictures to the viewers of all wards.
fn archive_sends_to_viewers() -> Stage {
    let mut stage = Stage::default();
    for ward in 1..=30 {
        let flow = stage.meet("192.168.20.8", &format!("192.168.10.{ward}"), 104);
        stage.see(flow, Sight::Speaks { service: schema::Service::Dicom });
        stage.end(flow, [2_000, 400], [2_600_000, 9_000], 2.0);
    }
    stage
}

/// Everybody and nobody asks for one port: each source once.
fn spoofed_flood() -> Stage {
    let mut stage = Stage::default();
    for source in 0..60 {
        stage.unanswered(&format!("198.51.100.{}", source + 1), "192.168.10.80", 80);
        stage.wait(0.001);
    }
    stage
}

/// Nobody owes an answer to these.
fn syslog_and_traps() -> Stage {
    let mut stage = Stage::default();
    for host in 1..=20 {
        for port in [162, 514, 2055] {
            let server = format!("192.168.40.{host}");
            let flow = stage.open_by(Transport::Udp, "192.168.10.31", &server, port);
            stage.see(flow, Sight::Unanswered);
        }
    }
    stage
}

fn icmp_sweep(hosts: u32, all_answer: bool) -> Stage {
    let mut stage = Stage::default();
    for host in 1..=hosts {
        let server = format!("192.168.20.{}", if all_answer { host } else { host * 7 % 250 + 1 });
        let flow = stage.open_by(Transport::Icmp, "192.168.10.66", &server, 0);
        stage.wait(0.02);
        stage.see(flow, if all_answer || host % 5 == 0 { Sight::Answered } else { Sight::Unanswered });
    }
    stage
}

/// Every minute the same forty machines, three of them off.
fn icmp_monitoring() -> Stage {
    let mut stage = Stage::default();
    for _ in 0..3 {
        for host in 1..=40 {
            let flow = stage.open_by(Transport::Icmp, "192.168.10.6", &format!("192.168.30.{}", host * 3), 0);
            stage.see(flow, if host % 13 == 0 { Sight::Unanswered } else { Sight::Answered });
        }
        stage.wait(60.0);
    }
    stage
}

fn worm_that_succeeds() -> Stage {
    let mut stage = Stage::default();
    for host in 1..=9 {
        stage.meet("192.168.10.66", &format!("192.168.20.{host}"), 445);
        stage.wait(3.0);
    }
    stage
}

fn winrm_and_shares() -> Stage {
    let mut stage = Stage::default();
    for host in 1..=3 {
        stage.meet("192.168.10.66", &format!("192.168.20.{host}"), 445);
        stage.meet("192.168.10.66", &format!("192.168.20.{host}"), 5985);
        stage.wait(4.0);
    }
    stage
}

/// Each computer reaches for both domain controllers, the file server and the print server, none of which is known yet.
fn start_of_a_work_day() -> Stage {
    let mut stage = Stage::default();
    for desk in 1..=15 {
        let client = format!("192.168.10.{}", desk + 100);
        stage.meet(&client, "192.168.1.1", 135);
        for server in ["192.168.1.1", "192.168.1.2", "192.168.1.10", "192.168.1.11"] {
            stage.meet(&client, server, 445);
        }
        stage.wait(20.0);
    }
    stage
}

/// One host looks at all others each minute, and is named as what it is.
fn monitoring_of_all() -> Stage {
    let scanners = vec!["192.168.10.6/32".parse().unwrap()];
    let mut stage = Stage::with(Rules { scanners, ..Rules::default() });
    for _ in 0..2 {
        for host in 1..=30 {
            let server = format!("192.168.30.{host}");
            let flow = stage.open_by(Transport::Udp, "192.168.10.6", &server, 161);
            stage.see(flow, if host % 4 == 0 { Sight::Unanswered } else { Sight::Answered });
            stage.meet("192.168.10.6", &server, 22);
            stage.meet("192.168.10.6", &server, 445);
        }
        stage.wait(60.0);
    }
    stage
}

/// Every night it reaches for the same machines.
fn learnt_backup_server() -> Stage {
    let learnt = (1..=20).map(|host| LearntPair {
        client: "192.168.10.7".parse().unwrap(),
        server: format!("192.168.30.{host}").parse().unwrap(),
        port: 445,
        first: START - 86_400 * SECOND,
        last: START - 86_400 * SECOND,
    });
    let mut stage = Stage::with(Rules { learnt: learnt.collect(), ..Rules::default() });
    // Two machines are new today.
    for host in 1..=22 {
        stage.meet("192.168.10.7", &format!("192.168.30.{host}"), 445);
        stage.wait(10.0);
    }
    stage
}

/// Everybody prints, and the server reaches for its printers by ports that nobody spreads through.
fn print_server() -> Stage {
    let mut stage = Stage::default();
    for desk in 1..=20 {
        stage.meet(&format!("192.168.10.{}", desk + 100), "192.168.1.11", 445);
        stage.meet("192.168.1.11", &format!("192.168.50.{desk}"), 9100);
        let flow = stage.open_by(Transport::Udp, "192.168.1.11", &format!("192.168.50.{desk}"), 161);
        stage.see(flow, Sight::Answered);
        stage.wait(5.0);
    }
    stage
}

fn flood(connections: u32, answered_of: u32) -> Stage {
    let mut stage = Stage::default();
    for n in 0..connections {
        let flow = stage.open(&format!("198.51.{}.{}", 100 + n / 250, n % 250 + 1), "192.168.10.80", 443);
        if connections < 1000 && n % answered_of == 0 {
            stage.see(flow, Sight::Answered);
        }
        stage.wait(0.005);
    }
    stage
}
