//! How mail is weighed differently here: what was changed, who did it and why, and for administrators the changes themselves, with undo.

use maud::{Markup, html};

use crate::access::Permission;
use crate::console::layout;
use crate::console::parts::{self, Field};
use crate::console::reply::{Reply, Trouble};
use crate::console::route::{Needs, Route};
use crate::console::visit::Visit;
use crate::console::words::Both;
use crate::wiring::mail::weighing::{
    Allowed, Change, Gateway, Hand, Note, Sheet, Tuned, Version, Weighing, all_reasons,
};

const TITLE: Both = ("How mail is weighed here", "メール判定の調整");
const SEES: Needs = Needs::May(Permission::Mail);
const CHANGES: Needs = Needs::May(Permission::Settings);

pub(super) const ROUTES: &[Route] = &[
    Route::page("/mail/policy", TITLE, SEES, show),
    Route::form("/mail/policy/reason", ("Change a reason", "判定理由の変更"), CHANGES, reason),
    Route::form("/mail/policy/allow", ("Allow a sender", "送信元の許可"), CHANGES, allow),
    Route::form("/mail/policy/remove", ("Remove from the policy", "調整の削除"), CHANGES, remove),
    Route::form("/mail/policy/undo", ("Take back the last change", "直前の変更の取り消し"), CHANGES, undo),
];

const VERSIONS_SHOWN: usize = 20;

fn weighing(visit: &Visit<'_>) -> Weighing {
    let settings = &visit.console.settings;
    Weighing::new(&settings.state_dir, settings.weighing.as_deref())
}

fn show(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let lang = visit.lang;
    let weighing = weighing(visit);
    let (sheet, by_hand) = weighing.read()?;
    let versions = weighing.versions()?;
    let may = visit.may(Permission::Settings);
    let lead = match sheet.reason.len() + sheet.allow.len() {
        0 => lang
            .pick("Nothing is weighed differently here.".to_owned(), "当院での変更はありません。".to_owned()),
        n => {
            lang.pick(format!("{n} things are weighed differently here."), format!("{n}件を変更しています。"))
        }
    };
    Ok(visit.show(html! {
        (layout::opening(visit.pick(TITLE), &lead, None, lang))
        @if visit.query.has("later") {
            p { (lang.pick("No gateway answered: it counts from the gateway's next start on.", "応答するゲートウェイがないため、次の起動から有効になります。")) }
        }
        @if by_hand {
            p { (lang.pick("The file was also changed by hand; comments in it stay in the history only.", "ファイルは手作業でも変更されています。コメントは履歴にだけ残ります。")) " " code { (weighing.file.display()) } }
        }
        (reasons(visit, &sheet, may)?)
        (senders(visit, &sheet.allow, may))
        @if may { (forms(visit)?) }
        @else { p.soft { (lang.pick("An administrator changes this.", "変更できるのは管理者です。")) } }
        (history(visit, &versions, may))
    }))
}

fn reasons(visit: &Visit<'_>, sheet: &Sheet, may: bool) -> Result<Markup, Trouble> {
    let lang = visit.lang;
    if sheet.reason.is_empty() {
        return Ok(html! {});
    }
    let all = all_reasons()?;
    let heads = [
        visit.pick(("Reason", "判定理由")),
        visit.pick(("Weight elsewhere", "標準の重み")),
        visit.pick(("Weight here", "当院での重み")),
        visit.pick(("Because", "変更の理由")),
        visit.pick(("Do", "操作")),
    ];
    let row = |tuned: &Tuned| {
        let known = all.iter().find(|(feature, _)| feature.id == tuned.id);
        let weight = known.map_or(0.0, |(_, weight)| *weight);
        let here = tuned.here(weight);
        html! {
            th scope="row" {
                code { (tuned.id) }
                @if let Some((feature, _)) = known { p { (lang.pick(feature.text, feature.text_ja)) } }
            }
            td.number { (format!("{weight:+.2}")) }
            td.number { @match here { Some(here) => { (format!("{here:+.2}")) } None => { (lang.pick("silent", "停止")) } } }
            td { (note(&tuned.note)) }
            td { @if may { (removal(visit, &tuned.id)) } }
        }
    };
    let rows: Vec<Markup> = sheet.reason.iter().map(row).collect();
    Ok(parts::table(
        visit.pick(("Reasons that weigh something else here", "重みを変えた判定理由")),
        &heads,
        &rows,
    ))
}

