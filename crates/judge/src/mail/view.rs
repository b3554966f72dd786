//! One mail as the features look at it: everything that more than one of them needs, worked out once.

use decode::mail::{Address, Body, Link, LinkKind, Message};
use schema::{AuthResult, Authentication};

use super::fold::{CHARS_MAX, fold};
use super::words::{Hit, Lexicon, Words};
use super::{Given, Tools};
use crate::impersonation::{Mention, Place};
use crate::lookalike::{BrandId, HostSort, Lookalike, Sector};

/// Hosts of links that are looked at one by one.
const HOSTS_MAX: usize = 64;
/// The headline of a body, in bytes: what is read before anybody scrolls.
const HEADLINE_BYTES: usize = 600;

/// One mail.
pub(super) struct View<'a> {
    pub(super) given: &'a Given<'a>,
    pub(super) message: &'a Message,
    pub(super) tools: &'a Tools,
    /// The address that the mail says it is from; the first where there are several.
    pub(super) from: Option<Party<'a>>,
    /// Where answers go, where that is said.
    pub(super) reply_to: Option<Party<'a>>,
    /// The sender's display name.
    pub(super) name: Text,
    /// The subject.
    pub(super) subject: Text,
    /// The head of the body that a reader sees.
    pub(super) head: Text,
    /// What can be clicked or sent off and leads to a host, in the mail's order.
    pub(super) clicks: Vec<Click<'a>>,
    /// The hosts that the clicks lead to, each once, with what each looks like.
    pub(super) hosts: Vec<Host<'a>>,
    /// What the sender's domain looks like.
    pub(super) sender_lookalike: Option<Lookalike>,
    /// Whether a mailing list sent it: one whose own domain is where it comes from. A List-* field alone can be written by anybody, and bulk
    /// senders of all sorts do.
    pub(super) is_list: bool,
    /// Whether it is a mail server's word on another mail.
    pub(super) is_notice: bool,
    /// Whether the visible From's domain is what was authenticated.
    pub(super) aligned: bool,
}

/// An address taken apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Party<'a> {
    pub(super) address: &'a Address,
    pub(super) local: &'a str,
    pub(super) domain: &'a str,
    /// What somebody registered.
    pub(super) root: &'a str,
    /// Whose domain it is; nobody's where anybody may have a mailbox there.
    pub(super) owner: Option<BrandId>,
    pub(super) sort: HostSort,
}

/// A text with what stands in it.
#[derive(Debug, Default)]
pub(super) struct Text {
    /// Folded.
    pub(super) text: String,
    pub(super) hits: Vec<Hit>,
    pub(super) brands: Vec<Mention>,
}

/// A link that somebody can follow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Click<'a> {
    pub(super) link: &'a Link,
    pub(super) root: &'a str,
    /// Whose host it is; nobody's where anybody may put things there.
    pub(super) owner: Option<BrandId>,
    pub(super) sort: HostSort,
}

/// A host that links lead to.
#[derive(Debug)]
pub(super) struct Host<'a> {
    pub(super) host: &'a str,
    pub(super) root: &'a str,
    pub(super) sort: HostSort,
    pub(super) lookalike: Option<Lookalike>,
}

