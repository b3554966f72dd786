//! The frame around every page, and what a browser may do with one.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::tz::TimeZone;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use recover::charts::Basis;
use schema::Lang;
use sha2::{Digest, Sha256};

use super::door::{IDLE_MAX, Way};
use super::extra::{Beside, Extra};
use super::visit::{Theme, View, Visit};

const STYLE: &str = include_str!("viewer.css");
const SCRIPT: &str = include_str!("viewer.js");

/// What pages are made with, and the policy that allows just that.
pub(super) struct Look {
    pub(super) beside: Vec<Beside>,
    style: String,
    script: String,
    policy: HeaderValue,
    pub(super) basis: Basis,
    pub(super) zone: TimeZone,
}

impl Look {
    pub(super) fn new(extras: &[Extra], basis: Basis, zone: TimeZone) -> Look {
        let style: String = [recover::charts::STYLE, STYLE]
            .into_iter()
            .chain(extras.iter().map(|extra| extra.style))
            .collect();
        let script: String = [SCRIPT].into_iter().chain(extras.iter().map(|extra| extra.script)).collect();
        let hash = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
            hash(&style),
            hash(&script)
        );
        let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
        let beside = extras.iter().map(|extra| extra.beside.clone()).collect();
        Look { beside, style, script, policy, basis, zone }
    }

    /// A page for a reader.
    pub(super) fn page(&self, status: StatusCode, visit: &Visit, title: &str, content: &Markup) -> Response {
        let lang = visit.lang;
        let body = html! {
            a.skip href="#content" { (lang.pick("To the content", "本文へ移動")) }
            div.bar role="banner" {
                a.home href="/" data-keys="g h" { (lang.pick("Charts (read only)", "カルテ参照（閲覧専用）")) }
                form.find role="search" method="get" action="/" {
                    label.heard for="q" { (lang.pick("Find a patient", "患者を検索")) }
                    input #q type="search" name="q" maxlength="100" autocomplete="off" autocapitalize="off" spellcheck="false"
                        placeholder=(lang.pick("id, name, kana, birth date, ward", "ID・氏名・カナ・生年月日・病棟"));
                    button { (lang.pick("Search", "検索")) }
                }
                nav aria-label=(lang.pick("Viewer", "参照画面")) {
                    a href="/wards" data-keys="g w" { (lang.pick("Wards", "病棟一覧")) }
                    a href="/help" data-keys="?" { (lang.pick("Help", "使い方")) }
                    (choices(visit.view, &visit.here))
                }
                form.leave method="post" action="/leave" {
                    input type="hidden" name="csrf" value=(visit.reader.csrf);
                    span.who { (visit.reader.name) }
                    button { (lang.pick("Log out", "終了")) }
                }
            }
            (self.emergency(visit))
            main #content tabindex="-1" { (content) }
        };
        self.whole(status, visit.view, title, &body, true)
    }

    /// A page for who is not inside.
    pub(super) fn outside(&self, status: StatusCode, view: View, title: &str, content: &Markup) -> Response {
        let body = html! {
            div.bar role="banner" {
                span.home { (view.lang.pick("Charts (read only)", "カルテ参照（閲覧専用）")) }
                nav aria-label=(view.lang.pick("Viewer", "参照画面")) { (choices(view, "/")) }
            }
            main #content { (content) }
        };
        self.whole(status, view, title, &body, false)
    }

    /// What every list and page rests on; a chart's article says it itself.
    pub(super) fn basis(&self, lang: Lang) -> Markup {
        html! {
            ul.basis.unproven[!self.basis.is_proven()] {
                @for line in self.basis.lines(None, lang, &self.zone) { li { (line) } }
            }
        }
    }

    fn emergency(&self, visit: &Visit) -> Markup {
        let until = visit.reader.until.to_zoned(self.zone.clone()).strftime("%H:%M").to_string();
        html! {
            @if visit.reader.way == Way::Emergency {
                p.emergency role="status" {
                    strong { "⚠ " (visit.lang.pick("Emergency access", "緊急アクセス")) }
                    " " (visit.lang.pick(
                        format!("until {until}. What you open is recorded with your reason and shown to the administrator."),
                        format!("{until} まで。開いたカルテは理由とともに記録され、管理者に通知されます。"),
                    ))
                }
            }
        }
    }

    fn whole(&self, status: StatusCode, view: View, title: &str, body: &Markup, is_inside: bool) -> Response {
        let theme = (view.theme != Theme::Auto).then(|| view.theme.id());
        let idle = is_inside.then(|| IDLE_MAX.as_secs());
        let page = html! {
            (DOCTYPE)
            html lang=(view.lang.tag()) data-theme=[theme] data-size=[view.is_large.then_some("large")] data-idle=[idle] {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="robots" content="noindex";
                    title { (title) }
                    style { (PreEscaped(&self.style)) }
                }
                body { (body) script { (PreEscaped(&self.script)) } }
            }
        };
        self.private(status, page.into_string())
    }

    /// A page with patient data: nobody keeps it, nothing is loaded into it, nothing leaves it.
    fn private(&self, status: StatusCode, html: String) -> Response {
        let headers = [
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            // Not `no-referrer`: browsers then say of our own forms, too, that they come from nowhere.
            (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
            (header::CONTENT_SECURITY_POLICY, self.policy.clone()),
        ];
        (status, headers, Html(html)).into_response()
    }
}

/// Links that change language, brightness and size and come back here.
fn choices(view: View, here: &str) -> Markup {
    let link = |choice: &str, value: &str| format!("/look?{choice}={value}&to={}", encoded(here));
    let other = view.lang.pick(("ja", "日本語"), ("en", "English"));
    let (size, size_word) = match view.is_large {
        true => ("normal", view.lang.pick("Normal type", "標準の文字")),
        false => ("large", view.lang.pick("Large type", "大きな文字")),
    };
    let (theme, theme_word) = match view.theme {
        Theme::Auto => ("dark", view.lang.pick("Dark", "暗い画面")),
        Theme::Dark => ("light", view.lang.pick("Bright", "明るい画面")),
        Theme::Light => ("auto", view.lang.pick("As the device", "端末の設定")),
    };
    html! {
        a href=(link("size", size)) { (size_word) }
        a href=(link("theme", theme)) { (theme_word) }
        a href=(link("lang", other.0)) lang=(other.0) hreflang=(other.0) data-keys="g e" { (other.1) }
    }
}

/// Percent-encoded, so that no text leads out of its place in an address (RFC 3986 §2.3).
pub(super) fn encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let encoded = |byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encoded).collect()
}
