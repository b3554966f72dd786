//! Whether it comes from where it says: only what was measured here or told by a server that is trusted.
//!
//! A pass is no sign of goodness: deceivers sign their own domains. It weighs little by itself; that a *brand's* own domain passes
//! (`brand.genuine`) weighs much.

use schema::AuthResult;

use super::{Feature, row};
use crate::mail::defuse;
use crate::mail::view::View;

pub(super) const FEATURES: &[Feature] = &[
    row(
        "auth.spf-fail",
        (0.0, 2.0),
        "The sender's domain says that this server may not send for it (SPF).",
        "差出人のドメインが認めていないサーバーから送られています（SPF）。",
        spf_fail,
    ),
    row(
        "auth.dkim-fail",
        (0.0, 1.5),
        "Its signature does not hold: it was changed or forged (DKIM).",
        "電子署名が正しくありません。改ざんまたは偽造の可能性があります（DKIM）。",
        dkim_fail,
    ),
    row(
        "auth.dmarc-fail",
        (0.0, 2.5),
        "The sender's domain says that its mail has to be authenticated, and this one is not (DMARC).",
        "差出人のドメインが求める認証に合格していません（DMARC）。",
        dmarc_fail,
    ),
    row(
        "auth.nothing",
        (0.0, 1.2),
        "Nothing shows that it comes from the domain that it names.",
        "名乗っているドメインから届いたことを示すものが何もありません。",
        nothing,
    ),
    row(
        "auth.other-domain",
        (0.0, 1.2),
        "What was authenticated is another domain than the one the reader sees.",
        "認証されたのは、差出人として表示されているものとは別のドメインです。",
        other_domain,
    ),
    row(
        "auth.aligned",
        (-0.7, 0.0),
        "It does come from the domain that it names, whatever that is worth.",
        "名乗っているドメインから実際に送られています（そのドメインの信頼性とは別の話です）。",
        aligned,
    ),
    row(
        "list.sent",
        (-0.5, 0.0),
        "A mailing list sent it, and the list's own server is the one that passed it on.",
        "メーリングリストのサーバーから届いたメールです。",
        list_sent,
    ),
    row(
        "thread.answers",
        (-0.5, 0.0),
        "It answers an earlier mail and quotes it.",
        "以前のメールを引用した返信です。",
        answers,
    ),
];

fn spf_fail(view: &View) -> Option<Vec<String>> {
    let (result, domain) = view.given.authentication?.spf.as_ref()?;
    // A list or a forwarder sends from elsewhere; a signature that holds says more.
    (matches!(result, AuthResult::Fail | AuthResult::SoftFail) && !view.aligned && !view.is_list)
        .then(|| vec![defuse::host(domain)])
}

fn dkim_fail(view: &View) -> Option<Vec<String>> {
    let known = view.given.authentication?;
    let fails = |result: AuthResult| matches!(result, AuthResult::Fail | AuthResult::PermError);
    let holds = known.dkim.iter().any(|(result, _)| *result == AuthResult::Pass);
    let (_, domain) = known.dkim.iter().find(|(result, _)| fails(*result))?;
    // A list changes what was signed: that is its work.
    (!holds && !view.message.from_list).then(|| vec![defuse::host(domain)])
}

fn dmarc_fail(view: &View) -> Option<Vec<String>> {
    let (result, domain) = view.given.authentication?.dmarc.as_ref()?;
    (*result == AuthResult::Fail && !view.aligned && !view.is_list).then(|| vec![defuse::host(domain)])
}

fn passes(view: &View) -> Vec<String> {
    let Some(known) = view.given.authentication else { return Vec::new() };
    let passed = known.spf.iter().chain(&known.dkim).filter(|(result, _)| *result == AuthResult::Pass);
    passed.map(|(_, domain)| domain.clone()).collect()
}

fn nothing(view: &View) -> Option<Vec<String>> {
    let known = view.given.authentication?;
    let looked = known.spf.is_some() || !known.dkim.is_empty() || known.dmarc.is_some();
    (looked && !view.aligned && passes(view).is_empty() && !view.is_list).then(Vec::new)
}

fn other_domain(view: &View) -> Option<Vec<String>> {
    let passed = passes(view);
    (!view.aligned && !passed.is_empty() && !view.is_list)
        .then(|| super::few(passed.iter().map(|domain| defuse::host(domain))))
}

fn aligned(view: &View) -> Option<Vec<String>> {
    let from = view.from?;
    view.aligned.then(|| vec![defuse::host(from.domain)])
}

fn list_sent(view: &View) -> Option<Vec<String>> {
    view.is_list.then(|| view.message.list_id.iter().map(|list| defuse::host(list)).collect())
}

fn answers(view: &View) -> Option<Vec<String>> {
    let quotes = |text: &str| text.lines().take(400).filter(|line| line.starts_with('>')).count() > 1;
    (view.message.answers && view.message.bodies.iter().any(|body| quotes(&body.visible))).then(Vec::new)
}
