//! As much of CSS as decides whether a reader sees a text.

use std::borrow::Cow;
use std::collections::HashMap;

/// Rules of one document that are looked at.
const RULES_MAX: usize = 2_000;
/// Declarations of one element or rule that are looked at.
const DECLARATIONS_MAX: usize = 200;
/// Pixels: what lies further out is on no screen.
const AWAY: f32 = -400.0;

/// A colour as far as it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    /// Red, green, blue.
    Rgb([u8; 3]),
    /// Nothing of it is seen.
    Clear,
    /// A picture, a name or a function that is not known.
    Unknown,
}

impl Colour {
    /// Whether a text of this colour cannot be read on `ground`.
    pub(super) fn vanishes_on(self, ground: Self) -> bool {
        match (self, ground) {
            (Self::Clear, _) => true,
            (Self::Rgb(own), Self::Rgb(ground)) => {
                own.iter().zip(ground).map(|(own, ground)| u32::from(own.abs_diff(ground))).sum::<u32>() <= 24
            }
            _ => false,
        }
    }
}

/// What a style says, `None` where it says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Style {
    /// `display: none`.
    pub(super) gone: Option<bool>,
    /// `visibility: hidden`.
    pub(super) invisible: Option<bool>,
    /// `opacity` next to nothing.
    pub(super) transparent: Option<bool>,
    /// A font of a pixel or less.
    pub(super) tiny: Option<bool>,
    /// No height or width to be seen in.
    pub(super) squeezed: Option<bool>,
    /// Moved off the screen.
    pub(super) away: Option<bool>,
    /// Of the text.
    pub(super) colour: Option<Colour>,
    /// Behind it.
    pub(super) ground: Option<Colour>,
}

impl Style {
    /// What `later` says wins.
    pub(super) fn overlay(&mut self, later: &Self) {
        self.gone = later.gone.or(self.gone);
        self.invisible = later.invisible.or(self.invisible);
        self.transparent = later.transparent.or(self.transparent);
        self.tiny = later.tiny.or(self.tiny);
        self.squeezed = later.squeezed.or(self.squeezed);
        self.away = later.away.or(self.away);
        self.colour = later.colour.or(self.colour);
        self.ground = later.ground.or(self.ground);
    }

    /// The declarations of a `style` attribute or of a rule.
    pub(super) fn parse(css: &str) -> Self {
        let css = plain(css);
        let mut style = Self::default();
        let (mut flat, mut clipped, mut fixed, mut shift) = (false, false, false, false);
        for declaration in css.split(';').take(DECLARATIONS_MAX) {
            let Some((name, value)) = declaration.split_once(':') else { continue };
            let value = value.trim().trim_end_matches("!important").trim();
            match name.trim() {
                "display" => style.gone = Some(value == "none"),
                "visibility" => style.invisible = Some(matches!(value, "hidden" | "collapse")),
                "opacity" => {
                    style.transparent =
                        number(value).map(|(part, unit)| if unit == "%" { part < 5.0 } else { part < 0.05 })
                }
                "font-size" => style.tiny = is_tiny(value).or(style.tiny),
                "font" => style.tiny = value.split([' ', '/']).find_map(is_tiny).or(style.tiny),
                "max-height" | "max-width" => {
                    style.squeezed = Some(is_nothing(value) || style.squeezed == Some(true))
                }
                "height" | "width" => flat |= is_nothing(value),
                "overflow" | "overflow-x" | "overflow-y" => clipped |= matches!(value, "hidden" | "clip"),
                "position" => fixed = matches!(value, "absolute" | "fixed" | "relative"),
                "left" | "top" | "right" | "bottom" => shift |= is_away(value),
                "text-indent" | "margin-left" | "margin-top" | "margin" => {
                    style.away = Some(value.split_whitespace().any(is_away) || style.away == Some(true));
                }
                "transform" => style.away = Some(value.contains("scale(0)") || style.away == Some(true)),
                "clip" => style.away = Some(is_empty_rectangle(value) || style.away == Some(true)),
                "clip-path" => style.away = Some(value.contains("inset(100%") || value.contains("inset(50%")),
                "color" | "-webkit-text-fill-color" => style.colour = Some(colour(value)),
                "background-color" => style.ground = Some(colour(value)),
                "background" => style.ground = Some(shorthand(value)),
                "background-image" if value != "none" => style.ground = Some(Colour::Unknown),
                _ => {}
            }
        }
        if flat && clipped {
            style.squeezed = Some(true);
        }
        if fixed && shift {
            style.away = Some(true);
        }
        style
    }
}

