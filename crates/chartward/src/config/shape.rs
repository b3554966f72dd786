//! Compares a parsed file with the table of fields: unknown and missing keys, kinds, ranges, "exactly one of".

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::fields::{ACT, ACTS, Field, Kind, Need, ROOT, Shape};
use super::nearest::nearest;
use super::problem::{Findings, Gravity, looks_secret};
use super::value;
use super::words::{Fault, Words};

/// Checks the whole file.
pub(super) fn check(root: &DeTable<'_>, found: &mut Findings<'_>) {
    Walk { found }.table(root, &ROOT, 0..0, "");
}

struct Walk<'w, 't> {
    found: &'w mut Findings<'t>,
}

impl Walk<'_, '_> {
    fn wrong(&mut self, span: Range<usize>, key: &str, fault: Fault) {
        self.found.add(Gravity::Error, span, key, fault);
    }

    fn table(&mut self, table: &DeTable<'_>, shape: &Shape, span: Range<usize>, path: &str) {
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let path = join(path, name);
            match shape.field(name) {
                Some(field) => self.value(value, &field.kind, &path),
                None => self.wrong(key.span(), &path, unknown(name, value.get_ref(), shape)),
            }
        }
        for field in shape.fields {
            if field.need == Need::Required && table.get(field.name).is_none() {
                self.wrong(span.clone(), &join(path, field.name), missing(field));
            }
        }
        if !shape.one_of.is_empty() {
            self.one_of(table, shape, span, path);
        }
    }

    fn one_of(&mut self, table: &DeTable<'_>, shape: &Shape, span: Range<usize>, path: &str) {
        let all = shape.one_of.join(", ");
        let given: Vec<_> = shape.one_of.iter().filter_map(|name| table.get_key_value(*name)).collect();
        let what = match given.as_slice() {
            [_] => return,
            [] if shape.none_will_do() => return,
            [] => Words::new(format!("none of {all} stands here"), format!("{all} のいずれもありません")),
            [_, second, ..] => {
                let what = Words::new(
                    format!("more than one of {all} stands here"),
                    format!("{all} のうち複数が書かれています"),
                );
                let remedy =
                    Words::new(format!("keep one of {all}"), format!("{all} のどれか1つだけ残してください"));
                return self.wrong(second.0.span(), path, Fault::new(what, remedy));
            }
        };
        let examples: Vec<_> =
            shape.one_of.iter().filter_map(|name| shape.field(name)).map(assignment).collect();
        let remedy = Words::new(
            format!("write one of them, such as {}", examples.join(" or ")),
            format!("{} のように、どれか1つを書いてください", examples.join(" または ")),
        );
        self.wrong(span, path, Fault::new(what, remedy));
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, kind: &Kind, path: &str) {
        let span = value.span();
        match (kind, value.get_ref()) {
            (Kind::Table(shape), DeValue::Table(table)) => self.table(table, shape, span, path),
            (Kind::Tables { shape, max }, DeValue::Array(array)) => {
                self.bounds(array, 0, *max, span, path);
                for (at, entry) in array.iter().enumerate().take(*max) {
                    let path = format!("{path}[{at}]");
                    match entry.get_ref() {
                        DeValue::Table(table) => self.table(table, shape, entry.span(), &path),
                        other => self.wrong(entry.span(), &path, not_a(kind, other, path.as_str())),
                    }
                }
            }
            (Kind::List { of, min, max }, DeValue::Array(array)) => {
                self.bounds(array, *min, *max, span, path);
                for (at, entry) in array.iter().enumerate().take(*max) {
                    self.value(entry, of, &format!("{path}[{at}]"));
                }
            }
            (Kind::Named { of, max }, DeValue::Table(table)) => self.named(table, of, *max, span, path),
            (Kind::Act, DeValue::Table(table)) => self.table(table, &ACT, span, path),
            (Kind::Secret, DeValue::Table(table)) => self.secret(table, span, path),
            (kind, value) => {
                if let Err(fault) = scalar(kind, value, path) {
                    self.wrong(span, path, fault);
                }
            }
        }
    }

    fn named(&mut self, table: &DeTable<'_>, of: &Kind, max: usize, span: Range<usize>, path: &str) {
        if table.len() > max {
            self.wrong(span, path, too_many(table.len(), max));
        }
        for (key, value) in table.iter().take(max) {
            let name = key.get_ref().as_ref();
            let path = join(path, name);
            match scalar(&KEY, &DeValue::String(name.into()), &path) {
                Ok(()) if !name.trim().is_empty() => self.value(value, of, &path),
                Ok(()) => self.wrong(key.span(), &path, plain(&KEY, &quoted(name))),
                Err(fault) => self.wrong(key.span(), &path, fault),
            }
        }
    }

    fn bounds(&mut self, array: &DeArray<'_>, min: usize, max: usize, span: Range<usize>, path: &str) {
        let count = array.len();
        if count < min {
            let what = Words::new("this list is empty", "一覧が空です");
            let remedy =
                Words::new("name at least one, or remove the key", "1つ以上書くか、この項目を消してください");
            self.wrong(span, path, Fault::new(what, remedy));
        } else if count > max {
            self.wrong(span, path, too_many(count, max));
        }
    }

    fn secret(&mut self, table: &DeTable<'_>, span: Range<usize>, path: &str) {
        let mut entries = table.iter();
        let fault = match (entries.next(), entries.next()) {
            (Some((key, value)), None) => match (key.get_ref().as_ref(), value.get_ref()) {
                ("secret", text) => scalar(&Kind::Name, text, path),
                ("file", text) => scalar(&Kind::Path, text, path),
                _ => Err(secret_fault()),
            },
            _ => Err(secret_fault()),
        };
        if let Err(fault) = fault {
            self.wrong(span, path, fault);
        }
    }
}

