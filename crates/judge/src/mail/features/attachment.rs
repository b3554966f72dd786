//! What it carries. There is nothing to count here (the examples carry hardly any), so these weights are set by hand, and what runs or infects
//! makes a mail malicious by itself.

use decode::attachment::{Mark, MarkKind};
use schema::MailVerdict;

use super::{Feature, Look, any, few};
use crate::mail::defuse;
use crate::mail::view::View;

const fn malicious(id: &'static str, text: &'static str, text_ja: &'static str, look: Look) -> Feature {
    Feature { id, text, text_ja, bounds: (6.0, 6.0), at_least: Some(MailVerdict::Malicious), look }
}

const fn suspicious(id: &'static str, text: &'static str, text_ja: &'static str, look: Look) -> Feature {
    Feature { id, text, text_ja, bounds: (2.5, 2.5), at_least: Some(MailVerdict::Suspicious), look }
}

const fn told(
    id: &'static str,
    weight: f64,
    text: &'static str,
    text_ja: &'static str,
    look: Look,
) -> Feature {
    Feature { id, text, text_ja, bounds: (weight, weight), at_least: None, look }
}

pub(super) const FEATURES: &[Feature] = &[
    malicious(
        "clamd.signature",
        "The virus scanner knows what it carries.",
        "添付ファイルがウイルスとして検出されました。",
        |view| any(few(view.given.signatures.iter().map(|name| defuse::text(name)))),
    ),
    malicious(
        "attachment.executable",
        "It carries a program.",
        "実行できるプログラムが添付されています。",
        |view| marks(view, |mark| mark.kind == MarkKind::Executable),
    ),
    malicious(
        "attachment.script",
        "It carries a script or a shortcut that runs when it is opened.",
        "開くと動作するスクリプトやショートカットが添付されています。",
        |view| marks(view, |mark| mark.kind == MarkKind::Script && !is_unix(mark)),
    ),
    malicious(
        "attachment.double-extension",
        "A file's name hides that it runs.",
        "ファイル名が、実行ファイルであることを隠すように付けられています。",
        |view| marks(view, |mark| mark.kind == MarkKind::DoubleExtension),
    ),
    malicious(
        "attachment.auto-macro",
        "A document carries a macro that starts by itself.",
        "開くと自動的に動くマクロを含む文書が添付されています。",
        |view| marks(view, |mark| mark.kind == MarkKind::AutoMacro),
    ),
    malicious(
        "attachment.xlm-macro",
        "A workbook carries an old-style macro sheet, which nobody but an attacker uses today.",
        "攻撃によく使われる旧式マクロ（XLM）を含む表が添付されています。",
        |view| marks(view, |mark| mark.kind == MarkKind::XlmMacro),
    ),
    malicious(
        "attachment.dde",
        "A document starts another program when it is opened (DDE).",
        "開くと別のプログラムを起動する文書が添付されています（DDE）。",
        |view| marks(view, |mark| mark.kind == MarkKind::Dde),
    ),
    malicious(
        "attachment.smuggling",
        "A page puts a file together on the reader's machine.",
        "開くとパソコン上でファイルを組み立てる HTML が添付されています。",
        |view| marks(view, |mark| mark.kind == MarkKind::HtmlSmuggling),
    ),
    suspicious(
        "attachment.disguised",
        "A file is not what its name says.",
        "ファイルの中身が、名前の示す種類と異なります。",
        |view| marks(view, |mark| mark.kind == MarkKind::Disguised),
    ),
    suspicious(
        "attachment.disk-image",
        "It carries a disk image, from which Windows opens files without a warning.",
        "ディスクイメージが添付されています。中のファイルは警告なしに開かれます。",
        |view| marks(view, |mark| mark.kind == MarkKind::DiskImage),
    ),
    suspicious(
        "attachment.macro",
        "A document carries a macro.",
        "マクロを含む文書が添付されています。",
        |view| marks(view, |mark| mark.kind == MarkKind::Macro),
    ),
    suspicious(
        "attachment.external-template",
        "A document fetches something from elsewhere when it is opened.",
        "開くと外部からデータを取り込む文書が添付されています。",
        |view| marks(view, |mark| mark.kind == MarkKind::ExternalTemplate),
    ),
    suspicious(
        "attachment.html-form",
        "It carries a page with a form, or one that jumps elsewhere.",
        "入力フォームや自動転送を含む HTML ファイルが添付されています。",
        |view| marks(view, |mark| mark.kind == MarkKind::HtmlForm),
    ),
    suspicious(
        "attachment.bomb",
        "An archive unpacks to far more than it is, to bring scanners down.",
        "展開すると異常に大きくなる圧縮ファイルが添付されています。",
        |view| marks(view, |mark| mark.kind == MarkKind::Bomb),
    ),
    told(
        "attachment.unix-script",
        1.0,
        "It carries a script for Unix machines.",
        "Unix 用のスクリプトが添付されています。",
        |view| marks(view, |mark| mark.kind == MarkKind::Script && is_unix(mark)),
    ),
    told(
        "attachment.embedded-object",
        1.0,
        "A document carries another file inside.",
        "文書の中に、別のファイルが埋め込まれています。",
        |view| marks(view, |mark| mark.kind == MarkKind::EmbeddedObject),
    ),
    told(
        "attachment.pdf-action",
        1.0,
        "A PDF does something by itself when it is opened.",
        "開くと自動的に動作する PDF が添付されています。",
        |view| marks(view, |mark| mark.kind == MarkKind::PdfAction),
    ),
    told(
        "attachment.encrypted",
        1.0,
        "A file is encrypted: nobody could look inside.",
        "暗号化されたファイルが添付されており、中身を確認できません。",
        |view| marks(view, |mark| mark.kind == MarkKind::Encrypted),
    ),
    Feature {
        id: "attachment.not-looked-at",
        text: "It carries more than could be looked at.",
        text_ja: "添付ファイルが大きすぎる、または複雑すぎるため、すべてを確認できませんでした。",
        bounds: (0.5, 0.5),
        at_least: Some(MailVerdict::Unreadable),
        look: |view| marks(view, |mark| mark.kind == MarkKind::NotLookedAt),
    },
    told(
        "attachment.broken",
        0.2,
        "A file is broken.",
        "添付ファイルが壊れています。",
        |view| marks(view, |mark| mark.kind == MarkKind::Broken),
    ),
];

/// A script that begins with `#!`: a double click does not run it, and technicians send each other such.
fn is_unix(mark: &Mark) -> bool {
    mark.evidence.contains("shebang")
}

fn marks(view: &View, counts: fn(&Mark) -> bool) -> Option<Vec<String>> {
    let marks = view.given.looks.iter().flat_map(|look| &look.marks).filter(|mark| counts(mark));
    any(few(marks.map(|mark| {
        let place = defuse::text(&mark.place);
        if mark.evidence.is_empty() { place } else { format!("{place}: {}", defuse::text(&mark.evidence)) }
    })))
}
