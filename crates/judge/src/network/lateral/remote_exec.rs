//! `lateral.remote_exec`: programs are run on another machine: as PsExec does it, by services, scheduled tasks or WMI.
//!
//! Each step alone is administration; within ten minutes on one machine they are an execution (after MITRE's BZAR). Consoles that
//! install programs do the very same, which is why they can be named as managers.

use std::net::IpAddr;

use schema::{Attack, RpcInterface, RpcSight, Severity, Sight, SmbSight, SmbVerb, Tactic};
use serde::{Deserialize, Serialize};

use crate::network::Detectors;
use crate::network::table::Table;
use crate::network::telling::{Saying, Tell, Words, attack};
use crate::network::view::{MINUTE, Trail, View};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "lateral.remote_exec",
    title: "Programs are run on another machine",
    title_ja: "他の機器上でプログラムが実行されている",
    attacks,
    make: Detector::Network(Detectors::new),
};

const PAIRS_MAX: usize = 8192;
const WITHIN: i64 = 10 * MINUTE;

fn attacks() -> Vec<Attack> {
    vec![
        attack("T1021.002", "Remote Services: SMB/Windows Admin Shares", Tactic::LateralMovement),
        attack("T1569.002", "System Services: Service Execution", Tactic::Execution),
        attack("T1053.005", "Scheduled Task/Job: Scheduled Task", Tactic::Execution),
        attack("T1047", "Windows Management Instrumentation", Tactic::Execution),
    ]
}

/// A step towards running something there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    AdminShare,
    Program,
    Written,
    ControlPipe,
    ServiceBound,
    ServiceMade,
    ServiceStarted,
    TaskMade,
    WmiCalled,
}

const STEPS: usize = 9;

/// Steps of pairs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Steps {
    pairs: Table<(IpAddr, IpAddr), Taken>,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Taken {
    /// When each step was last taken; 0 for never.
    at: [i64; STEPS],
    trail: Trail,
}

impl Default for Steps {
    fn default() -> Self {
        Self { pairs: Table::new(PAIRS_MAX) }
    }
}

impl Steps {
    pub(crate) fn evicted(&self) -> u64 {
        self.pairs.evicted()
    }

    /// Takes in what is asked of file servers and services.
    pub(crate) fn take(&mut self, view: &View<'_>, tell: &mut Tell<'_>) {
        let is_write = matches!(view.sight(), Sight::Smb(SmbSight::Request { verb: SmbVerb::Write, .. }));
        if is_write {
            // The commonest request of all: it counts only where a program was opened before.
            if let Some(taken) = self.pairs.get_mut(&(view.client(), view.server()))
                && taken.has(Step::Program, view.at())
            {
                taken.take(Step::Written, view);
                taken.weigh(view, tell);
            }
            return;
        }
        let Some(step) = step_of(view) else { return };
        if view.rules.is_manager(view.client()) || view.rules.is_scanner(view.client()) {
            return;
        }
        let taken = self.pairs.slot((view.client(), view.server()));
        if view.at().saturating_sub(taken.trail.last).saturating_abs() > WITHIN {
            *taken = Taken::default();
        }
        taken.take(step, view);
        taken.weigh(view, tell);
    }
}

fn step_of(view: &View<'_>) -> Option<Step> {
    match view.sight() {
        Sight::Smb(SmbSight::Tree { admin: true, .. }) => Some(Step::AdminShare),
        Sight::Smb(SmbSight::Request { verb: SmbVerb::CreateProgram, .. }) => Some(Step::Program),
        Sight::Smb(SmbSight::Request { verb: SmbVerb::PipeControl, .. }) => Some(Step::ControlPipe),
        Sight::Rpc(RpcSight::Bind { interface: RpcInterface::ServiceControl }) => Some(Step::ServiceBound),
        Sight::Rpc(RpcSight::Request { interface, operation }) => {
            call_of(*interface, *operation, view.port())
        }
        _ => None,
    }
}