fn senders(visit: &Visit<'_>, allowed: &[Allowed], may: bool) -> Markup {
    if allowed.is_empty() {
        return html! {};
    }
    let heads =
        [visit.pick(("Sender", "送信元")), visit.pick(("Because", "許可の理由")), visit.pick(("Do", "操作"))];
    let row = |it: &Allowed| {
        html! {
            th scope="row" { code { (it.sender) } }
            td { (note(&it.note)) }
            td { @if may { (removal(visit, &it.sender)) } }
        }
    };
    let rows: Vec<Markup> = allowed.iter().map(row).collect();
    let title = visit.pick((
        "Senders that are let through where SPF or DKIM holds for them",
        "認証（SPF・DKIM）で確認できれば許可する送信元",
    ));
    parts::table(title, &heads, &rows)
}

fn note(note: &Note) -> Markup {
    html! {
        @if let Some(because) = &note.because { p { (because) } }
        p.soft { (note.by.as_deref().unwrap_or_default()) " " (note.at.as_deref().unwrap_or_default()) }
    }
}

fn removal(visit: &Visit<'_>, what: &str) -> Markup {
    html! {
        form method="post" action="/mail/policy/remove" {
            (visit.csrf())
            input type="hidden" name="what" value=(what);
            button.second type="submit" { (visit.pick(("Remove", "削除する"))) span.hidden { " " (what) } }
        }
    }
}

fn because(visit: &Visit<'_>, name: &'static str) -> Markup {
    let field = Field {
        name,
        label: visit.pick(("Because", "理由")),
        hint: visit.pick(("It stands in the policy and in the ledger.", "設定と台帳に残ります。")),
        kind: "text",
        autocomplete: "off",
        ..Field::default()
    };
    field.show()
}

fn forms(visit: &Visit<'_>) -> Result<Markup, Trouble> {
    let lang = visit.lang;
    let all = all_reasons()?;
    let by = Field {
        name: "by",
        label: visit.pick(("By how much", "増減の大きさ")),
        hint: visit.pick((
            "1 makes the odds about three times as high or low. Not needed to silence.",
            "1 で見込みが約3倍（または3分の1）になります。停止するときは不要です。",
        )),
        kind: "text",
        autocomplete: "off",
        value: "1",
        optional: true,
        ..Field::default()
    };
    let sender = Field {
        name: "sender",
        label: visit.pick(("Address, or domain with all below it", "アドレス、またはドメイン（下位を含む）")),
        kind: "text",
        autocomplete: "off",
        ..Field::default()
    };
    Ok(html! {
        section aria-labelledby="change" {
            h2 #change { (lang.pick("Change a reason", "判定理由を変更する")) }
            form method="post" action="/mail/policy/reason" {
                (visit.csrf())
                div.field {
                    label for="reason" { (lang.pick("Reason", "判定理由")) }
                    select id="reason" name="reason" {
                        @for (feature, weight) in &all {
                            option value=(feature.id) { (feature.id) " (" (format!("{weight:+.2}")) ") " (lang.pick(feature.text, feature.text_ja)) }
                        }
                    }
                }
                div.field {
                    label for="how" { (lang.pick("How", "変更内容")) }
                    select id="how" name="how" {
                        option value="lower" { (lang.pick("lower", "重みを下げる")) }
                        option value="raise" { (lang.pick("raise", "重みを上げる")) }
                        option value="silence" { (lang.pick("silence", "停止する")) }
                    }
                }
                (by.show())
                (because(visit, "because"))
                button type="submit" { (lang.pick("Change it", "変更する")) }
            }
        }
        section aria-labelledby="allow" {
            h2 #allow { (lang.pick("Allow a sender", "送信元を許可する")) }
            p { (lang.pick(
                "Only mail for which SPF or DKIM proves that it is this sender is let through, and never what carries a dangerous file.",
                "SPF か DKIM で本人と確認できたメールだけが許可されます。危険なファイルが付いたメールは、許可しても止まります。",
            )) }
            form method="post" action="/mail/policy/allow" {
                (visit.csrf())
                (sender.show())
                (because(visit, "why"))
                button type="submit" { (lang.pick("Allow it", "許可する")) }
            }
        }
    })
}

