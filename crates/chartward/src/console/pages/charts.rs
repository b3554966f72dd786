//! The way to patients' charts while the record system is down, for those who may read them.

use maud::html;

use crate::access::Permission;
use crate::console::layout;
use crate::console::reply::{Reply, Trouble};
use crate::console::route::{Needs, Route};
use crate::console::visit::Visit;
use crate::console::words::Both;
use crate::hub::Entrance;

const CHARTS: Both = ("Charts", "カルテ閲覧");

pub(super) const ROUTES: &[Route] =
    &[Route::page("/charts", CHARTS, Needs::May(Permission::ReadCharts), show).in_nav().audited()];

fn show(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let lang = visit.lang;
    let Some(entrance) = Entrance::read(&visit.console.settings.state_dir) else {
        let lead = lang.pick(
            "The read-only chart viewer does not run: use the record system.",
            "閲覧専用カルテは起動していません。電子カルテをご利用ください。",
        );
        let next = html! {
            (lang.pick(
                "if the record system is down, ask an operator or administrator to start the viewer (chartward act apply start_viewer).",
                "電子カルテが使えない場合は、担当者または管理者に起動を依頼してください（chartward act apply start_viewer）。",
            ))
        };
        return Ok(visit.show(layout::opening(visit.pick(CHARTS), lead, Some(next), lang)));
    };
    let lead = match entrance.is_proven {
        true => lang.pick(
            "Charts can be read, not written, as they stood in the newest backup that was proven by restoring it.",
            "復元を実証した最新のバックアップの内容を、閲覧専用で表示します。",
        ),
        false => lang.pick(
            "Charts can be read, not written, from the newest backup. No drill has proven it: check what matters.",
            "最新のバックアップの内容を、閲覧専用で表示します。復元は未実証のため、重要な内容は必ず確認してください。",
        ),
    };
    Ok(visit.show(html! {
        (layout::opening(visit.pick(CHARTS), lead, None, lang))
        dl.facts {
            dt { (lang.pick("Code", "コード")) } dd { code #entrance-code { (entrance.code) } }
        }
        p { (lang.pick(
            "The viewer asks for this code and your name. Which charts you open is recorded.",
            "閲覧画面で、このコードとお名前を入力してください。開いたカルテは記録されます。",
        )) }
        p { a.button #entrance href=(entrance.url) { (lang.pick("Open the charts", "カルテを開く")) } }
    }))
}
