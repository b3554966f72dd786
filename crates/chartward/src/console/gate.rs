//! What every request passes before its page is made: the name of the host, who asks, the form's token, the permission.

use std::net::IpAddr;

use axum::http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use maud::html;
use schema::Lang;
use serde_json::json;

use super::Console;
use super::form::{self, Form};
use super::layout::{self, Theme};
use super::reply::{Reply, Trouble};
use super::route::{Kind, Needs, Route, Verb};
use super::visit::Visit;
use super::who::Session;

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
        let session = self.session(asked, now);
        let lang = language(asked, session.as_ref());
        let visit = Visit {
            console: self,
            route: asked.route,
            path: &asked.path,
            params: asked.params.clone(),
            query: asked.query.clone(),
            form: Form::parse(&String::from_utf8_lossy(&asked.body)),
            session,
            lang,
            theme: theme(asked),
            now,
            peer: asked.peer,
        };
        let reply = visit.check(asked).and_then(|()| (asked.route.handle)(&visit));
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

    fn session(&self, _asked: &Asked, _now: Timestamp) -> Option<Session> {
        None
    }
}

impl Visit<'_> {
    fn check(&self, asked: &Asked) -> Result<(), Trouble> {
        match asked.route.needs {
            Needs::Nothing => {}
            Needs::Account if self.session.is_none() => return Err(Trouble::LogIn),
            Needs::Account => {}
            Needs::May(_) if self.session.is_none() => return Err(Trouble::LogIn),
            Needs::May(permission) if !self.may(permission) => return Err(Trouble::Forbidden),
            Needs::May(_) => {}
        }
        Ok(())
    }

    pub(super) fn allowed(&self, route: &Route) -> bool {
        match route.needs {
            Needs::Nothing => true,
            Needs::Account => self.session.is_some(),
            Needs::May(permission) => self.may(permission),
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
        let title = self.pick(match trouble {
            Trouble::Forbidden | Trouble::Forged => ("Not allowed", "許可されていません"),
            Trouble::NotFound => ("Not found", "ページが見つかりません"),
            Trouble::Bad(..) => ("That does not work", "入力内容をご確認ください"),
            Trouble::TooMany(_) => ("Please wait", "しばらくお待ちください"),
            Trouble::Refused(_) => ("The hub did not do it", "実行されませんでした"),
            Trouble::LogIn | Trouble::Broken(_) => ("Something went wrong", "エラーが発生しました"),
        });
        let content = html! {
            (layout::opening(title, &self.pick(what), Some(html! { (self.pick(next)) }), self.lang))
            p { a.button href="/" { (self.pick(("To the first page", "ホームへ"))) } }
        };
        Reply::html(layout::frame(self, title, content)).status(status)
    }
}

/// What was asked for, what was chosen before, what the account or the browser says, and Japanese without any of these.
fn language(asked: &Asked, _session: Option<&Session>) -> Lang {
    let tag = |tag: &str| Lang::ALL.into_iter().find(|lang| lang.tag() == tag);
    let browser = asked.headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    tag(asked.query.get("lang"))
        .or_else(|| tag(cookie(&asked.headers, "lang")?))
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
