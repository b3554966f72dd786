//! YAML becomes our rules. The only file that names the parser, so that another can take its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use rsigma_parser as parser;
use schema::Severity;

use super::rule::{
    Base64, Body, ClockPart, Coding, Compare, Condition, Correlation, Document, How, Item, Logsource,
    Measure, Part, Place, RuleInfo, Status, Utf16, Value, Wanted, Window,
};

/// A rule file may be this long; the longest of SigmaHQ has 40 KiB.
const TEXT_MAX: usize = 1 << 20;
/// Documents in a file.
const DOCUMENTS_MAX: usize = 10_000;
/// Items, values and groups of a rule after its selections were put into its condition.
const NODES_MAX: usize = 50_000;
const SPAN_MAX_S: u64 = 366 * 86_400;

/// What a file holds, and what of it cannot be used.
pub(super) fn documents(file: &str, text: &str) -> (Vec<Document>, Vec<String>) {
    if text.len() > TEXT_MAX {
        return (Vec::new(), vec![format!("it is longer than {TEXT_MAX} bytes")]);
    }
    let collection = match parser::parse_sigma_yaml(text) {
        Ok(collection) => collection,
        Err(error) => return (Vec::new(), vec![error.to_string()]),
    };
    let file: Arc<str> = file.into();
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    if collection.len() > DOCUMENTS_MAX {
        return (found, vec![format!("it holds more than {DOCUMENTS_MAX} documents")]);
    }
    let is_empty = collection.is_empty();
    faults.extend(collection.errors.into_iter().filter(|error| is_empty || !is_remark(error)));
    let read = collection
        .rules
        .iter()
        .map(|rule| single(rule, &file))
        .chain(collection.correlations.iter().map(|rule| correlation(rule, &file)))
        .chain(collection.filters.iter().map(|rule| filter(rule, &file)));
    for document in read {
        match document {
            Ok(document) => found.push(document),
            Err(fault) => faults.push(fault),
        }
    }
    if found.is_empty() && faults.is_empty() {
        faults.push("it holds no rule".into());
    }
    (found, faults)
}

/// What the parser says of a rule that it reads all the same.
fn is_remark(error: &str) -> bool {
    error.starts_with("related[") || error.starts_with("'related'") || error.starts_with("invalid ")
}

fn severity(level: Option<parser::Level>) -> Severity {
    match level {
        Some(parser::Level::Informational) => Severity::Informational,
        Some(parser::Level::Low) | None => Severity::Low,
        Some(parser::Level::Medium) => Severity::Medium,
        Some(parser::Level::High) => Severity::High,
        Some(parser::Level::Critical) => Severity::Critical,
    }
}

fn status(status: Option<parser::Status>) -> Status {
    match status {
        Some(parser::Status::Stable) => Status::Stable,
        Some(parser::Status::Test) | None => Status::Test,
        Some(parser::Status::Experimental) => Status::Experimental,
        Some(parser::Status::Deprecated) => Status::Deprecated,
        Some(parser::Status::Unsupported) => Status::Unsupported,
    }
}

macro_rules! info {
    ($rule:expr, $file:expr) => {
        RuleInfo {
            title: $rule.title.clone(),
            title_ja: $rule.custom_attributes.get("title_ja").and_then(|v| v.as_str()).map(str::to_owned),
            id: $rule.id.clone(),
            name: $rule.name.clone(),
            author: $rule.author.clone(),
            level: severity($rule.level),
            status: status($rule.status),
            tags: $rule.tags.clone(),
            licence: $rule.license.clone(),
            file: Arc::clone($file),
        }
    };
}

fn logsource(source: &parser::LogSource) -> Logsource {
    let lower = |text: &Option<String>| text.as_ref().map(|text| text.to_lowercase());
    Logsource {
        product: lower(&source.product),
        category: lower(&source.category),
        service: lower(&source.service),
    }
}

fn single(rule: &parser::SigmaRule, file: &Arc<str>) -> Result<Document, String> {
    let condition = condition_of(&rule.detection)?;
    let body = Body::Single { logsource: logsource(&rule.logsource), condition };
    Ok(Document { info: info!(rule, file), body })
}

fn filter(rule: &parser::FilterRule, file: &Arc<str>) -> Result<Document, String> {
    let targets = match &rule.rules {
        parser::FilterRuleTarget::Any => Vec::new(),
        parser::FilterRuleTarget::Specific(rules) => rules.clone(),
    };
    let logsource = rule.logsource.as_ref().map(logsource).unwrap_or_default();
    let condition = condition_of(&rule.detection)?;
    Ok(Document { info: info!(rule, file), body: Body::Filter { logsource, targets, condition } })
}

