//! How it is made up.

use decode::mail::LinkKind;

use super::{Feature, row};
use crate::mail::defuse;
use crate::mail::fold::{is_invisible, is_japanese};
use crate::mail::view::View;

pub(super) const FEATURES: &[Feature] = &[
    row(
        "html.only",
        // One honest sender of today in five does so too: that is what the bound says.
        (0.0, 1.2),
        "There is no plain text beside the page: whoever sends by the thousand saves the trouble.",
        "テキスト形式の本文がなく、HTML だけで作られています。",
        only,
    ),
    row(
        "html.hidden-text",
        (0.0, 2.5),
        "It carries a lot of text that the reader cannot see, to deceive filters.",
        "フィルターを欺くため、読む人には見えない文章が大量に含まれています。",
        hidden,
    ),
    row(
        "html.form",
        (0.3, 3.0),
        "It has a form to fill in within the mail itself.",
        "メールの中に、情報を入力させるフォームがあります。",
        form,
    ),
    row(
        "html.password",
        (2.0, 5.0),
        "It asks for a password within the mail itself.",
        "メールの中で、パスワードの入力を求めています。",
        password,
    ),
    row(
        "html.image-only",
        (0.0, 1.5),
        "What it says is in pictures, which filters cannot read.",
        "内容のほとんどが画像で、フィルターが読み取れないようになっています。",
        image_only,
    ),
    row(
        "html.active",
        (0.0, 2.0),
        "It carries a program that a mail program should not run.",
        "メールの中に、実行されるプログラム（スクリプトなど）が含まれています。",
        active,
    ),
    row(
        "html.smuggled",
        (2.5, 5.0),
        "It carries a file hidden in its text, to be put together on the reader's machine.",
        "本文の中にファイルが隠されており、読む人のパソコン上で組み立てられる仕組みです。",
        smuggled,
    ),
    row(
        "html.jumps",
        (1.0, 3.0),
        "It jumps to another page by itself.",
        "開くと、自動的に別のページへ移動する仕組みです。",
        jumps,
    ),
];

fn only(view: &View) -> Option<Vec<String>> {
    let has_text = view.message.bodies.iter().any(|body| !body.html && body.visible.trim().len() > 20);
    (view.html().next().is_some() && !has_text).then(Vec::new)
}

/// More unseen than seen, and far more than the line that newsletters hide for the list of mails.
fn hidden(view: &View) -> Option<Vec<String>> {
    let letters = |text: &str| {
        text.chars().take(20_000).filter(|char| char.is_alphanumeric() && !is_invisible(*char)).count()
    };
    let hidden: usize = view.html().map(|body| letters(&body.hidden)).sum();
    if hidden <= 400 {
        return None;
    }
    let visible: usize = view.html().map(|body| letters(&body.visible)).sum();
    (hidden > visible).then(|| {
        let words: String = view
            .html()
            .flat_map(|body| body.hidden.split_whitespace())
            .take(12)
            .collect::<Vec<_>>()
            .join(" ");
        vec![defuse::text(&words)]
    })
}

fn form(view: &View) -> Option<Vec<String>> {
    let form = view.html().flat_map(|body| &body.forms).find(|form| !form.action.is_empty())?;
    Some(vec![defuse::url(&form.action)])
}

fn password(view: &View) -> Option<Vec<String>> {
    let form = view.html().flat_map(|body| &body.forms).find(|form| form.password)?;
    Some(vec![defuse::url(&form.action)])
}

fn image_only(view: &View) -> Option<Vec<String>> {
    // A Japanese character says as much as a few letters.
    let weight = |char: char| if is_japanese(char) { 3 } else { usize::from(char.is_alphanumeric()) };
    let visible: usize = view
        .message
        .bodies
        .iter()
        .map(|body| body.visible.chars().take(400).map(weight).sum::<usize>())
        .sum();
    let images: u32 = view.html().map(|body| body.remote_images.saturating_add(body.own_images)).sum();
    let leads_on = view.clicks.iter().any(|click| click.link.kind == LinkKind::Anchor);
    (images > 0 && leads_on && visible < 120).then(Vec::new)
}

fn active(view: &View) -> Option<Vec<String>> {
    view.html().any(|body| body.active > 0).then(Vec::new)
}

fn smuggled(view: &View) -> Option<Vec<String>> {
    view.html().any(|body| body.packed > 4_096 && body.active > 0).then(Vec::new)
}

fn jumps(view: &View) -> Option<Vec<String>> {
    let target = view.html().find_map(|body| body.refresh.as_deref())?;
    Some(vec![defuse::url(target)])
}
