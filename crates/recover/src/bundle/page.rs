//! The page itself: the same files in every bundle.

/// Name and content of what lies at the top of the folder beside the manifest.
pub(super) const FILES: &[(&str, &str)] = &[
    ("index.html", include_str!("page/index.html")),
    (
        "app.css",
        concat!(
            include_str!("../charts/html/page.css"),
            include_str!("../charts/html/chart.css"),
            include_str!("page/app.css")
        ),
    ),
    (
        "app.js",
        concat!(
            include_str!("page/words.js"),
            include_str!("page/seal.js"),
            include_str!("page/parts.js"),
            include_str!("page/kept.js"),
            include_str!("page/search.js"),
            include_str!("page/note.js"),
            include_str!("page/form.js"),
            include_str!("page/app.js"),
        ),
    ),
    ("README.txt", include_str!("page/README.txt")),
];