/// What a call brings about ([MS-SCMR], [MS-TSCH], [MS-WMI]).
fn call_of(interface: RpcInterface, operation: u16, port: u16) -> Option<Step> {
    match (interface, operation) {
        // RCreateServiceW, A, WOW64 W and A, RCreateWowService
        (RpcInterface::ServiceControl, 12 | 24 | 44 | 45 | 60) => Some(Step::ServiceMade),
        (RpcInterface::ServiceControl, 19 | 31) => Some(Step::ServiceStarted),
        // SchRpcRegisterTask; NetrJobAdd is of the old interface, which has a pipe only.
        (RpcInterface::TaskScheduler, 1) => Some(Step::TaskMade),
        (RpcInterface::TaskScheduler, 0) if matches!(port, 139 | 445) => Some(Step::TaskMade),
        // IWbemServices::ExecMethod and ExecMethodAsync; questions (20, 21) are monitoring's.
        (RpcInterface::Wmi, 24 | 25) => Some(Step::WmiCalled),
        _ => None,
    }
}

impl Taken {
    fn has(&self, step: Step, now: i64) -> bool {
        let at = self.at[step as usize];
        at != 0 && now.saturating_sub(at).saturating_abs() <= WITHIN
    }

    fn take(&mut self, step: Step, view: &View<'_>) {
        self.at[step as usize] = view.at();
        self.trail.add(view.event);
    }

    fn weigh(&self, view: &View<'_>, tell: &mut Tell<'_>) {
        let has = |step| self.has(step, view.at());
        let control = has(Step::ControlPipe) || has(Step::ServiceBound) || has(Step::ServiceMade);
        let way = if has(Step::Written) && (has(Step::AdminShare) || has(Step::ServiceMade)) && control {
            Way::PsExec
        } else if has(Step::ServiceMade) && has(Step::ServiceStarted) {
            Way::Service
        } else if has(Step::TaskMade) {
            Way::Task
        } else if has(Step::WmiCalled) {
            Way::Wmi
        } else {
            return;
        };
        // What is run and then read back from an administrative share is somebody's shell.
        let with_share = has(Step::AdminShare);
        let severity = match way {
            Way::PsExec | Way::Service => Severity::High,
            Way::Task | Way::Wmi if with_share => Severity::High,
            Way::Task | Way::Wmi => Severity::Medium,
        };
        let saying = Saying::new(&ENTRY, view.client(), Some(view.server()), self.trail)
            .about(way as u64)
            .severity(severity)
            // Another execution on the same machine is not four times as bad.
            .size(1);
        tell.say(saying, || words(way, with_share, view));
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    PsExec,
    Service,
    Task,
    Wmi,
}

fn words(way: Way, with_share: bool, view: &View<'_>) -> Words {
    let (client, server) = (view.client(), view.server());
    let (en, ja) = match way {
        Way::PsExec => (
            "A program was written there and the service control was opened within ten minutes, as PsExec does",
            "10分以内にプログラムの書き込みとサービス制御への接続がありました（PsExecと同じ手順）",
        ),
        Way::Service => (
            "A service was made and started there within ten minutes",
            "10分以内にサービスの作成と開始がありました",
        ),
        Way::Task => ("A scheduled task was made there", "タスクスケジューラにタスクが登録されました"),
        Way::Wmi => ("A method was called by WMI", "WMIでメソッドが呼び出されました"),
    };
    let own = match way {
        Way::PsExec => 0..2,
        Way::Service => 1..2,
        Way::Task => 2..3,
        Way::Wmi => 3..4,
    };
    Words::new(
        [
            format!("{client} runs programs on {server}"),
            format!("{client} が {server} 上でプログラムを実行しています"),
        ],
        attacks().drain(own).collect(),
    )
    .because(en.into(), ja.into())
    .because_if(
        with_share,
        "An administrative share (ADMIN$, C$) was used as well",
        "管理共有（ADMIN$、C$など）も使われました",
    )
}
