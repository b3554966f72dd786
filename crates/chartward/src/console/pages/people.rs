//! Accounts with their roles, and tokens for programs.

use jiff::SignedDuration;
use maud::{Markup, html};
use schema::Lang;

use crate::access::{Account, Permission, Role};
use crate::console::layout;
use crate::console::parts::{self, Field};
use crate::console::reply::{Reply, Trouble};
use crate::console::route::{Needs, Route};
use crate::console::visit::Visit;
use crate::console::words::Both;

const PEOPLE: Both = ("Accounts and tokens", "アカウントとAPIトークン");

pub(super) const ROUTES: &[Route] = &[
    Route::page("/people", PEOPLE, Needs::May(Permission::Tokens), show),
    Route::form("/people/add", PEOPLE, Needs::May(Permission::Users), add),
    Route::form("/people/change", PEOPLE, Needs::May(Permission::Users), change),
    Route::form("/people/token", PEOPLE, Needs::May(Permission::Tokens), make_token),
    Route::form("/people/revoke", PEOPLE, Needs::May(Permission::Tokens), revoke),
];

fn role(role: Role) -> Both {
    match role {
        Role::Viewer => ("viewer: looks on", "閲覧者（状況の閲覧）"),
        Role::Operator => ("operator: answers incidents", "担当者（インシデント対応）"),
        Role::Clinician => ("clinician: reads charts", "臨床（カルテの閲覧）"),
        Role::Admin => ("administrator: answers for all of it", "管理者（すべての管理）"),
    }
}

fn show(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    Ok(visit.show(page(visit, None)?))
}

