use jiff::Timestamp;
use schema::Authentication;

/// How much of one mail is looked at. Whatever is met is told as a [`Flaw`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the mail; a longer one is read up to here.
    pub bytes: usize,
    /// Header fields of the mail and of each part.
    pub headers: usize,
    /// Nested parts.
    pub depth: usize,
    /// Parts together.
    pub parts: usize,
    /// Bytes of each text that is looked at.
    pub text: usize,
    /// Links.
    pub links: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 64 << 20, headers: 1_000, depth: 16, parts: 256, text: 512 << 10, links: 512 }
    }
}

/// One mail. Texts are decoded (MIME words, ISO-2022-JP, …) and keep their invisible characters.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Message {
    /// The visible From: one address in a sound mail.
    pub from: Vec<Address>,
    /// Sender, where it is given.
    pub sender: Option<Address>,
    /// Where answers go.
    pub reply_to: Vec<Address>,
    /// To and Cc.
    pub to: Vec<Address>,
    /// Return-Path: the envelope sender as the last server wrote it down.
    pub return_path: Option<Address>,
    /// Subject.
    pub subject: String,
    /// Date, where it can be read.
    pub date: Option<Timestamp>,
    /// Message-ID without its brackets.
    pub message_id: Option<String>,
    /// List-Id without its brackets.
    pub list_id: Option<String>,
    /// Whether any List-* field, Mailing-List or Precedence: list|bulk is there.
    pub from_list: bool,
    /// Whether In-Reply-To or References is there.
    pub answers: bool,
    /// What servers on the way say they found, the last one first. Nobody is trusted here.
    pub authentication_results: Vec<AuthenticationResults>,
    /// The texts that a mail program shows, in their order.
    pub bodies: Vec<Body>,
    /// Links of all bodies, in their order, each place once.
    pub links: Vec<Link>,
    /// Everything else that it carries, in its order; also parts of mails within it.
    pub parts: Vec<Part>,
    /// What is malformed or past a bound, each sort once.
    pub flaws: Vec<Flaw>,
    /// Length as it came, bytes.
    pub length: u64,
}

/// A mailbox that a header names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Address {
    /// Display name, decoded; empty where there is none.
    pub name: String,
    /// `local@domain` as written, with the domain in lower case; may be broken.
    pub address: String,
}

/// A text that a mail program shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Body {
    /// Whether it is HTML.
    pub html: bool,
    /// Charset as declared, lower case; empty where none is.
    pub charset: String,
    /// What a reader sees, with blanks and line ends as shown. No mark-up.
    pub visible: String,
    /// What is there and is not seen: hidden by style, colour of the ground, size, zero-width characters.
    pub hidden: String,
    /// Forms in it.
    pub forms: Vec<Form>,
    /// Pictures that are fetched from elsewhere.
    pub remote_images: u32,
    /// Pictures that came with the mail.
    pub own_images: u32,
    /// Scripts, and elements that run or embed (`script`, `object`, `embed`, `iframe`, event handlers).
    pub active: u32,
    /// The longest text of Base64 or percent escapes inside a script or a data URL, bytes: smuggled files.
    pub packed: u64,
    /// The target of a `meta refresh`, where there is one.
    pub refresh: Option<String>,
}

/// Where a mail leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The URL as it works: entities, line breaks and blanks resolved the way a browser would, at most 2,048 characters.
    pub url: String,
    /// Its host, lower case, without user information and port, still as written otherwise (not yet punycode); empty where
    /// it has none (`mailto:`, `data:`).
    pub host: String,
    /// What the reader sees instead of it, at most 256 characters; empty where it stands there by itself.
    pub shown: String,
    /// What it is.
    pub kind: LinkKind,
}

/// What a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkKind {
    /// Something to click on.
    Anchor,
    /// An address in a text.
    Plain,
    /// Where a form goes.
    Form,
    /// A picture, a style, a frame: fetched without a click.
    Fetched,
}

/// One Authentication-Results field (RFC 8601).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthenticationResults {
    /// Who says so; lower case.
    pub authserv_id: String,
    /// What it says; `by` is the authserv-id.
    pub results: Authentication,
}

/// An HTML form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    /// Where it is sent.
    pub action: String,
    /// Whether it asks for a password.
    pub password: bool,
}

/// A file that a mail carries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Its file name, decoded, as the sender wrote it (bidirectional controls and all); empty where there is none.
    pub name: String,
    /// Content-Type as declared, lower case, without parameters.
    pub declared: String,
    /// Content-ID without its brackets: a picture of the HTML body.
    pub content_id: Option<String>,
    /// Its decoded bytes, up to the mail's bound.
    pub bytes: Vec<u8>,
}

/// Something malformed, or a bound that was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Flaw {
    /// No header at all, or bytes that are no mail.
    NoHeader,
    /// Longer than [`Limits::bytes`].
    TooLong,
    /// More header fields than [`Limits::headers`].
    ManyHeaders,
    /// Deeper than [`Limits::depth`].
    TooDeep,
    /// More parts than [`Limits::parts`].
    ManyParts,
    /// A text longer than [`Limits::text`].
    LongText,
    /// More links than [`Limits::links`].
    ManyLinks,
    /// From, Subject, Date or Message-ID stands more than once.
    RepeatedHeader,
    /// A boundary that never comes, or a part that does not end.
    BrokenMime,
    /// Base64 or quoted-printable that does not decode, or decodes only in part.
    BrokenEncoding,
    /// A charset that nobody knows, or bytes that are not in the declared one.
    BrokenCharset,
    /// NUL bytes or control characters in the header.
    ControlCharacters,
}
