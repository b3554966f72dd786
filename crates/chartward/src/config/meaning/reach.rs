//! Who reaches what: console, viewer, channels.

use std::net::SocketAddr;

use super::{Findings, Gravity, Node, Words};

pub(super) fn check(file: &Node<'_, '_>, found: &mut Findings<'_>) {
    let console = file.table("console");
    if let Some(console) = &console {
        listening(console, found);
        for (one, other) in [("certificate", "key"), ("key", "certificate")] {
            pair(console, one, other, found);
        }
    }
    let listen = |node: Option<&Node<'_, '_>>, otherwise: &str| {
        let text = node.and_then(|node| node.text("listen")).map_or(otherwise, |at| at.text).to_owned();
        text.parse::<SocketAddr>().ok()
    };
    let viewer = file.table("viewer");
    let (first, second) =
        (listen(console.as_ref(), "127.0.0.1:8443"), listen(viewer.as_ref(), "127.0.0.1:8444"));
    if first.is_some() && first == second {
        let what = Words::new(
            "console and viewer listen on the same port",
            "コンソールとビューアーの待ち受けが同じです",
        );
        viewer.or(console).unwrap_or_else(|| file.clone()).add(
            found,
            Gravity::Error,
            what,
            Words::new("give one of them another port", "どちらかのポートを変えてください"),
        );
    }
    for notify in file.tables("notify") {
        channel(&notify, found);
    }
}

fn listening(console: &Node<'_, '_>, found: &mut Findings<'_>) {
    let Some(listen) = console.text("listen") else { return };
    let Ok(address) = listen.text.parse::<SocketAddr>() else { return };
    if address.ip().is_loopback() {
        return;
    }
    if console.flag("tls") == Some(false) {
        let what = Words::new(
            format!(
                "the console would be open on {address} without TLS: passwords and records could be read on the way"
            ),
            format!("コンソールが {address} で TLS なしに公開され、パスワードや記録を盗み見られます"),
        );
        let remedy = Words::new(
            "remove `tls = false`, or listen on 127.0.0.1",
            "tls = false を消すか、127.0.0.1 で待ち受けてください",
        );
        return listen.add(found, Gravity::Error, what, remedy);
    }
    if address.ip().is_unspecified()
        && console.texts("names").is_empty()
        && console.text("certificate").is_none()
    {
        let what = Words::new(
            "browsers will warn: the certificate that is made has no name of this machine",
            "作成する証明書にこの機械の名前が入らず、ブラウザーが警告します",
        );
        let remedy = Words::new(
            "add names = [\"chartward.example.jp\", \"192.0.2.5\"]",
            "names = [\"chartward.example.jp\", \"192.0.2.5\"] のように書き足してください",
        );
        listen.add(found, Gravity::Warning, what, remedy);
    }
}

fn pair(node: &Node<'_, '_>, one: &str, other: &str, found: &mut Findings<'_>) {
    let Some(value) = node.get(one).filter(|_| node.get(other).is_none()) else { return };
    let what = Words::new(format!("`{one}` needs `{other}`"), format!("{one} には {other} も必要です"));
    let remedy = Words::new(
        format!("add `{other}`, or remove `{one}`"),
        format!("{other} を書き足すか、{one} を消してください"),
    );
    found.add(Gravity::Error, value.span(), &node.key(one), super::Fault::new(what, remedy));
}

fn channel(notify: &Node<'_, '_>, found: &mut Findings<'_>) {
    if let Some(smtp) = notify.table("smtp") {
        pair(&smtp, "user", "password", found);
        pair(&smtp, "password", "user", found);
        let here = smtp
            .text("server")
            .is_some_and(|server| matches!(server.text, "localhost" | "127.0.0.1" | "::1"));
        if let Some(tls) = smtp.text("tls").filter(|tls| tls.text == "none" && !here)
            && smtp.get("password").is_some()
        {
            let what = Words::new("the password would travel in the clear", "パスワードが平文で流れます");
            let remedy = Words::new(
                "write tls = \"starttls\" or \"tls\"",
                "tls を \"starttls\" か \"tls\" にしてください",
            );
            tls.add(found, Gravity::Error, what, remedy);
        }
    }
}
