//! HTML of a mail: what a reader sees of it, what is hidden from him, and where it leads. No tree is built: one pass, linear time.

mod frames;
mod packed;
pub(super) mod page;
mod style;
#[cfg(test)]
mod tests;
mod tokens;

use super::links;
use super::url;
use super::values::{Body, Form, Link, LinkKind};
use frames::{Frames, Kind};
use page::Page;
use style::{Sheet, Style, colour};
use tokens::{Attributes, Sink};

/// Forms of one document that are told.
const FORMS_MAX: usize = 64;
/// Characters of a link's text that are told.
const SHOWN_MAX: usize = 256;
/// Bytes of one style or script element that are looked at.
const RAW_MAX: usize = 256 << 10;

/// What one document gives.
pub(super) struct Html {
    pub(super) body: Body,
    /// In their order; those of the text come last.
    pub(super) links: Vec<Link>,
    /// Whether there were more links than the bound.
    pub(super) cut: bool,
}

/// Reads `html`, at most `links_max` links of it.
pub(super) fn read(html: &str, links_max: usize) -> Html {
    let mut reader = Reader {
        body: Body { html: true, ..Body::default() },
        page: Page::new(html.len()),
        frames: Frames::new(),
        sheet: Sheet::default(),
        raw: Raw::None,
        base: None,
        places: Vec::new(),
        anchor: None,
        links_max,
        fetched: 0,
        cut: false,
    };
    tokens::read(html, &mut reader);
    reader.finish()
}

/// Whose content comes next, where it is no text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Raw {
    None,
    Style,
    Script,
    Dropped,
}

/// A link before the document's base is known.
struct Place {
    raw: String,
    kind: LinkKind,
    /// Where its text stands in the visible text.
    from: usize,
    to: usize,
    /// What its pictures say where they are not shown.
    alt: String,
}

struct Reader {
    body: Body,
    page: Page,
    frames: Frames,
    sheet: Sheet,
    raw: Raw,
    base: Option<String>,
    places: Vec<Place>,
    /// The link that is open, in `places`.
    anchor: Option<usize>,
    links_max: usize,
    fetched: usize,
    cut: bool,
}

impl Sink for Reader {
    fn open(&mut self, tag: &str, attributes: &Attributes) {
        let kind = Kind::of(tag);
        self.break_line(tag, kind);
        if kind == Kind::Anchor {
            self.end_anchor();
        }
        let style = self.style(tag, attributes);
        self.frames.open(kind, tag, &style);
        self.raw = match tag {
            "style" => Raw::Style,
            "script" => Raw::Script,
            "title" | "iframe" | "noembed" | "noframes" => Raw::Dropped,
            _ => Raw::None,
        };
        self.element(tag, attributes);
        for (name, value) in attributes.iter() {
            self.attribute(tag, name, value);
        }
    }

    fn close(&mut self, tag: &str) {
        let kind = Kind::of(tag);
        self.raw = Raw::None;
        if kind == Kind::Anchor {
            self.end_anchor();
        }
        self.frames.close(kind, tag);
        self.break_line(tag, kind);
    }

    fn standard(&mut self) {
        self.frames.quirks = false;
    }

    fn text(&mut self, text: &str) {
        match self.raw {
            Raw::Style => self.sheet.add(&text[..url::floor(text, RAW_MAX)]),
            Raw::Script => self.body.packed = self.body.packed.max(packed::of_script(text)),
            Raw::Dropped => {}
            Raw::None => {
                let frame = self.frames.inner();
                // What never shows by its nature is not hidden from anybody.
                if frame.kind != Kind::Silent {
                    self.page.text(text, frame.is_seen(), frame.verbatim);
                }
            }
        }
    }
}

impl Reader {
    fn break_line(&mut self, tag: &str, kind: Kind) {
        if tag == "br" || tag == "hr" {
            self.page.line_end();
        } else if kind.breaks_line() {
            self.page.new_line();
        } else if kind == Kind::Cell {
            self.page.blank();
        }
    }

