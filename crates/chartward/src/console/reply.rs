//! What goes back to the browser, and what is told when something went wrong.

use axum::http::StatusCode;
use maud::Markup;
use serde::Serialize;

use crate::access::{Denied, Why};
use crate::hub::Refusal;

/// A finished answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(super) status: StatusCode,
    pub(super) content_type: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn html(page: Markup) -> Self {
        Self::text("text/html; charset=utf-8", page.into_string())
    }

    pub(super) fn text(content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status: StatusCode::OK, content_type, headers: Vec::new(), body: body.into() }
    }

    pub(super) fn json(value: &impl Serialize) -> Result<Self, Trouble> {
        let body = serde_json::to_vec(value).map_err(|cause| Trouble::Broken(cause.into()))?;
        Ok(Self::text("application/json", body))
    }

    /// "Look there": after a form, so that loading the page anew sends nothing twice.
    pub(super) fn see(path: impl Into<String>) -> Self {
        let mut reply = Self::text("text/plain; charset=utf-8", "");
        reply.status = StatusCode::SEE_OTHER;
        reply.headers.push(("location", path.into()));
        reply
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
}

/// Why a request was not answered as it was meant. Shown as a page with a next step, or as JSON.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Nobody is logged in, or the session ended.
    LogIn,
    /// The form did not come from our page, or its page is too old.
    Forged,
    /// There is no such thing.
    NotFound,
    /// What was sent cannot be meant; in words, English and Japanese.
    Bad(&'static str, &'static str),
    /// Accounts and roles said no.
    Denied(Denied),
    /// The hub said no.
    Refused(Refusal),
    /// Something in here does not work.
    Broken(anyhow::Error),
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Trouble::Refused(refusal)
    }
}

impl From<Denied> for Trouble {
    fn from(denied: Denied) -> Self {
        Trouble::Denied(denied)
    }
}

impl From<prove::Error> for Trouble {
    fn from(cause: prove::Error) -> Self {
        Trouble::Broken(cause.into())
    }
}

impl From<anyhow::Error> for Trouble {
    fn from(cause: anyhow::Error) -> Self {
        Trouble::Broken(cause)
    }
}

impl Trouble {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Trouble::LogIn => StatusCode::UNAUTHORIZED,
            Trouble::Forged => StatusCode::FORBIDDEN,
            Trouble::NotFound => StatusCode::NOT_FOUND,
            Trouble::Bad(..) => StatusCode::BAD_REQUEST,
            Trouble::Denied(denied) => {
                StatusCode::from_u16(denied.why.status()).unwrap_or(StatusCode::FORBIDDEN)
            }
            Trouble::Refused(_) => StatusCode::CONFLICT,
            Trouble::Broken(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What happened, English and Japanese. Causes from within stay in the hub's own output.
    pub(super) fn what(&self) -> (String, String) {
        let (en, ja) = match self {
            Trouble::LogIn => ("Please log in.", "ログインしてください。"),
            Trouble::Forged => (
                "This form is too old, or it did not come from this console. Nothing was changed.",
                "画面の有効期限が切れているか、この管理画面から送信されたものではありません。何も変更されていません。",
            ),
            Trouble::NotFound => ("There is no such page.", "お探しのページはありません。"),
            Trouble::Bad(en, ja) => (*en, *ja),
            Trouble::Denied(denied) => return (denied.en.clone(), denied.ja.clone()),
            Trouble::Refused(refusal) => return (refusal.en.clone(), refusal.ja.clone()),
            Trouble::Broken(_) => (
                "This page could not be made. Protection goes on; only this view is concerned.",
                "このページを表示できませんでした。保護機能は動作を続けています。影響はこの画面の表示だけです。",
            ),
        };
        (en.to_owned(), ja.to_owned())
    }

    /// What to do about it.
    pub(super) fn next(&self) -> (&'static str, &'static str) {
        match self {
            Trouble::LogIn => ("Log in, then repeat what you did.", "ログイン後、もう一度操作してください。"),
            Trouble::Forged => (
                "Go back, load the page anew, and try again.",
                "前の画面に戻り、再読み込みしてからもう一度お試しください。",
            ),
            Trouble::NotFound => ("Go to the first page.", "ホーム画面へ戻ってください。"),
            Trouble::Bad(..) => ("Go back and correct it.", "前の画面に戻り、入力を修正してください。"),
            Trouble::Denied(denied) => match denied.why {
                Why::Limited => ("Wait, then try again.", "しばらく待ってからお試しください。"),
                Why::Role => (
                    "Ask a colleague with the role operator or administrator.",
                    "担当者または管理者の権限を持つ方に依頼してください。",
                ),
                Why::NotFresh => (
                    "Confirm who you are, then repeat what you did.",
                    "本人確認のあと、もう一度操作してください。",
                ),
                _ => ("Go back and correct it.", "前の画面に戻り、内容をご確認ください。"),
            },
            Trouble::Refused(_) => (
                "Go back and look at how things stand now.",
                "前の画面に戻り、現在の状態を確認してください。",
            ),
            Trouble::Broken(_) => (
                "Try again. If it stays so, look at the output of `chartward up` on the hub's machine.",
                "もう一度お試しください。続く場合は、ハブを動かしている機器で chartward up の出力を確認してください。",
            ),
        }
    }
}
