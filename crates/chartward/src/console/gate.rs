//! What every request passes before its page is made: the name of the host, who asks, the form's token, the permission.

use std::net::IpAddr;

use axum::http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use maud::html;
use prove::Fact;
use schema::Lang;
use serde_json::json;

use super::Console;
use super::form::{self, Form};
use super::layout::{self, Theme};
use super::reply::{Reply, Trouble};
use super::route::{Kind, Needs, Route, Verb};
use super::visit::Visit;
use crate::access::{Denied, Permission, Session, Who, Why};

/// A request with its body, on a thread that may wait.
pub(super) struct Asked {
    pub(super) route: &'static Route,
    pub(super) params: Vec<(String, String)>,
    pub(super) path: String,
    pub(super) query: Form,
    pub(super) headers: HeaderMap,
    pub(super) peer: IpAddr,
    pub(super) body: Vec<u8>,
}

impl Console {
    /// Answers; what goes wrong becomes a page or JSON, too.
    pub(super) fn answer(&self, asked: &Asked) -> Reply {
        if !self.knows_host(&asked.headers) {
            let told = "This console is not reached under this name. Use a name that its configuration lists (console.names).\n\
                        この名前では管理画面にアクセスできません。設定（console.names）にある名前を使用してください。\n";
            return Reply::text("text/plain; charset=utf-8", told).status(StatusCode::MISDIRECTED_REQUEST);
        }
        let now = Timestamp::now();
        let (who, session, trouble) = match self.who(asked, now) {
            Ok((who, session)) => (who, session, None),
            Err(denied) => (None, None, Some(Trouble::Denied(denied))),
        };
        let lang = language(asked, session.as_ref());
        let visit = Visit {
            console: self,
            route: asked.route,
            path: &asked.path,
            params: asked.params.clone(),
            query: asked.query.clone(),
            form: Form::parse(&String::from_utf8_lossy(&asked.body)),
            who,
            session,
            lang,
            theme: theme(asked),
            now,
            peer: asked.peer,
        };
        let checked = trouble.map_or_else(|| visit.check(asked), Err);
        let reply = checked.and_then(|()| (asked.route.handle)(&visit));
        preferences(asked, reply.unwrap_or_else(|trouble| visit.trouble(trouble)), self.settings.tls)
    }

    /// Whether the request names the console by one of its own names.
    pub(super) fn knows_host(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let name = match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next(),
            None => host.split(':').next(),
        };
        let name = name.unwrap_or_default();
        self.settings.names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// Who asks: a token for the API, a session for anything.
    fn who(&self, asked: &Asked, now: Timestamp) -> Result<(Option<Who>, Option<Session>), Denied> {
        let text = |name| asked.headers.get(name).and_then(|value| value.to_str().ok());
        if let (Kind::Api(_), Some(bearer)) = (asked.route.kind, text(header::AUTHORIZATION)) {
            return Ok((self.access.bearer(bearer, now)?, None));
        }
        let session = self.session(&asked.headers, now)?;
        Ok((session.as_ref().map(Session::who), session))
    }

    /// The session behind a request's cookie.
    pub(super) fn session(&self, headers: &HeaderMap, now: Timestamp) -> Result<Option<Session>, Denied> {
        let cookies = headers.get(header::COOKIE).and_then(|value| value.to_str().ok());
        match cookies.and_then(|cookies| self.access.cookie_in(cookies)) {
            Some(cookie) => self.access.session(cookie, now),
            None => Ok(None),
        }
    }

    /// Writes down who looked at something or changed it.
    pub(super) fn record(&self, who: &Who, what: &str, object: &str, now: Timestamp) -> Result<(), Trouble> {
        let fact = Fact::Access {
            user: who.name.clone(),
            role: who.role.name().to_owned(),
            what: what.to_owned(),
            object: object.to_owned(),
            allowed: true,
        };
        self.ledger.append(fact, now)?;
        Ok(())
    }
}

