//! The text of a page as it is laid out: blanks gathered, lines broken where elements break them, and what is hidden set apart.

use super::super::url::is_invisible;

/// The two texts of a document.
pub(super) struct Page {
    visible: String,
    hidden: String,
    /// A blank was met that counts only when something follows.
    blank: bool,
    /// Line ends that are owed before the next text.
    lines: u8,
}

impl Page {
    pub(super) fn new(length: usize) -> Self {
        Self {
            visible: String::with_capacity((length / 4).min(64 << 10)),
            hidden: String::new(),
            blank: false,
            lines: 0,
        }
    }

    /// How far the visible text goes.
    pub(super) fn position(&self) -> usize {
        self.visible.len()
    }

    pub(super) fn visible(&self) -> &str {
        &self.visible
    }

    pub(super) fn finish(self) -> (String, String) {
        (self.visible, self.hidden)
    }

    /// A line ends here unless it is empty.
    pub(super) fn new_line(&mut self) {
        self.lines = self.lines.max(1);
    }

    /// A line ends here even if it is empty.
    pub(super) fn line_end(&mut self) {
        self.lines = (self.lines + 1).min(2);
    }

    pub(super) fn blank(&mut self) {
        self.blank = true;
    }

    pub(super) fn text(&mut self, text: &str, seen: bool, verbatim: bool) {
        if !seen {
            self.hide(text);
        } else if verbatim {
            for line in text.split_inclusive('\n') {
                self.settle();
                self.word(line.trim_end_matches(['\r', '\n']));
                if line.ends_with('\n') {
                    self.lines = 1;
                }
            }
        } else {
            self.flow(text);
        }
    }

    fn flow(&mut self, text: &str) {
        let mut rest = text;
        loop {
            let word = rest.trim_ascii_start();
            self.blank |= word.len() < rest.len();
            if word.is_empty() {
                return;
            }
            let end = word.bytes().position(|byte| byte.is_ascii_whitespace()).unwrap_or(word.len());
            self.settle();
            self.word(&word[..end]);
            rest = &word[end..];
        }
    }

    /// Pays the line ends and blanks that are owed.
    fn settle(&mut self) {
        if self.lines > 0 && !self.visible.is_empty() {
            self.visible.extend(std::iter::repeat_n('\n', usize::from(self.lines)));
        } else if self.blank && !self.visible.is_empty() && !self.visible.ends_with([' ', '\n']) {
            self.visible.push(' ');
        }
        (self.lines, self.blank) = (0, false);
    }

    fn word(&mut self, word: &str) {
        if word.is_ascii() {
            self.visible.push_str(word);
            return;
        }
        let mut before = '\0';
        for c in word.chars() {
            match c {
                '\u{a0}' | '\u{2007}' | '\u{202f}' => self.visible.push(' '),
                c if is_invisible(c) && !belongs_to_picture(before, c) => self.hidden.push(c),
                c => self.visible.push(c),
            }
            before = c;
        }
    }

    fn hide(&mut self, text: &str) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        if !self.hidden.is_empty() && !self.hidden.ends_with(char::is_whitespace) {
            self.hidden.push(' ');
        }
        self.hidden.push_str(text);
    }
}

/// Whether an invisible character chooses or joins the picture characters beside it.
pub(super) fn belongs_to_picture(before: char, c: char) -> bool {
    matches!(c, '\u{200d}' | '\u{fe0e}' | '\u{fe0f}' | '\u{e0020}'..='\u{e007f}')
        && (matches!(
            before,
            '\u{2190}'
                ..='\u{2bff}'
                    | '\u{3030}'
                    | '\u{303d}'
                    | '\u{3297}'
                    | '\u{3299}'
                    | '\u{fe0f}'
                    | '\u{a9}'
                    | '\u{ae}'
                    | '#'
                    | '*'
        ) || before.is_ascii_digit()
            || before >= '\u{1f000}')
}

/// A text without mark-up, what nobody sees set apart.
pub(in crate::mail) fn divide(text: String) -> (String, String) {
    if text.is_ascii() || !text.chars().any(is_invisible) {
        return (text, String::new());
    }
    let (mut visible, mut hidden) = (String::with_capacity(text.len()), String::new());
    let mut before = '\0';
    for c in text.chars() {
        if is_invisible(c) && !belongs_to_picture(before, c) {
            hidden.push(c)
        } else {
            visible.push(c)
        }
        before = c;
    }
    (visible, hidden)
}
