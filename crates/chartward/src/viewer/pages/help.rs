//! How to use the viewer, in a minute.

use axum::extract::State;
use axum::response::Response;
use maud::html;

use super::super::Viewer;
use super::super::visit::Visit;

pub(in crate::viewer) async fn get(State(viewer): State<Viewer>, visit: Visit) -> Response {
    let lang = visit.lang;
    let title = lang.pick("Help", "使い方");
    let keys = [
        ("/", lang.pick("search", "検索欄へ移動")),
        ("↑ ↓ Enter", lang.pick("choose a patient and open the chart", "患者を選んでカルテを開く")),
        ("Esc", lang.pick("leave a field; back to the ward or the list", "入力欄を出る／病棟・一覧へ戻る")),
        ("n · p", lang.pick("next and previous patient of the ward", "同じ病棟の次・前の患者")),
        ("g w", lang.pick("wards", "病棟一覧")),
        ("g h", lang.pick("all patients", "患者一覧")),
        (
            "g a · g p · g m · g l · g v · g n",
            lang.pick(
                "in a chart: allergies, problems, medication, laboratory, given, notes",
                "カルテ内: アレルギー・病名・処方と注射・検査・投与実施・記録",
            ),
        ),
        ("g e", lang.pick("Japanese", "英語表示に切り替え")),
        ("?", lang.pick("this page", "このページ")),
    ];
    let marks = [
        (
            "H · L · A",
            lang.pick(
                "high, low, abnormal, as the laboratory flagged it",
                "高値・低値・異常（検査部門の判定）",
            ),
        ),
        ("!!", lang.pick("critical value", "パニック値")),
        ("*", lang.pick("computed from the recorded reference range", "記録された基準値から算出した判定")),
        (
            "?",
            lang.pick(
                "no flag and no range recorded: not the same as normal",
                "判定・基準値の記録なし（正常とは限りません）",
            ),
        ),
        ("◆ ●", lang.pick("in a course: outside of the range, or within", "推移の図: 異常値・それ以外")),
        (
            "¹ ² ³",
            lang.pick(
                "the record behind an item, listed at the end of the chart",
                "出典の番号（カルテの末尾に一覧）",
            ),
        ),
    ];
    let content = html! {
        h1 { (title) }
        (viewer.look().basis(lang))
        h2 { (lang.pick("What you see", "表示内容について")) }
        p { (lang.pick(
            "These charts are copies from the backup, as of the time above. Nothing can be changed here. What was recorded later is not here. “Not recorded” never means “none”: ask the patient, the family, the pharmacy.",
            "上記のデータ時点のバックアップから読み出したカルテです。ここでは変更できません。その後の記録は含まれていません。「記録なし」は「なし」を意味しません。患者・家族・薬局などにご確認ください。",
        )) }
        h2 { (lang.pick("Finding a patient", "患者の探し方")) }
        p { (lang.pick(
            "Type a part of the name in kanji, kana or hiragana, the id, the ward, or the birth date (1973-04-05, 19730405, S48.4.5). Several words narrow the search.",
            "氏名（漢字・カナ・ひらがな）の一部、患者ID、病棟、生年月日（1973-04-05、19730405、S48.4.5、昭和48年4月5日）で検索できます。複数の語を入れると絞り込めます。",
        )) }
        h2 { (lang.pick("Keys", "キー操作")) }
        dl.keys { @for (key, meaning) in keys { dt { kbd { (key) } } dd { (meaning) } } }
        h2 { (lang.pick("Signs", "記号")) }
        dl.keys { @for (mark, meaning) in marks { dt { (mark) } dd { (meaning) } } }
        h2 { (lang.pick("On paper", "印刷")) }
        p { (lang.pick("Print a chart with the browser (Ctrl+P): every sheet bears name, id and the time of the data.", "ブラウザーの印刷（Ctrl+P）で印刷できます。各用紙に氏名・ID・データ時点が入ります。")) }
    };
    viewer.page(&visit, title, &content)
}
