//! One's own account: password, second factor, recovery codes, language.

use maud::{Markup, PreEscaped, html};
use schema::Lang;

use crate::access::{Denied, Why, password_rule};
use crate::console::icon;
use crate::console::layout;
use crate::console::parts::Field;
use crate::console::reply::{Reply, Trouble};
use crate::console::route::{Needs, Route};
use crate::console::visit::Visit;
use crate::console::words::Both;

const TOTP: Both = ("One-time codes", "確認コード（二要素認証）");
const ACCOUNT: Both = ("My account", "自分のアカウント");

pub(super) const ROUTES: &[Route] = &[
    Route::page("/account", ACCOUNT, Needs::Account, show),
    Route::form("/account/password", ACCOUNT, Needs::Account, change_password),
    Route::form("/account/language", ACCOUNT, Needs::Account, change_language),
    Route::form("/account/everywhere", ACCOUNT, Needs::Account, log_out_everywhere),
    Route::page("/account/totp", TOTP, Needs::Account, show_totp),
    Route::form("/account/totp", TOTP, Needs::Account, confirm_totp),
];

fn show(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let session = visit.session()?;
    let left = visit.console.access.recovery_codes_left(session)?;
    Ok(visit.show(account(visit, &session.user, session.has_totp, left, None)))
}

fn account(visit: &Visit<'_>, user: &str, has_totp: bool, left: u32, denied: Option<&Denied>) -> Markup {
    let lang = visit.lang;
    let lead =
        lang.pick(format!("You are logged in as {user}."), format!("「{user}」でログインしています。"));
    let next = (has_totp && left < 4).then(|| {
        html! { a href="/account/totp" { (lang.pick("Make new recovery codes: few are left.", "回復コードが残りわずかです。新しいコードを作成してください。")) } }
    });
    let error = denied.map(|denied| denied.text(lang));
    let old = Field {
        name: "old",
        label: lang.pick("Password until now", "現在のパスワード"),
        kind: "password",
        autocomplete: "current-password",
        error,
        ..Field::default()
    };
    let new = Field {
        name: "new",
        label: lang.pick("New password", "新しいパスワード"),
        kind: "password",
        hint: password_rule(lang),
        autocomplete: "new-password",
        ..Field::default()
    };
    html! {
        (layout::opening(visit.pick(ACCOUNT), &lead, next, lang))
        section.card aria-labelledby="totp" {
            h2 #totp { (visit.pick(TOTP)) }
            @if has_totp {
                p { (icon::CHECK) " " (lang.pick("Set up.", "設定済みです。")) " "
                    (lang.pick(format!("{left} recovery codes are left."), format!("回復コードの残り：{left}個"))) }
            } @else { p { (icon::WARN) " " (lang.pick("Not set up.", "設定されていません。")) } }
            p { a.button.second href="/account/totp" { @if has_totp { (lang.pick("Set up anew", "再設定する")) } @else { (lang.pick("Set up", "設定する")) } } }
        }
        section.card aria-labelledby="lang" {
            h2 #lang { (lang.pick("Language", "表示言語")) }
            form method="post" action="/account/language" {
                (visit.csrf())
                div.actions {
                    @for (tag, name) in [("ja", "日本語"), ("en", "English")] {
                        button.second type="submit" name="to" value=(tag) lang=(tag) aria-pressed=(if lang.tag() == tag { "true" } else { "false" }) { (name) }
                    }
                }
            }
        }
        section.card aria-labelledby="password-title" {
            h2 #password-title { (lang.pick("Password", "パスワード")) }
            form method="post" action="/account/password" {
                (visit.csrf()) (old.show()) (new.show())
                div.actions { button type="submit" { (lang.pick("Change the password", "パスワードを変更")) } }
            }
        }
        section.card aria-labelledby="sessions" {
            h2 #sessions { (lang.pick("Other devices", "他の端末")) }
            p { (lang.pick("Ends every session of this account, this one included.", "このアカウントのすべてのログインを終了します（この端末も含みます）。")) }
            form method="post" action="/account/everywhere" {
                (visit.csrf())
                button.second type="submit" { (lang.pick("Log out everywhere", "すべての端末でログアウト")) }
            }
        }
    }
}

