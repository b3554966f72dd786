//! `tamper.mirror`: the mirror shows one direction only. What rests on answers, above all `scan.trw`, is suspended, and that is said.

use std::net::IpAddr;

use schema::{Attack, FindingClass, Micros, Severity, Sight, Tactic};
use serde::{Deserialize, Serialize};

use crate::network::Detectors;
use crate::network::telling::{Saying, Tell, Words, attack};
use crate::network::view::{DAY, Trail, View};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "tamper.mirror",
    title: "The mirror port shows one direction of the traffic only",
    title_ja: "ミラーポートに片方向の通信しか届いていません",
    attacks,
    make: Detector::Network(Detectors::new),
};

/// Flows with data that are looked at together.
const FLOWS: u32 = 50;
/// Flows of one client among them.
const OF_ONE: u32 = 10;
/// Packets from which on a flow shows whether it is answered.
const PACKETS: u64 = 4;
/// Of ten, so many with one direction only.
const ONE_WAY_OF_TEN: u32 = 8;

fn attacks() -> Vec<Attack> {
    vec![attack("T1562", "Impair Defenses", Tactic::DefenseEvasion)]
}

/// Which directions are seen.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Mirror {
    one_way: u32,
    flows: u32,
    /// Whose flows these are, with how many of them.
    clients: Vec<(IpAddr, u32)>,
    trail: Trail,
    suspended_since: Option<Micros>,
}

impl Mirror {
    /// Whether answers are missing from the capture, so that their absence says nothing.
    pub(crate) fn is_one_way(&self) -> bool {
        self.suspended_since.is_some()
    }

    /// Takes in the sums of flows.
    pub(crate) fn take(&mut self, view: &View<'_>, tell: &mut Tell<'_>) {
        let Sight::Traffic { traffic, .. } = view.sight() else { return };
        let packets = traffic.packets.iter().fold(0_u64, |sum, packets| sum.saturating_add(*packets));
        if !view.is_tcp() || packets < PACKETS || traffic.payload == [0, 0] || !self.counts(view.client()) {
            return;
        }
        self.flows += 1;
        self.trail.add(view.event);
        self.one_way += u32::from(traffic.packets.contains(&0));
        if self.flows < FLOWS {
            return;
        }
        if self.one_way * 10 >= self.flows * ONE_WAY_OF_TEN {
            self.suspended_since.get_or_insert(view.at());
            self.tell(tell);
        } else if self.one_way * 2 < self.flows {
            self.suspended_since = None;
        }
        let suspended_since = self.suspended_since;
        *self = Self { suspended_since, ..Self::default() };
    }

    /// Whether another flow of this client is looked at: one machine alone must not decide what is said of the mirror.
    fn counts(&mut self, client: IpAddr) -> bool {
        match self.clients.iter_mut().find(|(known, _)| *known == client) {
            Some((_, flows)) => {
                *flows += 1;
                *flows <= OF_ONE
            }
            None => {
                self.clients.push((client, 1));
                true
            }
        }
    }

    fn tell(&self, tell: &mut Tell<'_>) {
        let nobody = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
        let saying = Saying::new(&ENTRY, nobody, None, self.trail)
            .victim()
            .severity(Severity::Low)
            .class(FindingClass::Compliance)
            .pause(DAY)
            .size(1);
        tell.say(saying, || {
            Words::new([ENTRY.title.into(), ENTRY.title_ja.into()], attacks())
                .because(
                    format!("Of {} TCP flows with data, {} were seen in one direction", self.flows, self.one_way),
                    format!("データのあるTCP通信{}件のうち{}件が片方向でした", self.flows, self.one_way),
                )
                .because(
                    "Scans by failed contacts are not judged until both directions are seen; check the switch's mirror settings"
                        .into(),
                    "両方向が届くまで、接続失敗による探索の検知を休止します。スイッチのミラー設定を確認してください".into(),
                )
        });
    }
}
