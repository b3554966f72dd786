//! Which language people read.

use schema::Lang;

/// `--lang`, else what the locale says.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct LangArgs {
    /// Language: en or ja (default: as LC_ALL, LC_MESSAGES or LANG say)
    #[arg(long, value_name = "LANG", value_parser = parse)]
    lang: Option<Lang>,
}

impl LangArgs {
    pub(crate) fn lang(self) -> Lang {
        self.lang.unwrap_or_else(|| {
            let locale = ["LC_ALL", "LC_MESSAGES", "LANG"]
                .iter()
                .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
            Lang::from_locale(&locale.unwrap_or_default())
        })
    }
}

fn parse(text: &str) -> Result<Lang, String> {
    match text {
        "en" => Ok(Lang::En),
        "ja" => Ok(Lang::Ja),
        other => Err(format!("{other} is neither en nor ja")),
    }
}