impl Visit<'_> {
    /// Where it comes from, who asks, the form's token, the permission, the ledger: in this order.
    fn check(&self, asked: &Asked) -> Result<(), Trouble> {
        let changes = asked.route.verb == Verb::Post;
        if changes && !same_origin(&asked.headers) {
            return Err(Trouble::Forged);
        }
        if asked.route.needs == Needs::Nothing {
            return Ok(());
        }
        let who = self.who()?;
        if let (true, Some(session)) = (changes, &self.session) {
            let header = asked.headers.get("x-csrf-token").and_then(|value| value.to_str().ok());
            session.check_csrf(header.unwrap_or(self.form.get("csrf"))).map_err(|_| Trouble::Forged)?;
        }
        let what = match asked.route.needs {
            Needs::May(permission) => {
                self.console.access.require(who, permission, self.path, self.now)?;
                permission.id()
            }
            _ => Permission::OwnAccount.id(),
        };
        match (changes, asked.route.audited) {
            (true, _) => self.console.record(who, what, self.path, self.now),
            // A view that cannot be recorded is shown all the same: a full disk must not blind those who mend it.
            (false, true) => {
                if let Err(Trouble::Broken(cause)) = self.console.record(who, what, self.path, self.now) {
                    eprintln!("chartward: the console could not record a view: {cause:#}");
                }
                Ok(())
            }
            (false, false) => Ok(()),
        }
    }

    pub(super) fn allowed(&self, route: &Route) -> bool {
        match route.needs {
            Needs::Nothing => true,
            Needs::Account => self.who.is_some(),
            Needs::May(permission) => self.may(permission),
        }
    }

    /// The page that a form of this route stands on: its path without the last word.
    pub(super) fn back(&self) -> &str {
        match (self.route.verb, self.path.rsplit_once('/')) {
            (Verb::Post, Some((page, _))) if !page.is_empty() => page,
            (Verb::Post, _) => "/",
            (Verb::Get, _) => self.path,
        }
    }

    /// This page's own address with one part of the query changed.
    pub(super) fn with_query(&self, name: &str, value: &str) -> String {
        format!("{}?{}", self.path, self.query.with(name, value))
    }

    /// The page, or the JSON, that tells what went wrong and what to do next.
    pub(super) fn trouble(&self, trouble: Trouble) -> Reply {
        let status = trouble.status();
        if let Trouble::Broken(cause) = &trouble {
            eprintln!("chartward: the console, {}: {cause:#}", self.route.path);
        }
        let (what, next) = (trouble.what(), trouble.next());
        if let Kind::Api(_) = self.route.kind {
            let body = json!({"error": {"en": what.0, "ja": what.1, "next_en": next.0, "next_ja": next.1}});
            return Reply::text("application/json", body.to_string()).status(status);
        }
        if matches!(trouble, Trouble::LogIn) && self.route.verb == Verb::Get {
            return Reply::see(format!("/login?next={}", form::encode(self.path)));
        }
        let why = match &trouble {
            Trouble::Denied(denied) => Some(denied.why),
            _ => None,
        };
        if why == Some(Why::TotpNeeded) {
            return Reply::see("/account/totp");
        }
        let title = self.pick(match (&trouble, why) {
            (_, Some(Why::Limited)) => ("Please wait", "しばらくお待ちください"),
            (_, Some(Why::NotFresh)) => ("Please confirm who you are", "本人確認が必要です"),
            (_, Some(Why::Input)) | (Trouble::Bad(..), _) => {
                ("That does not work", "入力内容をご確認ください")
            }
            (Trouble::Denied(_) | Trouble::Forged, _) => ("Not allowed", "許可されていません"),
            (Trouble::NotFound, _) => ("Not found", "ページが見つかりません"),
            (Trouble::Refused(_), _) => ("The hub did not do it", "実行されませんでした"),
            (Trouble::LogIn | Trouble::Broken(_), _) => ("Something went wrong", "エラーが発生しました"),
        });
        let content = html! {
            (layout::opening(title, &self.pick(what), Some(html! { (self.pick(next)) }), self.lang))
            @if why == Some(Why::NotFresh) {
                p { a.button href={ "/again?next=" (form::encode(self.back())) } { (self.pick(("Confirm who you are", "本人確認へ"))) } }
            }
            p { a.button.second href="/" { (self.pick(("To the first page", "ホームへ"))) } }
        };
        Reply::html(layout::frame(self, title, content)).status(status)
    }
}

/// What was asked for, what was chosen before, what the account or the browser says, and Japanese without any of these.
fn language(asked: &Asked, session: Option<&Session>) -> Lang {
    let tag = |tag: &str| Lang::ALL.into_iter().find(|lang| lang.tag() == tag);
    let browser = asked.headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    tag(asked.query.get("lang"))
        .or_else(|| tag(cookie(&asked.headers, "lang")?))
        .or_else(|| Some(session?.lang))
        .or_else(|| Some(Lang::from_locale(browser?)))
        .unwrap_or(Lang::Ja)
}

fn theme(asked: &Asked) -> Theme {
    Theme::from_id(asked.query.get("theme"))
        .or_else(|| Theme::from_id(cookie(&asked.headers, "theme")?))
        .unwrap_or_default()
}

/// The value of a cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// Browsers say where a form comes from. Programs with a token say nothing, and nobody can make a browser do that.
fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text("host").unwrap_or_default();
    let origin =
        text("origin").is_none_or(|origin| origin.split_once("://").is_some_and(|(_, from)| from == host));
    origin && text("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"))
}

/// Keeps a language or brightness that was chosen by a link.
fn preferences(asked: &Asked, mut reply: Reply, tls: bool) -> Reply {
    let secure = if tls { "; Secure" } else { "" };
    let known = |name: &str, value: &str| match name {
        "lang" => Lang::ALL.into_iter().any(|lang| lang.tag() == value),
        _ => Theme::from_id(value).is_some(),
    };
    for name in ["lang", "theme"] {
        let value = asked.query.get(name);
        if known(name, value) {
            let cookie = format!("{name}={value}; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly{secure}");
            reply = reply.with("set-cookie", cookie);
        }
    }
    reply
}