/// Lower case, without comments, escapes undone.
fn plain(css: &str) -> String {
    let mut css = Cow::Borrowed(css);
    if css.contains("/*") {
        css = Cow::Owned(without_comments(&css));
    }
    if css.contains('\\') {
        css = Cow::Owned(unescaped(&css));
    }
    let mut css = css.into_owned();
    css.make_ascii_lowercase();
    css
}

fn without_comments(css: &str) -> String {
    let mut out = String::with_capacity(css.len());
    let mut rest = css;
    while let Some(at) = rest.find("/*") {
        out.push_str(&rest[..at]);
        rest = rest[at + 2..].split_once("*/").map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    out
}

fn unescaped(css: &str) -> String {
    let mut out = String::with_capacity(css.len());
    let mut rest = css;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let digits = rest.bytes().take(6).take_while(u8::is_ascii_hexdigit).count();
        if let Some(c) = u32::from_str_radix(&rest[..digits], 16).ok().and_then(char::from_u32) {
            out.push(c);
            rest = &rest[digits..];
            rest = rest.strip_prefix(' ').unwrap_or(rest);
        }
    }
    out.push_str(rest);
    out
}

/// A number and its unit.
fn number(value: &str) -> Option<(f32, &str)> {
    let end =
        value.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+'))).unwrap_or(value.len());
    Some((value[..end].parse().ok()?, value[end..].trim()))
}

fn is_tiny(value: &str) -> Option<bool> {
    let (size, unit) = number(value)?;
    Some(match unit {
        "em" | "rem" | "ex" | "ch" | "vw" | "vh" => size <= 0.08,
        "%" => size <= 8.0,
        _ => size <= 1.0,
    })
}

fn is_nothing(value: &str) -> bool {
    number(value).is_some_and(|(size, unit)| size <= if unit == "px" { 1.0 } else { 0.0 })
}

fn is_away(value: &str) -> bool {
    number(value).is_some_and(|(size, unit)| match unit {
        "em" | "rem" => size <= AWAY / 16.0,
        "%" | "vw" | "vh" => size <= -100.0,
        _ => size <= AWAY,
    })
}

fn is_empty_rectangle(value: &str) -> bool {
    let inner = value.strip_prefix("rect(").unwrap_or_default().trim_end_matches(')');
    let mut sides = inner.split([',', ' ']).filter(|side| !side.is_empty()).peekable();
    sides.peek().is_some() && sides.all(|side| number(side).is_some_and(|(size, _)| size.abs() <= 1.0))
}

/// The ground of `background: #fff url(…) repeat`.
fn shorthand(value: &str) -> Colour {
    if value.contains("url(") || value.contains("gradient") {
        return Colour::Unknown;
    }
    let value = value.trim();
    if value.starts_with("rgb") {
        return colour(value);
    }
    let known = value.split_whitespace().map(colour).find(|colour| *colour != Colour::Unknown);
    known.unwrap_or(if value == "none" { Colour::Clear } else { Colour::Unknown })
}

/// A colour as attributes and declarations give it; lower case.
pub(super) fn colour(value: &str) -> Colour {
    let value = value.trim();
    if let Some(hex) = value.strip_prefix('#') {
        return hexadecimal(hex);
    }
    if let Some(inner) =
        value.strip_prefix("rgb").and_then(|rest| rest.trim_start_matches('a').strip_prefix('('))
    {
        return function(inner);
    }
    let known = match value {
        "transparent" => return Colour::Clear,
        "white" => 0xff_ff_ff,
        "snow" | "ghostwhite" | "floralwhite" | "ivory" | "mintcream" | "azure" => 0xfa_fa_fa,
        "whitesmoke" => 0xf5_f5_f5,
        "gainsboro" => 0xdc_dc_dc,
        "silver" => 0xc0_c0_c0,
        "lightgray" | "lightgrey" => 0xd3_d3_d3,
        "gray" | "grey" => 0x80_80_80,
        "black" => 0,
        "red" => 0xff_00_00,
        "green" => 0x00_80_00,
        "blue" => 0x00_00_ff,
        "yellow" => 0xff_ff_00,
        "orange" => 0xff_a5_00,
        "navy" => 0x00_00_80,
        "maroon" => 0x80_00_00,
        "purple" => 0x80_00_80,
        "teal" => 0x00_80_80,
        // The old attributes take the digits without a number sign.
        digits if digits.len() == 6 => return hexadecimal(digits),
        _ => return Colour::Unknown,
    };
    Colour::Rgb([(known >> 16) as u8, (known >> 8) as u8, known as u8])
}