/// What a name is that the hospital chooses.
const KEY: Kind = Kind::Text { max: 40 };

fn too_many(count: usize, max: usize) -> Fault {
    Fault::new(
        Words::new(format!("{count} entries are too many"), format!("{count} 件は多すぎます")),
        Words::new(format!("write at most {max}"), format!("{max} 件以下にしてください")),
    )
}

fn join(path: &str, name: &str) -> String {
    let name: String = name.chars().take(80).collect();
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

fn assignment(field: &Field) -> String {
    format!("{} = {}", field.name, field.example)
}

fn missing(field: &Field) -> Fault {
    let name = field.name;
    let example = match field.shape() {
        Some(_) if field.example.is_empty() => format!("[{name}]"),
        _ => assignment(field),
    };
    Fault::new(
        Words::new(format!("`{name}` is missing"), format!("{name} がありません")),
        Words::new(
            format!("add `{example}`: {}", field.en),
            format!("`{example}` のように書き足してください。{}", field.ja),
        ),
    )
}

fn unknown(name: &str, value: &DeValue<'_>, shape: &Shape) -> Fault {
    let name: String = name.chars().take(80).collect();
    if looks_secret(&name) && value.is_str() {
        return secret_fault();
    }
    let what =
        Words::new(format!("there is no key `{name}` here"), format!("ここに {name} という項目はありません"));
    if let Some(meant) = nearest(&name, shape.fields.iter().map(|field| field.name)) {
        return Fault::new(
            what,
            Words::new(format!("write `{meant}`"), format!("{meant} の誤りではありませんか")),
        );
    }
    if let Some(home) = home_of(&name) {
        let remedy = Words::new(format!("it belongs below [{home}]"), format!("[{home}] の下に書く項目です"));
        return Fault::new(what, remedy);
    }
    let known: Vec<_> = shape.fields.iter().map(|field| field.name).collect();
    let known = known.join(", ");
    Fault::new(
        what,
        Words::new(
            format!("remove it; the keys here are {known}"),
            format!("削除してください。ここに書けるのは {known} です"),
        ),
    )
}

/// The table at the top in which a key of that name may stand.
fn home_of(name: &str) -> Option<&'static str> {
    let below = |field: &&Field| field.shape().is_some_and(|shape| shape.field(name).is_some());
    ROOT.fields.iter().find(below).map(|field| field.name)
}

