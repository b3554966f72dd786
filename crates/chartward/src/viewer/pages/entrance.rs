//! Coming in and going out.

use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use maud::{Markup, html};
use schema::Lang;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

use super::super::door::{Typed, Way};
use super::super::record::{Act, Entry};
use super::super::visit::{CHOICES, Stranger, View, Visit};
use super::super::{Viewer, blocking};
use crate::access::{Denied, Why};

/// The page that asks who somebody is, with what was wrong the last time and what they had typed then.
pub(in crate::viewer) fn page(viewer: &Viewer, view: View, refused: Option<(&Denied, &Typed)>) -> Response {
    let lang = view.lang;
    let typed = refused.map(|(_, typed)| typed);
    // Whoever tried the code, or whose account is not enough, goes on with the emergency access.
    let is_emergency = refused.is_some_and(|(denied, typed)| {
        typed.password.is_empty() || denied.why == Why::Role || denied.why == Why::TotpNeeded
    });
    let refused = refused.map(|(denied, _)| denied);
    let status = match refused.map(|denied| denied.why) {
        None => StatusCode::OK,
        Some(Why::Limited) => StatusCode::TOO_MANY_REQUESTS,
        Some(_) => StatusCode::FORBIDDEN,
    };
    let has_accounts = viewer.door().has_accounts();
    let content = html! {
        h1 { (lang.pick("Charts while the record system is down", "電子カルテ停止中のカルテ参照")) }
        @if let Some(denied) = refused { p.refused role="alert" { "⚠ " (denied.text(lang)) } }
        @if has_accounts {
            div.ways {
                section {
                    h2 { (lang.pick("With your account", "アカウントで入る")) }
                    (by_account(lang))
                }
                details open[is_emergency] {
                    summary { (lang.pick("Emergency access", "緊急アクセス（アカウントがない場合）")) }
                    (by_code(viewer, lang, true, typed))
                }
            }
        } @else { (by_code(viewer, lang, false, typed)) }
        (viewer.look().basis(lang))
    };
    viewer.look().outside(status, view, lang.pick("Charts", "カルテ参照"), &content)
}

fn by_account(lang: Lang) -> Markup {
    html! {
        form.enter method="post" action="/enter" {
            label for="user" { (lang.pick("User name", "ユーザー名")) }
            input #user name="who" required autofocus maxlength="100" autocomplete="username" autocapitalize="off" spellcheck="false";
            label for="password" { (lang.pick("Password", "パスワード")) }
            input #password name="password" type="password" required maxlength="1000" autocomplete="current-password";
            label for="totp" { (lang.pick("One-time code (if your account has one)", "確認コード（設定している場合）")) }
            input #totp name="totp" inputmode="numeric" maxlength="12" autocomplete="one-time-code";
            button.main { (lang.pick("Log in", "ログイン")) }
        }
    }
}

fn by_code(viewer: &Viewer, lang: Lang, is_emergency: bool, typed: Option<&Typed>) -> Markup {
    let typed = typed.filter(|typed| typed.password.is_empty());
    let (who, reason) = typed.map_or(("", ""), |typed| (&*typed.who, &*typed.reason));
    let minutes = viewer.door().emergency().as_mins();
    html! {
        @if is_emergency {
            p.hint { (lang.pick(
                format!("For {minutes} minutes. Your name, the reason and every chart you open are recorded and shown to the administrator."),
                format!("{minutes}分間有効です。氏名・理由・開いたカルテはすべて記録され、管理者に表示されます。"),
            )) }
        }
        form.enter method="post" action="/enter" {
            label for="code" { (lang.pick("Code of this viewer", "参照用コード")) }
            input #code name="code" type="password" required autofocus[!is_emergency] autocomplete="off" maxlength="100" aria-describedby="code-hint";
            p.hint #code-hint { (lang.pick("It is shown where the viewer was started, and on the console's page of charts.", "起動した画面、または管理画面の「カルテ」に表示されています。")) }
            label for="who" { (lang.pick("Your full name", "氏名")) }
            input #who name="who" value=(who) required maxlength="100" autocomplete="name";
            @if is_emergency {
                label for="reason" { (lang.pick("Reason", "理由")) }
                input #reason name="reason" value=(reason) required minlength="2" maxlength="300" autocomplete="off"
                    placeholder=(lang.pick("e.g. patient 301-2 worsens, no account yet", "例: 301-2 急変、アカウント未発行"));
            } @else {
                p.hint { (lang.pick("Your name stands in the record of who opened which chart.", "氏名は「誰がどのカルテを開いたか」の記録に残ります。")) }
            }
            button.main { (if is_emergency { lang.pick("Open in an emergency", "緊急アクセスで開く") } else { lang.pick("Open", "開く") }) }
        }
    }
}

pub(in crate::viewer) async fn enter(
    State(viewer): State<Viewer>,
    stranger: Stranger,
    Form(typed): Form<Typed>,
) -> Response {
    blocking(move || {
        let address = stranger.address;
        let (cookie, reader) = match viewer.door().admit(&typed, address, Timestamp::now()) {
            Ok(admitted) => admitted,
            Err(denied) => {
                viewer.record_entry(Entry::of_nobody(Some(address), Act::Refused)).unwrap_or_default();
                return page(&viewer, stranger.view, Some((&denied, &typed)));
            }
        };
        let entry = Entry::of(&reader, address, Act::Entered);
        let recorded = viewer.record_entry(entry.clone());
        if reader.way == Way::Emergency {
            viewer.emergencies().push(entry);
            viewer.tell_hub(&json!({
                "type": "emergency_entered", "at": Timestamp::now(), "reader": reader.name, "reason": reader.reason,
                "until": reader.until, "recorded": recorded.is_ok(),
            }));
        }
        with_cookie(Redirect::to("/").into_response(), &viewer.door().set_cookie(&cookie))
    })
    .await
}

#[derive(Deserialize)]
pub(in crate::viewer) struct Leaving {
    #[serde(default)]
    csrf: String,
}

pub(in crate::viewer) async fn leave(
    State(viewer): State<Viewer>,
    visit: Visit,
    headers: HeaderMap,
    Form(leaving): Form<Leaving>,
) -> Response {
    blocking(move || {
        if visit.is_own_form(&leaving.csrf) {
            let _ = viewer.record(&visit, Act::Left);
            viewer.door().leave(&headers);
        }
        with_cookie(Redirect::to("/").into_response(), &viewer.door().set_cookie(""))
    })
    .await
}

/// Keeps a choice of language, brightness or size, and goes back.
pub(in crate::viewer) async fn look(Query(wanted): Query<BTreeMap<String, String>>) -> Response {
    let to = wanted.get("to").map(String::as_str).unwrap_or("/");
    // Only to ourselves: browsers take a backslash for a slash.
    let is_ours = to.starts_with('/') && !to[1..].starts_with(['/', '\\']);
    let mut response = Redirect::to(if is_ours { to } else { "/" }).into_response();
    for (choice, cookie, values) in CHOICES {
        if let Some(value) = wanted.get(choice).filter(|value| values.contains(&value.as_str())) {
            let line = format!("{cookie}={value}; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly");
            response = with_cookie(response, &line);
        }
    }
    response
}

fn with_cookie(mut response: Response, line: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(line) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}
