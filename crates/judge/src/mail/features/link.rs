//! Where it leads.

use std::net::IpAddr;

use decode::mail::LinkKind;

use super::{Feature, any, few, row};
use crate::mail::defuse;
use crate::mail::view::{Click, Host, View, root};

pub(super) const FEATURES: &[Feature] = &[
    row(
        "link.shown-differs",
        (0.5, 4.0),
        "A link shows the address of a well-known organisation and leads somewhere else.",
        "リンクの表示は有名な組織のアドレスですが、実際には別の場所へつながります。",
        shown_differs,
    ),
    row(
        "link.shortener",
        (0.0, 2.5),
        "A link is shortened, so that nobody sees where it leads.",
        "短縮リンクが使われており、本当の行き先が分かりません。",
        |view| hosts(view, |host| host.sort.shortener),
    ),
    row(
        "link.free-host",
        (0.0, 2.2),
        "A link leads to a free web host, where anybody can put up a page within a minute.",
        "リンク先が、誰でもすぐにページを作れる無料サービスです。",
        |view| hosts(view, |host| host.sort.free_hosting),
    ),
    row(
        "link.cheap-domain",
        (0.0, 2.0),
        "A link's address has an ending that costs next to nothing and is often abused.",
        "リンク先の末尾は、安価で悪用されることの多いものです。",
        |view| hosts(view, |host| host.sort.cheap_suffix),
    ),
    row(
        "link.ip",
        (0.0, 2.5),
        "A link leads to a bare number instead of a name.",
        "リンク先が、名前ではなく数字（IP アドレス）です。",
        |view| hosts(view, |host| is_ip(host.host)),
    ),
    row(
        "link.port",
        (0.0, 1.5),
        "A link leads to an unusual door of a server.",
        "リンク先が、通常使われないポート番号を指定しています。",
        |view| clicks(view, has_port),
    ),
    row(
        "link.userinfo",
        (1.0, 4.0),
        "A link hides its real target behind something that looks like an address.",
        "リンクの本当の行き先が、アドレスのように見える文字で隠されています。",
        |view| clicks(view, has_user),
    ),
    row(
        "link.punycode",
        (0.0, 2.0),
        "A link's address is written in letters of other alphabets under a Western ending.",
        "リンク先のアドレスに、見間違えやすい外国の文字が使われています。",
        |view| hosts(view, |host| is_mixed(host.host)),
    ),
    row(
        "link.random-host",
        (0.0, 2.5),
        "A link leads to a name of random letters.",
        "リンク先の名前が、でたらめな文字の並びです。",
        |view| hosts(view, |host| is_random(host.host) && !host.sort.bulk_mailer),
    ),
    row(
        "link.redirector",
        (0.0, 2.0),
        "A link goes through another site that passes the visitor on, so that the real target is not seen.",
        "別のサイトの転送機能を経由しており、本当の行き先が見えません。",
        redirected,
    ),
    row(
        "link.names-you",
        (0.0, 3.0),
        "A link carries an address of mail behind a `#`, so that the page can pretend to know the reader.",
        "リンクに受信者のメールアドレスが埋め込まれ、本人確認済みのように見せる仕組みです。",
        |view| clicks(view, names_reader),
    ),
    row(
        "link.one-target",
        (0.0, 1.5),
        "Everything that can be clicked leads to the same place, whatever it says.",
        "クリックできる場所が、表示に関係なくすべて同じ行き先につながっています。",
        one_target,
    ),
    row(
        "link.foreign-to-sender",
        (0.0, 1.2),
        "No link leads to the organisation that it comes from.",
        "差出人の組織へつながるリンクが一つもありません。",
        foreign,
    ),
    row(
        "link.mailto-elsewhere",
        (0.0, 2.0),
        "A button writes a mail to a free mailbox instead of opening a page.",
        "ボタンを押すと、フリーメール宛てのメールが作られます。",
        mailto,
    ),
];

