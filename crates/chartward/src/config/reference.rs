//! The reference and the commented example, made from the table of fields.

use std::fmt::Write as _;

use schema::Lang;

use super::fields::{Field, Kind, Need, ROOT, Shape};
use super::shape::wanted;

/// The whole reference as Markdown.
pub(crate) fn reference(lang: Lang) -> String {
    let mut text = lang
        .pick(
            "# Configuration\n\n\
             Made by `chartward config reference`; do not edit. The file is `chartward.toml` in the working folder, else\n\
             `/etc/chartward/chartward.toml`, or the one given with `--config`. `chartward config check` names every problem with\n\
             its place and what to write instead; `chartward config example` prints a file to start from.\n\n\
             Secrets never stand in the file: `{ secret = \"NAME\" }` names one of the sealed store, `{ file = \"PATH\" }` a file\n\
             that only its owner may read. Lengths of time are written as `15m`, `26h` or `7d`.\n",
            "# 設定\n\n\
             `chartward config reference --lang ja` の出力です。直接編集しないでください。設定ファイルは作業フォルダーの `chartward.toml`、\
             なければ `/etc/chartward/chartward.toml`、または `--config` で指定したファイルです。`chartward config check` は、\
             すべての問題を場所と直し方とともに示します。`chartward config example` は書き始めの見本を出力します。\n\n\
             秘密は設定ファイルに書けません。`{ secret = \"名前\" }` で暗号化した保管場所の名前を、`{ file = \"パス\" }` で所有者だけが読める\
             ファイルを指定します。時間の長さは `15m`(15分)、`26h`(26時間)、`7d`(7日)のように書きます。\n",
        )
        .to_owned();
    section(&mut text, &ROOT, lang.pick("Top level", "全体"), "", lang);
    text
}

fn section(text: &mut String, shape: &Shape, title: &str, intro: &str, lang: Lang) {
    let _ = write!(text, "\n## {title}\n\n");
    if !intro.is_empty() {
        let _ = write!(text, "{intro}\n\n");
    }
    if !shape.one_of.is_empty() {
        let names: Vec<_> = shape.one_of.iter().map(|name| format!("`{name}`")).collect();
        let names = names.join(", ");
        let _ = match lang {
            Lang::En if shape.none_will_do() => write!(text, "At most one of {names}.\n\n"),
            Lang::Ja if shape.none_will_do() => write!(text, "{names} は、どちらか1つだけ書けます。\n\n"),
            Lang::En => write!(text, "Exactly one of {names}.\n\n"),
            Lang::Ja => write!(text, "{names} のうち、ちょうど1つを書きます。\n\n"),
        };
    }
    text.push_str(lang.pick(
        "| key | value | default | meaning |\n|---|---|---|---|\n",
        "| 項目 | 値 | 省略時 | 意味 |\n|---|---|---|---|\n",
    ));
    for field in shape.fields {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            field.name,
            cell(wanted(&field.kind).pick(lang)),
            cell(&otherwise(field, lang)),
            cell(lang.pick(field.en, field.ja)),
        );
    }
    for field in shape.fields {
        let Some(below) = field.shape() else { continue };
        let name = match title.strip_prefix('`') {
            Some(above) => format!("{}.{}", above.trim_matches(['`', '[', ']']), field.name),
            None => field.name.to_owned(),
        };
        let title = match field.kind {
            Kind::Tables { .. } => format!("`[[{name}]]`"),
            _ => format!("`[{name}]`"),
        };
        section(text, below, &title, lang.pick(field.en, field.ja), lang);
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn otherwise(field: &Field, lang: Lang) -> String {
    match field.need {
        Need::Required => lang.pick("required", "必須").to_owned(),
        Need::Default(value) => format!("`{value}`"),
        Need::Optional => "–".to_owned(),
    }
}

/// A file to start from: what has to be said is said, everything else stands there as a comment with its default.
pub(crate) fn example(lang: Lang) -> String {
    let mut text = String::new();
    text.push_str(lang.pick(
        "# chartward.toml: everything that may stand in it. Lines that begin with `#` are not in force.\n",
        "# chartward.toml: 書ける項目のすべて。# で始まる行は効力がありません。\n",
    ));
    for field in ROOT.fields.iter().filter(|field| field.shape().is_none()) {
        line(&mut text, field, field.need == Need::Required, lang);
    }
    for field in ROOT.fields {
        let Some(shape) = field.shape() else { continue };
        let head = match field.kind {
            Kind::Tables { .. } => format!("[[{}]]", field.name),
            _ => format!("[{}]", field.name),
        };
        let in_force = IN_FORCE.contains(&field.name);
        let mark = if in_force { "" } else { "# " };
        let _ = write!(text, "\n# {}\n{mark}{head}\n", lang.pick(field.en, field.ja));
        for below in shape.fields {
            let chosen = below.need == Need::Required || shape.one_of.first() == Some(&below.name);
            line(&mut text, below, in_force && chosen, lang);
        }
    }
    text
}

/// What every hospital has to write.
const IN_FORCE: [&str; 4] = ["vault", "protect", "watch", "playbook"];

fn line(text: &mut String, field: &Field, in_force: bool, lang: Lang) {
    let mark = if in_force { "" } else { "# " };
    let _ = writeln!(text, "# {}\n{mark}{} = {}", lang.pick(field.en, field.ja), field.name, written(field));
}

/// A value as it would stand in a file.
pub(super) fn written(field: &Field) -> String {
    match (field.need, field.shape()) {
        (_, _) if !field.example.is_empty() => field.example.to_owned(),
        (Need::Default(value), _) => value.to_owned(),
        (_, Some(shape)) => {
            let chosen =
                |below: &&Field| below.need == Need::Required || shape.one_of.first() == Some(&below.name);
            let keys: Vec<_> = shape
                .fields
                .iter()
                .filter(chosen)
                .map(|below| format!("{} = {}", below.name, written(below)))
                .collect();
            format!("{{ {} }}", keys.join(", "))
        }
        (_, None) => "\"\"".to_owned(),
    }
}
