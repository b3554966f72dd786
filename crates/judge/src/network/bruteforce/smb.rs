//! `bruteforce.smb`: log-ons to a file server that fail one after another.
//!
//! The status of a Session Setup is readable even where SMB 3 encrypts everything else. Windows 11 lets through one wrong password
//! in two seconds, so the numbers are small; somebody who mistypes and a program with an old password are slower still.

use std::net::IpAddr;

use schema::{Attack, Lang, NtlmStep, Severity, Sight, SmbSight, Tactic};
use serde::{Deserialize, Serialize};

use crate::network::Detectors;
use crate::network::table::Table;
use crate::network::telling::{Saying, Tell, Words, attack, span};
use crate::network::view::{HOUR, MINUTE, Recent, SECOND, View, number_of};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "bruteforce.smb",
    title: "Passwords of a file server are being guessed",
    title_ja: "ファイルサーバーのパスワードが推測されている",
    attacks,
    make: Detector::Network(Detectors::new),
};

const PAIRS_MAX: usize = 8192;
const KEPT: usize = 256;
/// So many failures within so long are a guesser's: (failures, span, severity).
const PACES: [(usize, i64); 2] = [(10, MINUTE), (20, 5 * MINUTE)];
/// A password that is out of date fails as often as this, and nothing else does.
const SLOW: (usize, i64) = (60, HOUR);
/// So many accounts that fail within [`SPRAY_WITHIN`] are not one person's.
const ACCOUNTS_MANY: usize = 6;
const SPRAY_WITHIN: i64 = 10 * MINUTE;
/// One source that fails at so many servers within [`SWEEP_WITHIN`].
const SERVERS_MANY: usize = 5;
const SWEEP_FAILURES: usize = 10;
const SWEEP_WITHIN: i64 = 5 * MINUTE;

fn attacks() -> Vec<Attack> {
    vec![
        attack("T1110.001", "Brute Force: Password Guessing", Tactic::CredentialAccess),
        attack("T1110.003", "Brute Force: Password Spraying", Tactic::CredentialAccess),
    ]
}

/// Failed log-ons by pair and by source.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Guesses {
    pairs: Table<(IpAddr, IpAddr), Pair>,
    sources: Table<IpAddr, Recent>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Pair {
    /// Failures, each with the account it was for.
    failures: Recent,
    /// Whoever logs on at this moment.
    account: u64,
    guessed: bool,
}

impl Default for Guesses {
    fn default() -> Self {
        Self { pairs: Table::new(PAIRS_MAX), sources: Table::new(PAIRS_MAX) }
    }
}

/// A status that says that the account or its password was wrong, or that there were too many tries.
fn is_failure(status: u32) -> bool {
    matches!(
        status,
        0xC000_006D // logon failure
            | 0xC000_006A // wrong password
            | 0xC000_0064 // no such user
            | 0xC000_006E // account restriction
            | 0xC000_006F
            ..=0xC000_0072 // hours, workstation, expired, disabled
            | 0xC000_0193 // account expired
            | 0xC000_0234 // locked out
    )
}

impl Guesses {
    pub(crate) fn evicted(&self) -> u64 {
        self.pairs.evicted() + self.sources.evicted()
    }

    /// Takes in NTLM's last message and the statuses of Session Setups.
    pub(crate) fn take(&mut self, view: &View<'_>, tell: &mut Tell<'_>) {
        match view.sight() {
            Sight::Ntlm(ntlm) if ntlm.step == NtlmStep::Authenticate => {
                if let Some(pair) = self.pairs.get_mut(&(view.client(), view.server())) {
                    pair.account = ntlm.account;
                } else if matches!(view.port(), 445 | 139) {
                    self.pairs.slot((view.client(), view.server())).account = ntlm.account;
                }
            }
            Sight::Smb(SmbSight::SetUp { status }) if !view.rules.is_scanner(view.client()) => {
                if is_failure(*status) {
                    self.fail(view, tell);
                } else if *status == 0 {
                    self.succeed(view, tell);
                }
            }
            _ => {}
        }
    }