fn history(visit: &Visit<'_>, versions: &[Version], may: bool) -> Markup {
    let heads = [
        visit.pick(("When", "日時")),
        visit.pick(("Who", "変更者")),
        visit.pick(("What", "内容")),
        visit.pick(("Because", "理由")),
        visit.pick(("Do", "操作")),
    ];
    let row = |version: &Version| {
        html! {
            th scope="row" { (visit.time(version.at)) }
            td { (version.by) }
            td { code { (version.what) } }
            td { (version.because) }
            td { @if may && version.is_next(versions) {
                (parts::button(visit, "/mail/policy/undo", "second", visit.pick(("Take it back", "取り消す"))))
            } }
        }
    };
    let rows: Vec<Markup> = versions.iter().rev().take(VERSIONS_SHOWN).map(row).collect();
    html! { @if !rows.is_empty() { (parts::table(visit.pick(("Changes", "変更の履歴")), &heads, &rows)) } }
}

fn reason(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let id = visit.form.get("reason").to_owned();
    if !all_reasons()?.iter().any(|(feature, _)| feature.id == id) {
        return Err(Trouble::Bad("There is no such reason.", "その判定理由はありません。"));
    }
    let by: Option<f64> = visit.form.get("by").parse().ok().filter(|by| (0.01..=20.0).contains(by));
    let wrong = Trouble::Bad("Give a number from 0.01 to 20.", "0.01 から 20 までの数で書いてください。");
    let change = match visit.form.get("how") {
        "silence" => Change::Silence { id },
        "raise" => Change::Shift { id, by: by.ok_or(wrong)? },
        "lower" => Change::Shift { id, by: -by.ok_or(wrong)? },
        _ => return Err(Trouble::Bad("This is no change.", "変更内容を選んでください。")),
    };
    carry_out(visit, &change, "because")
}

fn allow(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    carry_out(visit, &Change::Allow { sender: visit.form.get("sender").to_owned() }, "why")
}

fn remove(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    carry_out(visit, &Change::Remove { what: visit.form.get("what").to_owned() }, "because")
}

fn undo(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let weighing = weighing(visit);
    let hand = Hand { by: visit.by(), because: "", at: visit.now };
    weighing.undo(hand, &visit.console.ledger).map_err(|error| refused(&error))?;
    told(&weighing)
}

fn carry_out(visit: &Visit<'_>, change: &Change, because: &str) -> Result<Reply, Trouble> {
    let weighing = weighing(visit);
    let hand = Hand { by: visit.by(), because: visit.form.get(because), at: visit.now };
    weighing.change(change, hand, &visit.console.ledger).map_err(|error| refused(&error))?;
    told(&weighing)
}

/// What cannot be meant comes back as it was said; the rest is in the hub's own words.
fn refused(error: &anyhow::Error) -> Trouble {
    let en = error.root_cause().to_string();
    let ja = format!("変更できませんでした：{en}");
    Trouble::Refused(crate::hub::Refusal { en, ja })
}

/// Has the running gateway weigh by it.
fn told(weighing: &Weighing) -> Result<Reply, Trouble> {
    match weighing.tell(&weighing.socket())? {
        Gateway::Reloaded => Ok(Reply::see("/mail/policy")),
        Gateway::Absent => Ok(Reply::see("/mail/policy?later")),
        Gateway::Refused(cause) => {
            Err(refused(&anyhow::anyhow!("the running gateway goes on as before: {cause}")))
        }
    }
}