/// Selections by name, and how much room is left.
struct Selections {
    named: BTreeMap<String, Condition>,
    room: usize,
}

fn condition_of(detections: &parser::Detections) -> Result<Condition, String> {
    let mut named = BTreeMap::new();
    let mut room = NODES_MAX;
    for (name, found) in &detections.named {
        named.insert(name.clone(), detection(found, &mut room)?);
    }
    let mut selections = Selections { named, room: NODES_MAX };
    let mut conditions = Vec::new();
    for expression in &detections.conditions {
        conditions.push(selections.condition(expression)?);
    }
    match conditions.len() {
        0 => Err("it has no condition".into()),
        1 => Ok(conditions.swap_remove(0)),
        _ => Ok(Condition::Or(conditions)),
    }
}

impl Selections {
    fn condition(&mut self, expression: &parser::ConditionExpr) -> Result<Condition, String> {
        use parser::{ConditionExpr as E, Quantifier};
        Ok(match expression {
            E::And(inner) => Condition::And(self.conditions(inner)?),
            E::Or(inner) => Condition::Or(self.conditions(inner)?),
            E::Not(inner) => Condition::Not(Box::new(self.condition(inner)?)),
            E::Identifier(name) => {
                let found =
                    self.named.get(name).ok_or_else(|| format!("there is no selection `{name}`"))?.clone();
                self.pay(&found)?;
                found
            }
            E::Selector { quantifier, pattern } => {
                let found: Vec<Condition> = self
                    .named
                    .iter()
                    .filter(|(name, _)| pattern.matches_detection_name(name))
                    .map(|(_, found)| found.clone())
                    .collect();
                if found.is_empty() {
                    return Err(format!("`{quantifier} of {pattern}` names no selection"));
                }
                for condition in &found {
                    self.pay(condition)?;
                }
                match quantifier {
                    Quantifier::Any => Condition::Or(found),
                    Quantifier::All => Condition::And(found),
                    Quantifier::Count(count) => {
                        Condition::AtLeast(usize::try_from(*count).unwrap_or(usize::MAX), found)
                    }
                }
            }
        })
    }

    fn conditions(&mut self, inner: &[parser::ConditionExpr]) -> Result<Vec<Condition>, String> {
        inner.iter().map(|expression| self.condition(expression)).collect()
    }

    fn pay(&mut self, condition: &Condition) -> Result<(), String> {
        pay(&mut self.room, nodes(condition))
    }
}

fn pay(room: &mut usize, cost: usize) -> Result<(), String> {
    *room = room.checked_sub(cost).ok_or_else(|| format!("it has more than {NODES_MAX} parts"))?;
    Ok(())
}

fn nodes(condition: &Condition) -> usize {
    match condition {
        Condition::And(inner) | Condition::Or(inner) | Condition::AtLeast(_, inner) => {
            1 + inner.iter().map(nodes).sum::<usize>()
        }
        Condition::Not(inner) => 1 + nodes(inner),
        Condition::Item(item) => 1 + item.values.len(),
    }
}

fn detection(found: &parser::Detection, room: &mut usize) -> Result<Condition, String> {
    use parser::Detection as D;
    let list = |inner: &[parser::Detection], room: &mut usize| -> Result<Vec<Condition>, String> {
        inner.iter().map(|found| detection(found, room)).collect()
    };
    match found {
        D::AllOf(items) if items.is_empty() => Err("it has an empty selection".into()),
        D::AllOf(items) => Ok(Condition::And(
            items.iter().map(|it| item(it, room).map(Condition::Item)).collect::<Result<_, _>>()?,
        )),
        D::AnyOf(inner) => Ok(Condition::Or(list(inner, room)?)),
        D::And(inner) => Ok(Condition::And(list(inner, room)?)),
        D::Keywords(values) => {
            pay(room, values.len())?;
            let values = values.iter().map(value).collect();
            Ok(Condition::Item(Item {
                field: None,
                how: How::Contains,
                cased: false,
                all: false,
                negated: false,
                coding: Coding::default(),
                values,
            }))
        }
        D::ArrayMatch { .. } | D::Conditional { .. } => {
            Err("it looks into lists of objects (sigma-version 3), which log records do not have".into())
        }
    }
}