    /// Rules, old attributes and the element's own style, the stronger ones later.
    fn style(&self, tag: &str, attributes: &Attributes) -> Style {
        let (class, id) =
            (attributes.get("class").unwrap_or_default(), attributes.get("id").unwrap_or_default());
        let mut style = Style::default();
        let paint = |name| attributes.get(name).map(|value: &str| colour(&value.to_ascii_lowercase()));
        // A picture lies over the colour.
        let picture = attributes.get("background").map(|_| style::Colour::Unknown);
        style.ground = picture.or_else(|| paint("bgcolor"));
        style.colour = match tag {
            "font" => paint("color"),
            "body" => paint("text"),
            // Links are blue, whatever stands around them.
            "a" => attributes.get("href").map(|_| style::Colour::Rgb([0, 0, 238])),
            _ => None,
        };
        style.overlay(&self.sheet.style(tag, class, id));
        if let Some(own) = attributes.get("style") {
            style.overlay(&Style::parse(own));
        }
        if attributes.get("hidden").is_some() {
            style.gone = Some(true);
        }
        style
    }

    fn element(&mut self, tag: &str, attributes: &Attributes) {
        let get = |name| attributes.get(name).unwrap_or_default();
        match tag {
            "a" => {
                let target = attributes.get("href").or_else(|| attributes.get("xlink:href"));
                if let Some(href) = target {
                    self.anchor = self.place(href, LinkKind::Anchor);
                }
            }
            "area" => {
                if let Some(at) = attributes.get("href").and_then(|href| self.place(href, LinkKind::Anchor)) {
                    self.places[at].alt = url::cut(get("alt").to_owned(), SHOWN_MAX);
                }
            }
            "base" if self.base.is_none() => {
                self.base = attributes.get("href").map(|href| url::resolve(href, None))
            }
            "form" => {
                self.place(get("action"), LinkKind::Form);
                if self.body.forms.len() < FORMS_MAX {
                    self.body.forms.push(Form { action: get("action").to_owned(), password: false });
                }
            }
            "input" if get("type").trim().eq_ignore_ascii_case("password") => self.password(),
            "img" | "image" => self.image(attributes),
            "meta" => self.meta(attributes),
            "script" | "object" | "embed" | "iframe" | "applet" | "frame" => {
                self.body.active = self.body.active.saturating_add(1)
            }
            _ => {}
        }
    }

    fn attribute(&mut self, tag: &str, name: &str, value: &str) {
        match name {
            "src"
                if matches!(tag, "script" | "iframe" | "frame" | "embed" | "audio" | "video" | "source") =>
            {
                self.fetch(value)
            }
            "data" if tag == "object" => self.fetch(value),
            "href" if tag == "link" => self.fetch(value),
            "background" | "poster" => self.picture(value),
            "formaction" => {
                self.place(value, LinkKind::Form);
            }
            "style" => self.pictures_of_style(value),
            name if name.starts_with("on") && name.len() > 4 => {
                self.body.active = self.body.active.saturating_add(1);
                self.body.packed = self.body.packed.max(packed::of_script(value));
            }
            _ => {}
        }
        if matches!(name, "href" | "src" | "data" | "action") {
            self.body.packed = self.body.packed.max(packed::of_url(value.trim_start()));
            if value.trim_start().get(..11).is_some_and(|scheme| scheme.eq_ignore_ascii_case("javascript:")) {
                self.body.active = self.body.active.saturating_add(1);
            }
        }
    }

    fn password(&mut self) {
        match self.body.forms.last_mut() {
            Some(form) => form.password = true,
            // Scripts gather what is typed outside of any form.
            None => self.body.forms.push(Form { action: String::new(), password: true }),
        }
    }

    fn image(&mut self, attributes: &Attributes) {
        self.picture(attributes.get("src").unwrap_or_default());
        if let (Some(at), Some(alt)) = (self.anchor, attributes.get("alt"))
            && self.places[at].alt.len() < SHOWN_MAX
        {
            let place = &mut self.places[at];
            if !place.alt.is_empty() {
                place.alt.push(' ');
            }
            place.alt.push_str(alt.trim());
            place.alt = url::cut(std::mem::take(&mut place.alt), SHOWN_MAX);
        }
    }

