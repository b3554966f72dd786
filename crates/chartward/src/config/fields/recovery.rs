//! How everything is started again after a loss.

use super::{Field, Kind, Shape, TEXTS, default, required};

pub(super) static SHAPE: Shape = Shape { fields: FIELDS, one_of: &[] };

const FIELDS: &[Field] = &[
    required("name", Kind::Text { max: 200 }, r#""EMR database""#, "What people call it.", "名前。"),
    required(
        "role",
        Kind::OneOf(&["directory", "dns", "licence", "database", "application", "department"]),
        r#""database""#,
        "What it is to the others: nothing works before what stands above it, so the plan is ordered by this, then as written.",
        "役割。計画はこの順(ディレクトリサービス、DNS、ライセンス、データベース、アプリケーション、部門)、次に書いた順に並びます。",
    ),
    default(
        "start",
        TEXTS,
        r"[]",
        "Commands that start it, one after the other.",
        "起動のためのコマンド。順に実行します。",
    ),
    default(
        "probe",
        TEXTS,
        r"[]",
        "What shows that it works: commands, or sentences for people.",
        "動作の確認方法。コマンド、または人への指示です。",
    ),
    default(
        "note",
        Kind::Text { max: 4_000 },
        r#""""#,
        "What else must be known: where it runs, whom to call.",
        "ほかに必要なこと。場所や連絡先など。",
    ),
];
