//! Whether a token in a host says enough: how much the token says, how like it is, where it stands and what stands beside it.

use std::ops::Range;

use super::How;
use super::brands::Hold;
use super::variants::Likeness;

/// A token in a reading.
pub(super) struct Hit {
    pub(super) token: usize,
    pub(super) likeness: Likeness,
    /// Which words of the reading it covers.
    pub(super) words: Range<usize>,
    /// What it stands in besides, where it is part of one word.
    pub(super) glue: Option<Glue>,
    pub(super) length: usize,
}

/// What stands before and behind a token in its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Glue {
    pub(super) rest: Rest,
    pub(super) behind: bool,
}

/// What a part of a word is made of; the strongest of its pieces counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rest {
    /// Anything else.
    Any,
    /// Fillers and digits.
    Filler,
    /// Words that go with the trade, which the brand itself may use.
    Hint,
    /// Words that ask for something.
    Lure,
}

impl Rest {
    pub(super) fn and(self, other: Self) -> Self {
        if self.min(other) == Self::Any { Self::Any } else { self.max(other) }
    }
}

/// Where a hit stands in its host.
pub(super) struct Placed {
    /// In the label that was registered, not in one below it.
    pub(super) registered: bool,
    /// The only word of its label.
    pub(super) alone: bool,
    /// At the front of another domain, with an ending of its own.
    pub(super) embedded: bool,
    /// Under a cheap ending, or on free hosting.
    pub(super) cheap: bool,
    /// The ending is one of those that brands leave to others.
    pub(super) brief: bool,
    pub(super) beside: Beside,
    pub(super) in_label: Beside,
}

/// The words beside a hit.
pub(super) struct Beside {
    pub(super) strongest: Rest,
    pub(super) lures: usize,
    /// Words that a brand's own address has around the name.
    pub(super) at_home: bool,
}

impl Placed {
    /// Whether something asks for something; under a cheap ending less is enough.
    pub(super) fn baited(&self) -> bool {
        self.beside.strongest == Rest::Lure || (self.cheap && self.beside.strongest == Rest::Hint)
    }

    pub(super) fn doubly_baited(&self) -> bool {
        self.beside.lures >= 2 || (self.cheap && self.baited())
    }
}

impl Hit {
    /// How it passes for the brand, where it says enough.
    pub(super) fn weigh(&self, hold: Hold, place: &Placed) -> Option<How> {
        match (self.likeness, self.glue) {
            (Likeness::Same, None) => whole(self, hold, place),
            (Likeness::Same, Some(glue)) => glued(self, hold, glue, place).then_some(How::Combosquat),
            (_, glue) => misspelling(self, hold, glue, place).then_some(How::Misspelt),
        }
    }
}

/// The very token as a word of its own.
fn whole(hit: &Hit, hold: Hold, place: &Placed) -> Option<How> {
    if place.embedded {
        return Some(How::Embedded);
    }
    let how = match (place.alone, place.registered) {
        (true, true) => How::Ending,
        (true, false) => How::Subdomain,
        (false, _) => How::Combosquat,
    };
    let counts = match (hold, how) {
        // A brand has its own name under many endings, though not under these.
        (Hold::Sole | Hold::Strong, How::Ending) => place.brief || place.baited() && place.cheap,
        (_, How::Ending) => place.cheap && place.beside.lures > 0,
        (Hold::Strong, How::Combosquat) => {
            !place.registered || place.cheap || place.baited() || place.in_label.at_home
        }
        (Hold::Sole, _) | (Hold::Strong | Hold::Distinct, How::Subdomain) => true,
        (Hold::Distinct, _) => {
            let random = place.cheap && place.in_label.strongest == Rest::Any;
            random || place.doubly_baited() || (!place.registered && (place.cheap || place.baited()))
        }
        (Hold::Common, _) => place.doubly_baited(),
        (Hold::Exact, _) => {
            let beside = if hit.length >= 3 { &place.beside } else { &place.in_label };
            beside.lures >= 2
                || (beside.lures == 1 && (place.cheap || (!place.registered && hit.length >= 5)))
        }
        (Hold::Strong, _) => false,
    };
    counts.then_some(how)
}

/// The very token in a longer word.
fn glued(hit: &Hit, hold: Hold, glue: Glue, place: &Placed) -> bool {
    match hold {
        Hold::Strong if glue.rest == Rest::Any => {
            place.cheap && hit.length >= 6 || !place.registered && !glue.behind
        }
        Hold::Sole if glue.rest == Rest::Any => {
            (!glue.behind && hit.length >= 6) || (place.cheap && hit.length >= 7)
        }
        Hold::Sole => true,
        Hold::Strong => glue.rest == Rest::Lure || place.cheap || !place.registered || place.baited(),
        Hold::Common => glue.rest == Rest::Lure && (place.cheap || place.beside.lures > 0),
        Hold::Distinct => {
            (glue.rest >= Rest::Hint && place.cheap) || (glue.rest != Rest::Any && !place.registered)
        }
        Hold::Exact => glue.rest == Rest::Lure && (place.cheap || !place.registered),
    }
}

/// Something that passes for the token.
fn misspelling(hit: &Hit, hold: Hold, glue: Option<Glue>, place: &Placed) -> bool {
    if !matches!(hold, Hold::Strong | Hold::Sole) {
        let near = glue.is_none_or(|glue| glue.rest == Rest::Lure) && hit.likeness >= Likeness::Near;
        let alone = place.alone && place.registered && glue.is_none() && hit.length >= 8;
        return (near || glue.is_none()) && place.doubly_baited()
            || alone && place.cheap && hit.likeness == Likeness::Close;
    }
    match (hit.likeness, glue) {
        (Likeness::Close, None) => true,
        (Likeness::Close, Some(glue)) if glue.behind => {
            glue.rest >= Rest::Hint || (glue.rest != Rest::Any && place.cheap)
        }
        (Likeness::Close, Some(_)) => true,
        (Likeness::Near, None) => !place.alone || !place.registered || place.cheap || hit.length >= 8,
        (Likeness::Near, Some(glue)) => glue.rest == Rest::Lure || (glue.rest != Rest::Any && place.cheap),
        (_, None) => {
            let baited = place.baited() || (place.cheap && !place.alone);
            let below = !place.registered && (hit.length >= 7 || place.cheap);
            below || baited || (place.alone && hit.length >= 12)
        }
        (_, Some(_)) => false,
    }
}

/// Cheap endings that brands seldom take themselves: no country's, and not those sold as earnest ones.
pub(super) fn is_brief(suffix: &str) -> bool {
    const BRIEF: [&str; 19] = [
        "xyz", "top", "icu", "vip", "club", "online", "site", "shop", "store", "buzz", "cyou", "cfd", "sbs",
        "bond", "lol", "click", "monster", "rest", "quest",
    ];
    BRIEF.contains(&suffix)
}
