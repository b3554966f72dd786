//! Text as glyphs in lines: every character is printed as what it is, and Japanese lines break where they may.

use super::font::{Face, Fonts};

/// What a span looks like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Style {
    /// In points.
    pub(super) size: f32,
    pub(super) bold: bool,
    pub(super) ink: Ink,
    /// Above the line: references to records.
    pub(super) raised: bool,
}

/// Few inks, each legible on a black-and-white printer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Black,
    /// Dark enough for a fifth copy.
    Grey,
    /// Alerts; never the only sign of one.
    Red,
}

/// A piece of text in one style.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    pub(super) text: String,
    pub(super) style: Style,
}

/// One character, ready to be drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Glyph {
    pub(super) face: Face,
    pub(super) char: char,
    pub(super) style: Style,
}

impl Glyph {
    pub(super) fn width(&self) -> f32 {
        self.face.advance * self.style.size
    }
}

/// One line of glyphs.
#[derive(Debug, Clone, Default)]
pub(super) struct Line {
    pub(super) glyphs: Vec<Glyph>,
}

impl Line {
    pub(super) fn width(&self) -> f32 {
        self.glyphs.iter().map(Glyph::width).sum()
    }
}

/// Makes glyphs of text, and counts what no font has.
pub(super) struct Setter {
    pub(super) fonts: Fonts,
    /// Characters that were printed as their code points.
    pub(super) as_code_points: u64,
}

impl Setter {
    pub(super) fn new(fonts: Fonts) -> Setter {
        Setter { fonts, as_code_points: 0 }
    }

    /// The lines of `spans` in `width` points; line feeds in them end lines. Never empty.
    pub(super) fn lines(&mut self, spans: &[Span], width: f32) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut paragraph = Vec::new();
        for span in spans {
            for (index, part) in span.text.split('\n').enumerate() {
                if index > 0 {
                    wrap(std::mem::take(&mut paragraph), width, &mut lines);
                }
                self.glyphs(part, span.style, &mut paragraph);
            }
        }
        wrap(paragraph, width, &mut lines);
        lines
    }

    /// One line, cut with an ellipsis where it is wider than `width`: for places that cannot grow.
    pub(super) fn cut(&mut self, spans: &[Span], width: f32) -> Line {
        let mut lines = self.lines(spans, f32::MAX);
        let mut line = if lines.is_empty() { Line::default() } else { lines.swap_remove(0) };
        if line.width() <= width {
            return line;
        }
        let style = line.glyphs.first().map(|glyph| glyph.style);
        let mut dots = Vec::new();
        if let Some(style) = style {
            self.glyphs("…", style, &mut dots);
        }
        let room = width - dots.iter().map(Glyph::width).sum::<f32>();
        while line.width() > room && line.glyphs.pop().is_some() {}
        line.glyphs.extend(dots);
        line
    }

    fn glyphs(&mut self, text: &str, style: Style, out: &mut Vec<Glyph>) {
        let mut chars = text.chars().peekable();
        while let Some(char) = chars.next() {
            let mut char = char;
            // か + ゙ and ﾊ + combining mark as one character; nothing else is normalized, since 神 and 神 are two.
            if let Some(mark @ ('\u{3099}' | '\u{309a}')) = chars.peek().copied()
                && let Some(whole) = unicode_normalization::char::compose(char, mark)
            {
                char = whole;
                chars.next();
            }
            let selector = chars.next_if(|next| is_selector(*next));
            match char {
                '\r' => {}
                '\t' => self.push_known("    ", style, out),
                _ if must_be_named(char) => self.push_code_point(char, style, out),
                _ => self.push(char, selector, style, out),
            }
        }
    }

    fn push(&mut self, char: char, selector: Option<char>, style: Style, out: &mut Vec<Glyph>) {
        if let Some(face) = self.fonts.face(char, selector) {
            out.push(Glyph { face, char, style });
            return;
        }
        match (self.fonts.face(char, None), selector) {
            (Some(face), Some(selector)) => {
                out.push(Glyph { face, char, style });
                self.push_code_point(selector, style, out);
            }
            _ => {
                self.push_code_point(char, style, out);
                if let Some(selector) = selector {
                    self.push_code_point(selector, style, out);
                }
            }
        }
    }

    /// A box that cannot be overlooked, and which character it stands for.
    fn push_code_point(&mut self, char: char, style: Style, out: &mut Vec<Glyph>) {
        self.as_code_points += 1;
        self.push_known(&format!("〓[U+{:04X}]", u32::from(char)), style, out);
    }

    fn push_known(&mut self, text: &str, style: Style, out: &mut Vec<Glyph>) {
        for char in text.chars() {
            if let Some(face) = self.fonts.face(char, None) {
                out.push(Glyph { face, char, style });
            }
        }
    }
}

