//! A rule as we keep it, whatever reads the YAML.

use std::sync::Arc;

use schema::Severity;

/// What a rule says about itself; it goes with every hit, as the Detection Rule License asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleInfo {
    /// Its title as written.
    pub title: String,
    /// The same in Japanese, where the rule has one (`title_ja`, ours).
    pub title_ja: Option<String>,
    /// Its UUID, where it has one.
    pub id: Option<String>,
    /// Its name, by which correlations may call it.
    pub name: Option<String>,
    /// Who wrote it.
    pub author: Option<String>,
    /// Sigma `level`; a rule without one counts as low.
    pub level: Severity,
    /// Sigma `status`; a rule without one counts as a test.
    pub status: Status,
    /// Its tags as written, such as `attack.t1110.003`.
    pub tags: Vec<String>,
    /// Its licence, where it names one.
    pub licence: Option<String>,
    /// The file or archive member it came from.
    pub file: Arc<str>,
}

/// How far its author trusts a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// No longer maintained by its engine.
    Unsupported,
    /// Replaced by another rule.
    Deprecated,
    /// New.
    Experimental,
    /// Used by some.
    Test,
    /// Used by many.
    Stable,
}

/// Sigma `logsource`, in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Logsource {
    pub(super) product: Option<String>,
    pub(super) category: Option<String>,
    pub(super) service: Option<String>,
}

/// One document of a rule file.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) info: RuleInfo,
    pub(super) body: Body,
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    /// Judges one record by itself.
    Single { logsource: Logsource, condition: Condition },
    /// Judges what other rules saw within a span of time.
    Correlation(Correlation),
    /// Narrows other rules.
    Filter { logsource: Logsource, targets: Vec<String>, condition: Condition },
}

/// A rule's condition with its selections put in.
#[derive(Debug, Clone)]
pub(super) enum Condition {
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
    /// At least so many of them.
    AtLeast(usize, Vec<Condition>),
    Item(Item),
}

/// One line of a selection: a field and what it is compared with.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// `None`: any field.
    pub(super) field: Option<String>,
    pub(super) how: How,
    pub(super) cased: bool,
    /// Every value must match, instead of any.
    pub(super) all: bool,
    /// `neq`: the outcome is turned round.
    pub(super) negated: bool,
    pub(super) coding: Coding,
    pub(super) values: Vec<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum How {
    Is,
    Contains,
    Starts,
    Ends,
    Regex {
        ignore_case: bool,
        multiline: bool,
        dot_all: bool,
    },
    Cidr,
    Exists,
    /// Compared with another field.
    Field(Place),
    Compare(Compare),
    Clock(ClockPart),
}

/// Where in a value a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Whole,
    Anywhere,
    Start,
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Compare {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    Unequal,
}

impl Compare {
    pub(super) fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Compare::Less => left < right,
            Compare::LessOrEqual => left <= right,
            Compare::Greater => left > right,
            Compare::GreaterOrEqual => left >= right,
            Compare::Equal => left == right,
            Compare::Unequal => left != right,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ClockPart {
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

/// What is done to a value before it is looked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Coding {
    pub(super) utf16: Option<Utf16>,
    pub(super) base64: Option<Base64>,
    pub(super) windash: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Utf16 {
    Little,
    Big,
    LittleWithMark,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base64 {
    Whole,
    /// At any of the three offsets that it can have in a longer text.
    Offset,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(Vec<Part>),
    Number(f64),
    Bool(bool),
    Null,
}

/// A piece of a text with wildcards.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Text(String),
    /// `*`
    Many,
    /// `?`
    One,
}

/// What a correlation counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    Events,
    Values,
    Sum,
    Average,
    /// A percentile of the values, 0 to 100.
    Percentile(u8),
    /// Which of its rules were seen.
    Together,
    /// The same, in the order in which they are named.
    InOrder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Window {
    Sliding,
    Tumbling,
    /// Ends when nothing comes for this many microseconds.
    Session(i64),
}

/// A correlation rule.
#[derive(Debug, Clone)]
pub(super) struct Correlation {
    pub(super) measure: Measure,
    /// Ids or names of the rules it looks at.
    pub(super) rules: Vec<String>,
    pub(super) group_by: Vec<String>,
    /// `(alias, [(rule, field)])`
    pub(super) aliases: Vec<(String, Vec<(String, String)>)>,
    pub(super) span: i64,
    pub(super) window: Window,
    pub(super) predicates: Vec<(Compare, f64)>,
    /// Fields whose values are counted or added.
    pub(super) fields: Vec<String>,
    /// For `temporal`: which rules, as a condition over their positions in `rules`.
    pub(super) wanted: Option<Wanted>,
    /// Its rules also speak for themselves.
    pub(super) generate: bool,
}

/// Which rules must have been seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    And(Vec<Wanted>),
    Or(Vec<Wanted>),
    Not(Box<Wanted>),
    AtLeast(usize, Vec<Wanted>),
    /// Position in the correlation's `rules`.
    Rule(usize),
}