    fn fail(&mut self, view: &View<'_>, tell: &mut Tell<'_>) {
        let pair = self.pairs.slot((view.client(), view.server()));
        pair.failures.add(view.event, pair.account, HOUR, KEPT);
        let fast = PACES.iter().any(|(many, span)| pair.failures.within(*span) >= *many);
        let spray = pair.failures.within(SPRAY_WITHIN) >= ACCOUNTS_MANY
            && pair.failures.kinds_within(SPRAY_WITHIN) >= ACCOUNTS_MANY;
        if fast || spray {
            pair.guessed = true;
            let severity = if spray || !view.client_inside { Severity::High } else { Severity::Medium };
            pair.tell(view, severity, tell);
        } else if pair.failures.within(SLOW.1) >= SLOW.0 {
            pair.tell(view, Severity::Low, tell);
        }
        self.sweep(view, tell);
    }

    /// One try at each of many servers.
    fn sweep(&mut self, view: &View<'_>, tell: &mut Tell<'_>) {
        let source = self.sources.slot(view.client());
        source.add(view.event, number_of(view.server()), SWEEP_WITHIN, KEPT);
        let servers = source.kinds();
        if source.len() < SWEEP_FAILURES || servers < SERVERS_MANY {
            return;
        }
        let saying = Saying::new(&ENTRY, view.client(), None, source.trail()).severity(Severity::High);
        let failures = source.len();
        tell.say(saying, || {
            let client = view.client();
            Words::new(
                [
                    format!("{client} tries passwords at {servers} file servers"),
                    format!("{client} が{servers}台のファイルサーバーでパスワードを試しています"),
                ],
                attacks().into_iter().skip(1).collect(),
            )
            .because(
                format!("{failures} log-ons failed at {servers} servers"),
                format!("{servers}台でログオンが{failures}回失敗しました"),
            )
            .targets(vec![view.server()])
        });
    }

    /// A log-on after guessing is the worst news.
    fn succeed(&mut self, view: &View<'_>, tell: &mut Tell<'_>) {
        let Some(pair) = self.pairs.get_mut(&(view.client(), view.server())) else { return };
        let last = pair.failures.trail().last;
        if pair.guessed && view.at().saturating_sub(last).saturating_abs() <= 30 * SECOND {
            pair.tell(view, Severity::Critical, tell);
        }
        pair.guessed = false;
    }
}

impl Pair {
    fn tell(&self, view: &View<'_>, severity: Severity, tell: &mut Tell<'_>) {
        let trail = self.failures.trail();
        let saying = Saying::new(&ENTRY, view.client(), Some(view.server()), trail).severity(severity);
        tell.say(saying, || {
            let (client, server) = (view.client(), view.server());
            let accounts = self.failures.kinds();
            let took = trail.last - trail.first;
            Words::new(
                [
                    format!("{client} guesses passwords of the file server {server}"),
                    format!("{client} がファイルサーバー {server} のパスワードを推測しています"),
                ],
                attacks().into_iter().take(if accounts >= ACCOUNTS_MANY { 2 } else { 1 }).collect(),
            )
            .because(
                format!(
                    "{} log-ons failed in {}, for {accounts} account(s)",
                    trail.count,
                    span(took, Lang::En)
                ),
                format!(
                    "{}の間にログオンが{}回失敗（アカウント{accounts}件）",
                    span(took, Lang::Ja),
                    trail.count
                ),
            )
            .because_if(
                severity == Severity::Low,
                "At this pace it may also be a program with an old password",
                "この頻度は、古いパスワードを持つプログラムの可能性もあります",
            )
            .because_if(
                severity == Severity::Critical,
                "Then a log-on succeeded",
                "その後、ログオンが成功しました",
            )
        });
    }
}
