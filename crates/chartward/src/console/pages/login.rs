//! Coming in: the first administrator, an invitation, logging in, proving who one is again, going out.

use axum::http::StatusCode;
use maud::{Markup, html};

use crate::access::{Denied, LoggedIn, Why, password_rule};
use crate::console::layout;
use crate::console::parts::Field;
use crate::console::reply::{Reply, Trouble};
use crate::console::route::{Needs, Route};
use crate::console::visit::Visit;
use crate::console::words::Both;

const LOG_IN: Both = ("Log in", "ログイン");
const FIRST_RUN: Both = ("Set up Chartward", "初期設定");
const INVITED: Both = ("Choose your password", "パスワードの設定");
const AGAIN: Both = ("Confirm who you are", "本人確認");

pub(super) const ROUTES: &[Route] = &[
    Route::page("/first-run", FIRST_RUN, Needs::Nothing, show_first_run),
    Route::form("/first-run", FIRST_RUN, Needs::Nothing, set_up),
    Route::page("/invited", INVITED, Needs::Nothing, show_invited),
    Route::form("/invited", INVITED, Needs::Nothing, accept),
    Route::page("/login", LOG_IN, Needs::Nothing, show_login),
    Route::form("/login", LOG_IN, Needs::Nothing, log_in),
    Route::page("/again", AGAIN, Needs::Account, show_again),
    Route::form("/again", AGAIN, Needs::Account, again),
    Route::form("/logout", ("Log out", "ログアウト"), Needs::Account, log_out),
];

const NAME: Field<'_> = Field {
    name: "name",
    label: "",
    hint: "",
    kind: "text",
    autocomplete: "username",
    value: "",
    error: None,
    optional: false,
};

fn name<'a>(visit: &'a Visit<'_>) -> Field<'a> {
    Field { label: visit.pick(("User name", "ユーザー名")), value: visit.form.get("name"), ..NAME }
}

fn password<'a>(visit: &Visit<'_>) -> Field<'a> {
    let label = visit.pick(("Password", "パスワード"));
    Field { name: "password", label, kind: "password", autocomplete: "current-password", ..NAME }
}

fn new_password<'a>(visit: &Visit<'_>) -> Field<'a> {
    let hint = password_rule(visit.lang);
    Field { hint, autocomplete: "new-password", ..password(visit) }
}

fn one_time<'a>(visit: &Visit<'_>) -> Field<'a> {
    Field {
        name: "code",
        label: visit.pick(("One-time code", "確認コード")),
        hint: visit.pick((
            "Six digits from the authenticator on your phone, or one of your recovery codes.",
            "スマートフォンの認証アプリに表示される6桁の数字、または回復コードを入力してください。",
        )),
        kind: "text",
        autocomplete: "one-time-code",
        optional: true,
        ..NAME
    }
}

fn invitation<'a>(visit: &'a Visit<'_>, hint: Both) -> Field<'a> {
    let label = visit.pick(("Set-up code", "設定コード"));
    Field {
        name: "code",
        label,
        hint: visit.pick(hint),
        autocomplete: "off",
        value: visit.form.get("code"),
        ..NAME
    }
}

