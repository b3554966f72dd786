//! Who it says it is from, and where answers would go.

use super::link::is_random;
use super::{Feature, any, row};
use crate::mail::defuse;
use crate::mail::fold::disguised_word;
use crate::mail::view::{View, root};
use crate::mail::words::Lexicon;

pub(super) const FEATURES: &[Feature] = &[
    row(
        "from.name-is-address",
        (0.0, 3.5),
        "The sender's name shows another address than the one it comes from.",
        "差出人の表示名に、実際の送信元とは別のアドレスが書かれています。",
        name_is_address,
    ),
    row(
        "from.free-mail-office",
        (0.0, 2.5),
        "It speaks for an organisation but comes from a free mailbox that anybody can open.",
        "組織を名乗っていますが、誰でも取得できるフリーメールから送られています。",
        free_mail_office,
    ),
    row(
        "from.broken",
        (0.0, 3.0),
        "The sender's address is broken, or there are several: a mail program would not write it so.",
        "差出人のアドレスが壊れているか、複数あります。通常のメールソフトではこのようになりません。",
        broken,
    ),
    row(
        "from.random-domain",
        (0.0, 2.5),
        "The sender's domain is a string of random letters.",
        "差出人のドメインが、でたらめな文字の並びです。",
        random_domain,
    ),
    row(
        "from.random-name",
        (0.0, 2.0),
        "The sender's mailbox is a string of random letters or a made-up name with a number.",
        "差出人のメールアドレスの名前部分が、でたらめな文字や、番号付きの作られた名前です。",
        random_local,
    ),
    row(
        "from.cheap-domain",
        (0.0, 2.0),
        "The sender's domain has an ending that costs next to nothing and is often abused.",
        "差出人のドメインの末尾は、安価で悪用されることの多いものです。",
        cheap_domain,
    ),
    row(
        "from.free-host",
        (0.0, 3.5),
        "It is sent from a free web host, where anybody can put up a page within a minute.",
        "誰でもすぐに使える無料のホスティングサービスから送られています。",
        free_host,
    ),
    row(
        "from.disguised-name",
        (0.0, 3.0),
        "The sender's name is written with disguised letters, so that filters do not read it.",
        "差出人の表示名に、フィルターを逃れるための偽装文字が使われています。",
        disguised_name,
    ),
    row(
        "from.badge",
        (0.0, 1.5),
        "The sender's name carries a mark of verification that anybody can type.",
        "差出人の表示名に、認証済みのように見せる記号が付いています。",
        badge,
    ),
    row(
        "from.unlike-address",
        (0.0, 1.2),
        "It speaks for an organisation, and nothing of that name is in its address.",
        "組織を名乗っていますが、その名前はメールアドレスのどこにもありません。",
        unlike_address,
    ),
    row(
        "from.ornament",
        (0.0, 1.5),
        "The sender's name ends in marks that nobody writes behind a name.",
        "差出人の表示名の末尾に、不自然な記号が付いています。",
        ornament,
    ),
    row(
        "reply-to.free-mail",
        (0.0, 3.0),
        "Answers would go to a free mailbox, not to where it comes from.",
        "返信先が、差出人とは別のフリーメールになっています。",
        reply_free_mail,
    ),
    row(
        "reply-to.elsewhere",
        (0.0, 1.0),
        "Answers would go to another organisation than the one it comes from.",
        "返信先が、差出人とは別の組織になっています。",
        reply_elsewhere,
    ),
];

fn name_is_address(view: &View) -> Option<Vec<String>> {
    let from = view.from?;
    let shown = view.name.text.split([' ', '<', '>', '(', ')', '"', '\'', ',', '[', ']', '/', ':']).find_map(
        |word| {
            let word = word.trim_matches(|char: char| !char.is_alphanumeric());
            let domain = word.rsplit_once('@').map_or(word, |(_, domain)| domain);
            // `node.js` and `Inc.` are no domains; `ups.com` is one.
            let is_domain = domain.contains('.')
                && domain.is_ascii()
                && psl::suffix(domain.as_bytes())
                    .is_some_and(|suffix| suffix.is_known() && suffix.as_bytes().len() < domain.len())
                && (word.contains('@')
                    || [".com", ".net", ".org", ".jp", ".de", ".info"]
                        .iter()
                        .any(|end| domain.ends_with(end)));
            is_domain.then_some((word, domain))
        },
    );
    let (word, domain) = shown?;
    let same = root(domain) == from.root || view.belongs_together(domain, from.domain);
    (!same && !view.is_list).then(|| vec![defuse::host(word), defuse::host(&from.address.address)])
}

