//! Plain texts whose long lines were broken for the way (RFC 3676).

/// What happens to the blank by which a line says that it goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Blank {
    Kept,
    Dropped,
}

/// Lines that were broken for the way, joined again (RFC 3676).
pub(super) fn join(text: &str, blank: Blank) -> String {
    let mut out = String::with_capacity(text.len());
    // The depth of quotes of a line that goes on.
    let mut open: Option<usize> = None;
    for line in text.lines() {
        let inner = line.trim_start_matches('>');
        let depth = line.len() - inner.len();
        let inner = inner.strip_prefix(' ').unwrap_or(inner);
        if open != Some(depth) {
            if open.is_some() {
                out.push('\n');
            }
            out.push_str(&line[..depth]);
            if depth > 0 {
                out.push(' ');
            }
        }
        // The mark before a signature is no line that goes on.
        let goes_on = inner.ends_with(' ') && inner != "-- ";
        out.push_str(if goes_on && blank == Blank::Dropped { &inner[..inner.len() - 1] } else { inner });
        open = goes_on.then_some(depth);
        if !goes_on {
            out.push('\n');
        }
    }
    out
}
