//! The stores that are captured by means of their own, as Markdown; from the adapters' own registry.

use std::fmt::Write as _;

use recover::adapter::{ENTRIES, Entry};
use schema::Lang;

/// What may stand in `sources` and behind `backup --source`.
pub(crate) fn sources(lang: Lang) -> String {
    let mut text = lang.pick(
        "# Sources\n\nWritten by `chartward config sources`. A source is one line, `KIND:KEY=VALUE,KEY=VALUE`, behind `chartward backup --source` \
         or in `sources` of a `[[protect]]`. `name=` names it in the snapshot. A comma within a value is written `%2C`. Passwords stand in files that \
         only their owner may read, or in the hub's sealed store (`password-secret`), never here.\n",
        "# データベースなどの取り込み\n\n`chartward config sources --lang ja` の出力です。1件を1行で `種類:キー=値,キー=値` と書き、`chartward backup --source` \
         または `[[protect]]` の `sources` に指定します。`name=` はスナップショットの中での名前です。値の中のコンマは `%2C` と書きます。パスワードはここには書かず、\
         所有者だけが読めるファイルか、ハブの暗号化された保管場所(`password-secret`)に置きます。\n",
    )
    .to_owned();
    ENTRIES.iter().for_each(|entry| section(entry, lang, &mut text));
    text
}

fn section(entry: &Entry, lang: Lang, text: &mut String) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "\n## `{}`\n\n{}\n", entry.kind, lang.pick(entry.title.0, entry.title.1));
    for setting in entry.settings {
        let needed = if setting.required { lang.pick(" (required)", "(必須)") } else { "" };
        let _ = writeln!(
            text,
            "- `{}`: {}{needed}",
            setting.key,
            lang.pick(setting.meaning.0, setting.meaning.1)
        );
    }
}