fn value(value: &parser::SigmaValue) -> Value {
    use parser::{SigmaValue as V, SpecialChar, StringPart};
    match value {
        V::String(text) => Value::Text(
            text.parts
                .iter()
                .map(|part| match part {
                    StringPart::Plain(text) => Part::Text(text.clone()),
                    StringPart::Special(SpecialChar::WildcardMulti) => Part::Many,
                    StringPart::Special(SpecialChar::WildcardSingle) => Part::One,
                })
                .collect(),
        ),
        V::Integer(number) => Value::Number(*number as f64),
        V::Float(number) => Value::Number(*number),
        V::Bool(yes) => Value::Bool(*yes),
        V::Null => Value::Null,
    }
}

fn item(item: &parser::DetectionItem, room: &mut usize) -> Result<Item, String> {
    use parser::Modifier as M;
    pay(room, 1 + item.values.len())?;
    let has = |modifier| item.field.has_modifier(modifier);
    if has(M::Expand) {
        return Err("it has placeholders (`expand`) that nobody gave values for".into());
    }
    let place = |or| match (has(M::Contains), has(M::StartsWith), has(M::EndsWith)) {
        (true, _, _) => Place::Anywhere,
        (_, true, _) => Place::Start,
        (_, _, true) => Place::End,
        _ => or,
    };
    let compare = [
        (M::Gt, Compare::Greater),
        (M::Gte, Compare::GreaterOrEqual),
        (M::Lt, Compare::Less),
        (M::Lte, Compare::LessOrEqual),
    ];
    let clock = [
        (M::Minute, ClockPart::Minute),
        (M::Hour, ClockPart::Hour),
        (M::Day, ClockPart::Day),
        (M::Week, ClockPart::Week),
        (M::Month, ClockPart::Month),
        (M::Year, ClockPart::Year),
    ];
    let mut hows = Vec::new();
    if has(M::Re) {
        let (ignore_case, multiline, dot_all) = (has(M::IgnoreCase), has(M::Multiline), has(M::DotAll));
        hows.push(How::Regex { ignore_case, multiline, dot_all });
    }
    hows.extend(has(M::Cidr).then_some(How::Cidr));
    hows.extend(has(M::Exists).then_some(How::Exists));
    hows.extend(has(M::FieldRef).then(|| How::Field(place(Place::Whole))));
    hows.extend(compare.iter().filter(|(modifier, _)| has(*modifier)).map(|(_, how)| How::Compare(*how)));
    hows.extend(clock.iter().filter(|(modifier, _)| has(*modifier)).map(|(_, part)| How::Clock(*part)));
    let texts = [(M::Contains, How::Contains), (M::StartsWith, How::Starts), (M::EndsWith, How::Ends)];
    if !has(M::FieldRef) {
        hows.extend(texts.iter().filter(|(modifier, _)| has(*modifier)).map(|(_, how)| *how));
    }
    if hows.len() > 1 {
        return Err(format!(
            "its modifiers contradict each other at `{}`",
            item.field.name.as_deref().unwrap_or("")
        ));
    }
    let utf16 = [(M::Wide, Utf16::Little), (M::Utf16be, Utf16::Big), (M::Utf16, Utf16::LittleWithMark)];
    let coding = Coding {
        utf16: utf16.into_iter().find(|(modifier, _)| has(*modifier)).map(|(_, form)| form),
        base64: match (has(M::Base64Offset), has(M::Base64)) {
            (true, _) => Some(Base64::Offset),
            (_, true) => Some(Base64::Whole),
            _ => None,
        },
        windash: has(M::WindAsh),
    };
    let field = item.field.name.as_deref().map(unescape);
    let how = hows.pop().unwrap_or(if field.is_none() { How::Contains } else { How::Is });
    let values = item.values.iter().map(value).collect();
    Ok(Item { field, how, cased: has(M::Cased), all: has(M::All), negated: has(M::Neq), coding, values })
}

/// The parser marks brackets in field names that are only brackets.
fn unescape(name: &str) -> String {
    name.replace("\\[", "[").replace("\\]", "]")
}

fn micros(span: &parser::Timespan) -> Result<i64, String> {
    if span.seconds == 0 || span.seconds > SPAN_MAX_S {
        return Err(format!("its time span `{}` is not between a second and a year", span.original));
    }
    Ok(span.seconds as i64 * 1_000_000)
}

