//! The elements that are open, as far as they decide what is seen.

use super::style::{Colour, Style};

/// Open elements that are kept; those within a deeper one are only counted, as browsers flatten them too.
const FRAMES_MAX: usize = 256;

/// An element by what its beginning and end do to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing stands in it, so it does not stay open.
    Void,
    Paragraph,
    /// Begins and ends a line of its own, and ends a paragraph.
    Block,
    ListItem,
    Table,
    /// A row or a group of rows.
    Row,
    Cell,
    /// The document, its head and its body.
    Document,
    /// Nothing in it is ever shown.
    Silent,
    Anchor,
    Inline,
}

impl Kind {
    pub(super) fn of(tag: &str) -> Self {
        match tag {
            "br" | "img" | "input" | "hr" | "meta" | "link" | "area" | "base" | "col" | "embed"
            | "source" | "wbr" | "param" | "track" | "bgsound" | "frame" | "keygen" => Self::Void,
            "p" => Self::Paragraph,
            "li" | "dt" | "dd" | "option" => Self::ListItem,
            "div" | "center" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "ul" | "ol" | "dl"
            | "blockquote" | "pre" | "form" | "fieldset" | "address" | "article" | "section" | "header"
            | "footer" | "main" | "nav" | "aside" | "figure" | "figcaption" | "details" | "summary"
            | "dir" | "menu" | "xmp" | "listing" | "plaintext" => Self::Block,
            "table" => Self::Table,
            "tr" | "tbody" | "thead" | "tfoot" | "colgroup" => Self::Row,
            "td" | "th" | "caption" => Self::Cell,
            // Text in a head ends it, so what stands there is shown as well.
            "html" | "head" | "body" => Self::Document,
            "title" | "script" | "style" | "template" | "iframe" | "noembed" | "noframes" | "datalist" => {
                Self::Silent
            }
            "a" => Self::Anchor,
            _ => Self::Inline,
        }
    }

    /// Whether an end tag looks no further out than this.
    fn is_scope(self) -> bool {
        matches!(self, Self::Table | Self::Cell)
    }

    /// Whether its text stands in a line of its own.
    pub(super) fn breaks_line(self) -> bool {
        matches!(
            self,
            Self::Paragraph | Self::Block | Self::ListItem | Self::Table | Self::Row | Self::Document
        )
    }
}

/// What holds inside an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    tag: u64,
    /// Nothing inside is seen, whatever it says of itself.
    gone: bool,
    /// `visibility` and the size of the font, which those inside may set anew.
    invisible: bool,
    tiny: bool,
    colour: Colour,
    ground: Colour,
    /// Blanks and line ends count.
    pub(super) verbatim: bool,
}

impl Frame {
    fn outermost() -> Self {
        Self {
            kind: Kind::Document,
            tag: 0,
            gone: false,
            invisible: false,
            tiny: false,
            colour: Colour::Rgb([0, 0, 0]),
            ground: Colour::Rgb([255, 255, 255]),
            verbatim: false,
        }
    }

    /// Whether a reader sees a text in it.
    pub(super) fn is_seen(&self) -> bool {
        !(self.gone || self.invisible || self.tiny || self.colour.vanishes_on(self.ground))
    }

    fn within(&self, kind: Kind, tag: &str, style: &Style) -> Self {
        let set = |flag: Option<bool>| flag == Some(true);
        let gone = set(style.gone) || set(style.transparent) || set(style.squeezed) || set(style.away);
        Self {
            kind,
            tag: mark(tag),
            gone: self.gone || gone || kind == Kind::Silent,
            invisible: style.invisible.unwrap_or(self.invisible),
            tiny: style.tiny.unwrap_or(self.tiny),
            colour: style.colour.unwrap_or(self.colour),
            ground: style.ground.filter(|ground| *ground != Colour::Clear).unwrap_or(self.ground),
            verbatim: self.verbatim || matches!(tag, "pre" | "xmp" | "listing" | "plaintext" | "textarea"),
        }
    }
}

/// A tag's name, cut to what tells any two real ones apart.
fn mark(tag: &str) -> u64 {
    tag.bytes().take(12).fold(0, |mark, byte| mark.rotate_left(5) ^ u64::from(byte))
}

/// The stack of open elements.
pub(super) struct Frames {
    open: Vec<Frame>,
    /// Elements beyond the bound.
    deeper: usize,
    /// Whether the page is read as old ones are: tables then take their text from the page and not from what they stand in.
    pub(super) quirks: bool,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self { open: vec![Frame::outermost()], deeper: 0, quirks: true }
    }

    pub(super) fn inner(&self) -> Frame {
        self.open.last().copied().unwrap_or_else(Frame::outermost)
    }

    /// Opens an element, after those are closed that its beginning ends.
    pub(super) fn open(&mut self, kind: Kind, tag: &str, style: &Style) {
        self.imply(kind);
        match kind {
            Kind::Void => {}
            // A second `body` adds its attributes to the first.
            Kind::Document => {
                let inner = self.inner();
                let outer = inner.within(inner.kind, "", style);
                if let Some(last) = self.open.last_mut() {
                    *last = Frame { tag: last.tag, kind: last.kind, ..outer };
                }
            }
            _ if self.open.len() >= FRAMES_MAX => self.deeper += 1,
            _ => {
                let mut outer = self.inner();
                if kind == Kind::Table && self.quirks {
                    outer.colour = self.open.first().map_or(outer.colour, |page| page.colour);
                    outer.tiny = false;
                }
                self.open.push(outer.within(kind, tag, style));
            }
        }
    }

    fn imply(&mut self, kind: Kind) {
        match kind {
            Kind::Paragraph | Kind::Block | Kind::Table => {
                self.close_to(|frame| frame.kind == Kind::Paragraph, Kind::is_scope)
            }
            Kind::ListItem => self.close_to(
                |frame| frame.kind == Kind::ListItem,
                |kind| kind.is_scope() || matches!(kind, Kind::Block),
            ),
            Kind::Cell => self.close_to(|frame| frame.kind == Kind::Cell, |kind| kind == Kind::Table),
            Kind::Row => self.close_to(|frame| frame.kind == Kind::Row, |kind| kind == Kind::Table),
            Kind::Anchor => self.close_to(|frame| frame.kind == Kind::Anchor, Kind::is_scope),
            _ => {}
        }
    }

    /// Closes the innermost element of that name, where an end tag may reach it.
    pub(super) fn close(&mut self, kind: Kind, tag: &str) {
        if matches!(kind, Kind::Void | Kind::Document) {
            return;
        }
        if self.deeper > 0 {
            self.deeper -= 1;
            return;
        }
        let tag = mark(tag);
        let stops: fn(Kind) -> bool = match kind {
            Kind::Table => |_| false,
            Kind::Row | Kind::Cell => |kind| kind == Kind::Table,
            _ => Kind::is_scope,
        };
        self.close_to(|frame| frame.tag == tag, stops);
    }

    fn close_to(&mut self, wanted: impl Fn(&Frame) -> bool, stops: fn(Kind) -> bool) {
        // The outermost frame stays.
        for at in (1..self.open.len()).rev() {
            if wanted(&self.open[at]) {
                self.open.truncate(at);
                return;
            }
            if stops(self.open[at].kind) {
                return;
            }
        }
    }
}