fn is_selector(char: char) -> bool {
    matches!(char, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Characters that have no picture and change how others are read: controls, overrides of the writing direction, joiners, and
/// separators of lines that are none of ours.
fn must_be_named(char: char) -> bool {
    char.is_control()
        || is_selector(char)
        || matches!(char, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// JIS X 4051: what must not begin a line. Hyphens and units stay with what they follow.
const NOT_FIRST: &str = "、。，．,.・:;：；?!？！゛゜ヽヾゝゞ々ー〜～)）]］}｝〕〉》」』】｣、｡･ﾞﾟｰぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶｧｨｩｪｫｬｭｮｯ%％‰°℃′″…‥";
/// What must not end one.
const NOT_LAST: &str = "(（[［{｛〔〈《「『【｢￥¥$＄£#＃№〓";

/// Whether a line may end between the two. Latin words, numbers and their units hold together.
fn may_break(before: char, after: char) -> bool {
    if after == ' ' || NOT_FIRST.contains(after) || NOT_LAST.contains(before) {
        return false;
    }
    // Full-width letters and digits too: a dose whose unit, or whose decimals, stand on the next line is misread.
    let is_tight = |c: char| {
        u32::from(c) < 0x2000
            || matches!(c, '０'..='９' | 'Ａ'..='Ｚ' | 'ａ'..='ｚ' | '．' | '㎎' | '㎖' | '㎍')
    };
    before == ' '
        || !(is_tight(before) && is_tight(after))
        || ("/_-,;|&?=".contains(before) && !after.is_ascii_digit())
}

/// Breaks one paragraph; a word that is wider than the line is broken where the line ends, so that nothing is cut off.
fn wrap(glyphs: Vec<Glyph>, width: f32, lines: &mut Vec<Line>) {
    let mut start = 0;
    let mut last_break = None;
    let mut used = 0.0;
    let mut index = 0;
    while let Some(glyph) = glyphs.get(index) {
        // A reference to a record stays with what it belongs to.
        if index > start && !glyph.style.raised && may_break(glyphs[index - 1].char, glyph.char) {
            last_break = Some(index);
        }
        // A space may hang over the end of a line.
        if used + glyph.width() > width + 0.01 && index > start && glyph.char != ' ' {
            let end = last_break.filter(|end| *end > start).unwrap_or(index);
            lines.push(Line { glyphs: glyphs[start..end].to_vec() });
            start = end;
            index = end;
            last_break = None;
            used = 0.0;
            continue;
        }
        used += glyph.width();
        index += 1;
    }
    lines.push(Line { glyphs: glyphs[start..].to_vec() });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: Style = Style { size: 10.0, bold: false, ink: Ink::Black, raised: false };

    fn bare() -> Setter {
        Setter::new(Fonts::with_folders(Vec::new()).unwrap())
    }

    fn set(text: &str, em: f32) -> Vec<String> {
        let spans = [Span { text: text.to_owned(), style: PLAIN }];
        let text = |line: Line| line.glyphs.iter().map(|glyph| glyph.char).collect();
        bare().lines(&spans, em * 10.0).into_iter().map(text).collect()
    }

    #[test]
    fn japanese_breaks_where_it_may() {
        for (text, em, expected) in [
            ("あいうえお。かき", 5.0, &["あいうえ", "お。かき"][..]),
            ("本日は「晴れ」です", 4.0, &["本日は", "「晴れ」", "です"]),
            ("ちょっとまって", 2.0, &["ちょ", "っと", "まっ", "て"]),
            ("アムロジピンOD錠5mg「トーワ」", 8.0, &["アムロジピンOD錠", "5mg「トーワ」"]),
            ("酢酸リンゲル液５００ｍＬ", 11.0, &["酢酸リンゲル液", "５００ｍＬ"]),
            ("錠２．５ｍｇ", 5.0, &["錠", "２．５ｍｇ"]),
            ("CRP 15.77 H (10-13)", 8.0, &["CRP 15.77 H ", "(10-13)"]),
            ("take 12.5 mg daily", 5.0, &["take 12.5 ", "mg daily"]),
            ("aaaaaaaaaaaaaaaaaaaa", 5.0, &["aaaaaaaaaa", "aaaaaaaaaa"]),
            ("一\n\n二", 5.0, &["一", "", "二"]),
            ("", 5.0, &[""]),
            ("。。。。。。", 2.0, &["。。", "。。", "。。"]),
        ] {
            assert_eq!(set(text, em), expected, "{text}");
        }
    }

    #[test]
    fn what_has_no_picture_is_printed_as_its_code_point() {
        for (text, expected) in [
            ("𠮷田", "〓[U+20BB7]田"),
            ("葛\u{e01ef}城", "葛〓[U+E01EF]城"),
            ("exe.\u{202e}fdp", "exe.〓[U+202E]fdp"),
            ("a\u{0}\u{1b}[2J", "a〓[U+0000]〓[U+001B][2J"),
            ("か\u{3099}ん", "がん"),
            ("ﾀﾅｶ 髙橋 﨑", "ﾀﾅｶ 髙橋 﨑"),
            ("\u{fa19}谷", "\u{fa19}谷"),
            ("a\r\nb", "ab"),
        ] {
            assert_eq!(set(text, 1000.0).concat(), expected);
        }
    }

    #[test]
    fn a_font_of_the_machine_helps_out() {
        let folder = std::path::PathBuf::from("/usr/share/fonts/truetype/dejavu");
        if !folder.is_dir() {
            testkit::skip("a_font_of_the_machine_helps_out", "fonts-dejavu-core is not installed");
            return;
        }
        let mut setter = Setter::new(Fonts::with_folders(vec![folder]).unwrap());
        let lines = setter.lines(&[Span { text: "⚠田".to_owned(), style: PLAIN }], 100.0);
        let fonts: Vec<u8> = lines[0].glyphs.iter().map(|glyph| glyph.face.font).collect();
        assert_eq!((fonts, setter.as_code_points), (vec![1, 0], 0));
    }

    proptest! {
        #[test]
        fn no_character_is_lost_and_no_line_too_wide(text in any::<String>(), em in 1.0f32..40.0) {
            let style = PLAIN;
            let mut setter = bare();
            let spans = [Span { text, style }];
            let whole = setter.lines(&spans, f32::MAX);
            let broken = setter.lines(&spans, em * 10.0);
            let chars = |lines: &[Line]| lines.iter().flat_map(|line| &line.glyphs).map(|glyph| glyph.char).collect::<String>();
            prop_assert_eq!(chars(&whole), chars(&broken));
            for line in &broken {
                let hanging = line.glyphs.iter().rev().take_while(|glyph| glyph.char == ' ').map(Glyph::width).sum::<f32>();
                prop_assert!(line.width() - hanging <= em * 10.0 + 0.1 || line.glyphs.len() == 1);
            }
        }
    }
}
