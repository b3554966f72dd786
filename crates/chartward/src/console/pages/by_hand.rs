//! What a person wants done without a finding that proposes it: planned here, then confirmed like any other countermeasure.

use std::net::IpAddr;

use maud::html;
use schema::{Act, ActKind};

use crate::access::Permission;
use crate::console::layout;
use crate::console::parts::Field;
use crate::console::reply::{Reply, Trouble};
use crate::console::route::{Needs, Route};
use crate::console::visit::Visit;
use crate::console::words::{self, Both};
use crate::hub::{Answer, Command};

const BY_HAND: Both = ("Act by hand", "手動での対処");

pub(super) const ROUTES: &[Route] = &[
    Route::page("/act", BY_HAND, Needs::May(Permission::Plan), show),
    Route::form("/act", BY_HAND, Needs::May(Permission::Plan), plan),
    Route::form(
        "/hosts/reconnect",
        ("Reconnect", "ホストの再接続"),
        Needs::May(Permission::Reconnect),
        reconnect,
    ),
];

/// An act on one address.
struct Choice {
    name: &'static str,
    kind: ActKind,
    act: fn(IpAddr) -> Act,
    word: Both,
}

const CHOICES: [Choice; 3] = [
    Choice {
        name: "isolate_host",
        kind: ActKind::IsolateHost,
        act: |address| Act::IsolateHost { address },
        word: ("isolate a host of ours", "院内のホストを隔離する"),
    },
    Choice {
        name: "block_egress",
        kind: ActKind::BlockEgress,
        act: |address| Act::BlockEgress { address },
        word: ("keep a host of ours from sending", "院内のホストからの発信を遮断する"),
    },
    Choice {
        name: "block_address",
        kind: ActKind::BlockAddress,
        act: |address| Act::BlockAddress { address },
        word: ("block an address outside", "外部のアドレスを遮断する"),
    },
];

fn show(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let lang = visit.lang;
    let lead = lang.pick(
        "Nothing happens yet: you are shown what would be done, and confirm it.",
        "この時点では何も実施されません。内容を確認したうえで承認していただきます。",
    );
    let address = Field {
        name: "address",
        label: lang.pick("Address", "IPアドレス"),
        hint: lang.pick("Such as 192.168.1.23", "例：192.168.1.23"),
        kind: "text",
        autocomplete: "off",
        ..Field::default()
    };
    let because = Field {
        name: "because",
        label: lang.pick("Why?", "理由"),
        hint: lang.pick(
            "It stands in the ledger. No patient's name.",
            "台帳に記録されます。患者の氏名は書かないでください。",
        ),
        kind: "text",
        autocomplete: "off",
        ..Field::default()
    };
    Ok(visit.show(html! {
        (layout::opening(visit.pick(BY_HAND), lead, None, lang))
        form.narrow method="post" action="/act" {
            (visit.csrf())
            fieldset {
                legend { (lang.pick("What?", "対処の種類")) }
                @for (at, it) in CHOICES.iter().enumerate() {
                    p {
                        input type="radio" id=(it.name) name="act" value=(it.name) checked[at == 0];
                        label for=(it.name) { " " (visit.pick(it.word)) }
                        br; span.soft { (visit.pick(words::consequence(it.kind))) }
                    }
                }
            }
            (address.show()) (because.show())
            div.actions { button type="submit" { (lang.pick("Show what would be done…", "内容を確認する…")) } }
        }
    }))
}

fn plan(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let choice = CHOICES
        .iter()
        .find(|it| it.name == visit.form.get("act"))
        .ok_or(Trouble::Bad("There is no such act.", "その対処はありません。"))?;
    let address = visit.form.get("address").parse::<IpAddr>().map_err(|_| {
        Trouble::Bad(
            "That is no address, such as 192.168.1.23.",
            "IPアドレスとして読み取れません（例：192.168.1.23）。",
        )
    })?;
    let because = visit.form.get("because");
    if because.is_empty() {
        return Err(Trouble::Bad(
            "Say why: the ledger keeps it.",
            "理由を入力してください（台帳に記録されます）。",
        ));
    }
    let command = Command::Plan { act: (choice.act)(address), because: because.to_owned(), apply: false };
    match visit.console.hub.ask(command, visit.by())? {
        Answer::Countermeasure { countermeasure } => {
            Ok(Reply::see(format!("/countermeasures/{}/approve", countermeasure.id.0)))
        }
        _ => Ok(Reply::see("/approvals")),
    }
}

fn reconnect(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let host = visit.form.get("host").to_owned();
    visit.console.hub.ask(Command::Reconnect { host }, visit.by())?;
    Ok(Reply::see("/approvals"))
}