fn secret_fault() -> Fault {
    Fault::new(
        Words::new(
            "a secret does not stand in this file, which is copied, mailed and backed up",
            "この設定はコピーや送付、バックアップの対象になるため、秘密そのものは書けません",
        ),
        Words::new(
            "store it on the console or put it in a file of mode 0600, and write { secret = \"NAME\" } or \
             { file = \"/etc/chartward/NAME\" }; then change it, since it stood here",
            "コンソールで登録するか、権限 0600 のファイルに置き、{ secret = \"名前\" } または { file = \"/etc/chartward/名前\" } と書いてください。\
             一度ここに書いた秘密は変更してください",
        ),
    )
}

fn type_name(value: &DeValue<'_>) -> (&'static str, &'static str) {
    match value {
        DeValue::String(_) => ("a text", "文字列"),
        DeValue::Integer(_) => ("a whole number", "整数"),
        DeValue::Float(_) => ("a number with a fraction", "小数"),
        DeValue::Boolean(_) => ("true or false", "真偽値"),
        DeValue::Datetime(_) => ("a date or time without quotes", "引用符のない日時"),
        DeValue::Array(_) => ("a list", "一覧"),
        DeValue::Table(_) => ("a table", "表"),
    }
}

/// What to write for a kind, in words.
pub(super) fn wanted(kind: &Kind) -> Words {
    match kind {
        Kind::Bool => Words::new("true or false", "true か false"),
        Kind::Integer { min, max } => {
            Words::new(format!("a whole number from {min} to {max}"), format!("{min} から {max} までの整数"))
        }
        Kind::Text { max } => Words::new(
            format!("text of at most {max} characters in quotes"),
            format!("引用符で囲んだ {max} 文字以内の文字列"),
        ),
        Kind::Name => Words::new(
            "a name of letters, digits, `-`, `_` and `.` in quotes",
            "引用符で囲んだ名前(文字、数字、-、_、. が使えます)",
        ),
        Kind::Path => Words::new("an absolute path in quotes", "引用符で囲んだ絶対パス"),
        Kind::Vault => Words::new(
            "an absolute path or rest:https://HOST:PORT/NAME/ in quotes",
            "引用符で囲んだ絶対パスか rest:https://ホスト:ポート/名前/",
        ),
        Kind::Fingerprint => Words::new("64 hexadecimal digits in quotes", "引用符で囲んだ 64 桁の16進数"),
        Kind::Glob => Words::new("a pattern such as \"encryption.*\"", "\"encryption.*\" のような型"),
        Kind::Address => Words::new("an IP address in quotes", "引用符で囲んだ IP アドレス"),
        Kind::Network => {
            Words::new("an address or network in quotes", "引用符で囲んだアドレスかネットワーク")
        }
        Kind::Listen => Words::new(
            "address and port, such as \"127.0.0.1:8443\"",
            "\"127.0.0.1:8443\" のようなアドレスとポート",
        ),
        Kind::Period { min, max } => {
            let (min, max) = (seconds(*min), seconds(*max));
            Words::new(
                format!("a length of time from {min} to {max}, such as \"15m\""),
                format!("\"15m\" のような時間の長さ({min} から {max} まで)"),
            )
        }
        Kind::Size { .. } => Words::new("a number of bytes such as \"2 GiB\"", "\"2 GiB\" のような容量"),
        Kind::Sample => Words::new(
            "a share such as \"5%\" or a number such as \"200\"",
            "\"5%\" のような割合か \"200\" のような数",
        ),
        Kind::TimeOfDay => Words::new("a time of the day such as \"02:14\"", "\"02:14\" のような時刻"),
        Kind::Zone => Words::new("a time zone such as \"Asia/Tokyo\"", "\"Asia/Tokyo\" のようなタイムゾーン"),
        Kind::Url => Words::new("an address with http:// or https://", "http:// か https:// で始まる URL"),
        Kind::Act => wanted(&Kind::OneOf(ACTS)),
        Kind::OneOf(choices) => {
            let choices: Vec<_> = choices.iter().map(|choice| format!("\"{choice}\"")).collect();
            Words::new(format!("one of {}", choices.join(", ")), format!("{} のどれか", choices.join("、")))
        }
        Kind::Secret => Words::new(
            "{ secret = \"NAME\" } or { file = \"PATH\" }",
            "{ secret = \"名前\" } か { file = \"パス\" }",
        ),
        Kind::List { of, .. } => {
            let of = wanted(of);
            Words::new(format!("a list [ … ] of: {}", of.en), format!("次のものの一覧 [ … ]: {}", of.ja))
        }
        Kind::Named { of, .. } => {
            let of = wanted(of);
            Words::new(
                format!("a table {{ NAME = … }}, for each name: {}", of.en),
                format!("表 {{ 名前 = … }}。それぞれに {}", of.ja),
            )
        }
        Kind::Table(_) => Words::new("a table { key = value }", "表 { 項目 = 値 }"),
        Kind::Tables { .. } => Words::new("tables headed [[…]]", "[[…]] で始まる表"),
    }
}