impl<'a> View<'a> {
    pub(super) fn new(given: &'a Given<'a>, tools: &'a Tools) -> Self {
        let message = given.message;
        let party = |address: &'a Address| party(address, tools);
        let from = message.from.iter().find(|address| address.address.contains('@')).and_then(party);
        // A program that knows no name writes the address in its place.
        let is_name = |address: &&Address| {
            !address.name.trim().is_empty() && !address.name.trim().eq_ignore_ascii_case(&address.address)
        };
        let name = message.from.iter().find(is_name).map(|address| address.name.as_str());
        let clicks = clicks(&message.links, tools);
        let hosts = hosts(&clicks, tools);
        let return_path = message.return_path.as_ref().and_then(party);
        let sender_lookalike = from.and_then(|from| tools.lookalikes.judge(from.domain));
        Self {
            given,
            message,
            tools,
            from,
            reply_to: message.reply_to.first().and_then(party),
            is_list: is_list(message, return_path),
            is_notice: is_notice(message, from),
            name: Text::new(name.unwrap_or_default(), 200, Place::Name, tools),
            subject: Text::new(&message.subject, 400, Place::Subject, tools),
            head: Text::new(&head(&message.bodies), CHARS_MAX, Place::Body, tools),
            clicks,
            hosts,
            sender_lookalike,
            aligned: from
                .is_some_and(|from| given.authentication.is_some_and(|known| is_aligned(known, from.root))),
        }
    }

    /// Words of a lexicon in the head of the body.
    pub(super) fn head_words(&self, lexicon: Lexicon) -> Vec<String> {
        words(&self.head, lexicon, &self.tools.words)
    }

    /// Words of a lexicon in the subject.
    pub(super) fn subject_words(&self, lexicon: Lexicon) -> Vec<String> {
        words(&self.subject, lexicon, &self.tools.words)
    }

    /// Whether subject or body have a word of one of the lexicons.
    pub(super) fn speaks_of(&self, lexicons: &[Lexicon]) -> bool {
        self.subject.hits.iter().chain(&self.head.hits).any(|hit| lexicons.contains(&hit.lexicon))
    }

    /// Whether the domain is the brand's own, or of a brand that writes for it.
    pub(super) fn belongs(&self, owner: Option<BrandId>, brand: BrandId) -> bool {
        let brands = self.tools.lookalikes.brands();
        let sector = |brand: BrandId| brands.get(brand).map(|brand| brand.sector);
        // The hospital's own department writes of the hospital's own mailboxes.
        let is_mailbox = |owner| sector(brand) == Some(Sector::Mailbox) && sector(owner) == Some(Sector::Own);
        owner.is_some_and(|owner| brands.same_group(owner, brand) || is_mailbox(owner))
    }

    /// A brand's name for people.
    pub(super) fn brand_name(&self, brand: BrandId) -> String {
        self.tools
            .lookalikes
            .brands()
            .get(brand)
            .map_or_else(String::new, |brand| super::defuse::text(&brand.name))
    }

    /// The texts that a reader sees, HTML before plain.
    pub(super) fn html(&self) -> impl Iterator<Item = &'a Body> {
        self.message.bodies.iter().filter(|body| body.html)
    }
}

impl Text {
    fn new(raw: &str, chars_max: usize, place: Place, tools: &Tools) -> Self {
        let text = fold(raw, chars_max);
        let hits = tools.words.find(&text);
        // What stands below the headline of a body is talk, not a claim.
        let claims = if place == Place::Body { start(raw, HEADLINE_BYTES) } else { raw };
        let brands = tools.names.mentions(claims, place);
        Self { text, hits, brands }
    }

    pub(super) fn has(&self, lexicon: Lexicon) -> bool {
        self.hits.iter().any(|hit| hit.lexicon == lexicon)
    }
}

fn words(text: &Text, lexicon: Lexicon, words: &Words) -> Vec<String> {
    let hits = text.hits.iter().filter(|hit| hit.lexicon == lexicon);
    hits.map(|&hit| super::defuse::text(words.word(hit))).take(4).collect()
}

/// Lists of old have no List-Id; there an answer within a thread is what tells them from bulk senders.
fn is_list(message: &Message, return_path: Option<Party>) -> bool {
    let is_own =
        |list: &str| list.contains('.') && return_path.is_some_and(|sender| root(list) == sender.root);
    match message.list_id.as_deref() {
        Some(list) => is_own(list),
        None => message.from_list && message.answers,
    }
}

