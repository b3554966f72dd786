//! Posing as a protected brand, or as the hospital itself.

use schema::AuthResult;

use super::{Feature, any, few, row};
use crate::lookalike::{BrandId, HostSort, Lookalike, Strength};
use crate::mail::defuse;
use crate::mail::view::{Party, View, root};
use crate::mail::words::Lexicon;

/// Whoever talks of these wants something of the reader.
const WANTS: &[Lexicon] = &[
    Lexicon::Threat,
    Lexicon::Credential,
    Lexicon::Payment,
    Lexicon::Delivery,
    Lexicon::Prize,
    Lexicon::Urgency,
    Lexicon::Coins,
];

pub(super) const FEATURES: &[Feature] = &[
    row(
        "brand.impersonation",
        (3.5, 8.0),
        "It poses as a well-known name, does not come from it, and wants the reader to follow it elsewhere.",
        "有名な組織の名をかたっています。実際にはその組織から届いておらず、別の場所へ誘導しようとしています。",
        impersonation,
    ),
    row(
        "brand.display-name",
        (2.0, 4.0),
        "The sender's name is that of a well-known organisation, but the address is not one of theirs.",
        "差出人の表示名は有名な組織ですが、メールアドレスはその組織のものではありません。",
        display_name,
    ),
    row(
        "brand.subject",
        (0.0, 2.0),
        "The subject speaks for a well-known organisation that the mail does not come from.",
        "件名に有名な組織の名がありますが、その組織から届いたメールではありません。",
        subject,
    ),
    row(
        "brand.body",
        (0.0, 1.5),
        "The text speaks for a well-known organisation that neither the sender nor any link belongs to.",
        "本文に有名な組織の名がありますが、差出人もリンク先もその組織のものではありません。",
        body,
    ),
    row(
        "brand.link-lookalike",
        (1.5, 5.0),
        "A link leads to an address that is made to look like a well-known one.",
        "リンク先が、有名な組織のアドレスに似せて作られています。",
        link_lookalike,
    ),
    row(
        "brand.sender-lookalike",
        (2.5, 6.0),
        "The sender's address is made to look like a well-known one.",
        "差出人のアドレスが、有名な組織のアドレスに似せて作られています。",
        sender_lookalike,
    ),
    row(
        "brand.forged-sender",
        (1.5, 5.0),
        "The sender's address is that of a well-known organisation, but its own servers did not send it.",
        "差出人のアドレスは有名な組織のものですが、その組織のサーバーから送られたものではありません。",
        forged_sender,
    ),
    row(
        "brand.links-elsewhere",
        (1.0, 3.5),
        "It claims to come from a well-known organisation and asks for something, but no link leads to that organisation.",
        "有名な組織からのメールを名乗って手続きを求めていますが、リンクはどれもその組織のものではありません。",
        links_elsewhere,
    ),
    row(
        "brand.genuine",
        (-5.0, -2.0),
        "It comes from the well-known organisation that it says it is from; that was verified.",
        "名乗っている組織から送られたことを、送信元の認証で確認できました。",
        genuine,
    ),
];

/// Brands that the display name claims and that the sender is not.
fn claimed_by_name(view: &View) -> Vec<BrandId> {
    let sender = view.from;
    // "Mail Delivery System" is what mail servers call themselves.
    if view.is_notice {
        return Vec::new();
    }
    view.name
        .brands
        .iter()
        .map(|mention| mention.brand)
        .filter(|&brand| !is_from(view, sender, brand))
        .collect()
}

/// Brands that the subject claims: no answer and no list, where people talk about brands.
fn claimed_by_subject(view: &View) -> Vec<BrandId> {
    if view.message.answers || view.is_list || view.is_notice {
        return Vec::new();
    }
    let wants = view.subject.hits.iter().any(|hit| WANTS.contains(&hit.lexicon));
    let mentions = view.subject.brands.iter().filter(|mention| mention.strength == Strength::Strong || wants);
    mentions.map(|mention| mention.brand).filter(|&brand| !is_from(view, view.from, brand)).collect()
}

/// Brands that the headline of the body claims, where nothing else belongs to them.
fn claimed_by_body(view: &View) -> Vec<BrandId> {
    if view.message.answers || view.is_list || view.is_notice {
        return Vec::new();
    }
    let mentions = view.head.brands.iter().filter(|mention| mention.strength == Strength::Strong);
    mentions
        .map(|mention| mention.brand)
        .filter(|&brand| !is_from(view, view.from, brand) && !leads_to(view, brand))
        .collect()
}

fn is_from(view: &View, sender: Option<Party>, brand: BrandId) -> bool {
    sender.is_some_and(|sender| view.belongs(sender.owner, brand))
}

fn leads_to(view: &View, brand: BrandId) -> bool {
    view.clicks.iter().any(|click| view.belongs(click.owner, brand))
}

fn leads_elsewhere(view: &View, brand: BrandId) -> bool {
    view.clicks.iter().any(|click| !view.belongs(click.owner, brand))
}

/// Whether something of the mail's own making is odd: how it leads on, or where it comes from.
fn is_odd(view: &View) -> bool {
    let odd_host = |host: &str, sort: HostSort| {
        sort.shortener
            || sort.free_hosting
            || sort.cheap_suffix
            || super::link::is_random(host)
            || super::link::is_ip(host)
    };
    let odd_sender = |from: Party| {
        from.sort.free_mail || odd_host(from.domain, from.sort) || view.sender_lookalike.is_some()
    };
    view.hosts.iter().any(|host| host.lookalike.is_some() || odd_host(host.host, host.sort))
        || view.from.is_none_or(odd_sender)
        || super::sender::is_broken(view)
}

