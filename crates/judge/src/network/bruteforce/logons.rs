//! Log-ons behind encryption, told apart by the shape of their flows: a failed one is short and small, a session is long or large.

use std::net::IpAddr;

use schema::{FlowEnd, Lang, Severity, Sight, Traffic};
use serde::{Deserialize, Serialize};

use crate::Entry;
use crate::network::table::Table;
use crate::network::telling::{Saying, Tell, Words, span};
use crate::network::view::{HOUR, MINUTE, Recent, View, number_of};

const PAIRS_MAX: usize = 8192;
const KEPT: usize = 256;
const WITHIN: i64 = 5 * MINUTE;
/// Slow guessing from outside: so many in [`SLOW_WITHIN`] without any session between.
const SLOW_MANY: usize = 40;
const SLOW_WITHIN: i64 = 6 * HOUR;
/// A few tries at each of many servers.
const SERVERS_MANY: usize = 5;
const SWEEP_MANY: usize = 20;

/// What tells one service's failed log-ons from its sessions.
pub(super) struct Kind {
    pub(super) entry: &'static Entry,
    pub(super) name: [&'static str; 2],
    pub(super) is_failed: fn(&Traffic) -> bool,
    pub(super) is_session: fn(&Traffic) -> bool,
    /// How bad guessing from inside is.
    pub(super) inside: Severity,
}

/// Failed log-ons of one service, by pair and by source.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Logons {
    pairs: Table<(IpAddr, IpAddr), Tries>,
    sources: Table<IpAddr, Recent>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Tries {
    failed: Recent,
    guessed: bool,
}

impl Default for Logons {
    fn default() -> Self {
        Self { pairs: Table::new(PAIRS_MAX), sources: Table::new(PAIRS_MAX) }
    }
}

impl Logons {
    pub(crate) fn evicted(&self) -> u64 {
        self.pairs.evicted() + self.sources.evicted()
    }

    /// Takes in the end of a flow of this service.
    pub(super) fn take(&mut self, kind: &Kind, view: &View<'_>, tell: &mut Tell<'_>) {
        let Sight::Traffic { traffic, end } = view.sight() else { return };
        if view.rules.is_scanner(view.client()) {
            return;
        }
        if (kind.is_session)(traffic) {
            self.session(kind, view, tell);
        } else if *end != FlowEnd::Going && (kind.is_failed)(traffic) {
            self.fail(kind, view, tell);
        }
    }

    fn fail(&mut self, kind: &Kind, view: &View<'_>, tell: &mut Tell<'_>) {
        let many = view.rules.thresholds.guesses as usize;
        let tries = self.pairs.slot((view.client(), view.server()));
        tries.failed.add(view.event, u64::from(view.event.contact.client.port), SLOW_WITHIN, KEPT);
        let fast = tries.failed.within(WITHIN) >= many;
        let slow = !view.client_inside && tries.failed.within(SLOW_WITHIN) >= SLOW_MANY;
        if fast || slow {
            tries.guessed = true;
            let severity = if view.client_inside { kind.inside } else { Severity::High };
            tries.tell(kind, view, severity, tell);
        }
        self.sweep(kind, view, tell);
    }

    fn sweep(&mut self, kind: &Kind, view: &View<'_>, tell: &mut Tell<'_>) {
        let source = self.sources.slot(view.client());
        source.add(view.event, number_of(view.server()), WITHIN, KEPT);
        let (servers, tries) = (source.kinds(), source.len());
        if servers < SERVERS_MANY || tries < SWEEP_MANY {
            return;
        }
        let saying = Saying::new(kind.entry, view.client(), None, source.trail()).severity(Severity::High);
        tell.say(saying, || {
            let (client, [en, ja]) = (view.client(), kind.name);
            Words::new(
                [
                    format!("{client} tries passwords of {en} at {servers} servers"),
                    format!("{client} が{servers}台のサーバーで{ja}のパスワードを試しています"),
                ],
                (kind.entry.attacks)(),
            )
            .because(
                format!("{tries} log-ons of the shape of failed ones at {servers} servers"),
                format!("{servers}台に対し、失敗したログオンの形の通信が{tries}件"),
            )
            .targets(vec![view.server()])
        });
    }

    fn session(&mut self, kind: &Kind, view: &View<'_>, tell: &mut Tell<'_>) {
        let Some(tries) = self.pairs.get_mut(&(view.client(), view.server())) else { return };
        let since = view.at().saturating_sub(tries.failed.trail().last).saturating_abs();
        if tries.guessed && since <= WITHIN {
            tries.tell(kind, view, Severity::Critical, tell);
        }
        *tries = Tries::default();
    }
}

impl Tries {
    fn tell(&self, kind: &Kind, view: &View<'_>, severity: Severity, tell: &mut Tell<'_>) {
        let trail = self.failed.trail();
        let saying = Saying::new(kind.entry, view.client(), Some(view.server()), trail).severity(severity);
        tell.say(saying, || {
            let (client, server, port) = (view.client(), view.server(), view.port());
            let ([en, ja], took) = (kind.name, trail.last - trail.first);
            Words::new(
                [
                    format!("{client} guesses passwords of {en} at {server}"),
                    format!("{client} が {server} の{ja}のパスワードを推測しています"),
                ],
                (kind.entry.attacks)(),
            )
            .because(
                format!(
                    "{} log-ons of the shape of failed ones in {}, port {port}",
                    trail.count,
                    span(took, Lang::En)
                ),
                format!(
                    "失敗したログオンの形の通信が{}の間に{}件（ポート{port}）",
                    span(took, Lang::Ja),
                    trail.count
                ),
            )
            .because_if(
                severity == Severity::Critical,
                "Then a session began",
                "その後、セッションが始まりました",
            )
        });
    }
}