impl View<'_> {
    /// Whether two domains belong to one brand or group of brands.
    fn belongs_together(&self, one: &str, other: &str) -> bool {
        let owners = (self.tools.lookalikes.official(one), self.tools.lookalikes.official(other));
        matches!(owners, (Some(one), Some(other)) if self.tools.lookalikes.brands().same_group(one, other))
    }
}

fn free_mail_office(view: &View) -> Option<Vec<String>> {
    let from = view.from?;
    let is_office = view.name.has(Lexicon::Office) || !view.name.brands.is_empty();
    (from.sort.free_mail && is_office && !view.is_list && !view.is_notice)
        .then(|| vec![defuse::text(&from.address.name), defuse::host(&from.address.address)])
}

/// Whether From holds something else than one address that mail can be sent to.
pub(super) fn is_broken(view: &View) -> bool {
    let Some(from) = view.from else { return true };
    let strange = |char: char| char.is_whitespace() || char.is_control() || ",;:<>()[]\\\"'%&".contains(char);
    // Suffixes that nobody registers are those of an internal network.
    let is_inside =
        [".local", ".lan", ".internal", ".localdomain", ".test", ".example", ".invalid", ".localhost"]
            .iter()
            .any(|end| from.domain.ends_with(end));
    let known = psl::suffix(from.domain.as_bytes()).is_some_and(|suffix| suffix.is_known());
    let several = view
        .message
        .from
        .iter()
        .filter(|address| !address.address.is_empty() || !address.name.is_empty())
        .count()
        > 1;
    let is_name = from.domain.contains('.') && !from.domain.contains("..") && (known || is_inside);
    several
        || from.address.address.contains(strange)
        || (!is_name && !view.is_list && from.domain != "localhost")
}

fn broken(view: &View) -> Option<Vec<String>> {
    // A mail without any From says nothing: notices of failed delivery come so.
    let from = view.message.from.first().filter(|_| !view.is_notice)?;
    is_broken(view).then(|| vec![defuse::text(&from.name), defuse::host(&from.address)])
}

fn random_domain(view: &View) -> Option<Vec<String>> {
    let from = view.from?;
    is_random(from.domain).then(|| vec![defuse::host(from.domain)])
}

/// `kAAMtavkB`, `x9b70`, `Nguyen_Victor_75105`.
fn random_local(view: &View) -> Option<Vec<String>> {
    let from = view.from?;
    let local = from.local;
    let parts: Vec<&str> = local.split('_').collect();
    let is_numbered = parts.len() >= 3
        && parts.last().is_some_and(|last| last.len() >= 4 && last.bytes().all(|byte| byte.is_ascii_digit()))
        && parts[..parts.len() - 1]
            .iter()
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphabetic()));
    let is_plain = local.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_noise = is_plain && !view.is_list && super::link::is_noise(&local.to_ascii_lowercase());
    (is_jumbled(local) || is_numbered || is_noise).then(|| vec![defuse::host(&from.address.address)])
}

/// Capitals where no writer puts them: `kAAMtavkB`, and not `JohnSmith`.
fn is_jumbled(local: &str) -> bool {
    let bytes = local.as_bytes();
    let changes =
        bytes.windows(2).filter(|pair| pair[0].is_ascii_lowercase() != pair[1].is_ascii_lowercase()).count();
    let is_camel =
        bytes.windows(2).all(|pair| !(pair[0].is_ascii_uppercase() && pair[1].is_ascii_uppercase()))
            && bytes.last().is_some_and(u8::is_ascii_lowercase);
    bytes.iter().all(u8::is_ascii_alphabetic) && changes >= 3 && !is_camel
}