/// A number of seconds in its largest whole unit.
pub(super) fn seconds(seconds: i64) -> String {
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
        if seconds % length == 0 && seconds > 0 {
            return format!("{}{unit}", seconds / length);
        }
    }
    format!("{seconds}s")
}

fn not_a(kind: &Kind, value: &DeValue<'_>, path: &str) -> Fault {
    let (en, ja) = type_name(value);
    let wanted = wanted(kind);
    let name = path.split(['.', '[']).next().unwrap_or_default();
    let (how_en, how_ja) = match kind {
        Kind::Tables { .. } => {
            (format!("head each with [[{name}]]"), format!("それぞれ [[{name}]] で始めてください"))
        }
        _ => (format!("write {}", wanted.en), format!("{} を書いてください", wanted.ja)),
    };
    Fault::new(
        Words::new(format!("{en} does not fit here"), format!("ここに{ja}は書けません")),
        Words::new(how_en, how_ja),
    )
}

fn scalar(kind: &Kind, value: &DeValue<'_>, path: &str) -> Result<(), Fault> {
    let out_of_range = |shown: &str| {
        let wanted = wanted(kind);
        Fault::new(
            Words::new(format!("{shown} is out of range"), format!("{shown} は範囲外です")),
            Words::new(format!("write {}", wanted.en), format!("{} を書いてください", wanted.ja)),
        )
    };
    match (kind, value) {
        (Kind::Bool, DeValue::Boolean(_)) => Ok(()),
        (Kind::Integer { min, max }, DeValue::Integer(number)) => {
            let read = i64::from_str_radix(number.as_str(), number.radix()).ok();
            if read.is_some_and(|read| (*min..=*max).contains(&read)) {
                Ok(())
            } else {
                Err(out_of_range(&number.as_str().chars().take(40).collect::<String>()))
            }
        }
        (Kind::Secret, DeValue::String(_)) => Err(secret_fault()),
        (kind, DeValue::String(text)) => match text_of(kind, text) {
            Some(Ok(true)) => Ok(()),
            Some(Ok(false)) => Err(out_of_range(&format!("{:?}", short(text)))),
            Some(Err(fault)) => Err(fault),
            None => Err(not_a(kind, value, path)),
        },
        _ => Err(not_a(kind, value, path)),
    }
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Whether a text is of this kind; `Ok(false)`: it is, and out of range; `None`: the kind is no text.
fn text_of(kind: &Kind, text: &str) -> Option<Result<bool, Fault>> {
    if text.len() > 4_096 {
        return Some(Err(plain(kind, &format!("{} bytes of text", text.len()))));
    }
    Some(match kind {
        Kind::Text { max } => {
            Ok(text.chars().count() <= *max).and_then(|fits| no_control(kind, text).map(|()| fits))
        }
        Kind::Name => {
            let fits = |char: char| char.is_alphanumeric() || matches!(char, '-' | '_' | '.');
            let named = text.chars().all(fits) && !text.starts_with(['-', '.']) && !text.is_empty();
            if named && text.chars().count() <= 64 { Ok(true) } else { Err(plain(kind, &quoted(text))) }
        }
        Kind::Path => {
            let whole = text.starts_with('/') && !text.split('/').any(|part| part == "..");
            if whole { no_control(kind, text).map(|()| true) } else { Err(plain(kind, &quoted(text))) }
        }
        Kind::Vault => match text.strip_prefix("rest:") {
            Some(address) if address.starts_with("https://") => url(address).map(|()| true),
            Some(_) => Err(plain(kind, &quoted(text))),
            None => {
                return text_of(&Kind::Path, text).map(|read| read.map_err(|_| plain(kind, &quoted(text))));
            }
        },
        Kind::Fingerprint => match recover::vault::Trust::fingerprint(text) {
            Some(_) => Ok(true),
            None => Err(plain(kind, &quoted(text))),
        },
        Kind::Glob => {
            let fits =
                |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.' | '*' | ':');
            if text.chars().all(fits) && !text.is_empty() {
                Ok(true)
            } else {
                Err(plain(kind, &quoted(text)))
            }
        }
        Kind::Address => value::address(text).map(|_| true),
        Kind::Network => value::network(text).map(|_| true),
        Kind::Listen => value::listen(text).map(|_| true),
        Kind::Period { min, max } => {
            value::period(text).map(|period| (*min..=*max).contains(&period.0.as_secs()))
        }
        Kind::Size { min, max } => value::size(text).map(|size| (*min..=*max).contains(&size.0)),
        Kind::Sample => value::sample(text).map(|_| true),
        Kind::TimeOfDay => value::time_of_day(text).map(|_| true),
        Kind::Zone => value::zone(text).map(|_| true),
        Kind::Url => url(text).map(|()| true),
        Kind::Act => choice(kind, ACTS, text).map(|()| true),
        Kind::OneOf(choices) => choice(kind, choices, text).map(|()| true),
        _ => return None,
    })
}

fn quoted(text: &str) -> String {
    format!("{:?}", short(text))
}

fn plain(kind: &Kind, shown: &str) -> Fault {
    let wanted = wanted(kind);
    Fault::new(
        Words::new(format!("{shown} does not fit here"), format!("{shown} はここに書けません")),
        Words::new(format!("write {}", wanted.en), format!("{} を書いてください", wanted.ja)),
    )
}

fn no_control(kind: &Kind, text: &str) -> Result<(), Fault> {
    if text.chars().any(char::is_control) { Err(plain(kind, &quoted(text))) } else { Ok(()) }
}

fn choice(kind: &Kind, choices: &[&str], text: &str) -> Result<(), Fault> {
    if choices.contains(&text) {
        return Ok(());
    }
    let mut fault = plain(kind, &quoted(text));
    if let Some(meant) = nearest(text, choices.iter().copied()) {
        fault.remedy = Words::new(
            format!("write \"{meant}\" ({})", fault.remedy.en.trim_start_matches("write ")),
            format!("\"{meant}\" の誤りではありませんか。{}", fault.remedy.ja),
        );
    }
    Err(fault)
}

fn url(text: &str) -> Result<(), Fault> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let authority = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    if authority.contains('@') {
        return Err(secret_fault());
    }
    if authority.is_empty() || text.chars().any(|char| char.is_control() || char.is_whitespace()) {
        return Err(plain(&Kind::Url, &quoted(text)));
    }
    Ok(())
}