fn correlation(rule: &parser::CorrelationRule, file: &Arc<str>) -> Result<Document, String> {
    use parser::{CorrelationCondition as C, CorrelationType as T, WindowMode};
    if rule.rules.is_empty() || rule.rules.len() > 64 {
        return Err("it names no rule, or more than 64".into());
    }
    let (mut predicates, mut fields, mut rank, mut wanted) = (Vec::new(), Vec::new(), 50, None);
    match &rule.condition {
        C::Threshold { predicates: said, field, percentile } => {
            predicates.extend(said.iter().map(|(operator, number)| (compare(*operator), *number as f64)));
            fields.extend(field.iter().flatten().cloned());
            rank = percentile.map_or(50, |rank| rank.min(100) as u8);
        }
        C::Extended(expression) => wanted = Some(wanted_of(expression, &rule.rules)?),
    }
    let measure = match rule.correlation_type {
        T::EventCount => Measure::Events,
        T::ValueCount => Measure::Values,
        T::ValueSum => Measure::Sum,
        T::ValueAvg => Measure::Average,
        T::ValueMedian => Measure::Percentile(50),
        T::ValuePercentile => Measure::Percentile(rank),
        T::Temporal => Measure::Together,
        T::TemporalOrdered => Measure::InOrder,
    };
    let needs_field =
        matches!(measure, Measure::Values | Measure::Sum | Measure::Average | Measure::Percentile(_));
    if needs_field && fields.is_empty() {
        return Err("it counts values and names no field".into());
    }
    let is_temporal = matches!(measure, Measure::Together | Measure::InOrder);
    if !is_temporal && (predicates.is_empty() || wanted.is_some()) {
        return Err("its condition is not a number to compare with".into());
    }
    let window = match (rule.window, &rule.gap) {
        (WindowMode::Session, Some(gap)) => Window::Session(micros(gap)?),
        (WindowMode::Tumbling, _) => Window::Tumbling,
        _ => Window::Sliding,
    };
    let aliases = rule
        .aliases
        .iter()
        .map(|alias| {
            let fields: BTreeMap<_, _> = alias.mapping.iter().collect();
            let fields = fields.into_iter().map(|(rule, field)| (rule.clone(), field.clone())).collect();
            (alias.alias.clone(), fields)
        })
        .collect();
    let body = Correlation {
        measure,
        rules: rule.rules.clone(),
        group_by: rule.group_by.clone(),
        aliases,
        span: micros(&rule.timespan)?,
        window,
        predicates,
        fields,
        wanted,
        generate: rule.generate,
    };
    Ok(Document { info: info!(rule, file), body: Body::Correlation(body) })
}

fn compare(operator: parser::ConditionOperator) -> Compare {
    use parser::ConditionOperator as O;
    match operator {
        O::Lt => Compare::Less,
        O::Lte => Compare::LessOrEqual,
        O::Gt => Compare::Greater,
        O::Gte => Compare::GreaterOrEqual,
        O::Eq => Compare::Equal,
        O::Neq => Compare::Unequal,
    }
}

fn wanted_of(expression: &parser::ConditionExpr, rules: &[String]) -> Result<Wanted, String> {
    use parser::{ConditionExpr as E, Quantifier};
    let list = |inner: &[parser::ConditionExpr]| {
        inner.iter().map(|e| wanted_of(e, rules)).collect::<Result<Vec<_>, _>>()
    };
    Ok(match expression {
        E::And(inner) => Wanted::And(list(inner)?),
        E::Or(inner) => Wanted::Or(list(inner)?),
        E::Not(inner) => Wanted::Not(Box::new(wanted_of(inner, rules)?)),
        E::Identifier(name) => Wanted::Rule(
            rules
                .iter()
                .position(|rule| rule == name)
                .ok_or_else(|| format!("`{name}` is not among its rules"))?,
        ),
        E::Selector { quantifier, pattern } => {
            let named = rules.iter().enumerate().filter(|(_, rule)| pattern.matches_detection_name(rule));
            let found: Vec<_> = named.map(|(position, _)| Wanted::Rule(position)).collect();
            match quantifier {
                Quantifier::Any => Wanted::AtLeast(1, found),
                Quantifier::All => Wanted::And(found),
                Quantifier::Count(count) => {
                    Wanted::AtLeast(usize::try_from(*count).unwrap_or(usize::MAX), found)
                }
            }
        }
    })
}