fn hosts(view: &View, is: fn(&Host) -> bool) -> Option<Vec<String>> {
    any(few(view.hosts.iter().filter(|host| is(host)).map(|host| defuse::host(host.host))))
}

fn clicks(view: &View, is: impl Fn(&Click) -> bool) -> Option<Vec<String>> {
    any(few(view
        .clicks
        .iter()
        .filter(|click| is(click) && click.owner.is_none())
        .map(|click| defuse::url(&click.link.url))))
}

fn redirected(view: &View) -> Option<Vec<String>> {
    let passes = |click: &&Click| {
        click.link.kind == LinkKind::Anchor && (click.sort.redirector || passes_on(&click.link.url))
    };
    if view.is_list || view.message.answers {
        return None;
    }
    any(few(view.clicks.iter().filter(passes).map(|click| defuse::url(&click.link.url))))
}

fn shown_differs(view: &View) -> Option<Vec<String>> {
    let tools = view.tools;
    let differs = view.clicks.iter().filter_map(|click| {
        let (brand, shown) = tools.names.misleading(&click.link.shown, &click.link.url, &tools.lookalikes)?;
        // A newsletter counts clicks at a host of the sender's own.
        let is_senders =
            view.from.is_some_and(|from| view.belongs(from.owner, brand) && from.root == click.root);
        (!is_senders && !passes_on(&click.link.url))
            .then(|| format!("{} → {}", defuse::host(&shown), defuse::host(&click.link.host)))
    });
    any(few(differs))
}

/// Whether an address sends on by a parameter that says so; a newsletter's own click counter has an opaque one.
fn passes_on(url: &str) -> bool {
    let Some((_, parameters)) = url.split_once('?') else { return false };
    let parameters = parameters.to_ascii_lowercase();
    [
        "url=http",
        "redirect=http",
        "redirect_url=http",
        "redirect_uri=http",
        "dest=http",
        "goto=http",
        "adurl=http",
    ]
    .iter()
    .any(|parameter| parameters.contains(parameter))
}

/// Whether it is an address by number.
pub(super) fn is_ip(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().is_ok() || (!bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit()))
}

fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#', '\\']).next().unwrap_or_default()
}

fn has_port(click: &Click) -> bool {
    let port = authority(&click.link.url).rsplit_once(':').map(|(_, port)| port);
    port.is_some_and(|port| {
        !port.is_empty()
            && port.bytes().all(|byte| byte.is_ascii_digit())
            && !matches!(port, "80" | "443" | "8080" | "8443")
    })
}

fn has_user(click: &Click) -> bool {
    let authority = authority(&click.link.url);
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains('.') || user.contains("%40"))
}

/// Letters of other alphabets below an ending that is none of theirs: `xn--…​.com`, not `病院.jp`.
fn is_mixed(host: &str) -> bool {
    // Letters out of the mathematical alphabets, which a browser reads as plain ones.
    if host.chars().any(
        |char| matches!(char, '\u{1d400}'..='\u{1d7ff}' | '\u{24b6}'..='\u{24e9}' | '\u{ff21}'..='\u{ff5a}'),
    ) {
        return true;
    }
    let Some(label) = root(host).split('.').next() else { return false };
    let decoded = idna::domain_to_unicode(label).0;
    let foreign = decoded.chars().any(|char| !char.is_ascii() && !crate::mail::fold::is_japanese(char));
    foreign && !host.rsplit('.').next().is_some_and(|last| last.starts_with("xn--") || !last.is_ascii())
}

/// Whether what somebody registered, or what lies below it, is a string of random letters.
pub(super) fn is_random(host: &str) -> bool {
    if is_ip(host) {
        return false;
    }
    let root = root(host);
    let label = root.split('.').next().unwrap_or_default();
    // Single letters one after the other never name a machine.
    let below = host.strip_suffix(root).unwrap_or_default();
    let letters = below.split('.').filter(|label| label.len() == 1).count();
    is_noise(label) || letters >= 4
}