/// The page, with a code or token that is shown this once.
fn page(visit: &Visit<'_>, once: Option<(Both, &str)>) -> Result<Markup, Trouble> {
    let lang = visit.lang;
    let who = visit.who()?;
    let lead = lang.pick(
        "Who may log in, and which programs may ask.",
        "ログインできる方と、接続を許可したプログラムの一覧です。",
    );
    let accounts = match visit.may(Permission::Users) {
        true => accounts(visit, &visit.console.access.users(who, visit.now)?),
        false => html! {},
    };
    let tokens = visit.console.access.tokens(who)?;
    let heads = [
        lang.pick("Name", "名前"),
        lang.pick("Role", "権限"),
        lang.pick("Made by", "発行者"),
        lang.pick("Ends", "有効期限"),
        lang.pick("Last used", "最終使用"),
        lang.pick("Do", "操作"),
    ];
    let rows: Vec<Markup> = tokens.iter().filter(|token| token.revoked_at.is_none()).map(|token| html! {
        th scope="row" { (token.name) } td { (token.role.name()) } td { (token.created_by) }
        td { @if let Some(at) = token.expires_at { (visit.time(at)) } }
        td { @match token.used_at { Some(at) => { (visit.time(at)) } None => { (lang.pick("never", "なし")) } } }
        td {
            form method="post" action="/people/revoke" {
                (visit.csrf()) input type="hidden" name="id" value=(token.id);
                button.danger type="submit" { (lang.pick("Revoke", "失効させる")) span.hidden { " " (token.name) } }
            }
        }
    }).collect();
    let name = Field {
        name: "token-name",
        label: lang.pick("What is it for?", "用途"),
        kind: "text",
        autocomplete: "off",
        ..Field::default()
    };
    Ok(html! {
        (layout::opening(visit.pick(PEOPLE), lead, None, lang))
        @if let Some((what, text)) = once {
            div.card role="status" { p { strong { (visit.pick(what)) } } p { code #shown-once { (text) } }
                p { (lang.pick("It is not shown again.", "再表示はできません。")) } }
        }
        (accounts)
        section aria-labelledby="tokens" {
            h2 #tokens { (lang.pick("Tokens for programs", "APIトークン（プログラム用の鍵）")) }
            @if rows.is_empty() { p { (lang.pick("There is none.", "まだありません。")) } }
            @else { (parts::table(lang.pick("Tokens", "APIトークン"), &heads, &rows)) }
            h3 { (lang.pick("Make one", "新しく発行する")) }
            form.narrow method="post" action="/people/token" {
                (visit.csrf()) (name.show()) (roles(visit, "token-role"))
                div.actions { button type="submit" { (lang.pick("Make a token for 90 days", "90日間有効なトークンを発行")) } }
            }
        }
    })
}

fn roles(visit: &Visit<'_>, id: &str) -> Markup {
    html! {
        div.field {
            label for=(id) { (visit.pick(("Role", "権限"))) }
            select id=(id) name="role" { @for it in Role::ALL { option value=(it.name()) { (visit.pick(role(it))) } } }
        }
    }
}

fn accounts(visit: &Visit<'_>, all: &[Account]) -> Markup {
    let lang = visit.lang;
    let heads = [
        lang.pick("Name", "ユーザー名"),
        lang.pick("Role", "権限"),
        lang.pick("State", "状態"),
        lang.pick("Do", "操作"),
    ];
    let state = |it: &Account| match () {
        () if it.disabled_at.is_some() => lang.pick("disabled", "無効"),
        () if it.invited => lang.pick("invited", "招待中"),
        () if it.must_set_up_totp() => lang.pick("has no one-time codes yet", "確認コード未設定"),
        () => lang.pick("in use", "有効"),
    };
    let button = |it: &Account, does: &str, word: Both| {
        html! {
            form method="post" action="/people/change" {
                (visit.csrf()) input type="hidden" name="user" value=(it.name);
                button.quiet type="submit" name="do" value=(does) { (visit.pick(word)) span.hidden { " " (it.name) } }
            }
        }
    };
    let rows: Vec<Markup> = all
        .iter()
        .map(|it| {
            html! {
                th scope="row" { (it.name) } td { (visit.pick(role(it.role))) } td { (state(it)) }
                td {
                    @if it.disabled_at.is_some() { (button(it, "enable", ("Enable", "有効にする"))) }
                    @else {
                        form method="post" action="/people/change" {
                            (visit.csrf()) input type="hidden" name="user" value=(it.name);
                            label.hidden for={ "role-" (it.name) } { (visit.pick(("Role", "権限"))) " " (it.name) }
                            select id={ "role-" (it.name) } name="role" {
                                @for each in Role::ALL { option value=(each.name()) selected[each == it.role] { (visit.pick(role(each))) } }
                            }
                            button.quiet type="submit" name="do" value="role" { (lang.pick("Change role", "権限を変更")) span.hidden { " " (it.name) } }
                        }
                        (button(it, "reset", ("New set-up code", "設定コードを再発行")))
                        (button(it, "disable", ("Disable", "無効にする")))
                    }
                }
            }
        })
        .collect();
    let name = Field {
        name: "new-name",
        label: lang.pick("User name", "ユーザー名"),
        kind: "text",
        autocomplete: "off",
        ..Field::default()
    };
    html! {
        section aria-labelledby="accounts" {
            h2 #accounts { (lang.pick("Accounts", "アカウント")) }
            (parts::table(lang.pick("Accounts", "アカウント"), &heads, &rows))
            h3 { (lang.pick("Add somebody", "追加する")) }
            form.narrow method="post" action="/people/add" {
                (visit.csrf()) (name.show()) (roles(visit, "new-role"))
                div.actions { button type="submit" { (lang.pick("Add", "追加")) } }
            }
        }
    }
}

fn wanted_role(visit: &Visit<'_>) -> Result<Role, Trouble> {
    Role::named(visit.form.get("role"))
        .ok_or(Trouble::Bad("There is no such role.", "その権限はありません。"))
}

const CODE: Both = (
    "Give this set-up code to its owner, with the name. It is typed in at /invited.",
    "この設定コードをユーザー名とともに本人へ渡してください。/invited で入力します。",
);

fn add(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let role = wanted_role(visit)?;
    let code =
        visit.console.access.add_user(visit.who()?, visit.form.get("new-name"), role, Lang::Ja, visit.now)?;
    Ok(visit.show(page(visit, Some((CODE, code.code.text())))?))
}

fn change(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let (who, user, access) = (visit.who()?, visit.form.get("user"), &visit.console.access);
    match visit.form.get("do") {
        "disable" => access.disable(who, user, visit.now)?,
        "enable" => access.enable(who, user, visit.now)?,
        "role" => access.set_role(who, user, wanted_role(visit)?, visit.now)?,
        "reset" => {
            let code = access.reset(who, user, visit.now)?;
            return Ok(visit.show(page(visit, Some((CODE, code.code.text())))?));
        }
        _ => return Err(Trouble::Bad("There is no such change.", "その操作はありません。")),
    }
    Ok(Reply::see("/people"))
}

fn make_token(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let (name, role, lasts) =
        (visit.form.get("token-name"), wanted_role(visit)?, SignedDuration::from_hours(90 * 24));
    let made = visit.console.access.make_token(visit.who()?, name, role, lasts, visit.now)?;
    let what = (
        "The token: put it where the program keeps its secrets.",
        "発行したトークンです。プログラムの秘密情報として保管してください。",
    );
    Ok(visit.show(page(visit, Some((what, made.text.text())))?))
}

fn revoke(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let id = visit.form.get("id").parse().map_err(|_| Trouble::NotFound)?;
    visit.console.access.revoke_token(visit.who()?, id, visit.now)?;
    Ok(Reply::see("/people"))
}