/// It speaks for an organisation whose name has nothing in common with its address.
pub(super) fn unlike_address(view: &View) -> Option<Vec<String>> {
    let from = view.from?;
    let address = from.address.address.to_lowercase();
    let mut words =
        view.name.text.split(|char: char| !char.is_alphanumeric()).filter(|word| word.len() > 2).peekable();
    let says_who = view.name.has(Lexicon::Office) || !view.name.brands.is_empty();
    let is_ascii = view.name.text.is_ascii();
    (says_who
        && is_ascii
        && words.peek().is_some()
        && !words.any(|word| address.contains(word))
        && !view.is_list
        && !view.is_notice
        && !view.message.answers)
        .then(|| vec![defuse::text(&from.address.name), defuse::host(&from.address.address)])
}

/// `Microsoft account team ,_`, `Report.`: what is added so that two names are not the same to a filter.
fn ornament(view: &View) -> Option<Vec<String>> {
    let name = view.message.from.iter().map(|address| address.name.trim()).find(|name| !name.is_empty())?;
    let last_word = name.rsplit(' ').next().unwrap_or_default();
    // `Inc.`, `Ltd.` and initials end so by right.
    let ends_oddly = name.ends_with([',', '_', '|', ';', ':', '-', '~', '?'])
        || (name.ends_with('.') && last_word.trim_end_matches('.').chars().count() > 4)
        || (name.ends_with('!') && last_word != "Yahoo!");
    (ends_oddly && !view.is_notice).then(|| vec![defuse::text(name)])
}

fn cheap_domain(view: &View) -> Option<Vec<String>> {
    let from = view.from?;
    from.sort.cheap_suffix.then(|| vec![defuse::host(from.domain)])
}

fn free_host(view: &View) -> Option<Vec<String>> {
    let from = view.from?;
    let is_provider = from.sort.free_mail || from.owner.is_some();
    (from.sort.free_hosting && !is_provider).then(|| vec![defuse::host(from.domain)])
}

fn disguised_name(view: &View) -> Option<Vec<String>> {
    let word = view.message.from.iter().find_map(|address| disguised_word(&address.name, 200))?;
    Some(vec![defuse::text(&word)])
}

fn badge(view: &View) -> Option<Vec<String>> {
    let is_badge = |char: char| {
        matches!(
            char,
            '✓' | '✔'
                | '✅'
                | '☑'
                | '®'
                | '™'
                | '©'
                | '🔒'
                | '🛡'
                | '🏆'
                | '🎁'
                | '⚠'
                | '🚨'
                | '💰'
                | '🤑'
        )
    };
    let name =
        view.message.from.iter().map(|address| address.name.as_str()).find(|name| name.contains(is_badge));
    any(name.map(defuse::text).into_iter().collect())
}

fn reply_free_mail(view: &View) -> Option<Vec<String>> {
    let (from, to) = (view.from?, view.reply_to?);
    let differs = !to.address.address.eq_ignore_ascii_case(&from.address.address)
        && (to.root != from.root || to.local != from.local);
    // Two free mailboxes of one person are common; a list sets it to whom it likes.
    let is_office = view.name.has(Lexicon::Office) || !from.sort.free_mail;
    (differs
        && is_office
        && to.sort.free_mail
        && to.root != from.root
        && !view.is_list
        && !view.message.answers)
        .then(|| vec![defuse::host(&to.address.address), defuse::host(&from.address.address)])
}

fn reply_elsewhere(view: &View) -> Option<Vec<String>> {
    let (from, to) = (view.from?, view.reply_to?);
    let is_other = to.root != from.root && !to.sort.free_mail && !to.sort.bulk_mailer;
    (is_other && !view.is_list && !view.message.answers && !view.belongs_together(to.domain, from.domain))
        .then(|| vec![defuse::host(&to.address.address), defuse::host(&from.address.address)])
}
