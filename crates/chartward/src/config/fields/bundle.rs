//! Charts on a stick.

use super::{DAY, Field, Kind, LANGUAGE, MINUTE, Shape, default, optional, required};

pub(super) static SHAPE: Shape = Shape { fields: FIELDS, one_of: &[] };

const FIELDS: &[Field] = &[
    required(
        "to",
        Kind::Path,
        r#""/media/charts/bundle""#,
        "Its folder, on a stick or a PC's share; the folder that it lies in must be there. It holds nothing else.",
        "置き場所のフォルダー(USB メモリーや PC の共有フォルダーなど)。一つ上のフォルダーは、あらかじめ必要です。ほかのファイルは置けません。",
    ),
    required(
        "passphrase",
        Kind::Secret,
        r#"{ secret = "bundle" }"#,
        "Where its own passphrase is; it should not be the vault's. Five unrelated words or more.",
        "専用のパスフレーズの置き場所。保管庫のものとは別にし、関係のない単語を5つ以上並べてください。",
    ),
    default(
        "stale_after",
        Kind::Period { min: MINUTE, max: 366 * DAY },
        r#""50h""#,
        "Older than this it is an alarm, whether there was a proof or not.",
        "これより古くなると、実証の有無にかかわらず警告します。",
    ),
    default(
        "lock_after",
        Kind::Period { min: 10, max: DAY },
        r#""10m""#,
        "The page locks itself after so long without a key or a touch.",
        "この時間操作がないと、画面をロックします。",
    ),
    optional(
        "timeout",
        Kind::Period { min: 10, max: 7 * DAY },
        r#""6h""#,
        "An export that takes longer is ended and has failed. Default: 6h.",
        "これより長くかかる更新は打ち切り、失敗とします。省略時は 6h です。",
    ),
    optional(
        "lang",
        LANGUAGE,
        r#""ja""#,
        "Which language it opens in. Default: the machine's.",
        "最初に表示する言語。省略時はこの機械の言語です。",
    ),
];
