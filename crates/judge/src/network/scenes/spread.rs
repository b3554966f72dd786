use schema::{KerberosSight, RpcInterface, RpcSight, Service, Sight, SmbSight, SmbVerb, Transport};

use super::{Flow, Scene, Stage, attack, benign};
use crate::network::Rules;

const CLIENT: &str = "192.168.10.66";
const SERVER: &str = "192.168.10.20";

pub(super) fn scenes() -> Vec<Scene> {
    vec![
        attack("lateral.remote_exec", "psexec", psexec(Rules::default())),
        attack("lateral.remote_exec", "service", calls(RpcInterface::ServiceControl, &[15, 12, 19])),
        attack("lateral.remote_exec", "task", calls(RpcInterface::TaskScheduler, &[0, 1, 12])),
        attack("lateral.remote_exec", "wmi", calls(RpcInterface::Wmi, &[4, 6, 24])),
        benign("lateral.remote_exec", "antivirus_console", antivirus_console()),
        benign("lateral.remote_exec", "wmi_monitoring", calls(RpcInterface::Wmi, &[4, 6, 20, 20, 20])),
        benign("lateral.remote_exec", "services_listed", calls(RpcInterface::ServiceControl, &[15, 14, 14])),
        benign("lateral.remote_exec", "program_from_a_share", program_from_a_share()),
        attack("lateral.zerologon", "flood", netlogon(60, 2.0)),
        benign("lateral.zerologon", "members", members()),
        attack("lateral.account_query", "net_user", account_query(&[64, 6, 5, 7, 17, 34, 36, 3, 39, 16, 1])),
        benign("lateral.account_query", "names_of_an_access_list", account_query(&[44, 15, 15, 76, 0])),
        attack("lateral.dcsync", "copied", replication(false)),
        benign("lateral.dcsync", "controllers", replication(true)),
        attack("lateral.dcsync", "forged_ticket", forged_ticket()),
        benign("lateral.dcsync", "names_cracked", calls(RpcInterface::Replication, &[0, 12, 1])),
    ]
}

fn smb(stage: &mut Stage, flow: Flow, verb: SmbVerb) {
    stage.see(flow, Sight::Smb(SmbSight::Request { verb, bytes: 200 }));
    stage.wait(0.01);
}

fn rpc(stage: &mut Stage, flow: Flow, interface: RpcInterface, operations: &[u16]) {
    stage.see(flow, Sight::Rpc(RpcSight::Bind { interface }));
    for operation in operations {
        stage.see(flow, Sight::Rpc(RpcSight::Request { interface, operation: *operation }));
        stage.wait(0.05);
    }
}

fn psexec(rules: Rules) -> Stage {
    let mut stage = Stage::with(rules);
    let flow = stage.meet(CLIENT, SERVER, 445);
    stage.see(flow, Sight::Smb(SmbSight::Tree { admin: true, ipc: false }));
    smb(&mut stage, flow, SmbVerb::CreateProgram);
    for _ in 0..4 {
        smb(&mut stage, flow, SmbVerb::Write);
    }
    smb(&mut stage, flow, SmbVerb::Close);
    stage.see(flow, Sight::Smb(SmbSight::Tree { admin: false, ipc: true }));
    smb(&mut stage, flow, SmbVerb::PipeControl);
    rpc(&mut stage, flow, RpcInterface::ServiceControl, &[15, 12, 19]);
    stage
}

/// It installs just like an attacker, and is named as what it is.
fn antivirus_console() -> Stage {
    psexec(Rules { managers: vec!["192.168.10.66/32".parse().unwrap()], ..Rules::default() })
}

fn calls(interface: RpcInterface, operations: &[u16]) -> Stage {
    let mut stage = Stage::default();
    let flow = stage.meet(CLIENT, SERVER, 49_668);
    rpc(&mut stage, flow, interface, operations);
    stage
}

/// The records' program is started from the file server, and updates itself there.
fn program_from_a_share() -> Stage {
    let mut stage = Stage::default();
    let flow = stage.meet(CLIENT, SERVER, 445);
    stage.see(flow, Sight::Smb(SmbSight::Tree { admin: false, ipc: false }));
    for verb in [SmbVerb::CreateProgram, SmbVerb::Read, SmbVerb::Read, SmbVerb::Write, SmbVerb::Close] {
        smb(&mut stage, flow, verb);
    }
    stage.see(flow, Sight::Smb(SmbSight::Tree { admin: false, ipc: true }));
    smb(&mut stage, flow, SmbVerb::Pipe);
    stage
}

fn netlogon(tries: u32, pause: f64) -> Stage {
    let mut stage = Stage::default();
    for _ in 0..tries {
        let flow = stage.meet(CLIENT, "192.168.1.1", 49_668);
        rpc(&mut stage, flow, RpcInterface::Netlogon, &[4, 26]);
        stage.see(flow, Sight::Rpc(RpcSight::Fault));
        stage.wait(pause);
    }
    stage
}

/// In the morning everybody sets up a channel, one of them three times.
fn members() -> Stage {
    let mut stage = Stage::default();
    for desk in 1..=30 {
        for _ in 0..if desk == 7 { 3 } else { 1 } {
            let flow = stage.meet(&format!("192.168.10.{}", desk + 100), "192.168.1.1", 49_668);
            rpc(&mut stage, flow, RpcInterface::Netlogon, &[4, 26, 29]);
            stage.wait(2.0);
        }
    }
    stage
}

fn replication(by_controller: bool) -> Stage {
    let mut stage = Stage::default();
    if by_controller {
        for desk in ["192.168.10.101", "192.168.10.102", "192.168.10.103"] {
            let flow = stage.meet(desk, CLIENT, 88);
            stage.see(flow, Sight::Speaks { service: Service::Kerberos });
            stage.see(flow, Sight::Kerberos(KerberosSight::AsReply));
        }
    }
    let flow = stage.meet(CLIENT, "192.168.1.1", 49_668);
    rpc(&mut stage, flow, RpcInterface::Replication, &[0, 3, 3]);
    stage
}

/// Datagrams from the port of Kerberos that look like answers, and one conversation, make no domain controller.
fn forged_ticket() -> Stage {
    let mut stage = Stage::default();
    for desk in ["192.168.10.101", "192.168.10.102", "192.168.10.103", "192.168.10.104"] {
        let flow = stage.open_by(Transport::Udp, desk, CLIENT, 88);
        stage.see(flow, Sight::Kerberos(KerberosSight::AsReply));
    }
    let flow = stage.meet("192.168.10.101", CLIENT, 88);
    stage.see(flow, Sight::Kerberos(KerberosSight::AsReply));
    let flow = stage.meet(CLIENT, "192.168.1.1", 49_668);
    rpc(&mut stage, flow, RpcInterface::Replication, &[0, 3]);
    stage
}

/// Calls to the accounts' interfaces through a pipe.
fn account_query(operations: &[u16]) -> Stage {
    let mut stage = Stage::default();
    let flow = stage.meet(CLIENT, "192.168.1.1", 445);
    stage.see(flow, Sight::Smb(SmbSight::Tree { admin: false, ipc: true }));
    smb(&mut stage, flow, SmbVerb::Pipe);
    rpc(&mut stage, flow, RpcInterface::Accounts, operations);
    stage
}
