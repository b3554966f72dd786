//! `contract.deviation`: a contractor's link does what its contract does not say.
//!
//! Nothing is learnt: other ports, the other direction, other hours or days, more bytes than agreed, each is told.

use schema::{Attack, Lang, Severity, Sight, Tactic};
use serde::{Deserialize, Serialize};

use crate::network::Detectors;
use crate::network::contracts::Contract;
use crate::network::table::Table;
use crate::network::telling::{Saying, Tell, Words, attack, timestamp};
use crate::network::view::{DAY, MINUTE, Trail, View, fnv};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "contract.deviation",
    title: "A contractor's link does what was not agreed",
    title_ja: "委託業者の接続が契約と異なっている",
    attacks,
    make: Detector::Network(Detectors::new),
};

const DAYS_MAX: usize = 1024;
/// Somebody who is at work when the hours end may finish.
const GRACE: i64 = 15 * MINUTE;

fn attacks() -> Vec<Attack> {
    vec![attack("T1199", "Trusted Relationship", Tactic::InitialAccess)]
}

/// Bytes of contracts by day: to the contractor, from the contractor.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Volumes {
    days: Table<(u64, i64), [u64; 2]>,
}

impl Default for Volumes {
    fn default() -> Self {
        Self { days: Table::new(DAYS_MAX) }
    }
}

/// What was not agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deviation {
    Direction,
    Port,
    Time,
    Bytes { outward: bool, bytes: u64, max: u64 },
}

impl Volumes {
    pub(crate) fn evicted(&self) -> u64 {
        self.days.evicted()
    }

    /// Takes in flows with contractors as they begin and as they grow.
    pub(crate) fn take(&mut self, view: &View<'_>, tell: &mut Tell<'_>) {
        let rules = view.rules;
        if rules.contracts.is_empty() || !matches!(view.sight(), Sight::Opened { .. } | Sight::Traffic { .. })
        {
            return;
        }
        let contact = &view.event.contact;
        let mut best: Option<(&Contract, bool, Deviation)> = None;
        for contract in &rules.contracts {
            let Some(by_peer) = contract.opened_by_peer(contact) else { continue };
            match self.deviation(contract, by_peer, view) {
                None => return,
                Some(found) => best = best.or(Some((contract, by_peer, found))),
            }
        }
        if let Some((contract, by_peer, found)) = best {
            say(contract, by_peer, found, view, tell);
        } else {
            stray(view, tell);
        }
    }

    fn deviation(&mut self, contract: &Contract, by_peer: bool, view: &View<'_>) -> Option<Deviation> {
        if !contract.allows_direction(by_peer) {
            return Some(Deviation::Direction);
        }
        if !contract.allows_port(&view.event.contact) {
            return Some(Deviation::Port);
        }
        let zone = &view.rules.zone;
        let Some(fresh) = view.fresh else {
            return (!contract.allows_time(view.at(), zone)).then_some(Deviation::Time);
        };
        let in_time = contract.allows_time(view.at(), zone)
            || contract.allows_time(view.at().saturating_sub(GRACE), zone)
            || fresh == [0, 0];
        if !in_time {
            return Some(Deviation::Time);
        }
        let day = timestamp(view.at()).to_zoned(zone.clone()).date();
        let day = i64::from(day.year()) * 512 + i64::from(day.day_of_year());
        let sums = self.days.slot((fnv(&[contract.name.as_bytes()]), day));
        let (outward, inward) = if by_peer { (1, 0) } else { (0, 1) };
        sums[0] = sums[0].saturating_add(fresh[outward]);
        sums[1] = sums[1].saturating_add(fresh[inward]);
        let over = |bytes: u64, max: Option<u64>, outward| {
            max.filter(|max| bytes > *max).map(|max| Deviation::Bytes { outward, bytes, max })
        };
        over(sums[0], contract.bytes_out_max, true).or_else(|| over(sums[1], contract.bytes_in_max, false))
    }
}