/// Whether a word in lower case cannot be read: digits among letters more than once, or no vowels for long.
pub(super) fn is_noise(label: &str) -> bool {
    if !(6..=63).contains(&label.len()) || label.starts_with("xn--") || !label.is_ascii() {
        return false;
    }
    label.split(['-', '_', '.']).any(|word| {
        let bytes = word.as_bytes();
        if bytes.len() < 6 {
            return false;
        }
        let changes =
            bytes.windows(2).filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit()).count();
        let mut consonants = 0_usize;
        let longest = bytes.iter().fold(0, |longest, byte| {
            let is_consonant = byte.is_ascii_alphabetic() && !b"aeiouy".contains(byte);
            consonants = if is_consonant { consonants + 1 } else { 0 };
            longest.max(consonants)
        });
        let is_hex = bytes.len() >= 12 && bytes.iter().all(u8::is_ascii_hexdigit);
        changes >= 3 || longest >= 7 || is_hex
    })
}

/// `https://host/#somebody@example.com`.
fn names_reader(click: &Click) -> bool {
    let Some((_, fragment)) = click.link.url.split_once('#') else { return false };
    let fragment = fragment.replace("%40", "@");
    fragment.split(['=', '&', '/']).any(|word| {
        word.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'))
    })
}

fn one_target(view: &View) -> Option<Vec<String>> {
    let anchors: Vec<_> = view.clicks.iter().filter(|click| click.link.kind == LinkKind::Anchor).collect();
    let first = anchors.first()?;
    let differently_said = anchors.iter().any(|click| click.link.shown != first.link.shown);
    (anchors.len() > 1 && differently_said && anchors.iter().all(|click| click.link.url == first.link.url))
        .then(|| vec![defuse::url(&first.link.url)])
}

fn foreign(view: &View) -> Option<Vec<String>> {
    let from = view.from?;
    let is_foreign = |host: &Host| host.root != from.root && !host.sort.bulk_mailer;
    let has_anchor = view.clicks.iter().any(|click| click.link.kind == LinkKind::Anchor);
    (has_anchor && !view.is_list && !view.message.answers && view.hosts.iter().all(is_foreign))
        .then(|| few(view.hosts.iter().map(|host| defuse::host(host.host))))
}

fn mailto(view: &View) -> Option<Vec<String>> {
    let from = view.from?;
    let strange = view.message.links.iter().filter_map(|link| {
        if link.kind != LinkKind::Anchor {
            return None;
        }
        let url = link
            .url
            .get(..7)
            .filter(|start| start.eq_ignore_ascii_case("mailto:"))
            .map(|_| &link.url[7..])?;
        let address = url.split(['?', ',', ';']).next().unwrap_or_default();
        let (_, domain) = address.rsplit_once('@')?;
        let is_many = url.split('?').next().is_some_and(|to| to.matches('@').count() > 2);
        // An address that is shown as such is a signature.
        let is_button = !link.shown.contains('@');
        let free = view.tools.lookalikes.hosts().sort(domain).free_mail
            && !address.eq_ignore_ascii_case(&from.address.address);
        (is_button && (free || is_many)).then(|| defuse::host(address))
    });
    any(few(strange))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_names_are_told_from_readable_ones() {
        for host in [
            "mgq3z0h5os.com",
            "eqbfet2k81.com",
            "a.b.c.d.e60.sasuki.test",
            "xkcdvbnmt.test",
            "4f8226a2c9eb01.example",
        ] {
            assert!(is_random(host), "{host}");
        }
        for host in [
            "mail.google.com",
            "amazon.co.jp",
            "web1.example.com",
            "hospital-2nd.example.jp",
            "strengths.example",
            "192.0.2.1",
            "tsukuba.ac.jp",
            "catchphrase.example",
            "lists.sourceforge.net",
            "3com.com",
            "win2k.example",
            "w3.org",
        ] {
            assert!(!is_random(host), "{host}");
        }
    }
}
