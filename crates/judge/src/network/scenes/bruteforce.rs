use schema::{KerberosSight, NtlmSight, NtlmStep, Service, Sight, SmbSight};

use super::{Scene, Stage, attack, benign};

const CLIENT: &str = "192.168.10.66";
const SERVER: &str = "192.168.10.20";
const WRONG: u32 = 0xC000_006D;

pub(super) fn scenes() -> Vec<Scene> {
    vec![
        attack("bruteforce.smb", "hydra", smb(30, 0.2, |_| 1)),
        attack("bruteforce.smb", "windows_11", smb(25, 2.1, |_| 1)),
        attack("bruteforce.smb", "spray", smb(8, 45.0, |n| n + 1)),
        benign("bruteforce.smb", "mistyped", smb(5, 103.0, |_| 1)),
        benign("bruteforce.smb", "old_password_of_a_copier", smb(20, 61.0, |_| 1)),
        benign("bruteforce.smb", "morning", morning()),
        attack("bruteforce.rdp", "nla", rdp(14, 2.0)),
        attack("bruteforce.rdp", "then_a_session", then_a_session()),
        benign("bruteforce.rdp", "administrator", administrator()),
        benign("bruteforce.rdp", "mistyped", rdp(4, 20.0)),
        attack("bruteforce.ssh", "odd_port", ssh(902, 20, [2_200, 2_600])),
        benign("bruteforce.ssh", "jobs_with_a_key", ssh(22, 30, [3_400, 5_600])),
        benign("bruteforce.ssh", "backup", ssh(22, 3, [90_000_000, 60_000])),
        attack("bruteforce.kerberos", "spray", kerberos(12, 24)),
        attack("bruteforce.kerberos", "names", kerberos(12, 6)),
        attack("bruteforce.kerberos", "roasting", roasting(false, 10)),
        benign("bruteforce.kerberos", "server_2003", roasting(true, 10)),
        benign("bruteforce.kerberos", "terminal_server", terminal_server()),
        benign("bruteforce.kerberos", "wants_more", kerberos(40, 25)),
        attack("bruteforce.ldap_ntlm", "binds", binds(12, [900, 800])),
        benign("bruteforce.ldap_ntlm", "searches", binds(30, [2_600, 30_000])),
    ]
}

/// Tries at one file server.
fn smb(tries: u64, pause: f64, account: impl Fn(u64) -> u64) -> Stage {
    let mut stage = Stage::default();
    for n in 0..tries {
        log_on(&mut stage, CLIENT, SERVER, account(n), WRONG);
        stage.wait(pause);
    }
    stage
}

pub(super) fn log_on(stage: &mut Stage, client: &str, server: &str, account: u64, status: u32) {
    let flow = stage.meet(client, server, 445);
    stage.see(flow, Sight::Smb(SmbSight::SetUp { status: 0xC000_0016 }));
    stage.see(flow, Sight::Ntlm(NtlmSight { step: NtlmStep::Authenticate, version: None, account }));
    stage.see(flow, Sight::Smb(SmbSight::SetUp { status }));
}

/// Forty people log on at a file server; some of them mistype.
fn morning() -> Stage {
    let mut stage = Stage::default();
    for person in 1..=40 {
        let client = format!("192.168.10.{}", person + 100);
        if person % 5 == 0 {
            log_on(&mut stage, &client, SERVER, person, WRONG);
            stage.wait(4.0);
        }
        log_on(&mut stage, &client, SERVER, person, 0);
        stage.wait(7.0);
    }
    stage
}

fn rdp(tries: u32, pause: f64) -> Stage {
    let mut stage = Stage::default();
    for _ in 0..tries {
        rdp_failure(&mut stage);
        stage.wait(pause);
    }
    stage
}

fn rdp_failure(stage: &mut Stage) {
    let flow = stage.meet(CLIENT, SERVER, 3389);
    stage.see(flow, Sight::Speaks { service: Service::Rdp });
    stage.end(flow, [12, 10], [1_500, 2_200], 0.3);
}

fn rdp_session(stage: &mut Stage) {
    let flow = stage.meet(CLIENT, SERVER, 3389);
    stage.see(flow, Sight::Speaks { service: Service::Rdp });
    stage.end(flow, [900, 1_400], [60_000, 900_000], 300.0);
}

fn then_a_session() -> Stage {
    let mut stage = rdp(14, 2.0);
    rdp_session(&mut stage);
    stage
}

/// Sessions one after another, each with one mistake before it.
fn administrator() -> Stage {
    let mut stage = Stage::default();
    for _ in 0..6 {
        rdp_failure(&mut stage);
        rdp_session(&mut stage);
    }
    stage
}

fn ssh(port: u16, times: u32, payload: [u64; 2]) -> Stage {
    let mut stage = Stage::default();
    for _ in 0..times {
        let flow = stage.meet(CLIENT, SERVER, port);
        stage.see(flow, Sight::Speaks { service: Service::Ssh });
        stage.end(flow, [18, 16], payload, 1.2);
        stage.wait(3.0);
    }
    stage
}

fn ask(stage: &mut Stage, account: u64, answer: KerberosSight) {
    let flow = stage.meet(CLIENT, "192.168.1.1", 88);
    stage.see(flow, Sight::Kerberos(KerberosSight::AsRequest { account, weak: false }));
    stage.see(flow, Sight::Kerberos(answer));
    stage.wait(1.0);
}

fn kerberos(accounts: u64, code: u32) -> Stage {
    let mut stage = Stage::default();
    for account in 1..=accounts {
        ask(&mut stage, account, KerberosSight::Error { code, account: 0 });
    }
    stage
}

/// Fifty people log on from one machine in the morning; every fifth mistypes.
fn terminal_server() -> Stage {
    let mut stage = Stage::default();
    for account in 1..=50 {
        ask(&mut stage, account, KerberosSight::Error { code: 25, account });
        if account % 5 == 0 {
            ask(&mut stage, account, KerberosSight::Error { code: 24, account });
        }
        ask(&mut stage, account, KerberosSight::AsReply);
    }
    stage
}

/// Tickets with the oldest encryption alone, of a machine that knows newer ones, or does not.
fn roasting(is_old: bool, services: u64) -> Stage {
    let mut stage = Stage::default();
    let flow = stage.meet(CLIENT, "192.168.1.1", 88);
    stage.see(flow, Sight::Kerberos(KerberosSight::AsRequest { account: 1, weak: is_old }));
    for service in 1..=services {
        stage.see(flow, Sight::Kerberos(KerberosSight::TgsRequest { service, weak: true }));
        stage.see(flow, Sight::Kerberos(KerberosSight::TgsReply));
        stage.wait(0.2);
    }
    stage
}

fn binds(times: u64, payload: [u64; 2]) -> Stage {
    let mut stage = Stage::default();
    for _ in 0..times {
        let flow = stage.meet(CLIENT, "192.168.1.1", 389);
        let ntlm = NtlmSight { step: NtlmStep::Authenticate, version: None, account: 7 };
        stage.see(flow, Sight::Ntlm(ntlm));
        stage.end(flow, [8, 7], payload, 0.5);
        stage.wait(4.0);
    }
    stage
}
