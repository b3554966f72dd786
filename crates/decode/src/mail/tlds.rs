//! Top-level domains that a bare `name.tld/path` in a text is believed by.

/// Those of countries are any two letters.
#[rustfmt::skip]
const GENERIC: &[&str] = &[
    "academy", "agency", "app", "art", "asia", "auction", "autos", "bar", "beauty", "best", "bid", "bio",
    "biz", "blog", "bond", "boutique", "business", "buzz", "cam", "camp", "capital", "cards", "care",
    "careers", "casa", "cash", "casino", "cat", "center", "cfd", "chat", "church", "city", "claims",
    "clinic", "click", "cloud", "club", "codes", "coffee", "com", "community", "company", "computer",
    "consulting", "contact", "coop", "courses", "cricket", "cyou", "date", "deals", "dental", "design",
    "dev", "digital", "direct", "directory", "download", "earth", "edu", "email", "energy", "engineering",
    "enterprises", "estate", "events", "exchange", "expert", "express", "faith", "family", "fans", "farm",
    "fashion", "finance", "financial", "fit", "fitness", "fun", "fund", "gallery", "game", "games",
    "garden", "gay", "gdn", "gift", "gifts", "global", "gold", "gov", "group", "guide", "guru", "hair",
    "haus", "health", "healthcare", "help", "homes", "hospital", "host", "hosting", "house", "icu", "immo",
    "info", "ink", "institute", "insurance", "int", "international", "investments", "jobs", "kim", "lat",
    "law", "legal", "life", "limited", "link", "live", "loan", "loans", "lol", "love", "ltd", "makeup",
    "management", "market", "marketing", "mba", "media", "medical", "men", "mil", "mobi", "mom", "money",
    "monster", "movie", "museum", "name", "net", "network", "news", "ninja", "one", "ong", "onl", "online",
    "ooo", "org", "page", "parts", "party", "photo", "photos", "pics", "place", "plus", "post", "press",
    "pro", "promo", "properties", "property", "pub", "quest", "racing", "realty", "recipes", "red", "rent",
    "repair", "report", "rest", "review", "reviews", "rip", "rocks", "run", "sale", "sbs", "school",
    "science", "security", "services", "shop", "shopping", "show", "site", "skin", "social", "software",
    "solutions", "space", "store", "stream", "studio", "style", "support", "surf", "systems", "tax", "team",
    "tech", "technology", "tel", "test", "tips", "today", "tokyo", "tools", "top", "tours", "town", "toys",
    "trade", "trading", "training", "travel", "tube", "university", "uno", "vip", "vision", "wang", "watch",
    "website", "wiki", "win", "work", "works", "world", "wtf", "xin", "xxx", "xyz", "yokohama", "zone",
    "example", "invalid",
];

/// Two letters that no country has and that end names of files.
const FILES: &[&str] = &["db", "gz", "js", "ts", "xz"];

/// Whether `label` (lower case) is a top-level domain that people know.
pub(super) fn is_known(label: &str) -> bool {
    match label.len() {
        2 => label.bytes().all(|byte| byte.is_ascii_lowercase()) && !FILES.contains(&label),
        0 | 1 => false,
        _ => GENERIC.contains(&label) || label.starts_with("xn--"),
    }
}