/// A contractor's address talks to a machine that is in no contract.
fn stray(view: &View<'_>, tell: &mut Tell<'_>) {
    if !matches!(view.sight(), Sight::Opened { .. }) {
        return;
    }
    let peer_of = |address| view.rules.contracts.iter().find(|contract| contract.has_peer(address));
    let by_peer = view.server_inside.then(|| peer_of(view.client())).flatten();
    let to_peer = view.client_inside.then(|| peer_of(view.server())).flatten();
    let Some(contract) = by_peer.or(to_peer) else { return };
    let (host, peer) = match by_peer {
        Some(_) => (view.server(), view.client()),
        None => (view.client(), view.server()),
    };
    let saying = Saying::new(&ENTRY, view.client(), Some(view.server()), Trail::of(view.event))
        .about(u64::from(view.port()))
        .severity(Severity::High)
        .pause(DAY);
    tell.say(saying, || {
        let name = &contract.name;
        Words::new(
            [
                format!(
                    "{name}: {peer} of the contractor and {host}, which is in no contract, talk to each other"
                ),
                format!("{name}: 業者の {peer} が、契約にない機器 {host} と通信しています"),
            ],
            attacks(),
        )
        .because(
            format!("Opened by {}, port {}", view.client(), view.port()),
            format!("{} から開始、ポート{}", view.client(), view.port()),
        )
    });
}

fn say(contract: &Contract, by_peer: bool, found: Deviation, view: &View<'_>, tell: &mut Tell<'_>) {
    let kind = match found {
        Deviation::Direction => 1,
        Deviation::Port => 2 + u64::from(view.port()),
        Deviation::Time => 70_000,
        Deviation::Bytes { outward, .. } => 70_001 + u64::from(outward),
    };
    let severity = match found {
        Deviation::Bytes { outward: false, .. } => Severity::Medium,
        _ => Severity::High,
    };
    let saying = Saying::new(&ENTRY, view.client(), Some(view.server()), Trail::of(view.event))
        .about(fnv(&[contract.name.as_bytes(), &kind.to_le_bytes()]))
        .severity(severity)
        .pause(DAY);
    tell.say(saying, || {
        let (name, client, server) = (&contract.name, view.client(), view.server());
        let [en, ja] = words_of(found, view, by_peer);
        Words::new(
            [
                format!("{name}: {client} to {server} is not as agreed"),
                format!("{name}: {client} から {server} への通信が契約と異なります"),
            ],
            attacks(),
        )
        .because(en, ja)
    });
}

fn words_of(found: Deviation, view: &View<'_>, by_peer: bool) -> [String; 2] {
    match found {
        Deviation::Direction => {
            let who = |lang: Lang| match by_peer {
                true => lang.pick("the contractor", "業者側"),
                false => lang.pick("the hospital's machine", "病院側"),
            };
            [
                format!("It was opened by {}, which the contract does not allow", who(Lang::En)),
                format!("契約で認められていない{}からの接続開始です", who(Lang::Ja)),
            ]
        }
        Deviation::Port => {
            let port = view.port();
            [format!("Port {port} is not in the contract"), format!("ポート{port}は契約にありません")]
        }
        Deviation::Time => {
            let local = timestamp(view.at()).to_zoned(view.rules.zone.clone());
            let local = local.strftime("%Y-%m-%d %H:%M");
            [
                format!("The contract covers neither this day nor this time: {local}, the hospital's time"),
                format!("契約の曜日・時間帯の外です（病院の時刻で {local}）"),
            ]
        }
        Deviation::Bytes { outward, bytes, max } => {
            let way = |lang: Lang| match outward {
                true => lang.pick("to the contractor", "業者への送信"),
                false => lang.pick("from the contractor", "業者からの受信"),
            };
            [
                format!("{bytes} bytes {} on this day; {max} were agreed", way(Lang::En)),
                format!("この日の{}が{bytes}バイト（契約は{max}バイトまで）", way(Lang::Ja)),
            ]
        }
    }
}
