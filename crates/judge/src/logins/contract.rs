//! `contract.login`: a contractor's account or source is used as was never agreed.
//!
//! Nothing about it is learnt. What was opened for a ticket (`chartward access grant`) counts while it is open, for time only: sources and
//! machines stay those of the contract. An account of the hospital that comes from a contractor's address is a deviation too: in Osaka in
//! 2022 the way in was a caterer's VPN.

use jiff::Timestamp;
use schema::{Attack, AuthOutcome, AuthReason, Severity, Tactic};

use super::Detectors;
use super::contractors::Contractor;
use super::marks::Trail;
use super::rules::Rules;
use super::telling::{Saying, Tell, Words, account_words, attack, host_words, source_words, timestamp};
use super::view::{HOUR, View, key};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "contract.login",
    title: "Logs: a contractor logs in as was never agreed",
    title_ja: "ログ：業者のログインが取り決めと異なる",
    attacks,
    make: Detector::Logins(Detectors::new),
};

fn attacks() -> Vec<Attack> {
    vec![
        attack("T1199", "Trusted Relationship", Tactic::InitialAccess),
        attack("T1078", "Valid Accounts", Tactic::InitialAccess),
    ]
}

/// In what it deviates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Deviation {
    time: bool,
    source: bool,
    host: bool,
    /// The source is the contractor's and the account is not.
    account: bool,
}

/// Weighs whatever somebody did.
pub(crate) fn take(view: &View<'_>, tell: &mut Tell<'_>) {
    if view.event.outcome == AuthOutcome::Ended || view.event.reason == AuthReason::Broken {
        return;
    }
    for contractor in &view.rules.contractors {
        let deviation = deviation(contractor, view);
        if deviation != Deviation::default() {
            say(contractor, deviation, view, tell);
        }
    }
}

fn deviation(contractor: &Contractor, view: &View<'_>) -> Deviation {
    let source = contractor.has_source(view.address(), view.event.workstation);
    let host = !contractor.has_host(view.event.host);
    match view.account_name() {
        Some(account) if contractor.has_account(account) => Deviation {
            time: !contractor.allows_time(view.at(), &view.rules.zone)
                && !is_open(view.rules, contractor, timestamp(view.at())),
            source: source == Some(false),
            host,
            account: false,
        },
        _ if source != Some(true) => Deviation::default(),
        Some(account) => {
            let is_anothers = view.rules.contractors.iter().any(|other| other.has_account(account));
            Deviation { host, account: !is_anothers, ..Deviation::default() }
        }
        None => Deviation { host, ..Deviation::default() },
    }
}

fn is_open(rules: &Rules, contractor: &Contractor, at: Timestamp) -> bool {
    rules.grants.iter().any(|grant| grant.contractor == contractor.name && grant.is_open(at))
}

fn say(contractor: &Contractor, deviation: Deviation, view: &View<'_>, tell: &mut Tell<'_>) {
    let severity = match view.event.outcome {
        AuthOutcome::Success | AuthOutcome::Resumed => Severity::High,
        // Its own people mistype their account's name.
        AuthOutcome::Failure if view.event.reason == AuthReason::NoSuchAccount && !deviation.host => {
            Severity::Low
        }
        _ => Severity::Medium,
    };
    let about = [
        key(b'c', &contractor.name),
        view.account.unwrap_or_default(),
        view.source.unwrap_or_default(),
        view.host,
    ];
    let saying = Saying { size: 1, pause: 8 * HOUR, ..Saying::new(&ENTRY, &about, Trail::at(view.at())) };
    tell.say(view, saying.severity(severity), || words(contractor, deviation, view));
}

fn words(contractor: &Contractor, deviation: Deviation, view: &View<'_>) -> Words {
    let name = &contractor.name;
    let source = view.source_name();
    let ([account, account_ja], [host, host_ja], [from, from_ja]) =
        (account_words(view.account_name()), host_words(view.event.host), source_words(source.as_ref()));
    let (did, did_ja) = match view.event.outcome {
        AuthOutcome::Success | AuthOutcome::Resumed => ("got in at", "ログインしました"),
        AuthOutcome::Failure => ("was refused at", "ログインを試み、拒否されました"),
        _ => ("knocked at", "接続しました"),
    };
    let mut words = Words::new(
        [
            format!("{name}: {account} {did} {host} from {from}, against what was agreed"),
            format!("{name}：{account_ja} が {from_ja} から {host_ja} に{did_ja}（取り決め外）"),
        ],
        attacks(),
    );
    if deviation.time {
        let no_windows = contractor.windows.is_empty();
        words = words
            .because_if(
                !no_windows,
                "It is outside the agreed days and hours, and nothing was opened for it",
                "取り決めた曜日・時間の外で、臨時の許可もありません",
            )
            .because_if(
                no_windows,
                "It may log in only while something is opened for it, and nothing was",
                "許可を出した間だけログインできる業者ですが、許可がありません",
            );
    }
    if deviation.account {
        words = words.because(
            format!("{from} is an address of {name}, and the account is none of its accounts"),
            format!("{from_ja} は {name} の接続元ですが、アカウントは {name} のものではありません"),
        );
    }
    words
        .because_if(
            deviation.source,
            "It does not come from the contractor's declared addresses",
            "取り決めた接続元ではありません",
        )
        .because_if(
            deviation.host,
            "The machine is none of those agreed for it",
            "取り決めた機械ではありません",
        )
        .because(
            format!(
                "Call {name}; if it works on a ticket, `chartward access grant {name} --hours 2 --reason …` opens its time"
            ),
            format!(
                "{name} に電話で確認してください。作業の依頼がある場合は `chartward access grant {name} --hours 2 --reason …` で時間を許可できます"
            ),
        )
        .from(source.as_ref())
        .by(view.account_name())
        .at(view.event.host)
}