fn hexadecimal(hex: &str) -> Colour {
    let digits: Option<Vec<u8>> =
        hex.chars().take(9).map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    match digits.as_deref() {
        Some([.., 0]) if hex.len() == 4 => Colour::Clear,
        Some([.., 0, 0]) if hex.len() == 8 => Colour::Clear,
        Some([r, g, b] | [r, g, b, _]) => Colour::Rgb([r * 17, g * 17, b * 17]),
        Some([r, r2, g, g2, b, b2] | [r, r2, g, g2, b, b2, _, _]) => {
            Colour::Rgb([r << 4 | r2, g << 4 | g2, b << 4 | b2])
        }
        _ => Colour::Unknown,
    }
}

fn function(inner: &str) -> Colour {
    let parts: Vec<_> =
        inner.trim_end_matches(')').split([',', ' ', '/']).filter(|part| !part.is_empty()).take(5).collect();
    let value = |part: &str| {
        number(part)
            .map(|(value, unit)| if unit == "%" { value * 2.55 } else { value }.clamp(0.0, 255.0) as u8)
    };
    match parts.as_slice() {
        [_, _, _, alpha] if number(alpha).is_some_and(|(part, _)| part < 0.05) => Colour::Clear,
        [r, g, b] | [r, g, b, _] => match (value(r), value(g), value(b)) {
            (Some(r), Some(g), Some(b)) => Colour::Rgb([r, g, b]),
            _ => Colour::Unknown,
        },
        _ => Colour::Unknown,
    }
}

/// The rules of a document by their selectors, where those are simple: `tag`, `.class`, `tag.class`, `#id`.
#[derive(Default)]
pub(super) struct Sheet {
    rules: HashMap<String, Style>,
}

impl Sheet {
    /// Adds the rules of a `style` element. Those within `@media` hold for some screens only and are left out.
    pub(super) fn add(&mut self, css: &str) {
        let css = plain(css);
        let mut rest = css.as_str();
        while let Some(open) = rest.find('{') {
            let head = rest[..open].rsplit([';', '}']).next().unwrap_or_default();
            // Some hide their rules from old programs in an HTML comment.
            let head = head.trim().trim_start_matches("<!--").trim();
            rest = &rest[open + 1..];
            if head.starts_with('@') {
                rest = after_block(rest);
                continue;
            }
            let (body, after) = rest.split_once('}').unwrap_or((rest, ""));
            rest = after;
            let style = Style::parse(body);
            if style == Style::default() {
                continue;
            }
            for selector in head.split(',').map(str::trim).filter(|selector| is_simple(selector)) {
                if self.rules.len() >= RULES_MAX {
                    return;
                }
                self.rules.entry(selector.to_owned()).or_default().overlay(&style);
            }
        }
    }

    /// What the rules say of an element.
    pub(super) fn style(&self, tag: &str, classes: &str, id: &str) -> Style {
        let mut style = Style::default();
        if self.rules.is_empty() {
            return style;
        }
        let mut take = |selector: &str| {
            if let Some(found) = self.rules.get(selector) {
                style.overlay(found);
            }
        };
        take("*");
        take(tag);
        for class in classes.split_ascii_whitespace().take(16) {
            let class = class.to_ascii_lowercase();
            take(&format!(".{class}"));
            take(&format!("{tag}.{class}"));
        }
        if !id.is_empty() {
            let id = id.to_ascii_lowercase();
            take(&format!("#{id}"));
            take(&format!("{tag}#{id}"));
        }
        style
    }
}

fn is_simple(selector: &str) -> bool {
    !selector.is_empty()
        && selector.len() <= 128
        && !selector.contains(|c: char| c.is_whitespace() || matches!(c, '>' | '+' | '~' | ':' | '[' | '('))
        && selector.matches(['.', '#']).count() <= 1
}

/// What follows a block that may hold blocks.
fn after_block(css: &str) -> &str {
    let mut depth = 1usize;
    for (at, byte) in css.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return &css[at + 1..],
            b'}' => depth -= 1,
            _ => {}
        }
    }
    ""
}
