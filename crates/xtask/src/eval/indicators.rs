//! The names of what the guard can be told to leave out, as its own help gives them.

use std::path::Path;
use std::process::Command;

use super::tidy;

/// Indicators that `guard --without` knows; none when there is no such option.
pub(crate) fn of(binary: &Path) -> anyhow::Result<Vec<String>> {
    Ok(listed(&tidy::run(Command::new(binary).args(["guard", "--help"]))?))
}

/// Short help lists them in brackets, long help one a line.
fn listed(help: &str) -> Vec<String> {
    let Some((_, after)) = help.split_once("--without") else { return Vec::new() };
    // The next option ends what belongs to this one.
    let own: Vec<&str> = after
        .lines()
        .enumerate()
        .take_while(|(number, line)| *number == 0 || !line.trim_start().starts_with("--"))
        .map(|(_, line)| line)
        .collect();
    let own = own.join("\n");
    if let Some((_, listed)) = own.split_once("[possible values:") {
        let words = listed.split(']').next().unwrap_or_default().split([',', '\n']);
        return words.map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect();
    }
    let bullets = own.lines().filter_map(|line| line.trim_start().strip_prefix("- "));
    bullets.filter_map(|line| Some(line.split([':', ' ']).next()?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_of_help_are_read() {
        for (help, expected) in [
            ("      --json\n", vec![]),
            (
                "      --without <INDICATOR>\n          Leave one out [possible values: noise, structure,\n          canary]\n      --json\n",
                vec!["noise", "structure", "canary"],
            ),
            (
                "      --without <INDICATOR>\n          Leave one out\n\n          Possible values:\n          - noise:  even bytes\n          - canary: decoys\n\n      --json\n          - no\n",
                vec!["noise", "canary"],
            ),
        ] {
            assert_eq!(listed(help), expected, "{help}");
        }
    }
}
