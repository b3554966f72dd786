//! `chartward logons exposure`: doors that are open, and what to close first.

use std::process::ExitCode;

use judge::logins::{Detectors, Door};
use schema::Lang;

use super::Common;
use crate::output::{Output, printable};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let desk = args.common.desk()?;
    let mut detectors = Detectors::new(&desk.rules);
    let mut found = Vec::new();
    let outcome = args.common.read(&desk, |event| detectors.step(event, 0, &mut found))?;
    for door in detectors.doors() {
        let mut line = serde_json::to_value(door)?;
        line["type"] = "door".into();
        desk.output.line(&line)?;
    }
    let advice = detectors.advice();
    for (place, advice) in advice.iter().enumerate() {
        let mut line = serde_json::to_value(advice)?;
        line["type"] = "advice".into();
        line["place"] = (place + 1).into();
        desk.output.line(&line)?;
    }
    if desk.output == Output::People {
        let said = |texts: &[String; 2]| printable(desk.lang.pick(&texts[0], &texts[1]));
        for (place, advice) in advice.iter().enumerate() {
            let Door { host, nla, .. } = &advice.door;
            desk.output.say(format!(
                "{}. {}: {}{}\n   {}",
                place + 1,
                printable(host),
                said(&advice.why),
                nla_words(*nla, desk.lang),
                said(&advice.todo)
            ));
        }
        if advice.is_empty() {
            desk.output.say(desk.lang.pick(
                "These logs show no door that is open to the outside. What no log is kept of is not seen.",
                "これらのログには、外部に開いた入口は見当たりません。ログのない機械は確認できていません。",
            ));
        }
    }
    desk.finish(&outcome, advice.len())
}

fn nla_words(nla: Option<bool>, lang: Lang) -> &'static str {
    match nla {
        Some(true) => lang.pick("; NLA is on", "（NLA 有効）"),
        Some(false) => lang.pick("; NLA is off", "（NLA 無効）"),
        None => "",
    }
}