fn change_password(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let session = visit.session()?;
    let (old, new) = (visit.form.get("old"), visit.form.get("new"));
    match visit.console.access.change_password(session, old, new, visit.peer, visit.now) {
        Ok(entered) => Ok(Reply::see("/account").with("set-cookie", entered.set_cookie.text())),
        Err(denied) if matches!(denied.why, Why::Credentials | Why::Input | Why::Limited) => {
            let left = visit.console.access.recovery_codes_left(session)?;
            let shown = visit.show(account(visit, &session.user, session.has_totp, left, Some(&denied)));
            Ok(shown.status(axum::http::StatusCode::UNPROCESSABLE_ENTITY))
        }
        Err(denied) => Err(denied.into()),
    }
}

fn change_language(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let chosen = Lang::ALL.into_iter().find(|lang| lang.tag() == visit.form.get("to"));
    let lang = chosen.ok_or(Trouble::Bad("There is no such language.", "その言語はありません。"))?;
    visit.console.access.set_lang(visit.session()?, lang)?;
    Ok(Reply::see(format!("/account?lang={}", lang.tag())))
}

fn log_out_everywhere(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    visit.console.access.log_out_everywhere(visit.session()?, visit.peer, visit.now)?;
    Ok(Reply::see("/login").with("set-cookie", visit.console.access.clear_cookie()))
}

fn show_totp(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    totp(visit, None)
}

fn totp(visit: &Visit<'_>, denied: Option<&Denied>) -> Result<Reply, Trouble> {
    let lang = visit.lang;
    let offer = visit.console.access.begin_totp(visit.session()?, visit.now)?;
    let lead = lang.pick(
        "Scan this with the authenticator on your phone, then enter the six digits that it shows.",
        "スマートフォンの認証アプリで読み取り、表示された6桁の数字を入力してください。",
    );
    let code = Field {
        name: "code",
        label: lang.pick("Six digits", "6桁の数字"),
        kind: "text",
        autocomplete: "one-time-code",
        error: denied.map(|denied| denied.text(lang)),
        ..Field::default()
    };
    let content = html! {
        (layout::opening(visit.pick(TOTP), lead, None, lang))
        div.qr role="img" aria-label=(lang.pick("QR code; the same as text stands below", "QRコード（同じ内容を下に文字で表示しています）")) { (PreEscaped(offer.qr_svg.text().replace("role=\"img\"", "aria-hidden=\"true\""))) }
        p { (lang.pick("Without a camera, type this key: ", "カメラがない場合は、このキーを入力してください：")) code #totp-secret { (offer.secret.text()) } }
        form.narrow method="post" action="/account/totp" {
            (visit.csrf())
            input type="hidden" name="ticket" value=(offer.ticket);
            (code.show())
            div.actions { button type="submit" { (lang.pick("Confirm", "確認する")) } }
        }
    };
    Ok(visit.show(content))
}

fn confirm_totp(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let (ticket, code) = (visit.form.get("ticket"), visit.form.get("code"));
    let session = visit.session()?;
    match visit.console.access.confirm_totp(session, ticket, code, visit.peer, visit.now) {
        Ok((codes, entered)) => {
            let codes: Vec<&str> = codes.0.iter().map(|code| code.text()).collect();
            Ok(visit.show(recovery_codes(visit, &codes)).with("set-cookie", entered.set_cookie.text()))
        }
        Err(denied) if matches!(denied.why, Why::Input | Why::Credentials) => totp(visit, Some(&denied)),
        Err(denied) => Err(denied.into()),
    }
}

/// Shown once: only their hashes are kept.
fn recovery_codes(visit: &Visit<'_>, codes: &[&str]) -> Markup {
    let lang = visit.lang;
    let lead = lang.pick(
        "Each of these codes lets you in once when your phone is not at hand. They are not shown again.",
        "スマートフォンが手元にないとき、各コードで1回ずつログインできます。再表示はできません。",
    );
    let next = html! { (lang.pick("print them or write them down, and keep them where only you reach them.", "印刷または書き写し、ご本人だけが取り出せる場所に保管してください。")) };
    html! {
        (layout::opening(lang.pick("Recovery codes", "回復コード"), lead, Some(next), lang))
        ul #recovery-codes.codes { @for code in codes { li { code { (code) } } } }
        form.narrow method="get" action="/" {
            label.choice { input type="checkbox" name="kept" value="yes" required; (lang.pick("I have written these codes down.", "回復コードを控えました。")) }
            div.actions { button type="submit" { (lang.pick("Go on", "次へ進む")) } }
        }
    }
}