/// The page of one form, with what was wrong with the last try.
fn form(
    visit: &Visit<'_>,
    lead: Both,
    fields: &[Field<'_>],
    submit: Both,
    denied: Option<&Denied>,
) -> Markup {
    let title = visit.pick(visit.route.title);
    html! {
        div.narrow {
            (layout::opening(title, visit.pick(lead), None, visit.lang))
            @if let Some(denied) = denied {
                div.card.alarm role="alert" { p #form-error { (crate::console::icon::WARN) " " (denied.text(visit.lang)) } }
            }
            form method="post" action=(visit.path) aria-describedby=[denied.map(|_| "form-error")] {
                (visit.csrf())
                input type="hidden" name="next" value=(visit.next());
                @for field in fields { (field.show()) }
                div.actions { button type="submit" { (visit.pick(submit)) } }
            }
        }
    }
}

/// Lets in, or shows the form again with what was wrong.
fn entered(
    visit: &Visit<'_>,
    tried: Result<LoggedIn, Denied>,
    shown: impl FnOnce(&Denied) -> Markup,
) -> Result<Reply, Trouble> {
    match tried {
        Ok(entered) => {
            let to = if entered.session.must_set_up_totp { "/account/totp" } else { visit.next() };
            Ok(Reply::see(to).with("set-cookie", entered.set_cookie.text()))
        }
        Err(denied) if denied.why == Why::Broken => Err(denied.into()),
        Err(denied) => {
            let status = StatusCode::from_u16(denied.why.status()).unwrap_or(StatusCode::FORBIDDEN);
            Ok(visit.show(shown(&denied)).status(status))
        }
    }
}

fn first_run(visit: &Visit<'_>, denied: Option<&Denied>) -> Markup {
    let lead = (
        "Make the first administrator. The set-up code stands in the output of `chartward up`.",
        "最初の管理者を登録します。設定コードは chartward up の出力に表示されています。",
    );
    let code = invitation(visit, ("It works once and for one day.", "1回限り、1日間有効です。"));
    form(
        visit,
        lead,
        &[code, name(visit), new_password(visit)],
        ("Make the administrator", "管理者を登録"),
        denied,
    )
}

fn show_first_run(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    if !visit.console.access.needs_set_up()? {
        return Ok(Reply::see("/login"));
    }
    Ok(visit.show(first_run(visit, None)))
}

fn set_up(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let (code, name, password) = (visit.form.get("code"), visit.form.get("name"), visit.form.get("password"));
    let tried = visit.console.access.set_up(code, name, password, visit.lang, visit.peer, visit.now);
    entered(visit, tried, |denied| first_run(visit, Some(denied)))
}

fn invited(visit: &Visit<'_>, denied: Option<&Denied>) -> Markup {
    let lead = (
        "Enter the code that an administrator gave you.",
        "管理者から受け取った設定コードを入力してください。",
    );
    let code = invitation(visit, ("", ""));
    form(
        visit,
        lead,
        &[code, name(visit), new_password(visit)],
        ("Save the password", "パスワードを保存"),
        denied,
    )
}

fn show_invited(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    Ok(visit.show(invited(visit, None)))
}

fn accept(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let (code, name, password) = (visit.form.get("code"), visit.form.get("name"), visit.form.get("password"));
    let tried = visit.console.access.accept(code, name, password, visit.peer, visit.now);
    entered(visit, tried, |denied| invited(visit, Some(denied)))
}

fn login(visit: &Visit<'_>, denied: Option<&Denied>) -> Markup {
    let lead = ("Log in to see how things stand.", "状況を確認するには、ログインしてください。");
    html! {
        (form(visit, lead, &[name(visit), password(visit), one_time(visit)], LOG_IN, denied))
        p.narrow { a href="/invited" { (visit.pick(("I have a set-up code", "設定コードをお持ちの方"))) } }
    }
}

fn show_login(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    if visit.session.is_some() {
        return Ok(Reply::see(visit.next()));
    }
    if visit.console.access.needs_set_up()? {
        return Ok(Reply::see("/first-run"));
    }
    Ok(visit.show(login(visit, None)))
}

fn code<'a>(visit: &'a Visit<'_>) -> Option<&'a str> {
    Some(visit.form.get("code")).filter(|code| !code.is_empty())
}

fn log_in(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let (name, password) = (visit.form.get("name"), visit.form.get("password"));
    let tried = visit.console.access.log_in(name, password, code(visit), visit.peer, visit.now);
    entered(visit, tried, |denied| login(visit, Some(denied)))
}

fn ask_again(visit: &Visit<'_>, denied: Option<&Denied>) -> Markup {
    let lead = (
        "What you are about to do needs your password once more.",
        "この操作には、もう一度パスワードの入力が必要です。",
    );
    form(visit, lead, &[password(visit), one_time(visit)], ("Confirm", "確認する"), denied)
}

fn show_again(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    Ok(visit.show(ask_again(visit, None)))
}

fn again(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let session = visit.session()?;
    let password = visit.form.get("password");
    let tried = visit.console.access.log_in_again(session, password, code(visit), visit.peer, visit.now);
    entered(visit, tried, |denied| ask_again(visit, Some(denied)))
}

fn log_out(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    visit.console.access.log_out(visit.session()?, visit.peer, visit.now)?;
    Ok(Reply::see("/login").with("set-cookie", visit.console.access.clear_cookie()))
}