fn is_notice(message: &Message, from: Option<Party>) -> bool {
    let is_server =
        |local: &str| ["mailer-daemon", "postmaster"].iter().any(|name| local.eq_ignore_ascii_case(name));
    let bare = message
        .from
        .first()
        .is_none_or(|from| is_server(&from.name) || is_server(&from.address) || from.address.is_empty());
    let has_report = message.parts.iter().any(|part| part.declared.ends_with("/delivery-status"));
    from.map_or(bare, |from| is_server(from.local)) || has_report
}

/// What a mail program shows first: the HTML where there is one, without what is quoted from an earlier mail.
fn head(bodies: &[Body]) -> String {
    let html = bodies.iter().find(|body| body.html && !body.visible.trim().is_empty());
    let Some(body) = html.or_else(|| bodies.iter().find(|body| !body.visible.trim().is_empty())) else {
        return String::new();
    };
    let mut head = String::new();
    for line in body.visible.lines() {
        if line.trim_start().starts_with(['>', '＞']) {
            continue;
        }
        head.push_str(line);
        head.push('\n');
        // Four bytes a character at most: the rest would be cut off anyway.
        if head.len() > CHARS_MAX * 4 {
            break;
        }
    }
    head
}

fn party<'a>(address: &'a Address, tools: &Tools) -> Option<Party<'a>> {
    let (local, domain) = address.address.rsplit_once('@')?;
    let domain = domain.trim().trim_end_matches('.');
    let root = root(domain);
    let sort = tools.lookalikes.hosts().sort(domain);
    let owner = tools.lookalikes.official(domain).filter(|_| !sort.free_mail);
    Some(Party { address, local, domain, root, owner, sort })
}

/// What can be followed. Most links of a mail lead to the same host as one just before: it is looked up once.
fn clicks<'a>(links: &'a [Link], tools: &Tools) -> Vec<Click<'a>> {
    const LOOKED_BACK: usize = 8;
    let mut clicks: Vec<Click<'a>> = Vec::new();
    for link in links {
        let can_follow = matches!(link.kind, LinkKind::Anchor | LinkKind::Plain | LinkKind::Form);
        let is_web = !link.url.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("mailto:"));
        if !can_follow || !is_web || link.host.is_empty() {
            continue;
        }
        let known = clicks.iter().rev().take(LOOKED_BACK).find(|known| known.link.host == link.host);
        let (root, owner) = match known {
            Some(known) => (known.root, known.owner),
            None => (root(&link.host), tools.lookalikes.official(&link.host)),
        };
        let sort = match known.filter(|known| known.link.url == link.url) {
            Some(known) => known.sort,
            None => tools.lookalikes.hosts().sort_url(&link.url),
        };
        clicks.push(Click { link, root, owner, sort });
    }
    clicks
}

fn hosts<'a>(clicks: &[Click<'a>], tools: &Tools) -> Vec<Host<'a>> {
    let mut hosts: Vec<Host<'a>> = Vec::new();
    for click in clicks {
        if hosts.len() == HOSTS_MAX {
            break;
        }
        if !hosts.iter().any(|known| known.host == click.link.host) {
            let lookalike = tools.lookalikes.judge(&click.link.host);
            hosts.push(Host { host: &click.link.host, root: click.root, sort: click.sort, lookalike });
        }
    }
    hosts
}

/// The first so many bytes, up to a character's end.
fn start(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// What somebody registered: the public suffix and one label; the whole where there is no such label.
pub(super) fn root(host: &str) -> &str {
    psl::domain_str(host).unwrap_or(host)
}

/// Whether SPF or DKIM holds for the domain that the reader sees (RFC 7489 §3.1, relaxed).
fn is_aligned(known: &Authentication, from_root: &str) -> bool {
    let holds =
        |(result, domain): &(AuthResult, String)| *result == AuthResult::Pass && root(domain) == from_root;
    known.spf.iter().chain(&known.dkim).any(holds)
        || known.dmarc.as_ref().is_some_and(|(result, _)| *result == AuthResult::Pass)
}
