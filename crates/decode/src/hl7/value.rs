use std::borrow::Cow;

/// MSH-1 and MSH-2. SS-MIX2 always has `|^~\&`; other senders may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Separators {
    pub(super) field: char,
    component: char,
    repetition: char,
    escape: char,
    subcomponent: char,
}

impl Separators {
    /// Reads them from the header; `None` when they are missing, not punctuation, or the same twice.
    pub(super) fn of_header(text: &str) -> Option<Separators> {
        let field = text.chars().nth(3)?;
        let mut named = text.get(4..)?.chars();
        let mut next = || named.next().filter(char::is_ascii_punctuation);
        let all = [field, next()?, next()?, next()?, next()?];
        let distinct = (1..all.len()).all(|at| !all.iter().take(at).any(|c| all.get(at) == Some(c)));
        let [field, component, repetition, escape, subcomponent] = all;
        (field.is_ascii_punctuation() && distinct).then_some(Separators {
            field,
            component,
            repetition,
            escape,
            subcomponent,
        })
    }
}

/// One segment. Fields count from 1 as in the standard, also in MSH, where MSH-1 is the separator itself.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'m> {
    text: &'m str,
    separators: Separators,
}

impl<'m> Segment<'m> {
    pub(super) fn new(text: &'m str, separators: Separators) -> Self {
        Segment { text, separators }
    }

    /// The three letters at its start.
    pub fn name(&self) -> &'m str {
        self.text.get(..3).unwrap_or_default()
    }

    /// Field `n`; empty when the segment is shorter.
    pub fn field(&self, n: usize) -> Field<'m> {
        let is_header = self.name() == "MSH";
        if n == 0 || is_header && n == 1 {
            let separator = if n == 0 { "" } else { self.text.get(3..4).unwrap_or_default() };
            return Field { text: separator, separators: None };
        }
        let index = if is_header { n - 1 } else { n };
        let text = self.text.split(self.separators.field).nth(index).unwrap_or_default();
        // MSH-2 lists the separators and must not be split by them.
        let separators = (!(is_header && n == 2)).then_some(self.separators);
        Field { text, separators }
    }

    /// Number of the last field present.
    pub fn len(&self) -> usize {
        let pieces = self.text.split(self.separators.field).count();
        if self.name() == "MSH" { pieces } else { pieces - 1 }
    }

    /// Whether there is nothing but the name.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A field, or one repetition of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Field<'m> {
    text: &'m str,
    separators: Option<Separators>,
}

impl<'m> Field<'m> {
    /// As it stands in the message, separators and escapes included.
    pub fn raw(&self) -> &'m str {
        self.text
    }

    /// Whether there is no value; `""`, which asks a receiver to erase one, counts as none.
    pub fn is_empty(&self) -> bool {
        matches!(self.text, "" | "\"\"")
    }

    /// The repetitions; one when there is no separator, none when the field is empty.
    pub fn repetitions(&self) -> impl Iterator<Item = Field<'m>> + use<'m> {
        let separators = self.separators;
        let text = self.text;
        pieces(text, separators.map(|s| s.repetition))
            .filter(move |_| !text.is_empty())
            .map(move |text| Field { text, separators })
    }

    /// Component `n` of the first repetition, counted from 1; empty when there is none.
    pub fn component(&self, n: usize) -> Component<'m> {
        let first = pieces(self.text, self.separators.map(|s| s.repetition)).next().unwrap_or_default();
        let text = nth(first, self.separators.map(|s| s.component), n);
        Component { text, separators: self.separators }
    }

    /// The first component's text: the whole value of a field without components.
    pub fn text(&self) -> Cow<'m, str> {
        self.component(1).text()
    }
}

/// A component, or one subcomponent of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Component<'m> {
    text: &'m str,
    separators: Option<Separators>,
}

impl<'m> Component<'m> {
    /// As it stands in the message, separators and escapes included.
    pub fn raw(&self) -> &'m str {
        self.text
    }

    /// See [`Field::is_empty`].
    pub fn is_empty(&self) -> bool {
        matches!(self.text, "" | "\"\"")
    }

    /// Subcomponent `n`, counted from 1; empty when there is none.
    pub fn subcomponent(&self, n: usize) -> Component<'m> {
        let text = nth(self.text, self.separators.map(|s| s.subcomponent), n);
        Component { text, separators: self.separators }
    }

    /// The value with its escapes resolved; empty for `""`. Subcomponents stay joined by their separator.
    pub fn text(&self) -> Cow<'m, str> {
        match self.separators {
            _ if self.is_empty() => Cow::Borrowed(""),
            Some(separators) => unescape(self.text, separators),
            None => Cow::Borrowed(self.text),
        }
    }
}

fn pieces(text: &str, separator: Option<char>) -> impl Iterator<Item = &str> {
    // A string that holds no NUL (messages are refused when they do) is one piece.
    text.split(separator.unwrap_or('\0'))
}

fn nth(text: &str, separator: Option<char>, n: usize) -> &str {
    n.checked_sub(1).and_then(|index| pieces(text, separator).nth(index)).unwrap_or_default()
}

/// HL7 v2.5 §2.7. Highlighting is dropped, `\.br\` becomes a line end, and what is not known (hexadecimal
/// data, vendors' own) stays as it stands, so that nothing of a chart disappears.
fn unescape(text: &str, separators: Separators) -> Cow<'_, str> {
    if !text.contains(separators.escape) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(separators.escape) {
        out.push_str(before);
        let Some((code, tail)) = after.split_once(separators.escape) else {
            out.push(separators.escape);
            rest = after;
            continue;
        };
        match code {
            "F" => out.push(separators.field),
            "S" => out.push(separators.component),
            "T" => out.push(separators.subcomponent),
            "R" => out.push(separators.repetition),
            "E" => out.push(separators.escape),
            ".br" | ".sp" => out.push('\n'),
            "H" | "N" => {}
            _ => {
                // Not a code: this escape character is text, and the next one may open a code.
                out.push(separators.escape);
                rest = after;
                continue;
            }
        }
        rest = tail;
    }
    out.push_str(rest);
    Cow::Owned(out)
}