    /// A picture is the mail's own where it came with it.
    fn picture(&mut self, source: &str) {
        let source = source.trim();
        let begins =
            |start: &str| source.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start));
        if begins("cid:") || begins("data:") {
            self.body.own_images = self.body.own_images.saturating_add(1);
        } else if !source.is_empty() {
            self.body.remote_images = self.body.remote_images.saturating_add(1);
            self.fetch(source);
        }
    }

    fn pictures_of_style(&mut self, style: &str) {
        let mut rest = style;
        while let Some(at) = rest.find("url(") {
            rest = &rest[at + 4..];
            let end = rest.find(')').unwrap_or(rest.len());
            self.picture(rest[..end].trim_matches([' ', '"', '\'']));
            rest = &rest[end..];
        }
    }

    fn meta(&mut self, attributes: &Attributes) {
        let equiv = attributes.get("http-equiv").unwrap_or_default();
        if !equiv.trim().eq_ignore_ascii_case("refresh") {
            return;
        }
        // `0; url='https://…'`
        let content = attributes.get("content").unwrap_or_default();
        let Some((_, target)) = content.split_once([';', ',']) else { return };
        let target = target.trim_start();
        let target = match target.get(..3).filter(|head| head.eq_ignore_ascii_case("url")) {
            Some(_) => target[3..].trim_start().trim_start_matches('='),
            None => target,
        };
        let target = target.trim().trim_matches(['"', '\'']);
        if !target.is_empty() && self.body.refresh.is_none() {
            self.body.refresh = Some(target.to_owned());
            self.place(target, LinkKind::Fetched);
        }
    }

    fn fetch(&mut self, raw: &str) {
        let raw = raw.trim();
        let own = ["cid:", "data:", "about:", "blob:"];
        let is_own =
            own.iter().any(|own| raw.get(..own.len()).is_some_and(|head| head.eq_ignore_ascii_case(own)));
        // Pictures must not take the room of what is clicked on.
        if raw.is_empty() || is_own || self.fetched >= self.links_max / 2 {
            return;
        }
        self.fetched += 1;
        self.place(raw, LinkKind::Fetched);
    }

    fn place(&mut self, raw: &str, kind: LinkKind) -> Option<usize> {
        let raw = raw.trim();
        if raw.is_empty() || (raw.starts_with('#') && kind == LinkKind::Anchor) {
            return None;
        }
        if self.places.len() >= self.links_max {
            self.cut = true;
            return None;
        }
        let at = self.page.position();
        let raw = raw[..url::floor(raw, url::URL_MAX * 4)].to_owned();
        self.places.push(Place { raw, kind, from: at, to: at, alt: String::new() });
        Some(self.places.len() - 1)
    }

    fn end_anchor(&mut self) {
        if let Some(at) = self.anchor.take() {
            self.places[at].to = self.page.position();
        }
    }

    fn finish(mut self) -> Html {
        self.end_anchor();
        let mut body = self.body;
        let base = self.base.as_deref();
        let visible = self.page.visible();
        let mut links = Vec::with_capacity(self.places.len());
        let mut loose = 0;
        let mut plain = Vec::new();
        for place in &self.places {
            let url = url::resolve(&place.raw, base);
            let text = visible.get(place.from..place.to).unwrap_or_default();
            let shown = if text.trim().is_empty() { place.alt.trim() } else { text.trim() };
            let host = url::host_of(&url);
            links.push(Link { host, url, shown: url::cut(one_line(shown), SHOWN_MAX), kind: place.kind });
            if place.kind == LinkKind::Anchor && place.from >= loose {
                plain.extend(links::urls(visible.get(loose..place.from).unwrap_or_default()));
                loose = place.to.max(place.from);
            }
        }
        plain.extend(links::urls(visible.get(loose..).unwrap_or_default()));
        for form in &mut body.forms {
            form.action = url::resolve(&form.action, base);
        }
        body.refresh = body.refresh.map(|target| url::resolve(&target, base));
        let room = self.links_max.saturating_sub(links.len());
        self.cut |= plain.len() > room;
        links.extend(plain.into_iter().take(room));
        (body.visible, body.hidden) = self.page.finish();
        Html { body, links, cut: self.cut }
    }
}

fn one_line(text: &str) -> String {
    let head = &text[..url::floor(text, SHOWN_MAX * 8)];
    head.split_whitespace().collect::<Vec<_>>().join(" ")
}