fn impersonation(view: &View) -> Option<Vec<String>> {
    let has_lure = |brand| {
        leads_elsewhere(view, brand)
            || view.message.bodies.iter().any(|body| !body.forms.is_empty())
            || view.reply_to.is_some_and(|to| to.sort.free_mail)
            || view.message.links.iter().any(|link| link.url.to_ascii_lowercase().starts_with("mailto:"))
            || view.message.parts.iter().any(|part| is_page(&part.name))
    };
    let unlike = super::sender::unlike_address(view).is_some();
    let by_name = claimed_by_name(view).into_iter().filter(|&brand| {
        let talks = view.message.answers || (view.is_list && leads_to(view, brand));
        has_lure(brand) && (view.speaks_of(WANTS) || is_odd(view) || unlike) && !talks
    });
    let by_subject = claimed_by_subject(view)
        .into_iter()
        .filter(|&brand| !leads_to(view, brand) && has_lure(brand) && view.speaks_of(WANTS));
    let by_body = claimed_by_body(view).into_iter().filter(|&brand| {
        has_lure(brand) && view.speaks_of(&[Lexicon::Threat, Lexicon::Credential]) && is_odd(view)
    });
    let talks = view.message.answers || view.is_list || view.is_notice;
    let by_link = view.hosts.iter().filter(|_| !talks).filter_map(|host| {
        let brand = host.lookalike.as_ref()?.brand?;
        let named = [&view.name, &view.subject, &view.head];
        named.iter().any(|text| text.brands.iter().any(|mention| mention.brand == brand)).then_some(brand)
    });
    let brands = by_name.chain(by_subject).chain(by_body).chain(by_link);
    let evidence = few(brands.map(|brand| view.brand_name(brand)));
    if evidence.is_empty() { None } else { Some(with_sender(view, evidence)) }
}

fn is_page(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".html", ".htm", ".shtml", ".xhtml", ".svg"].iter().any(|end| name.ends_with(end))
}

fn with_sender(view: &View, mut evidence: Vec<String>) -> Vec<String> {
    evidence.extend(view.from.map(|from| defuse::host(&from.address.address)));
    evidence
}

fn display_name(view: &View) -> Option<Vec<String>> {
    let brands = any(few(claimed_by_name(view).into_iter().map(|brand| view.brand_name(brand))))?;
    Some(with_sender(view, brands))
}

fn subject(view: &View) -> Option<Vec<String>> {
    let brands = any(few(claimed_by_subject(view).into_iter().map(|brand| view.brand_name(brand))))?;
    Some(with_sender(view, brands))
}

fn body(view: &View) -> Option<Vec<String>> {
    any(few(claimed_by_body(view).into_iter().map(|brand| view.brand_name(brand))))
}

fn link_lookalike(view: &View) -> Option<Vec<String>> {
    let found = view.hosts.iter().filter_map(|host| {
        let lookalike = host.lookalike.as_ref()?;
        Some(alike(view, host.host, lookalike))
    });
    any(few(found))
}

fn sender_lookalike(view: &View) -> Option<Vec<String>> {
    let lookalike = view.sender_lookalike.as_ref()?;
    let from = view.from?;
    Some(vec![alike(view, &from.address.address, lookalike)])
}

/// `amazno-x[.]com (Amazon)`; what passes for a Japanese address of no brand in particular has none.
fn alike(view: &View, host: &str, lookalike: &Lookalike) -> String {
    match lookalike.brand {
        Some(brand) => format!("{} ({})", defuse::host(host), view.brand_name(brand)),
        None => defuse::host(host),
    }
}

fn forged_sender(view: &View) -> Option<Vec<String>> {
    let from = view.from?;
    from.owner?;
    let known = view.given.authentication?;
    if view.aligned || view.is_list {
        return None;
    }
    let dmarc_fails = known.dmarc.as_ref().is_some_and(|(result, _)| *result == AuthResult::Fail);
    let spf_fails = known.spf.as_ref().is_some_and(|(result, domain)| {
        matches!(result, AuthResult::Fail | AuthResult::SoftFail)
            || (*result == AuthResult::Pass && root(domain) != from.root)
    });
    let unsigned = !known.dkim.iter().any(|(result, _)| *result == AuthResult::Pass);
    (dmarc_fails || (spf_fails && unsigned)).then(|| vec![defuse::host(&from.address.address)])
}

fn links_elsewhere(view: &View) -> Option<Vec<String>> {
    let from = view.from?;
    let brand = from.owner?;
    if view.is_list || view.message.answers {
        return None;
    }
    let wants = view.speaks_of(&[Lexicon::Threat, Lexicon::Credential]);
    let is_counted = view.hosts.iter().any(|host| host.sort.bulk_mailer);
    let leads_on = !view.hosts.is_empty() && !leads_to(view, brand) && !is_counted;
    (wants && leads_on).then(|| few(view.hosts.iter().map(|host| defuse::host(host.host))))
}

fn genuine(view: &View) -> Option<Vec<String>> {
    let from = view.from?;
    from.owner?;
    view.aligned.then(|| vec![defuse::host(&from.address.address)])
}
