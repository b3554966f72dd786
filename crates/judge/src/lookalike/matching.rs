use std::ops::Range;

use super::brands::{BrandId, Brands, Hold};
use super::host::Host;
use super::reading::Reading;
use super::variants::{Index, Likeness};
use super::weighing::{Beside, Glue, Hit, Placed, Rest, is_brief};
use super::{How, skeleton};

/// Shorter tokens inside a longer word are chance.
const GLUED_FROM: usize = 5;
/// Longer words are random or sentences; their parts are not told apart.
const REST_MAX: usize = 28;
/// Longer lures and fillers are not told.
const WORD_MAX: usize = 16;

/// Finds the tokens of brands, and what passes for them, in the words of a host.
#[derive(Debug, Clone)]
pub(super) struct Matcher {
    plain: Index,
    folded: Index,
    tokens: Vec<(BrandId, Hold)>,
    /// Lures first, then hints, then fillers.
    words: Index,
    lures: usize,
    hints: usize,
    ordinary: Index,
}

/// What was found.
pub(super) struct Found {
    pub(super) how: How,
    pub(super) token: String,
}

/// A reading, and what is known of the host beside it.
struct Context<'r, 't> {
    reading: &'r Reading<'t>,
    cheap: bool,
    brief: bool,
}

impl Matcher {
    pub(super) fn new(brands: &Brands) -> Self {
        let all: Vec<_> = brands
            .numbered()
            .flat_map(|(id, brand)| brand.tokens.iter().map(move |token| (id, token)))
            .collect();
        let mut buffer = Vec::new();
        let folded: Vec<String> = all
            .iter()
            .map(|(_, token)| {
                skeleton::fold(&token.text, &mut buffer);
                String::from_utf8_lossy(&buffer).into_owned()
            })
            .collect();
        let hints: Vec<_> = brands.hints.difference(&brands.lures).collect();
        let fillers = brands
            .fillers
            .iter()
            .filter(|word| !brands.lures.contains(*word) && !brands.hints.contains(*word));
        let words = brands.lures.iter().chain(hints.iter().copied()).chain(fillers);
        Self {
            plain: Index::new(all.iter().map(|(_, token)| {
                (token.text.as_str(), matches!(token.hold, Hold::Sole | Hold::Strong | Hold::Common))
            })),
            folded: Index::new(folded.iter().map(|text| (text.as_str(), false))),
            tokens: all.iter().map(|(id, token)| (*id, token.hold)).collect(),
            words: Index::new(words.map(|word| (word.as_str(), false))),
            lures: brands.lures.len(),
            hints: hints.len(),
            ordinary: Index::new(brands.ordinary.iter().map(|word| (word.as_str(), false))),
        }
    }

    /// The first thing found in the front of a host up to `front`; `cheap` says that its ending is.
    pub(super) fn find(&self, host: &Host, front: usize, cheap: bool) -> Option<(Found, Option<BrandId>)> {
        let text = host.ascii().get(..front)?;
        let plain = Reading::of(text.as_bytes());
        let context = Context { reading: &plain, cheap, brief: is_brief(host.suffix()) };
        if let Some((hit, how)) = self.scan(&context, &self.plain, |hit| self.accept(hit, &context)) {
            return Some(self.found(&context, &hit, how));
        }
        if let Some(unicode) = host.unicode_front()
            && let Some(found) = self.homograph(unicode, cheap)
        {
            return Some(found);
        }
        if skeleton::is_foldable(text)
            && let Some(found) = self.digits(text, &context)
        {
            return Some(found);
        }
        country(&plain).map(|token| (Found { how: How::Country, token }, None))
    }

    fn found(&self, context: &Context<'_, '_>, hit: &Hit, how: How) -> (Found, Option<BrandId>) {
        let spelt = context.reading.spelt(hit.words.clone());
        let token = String::from_utf8_lossy(&spelt).into_owned();
        let digits = how == How::Misspelt && skeleton::is_foldable(&token) && {
            let mut folded = Vec::new();
            skeleton::fold(&token, &mut folded);
            folded == self.folded.word(hit.token)
        };
        let how = if digits { How::Digits } else { how };
        (Found { how, token }, self.tokens.get(hit.token).map(|(brand, _)| *brand))
    }

    /// Letters of other scripts that read as a token, or as one with a letter changed.
    fn homograph(&self, unicode: &str, cheap: bool) -> Option<(Found, Option<BrandId>)> {
        let latin = skeleton::latin(unicode);
        if !latin.is_ascii() || latin.matches('.').count() != unicode.matches('.').count() {
            return None;
        }
        let mut buffer = Vec::new();
        skeleton::fold(&latin, &mut buffer);
        let folded = String::from_utf8_lossy(&buffer).into_owned();
        let labels: Vec<&str> = unicode.split('.').collect();
        [(latin.as_str(), &self.plain), (folded.as_str(), &self.folded)].into_iter().find_map(
            |(text, index)| {
                let reading = Reading::of(text.as_bytes());
                let context = Context { reading: &reading, cheap, brief: false };
                let disguised = |hit: &Hit| {
                    let label = reading.words.get(hit.words.start).map_or(0, |word| word.label);
                    let foreign = labels.get(label).is_some_and(|label| !label.is_ascii());
                    let whole = hit.glue.is_none() && hit.likeness == Likeness::Same;
                    let long_enough = hit.length >= 4 || !reading.has_neighbours(&hit.words);
                    let accepted = (whole && long_enough) || self.accept(hit, &context).is_some();
                    (foreign && accepted).then_some(How::Homograph)
                };
                let (hit, how) = self.scan(&context, index, disguised)?;
                let (mut found, brand) = self.found(&context, &hit, how);
                let label = reading.words.get(hit.words.start).map_or(0, |word| word.label);
                found.token = labels.get(label).map_or(found.token, |label| (*label).to_owned());
                Some((found, brand))
            },
        )
    }

    /// Digits and pairs of letters that read as a token.
    fn digits(&self, text: &str, plain: &Context<'_, '_>) -> Option<(Found, Option<BrandId>)> {
        let mut buffer = Vec::new();
        skeleton::fold(text, &mut buffer);
        let reading = Reading::of(&buffer);
        if reading.words.len() != plain.reading.words.len() {
            return None;
        }
        let context = Context { reading: &reading, cheap: plain.cheap, brief: plain.brief };
        let disguised = |hit: &Hit| {
            let (_, hold) = *self.tokens.get(hit.token)?;
            // Folding joins letters too: what was the token before has been looked at.
            let as_it_was = plain.reading.spelt(hit.words.clone());
            let differs = as_it_was != reading.spelt(hit.words.clone()) && is_foldable(&as_it_was);
            let place = self.place(hit, plain)?;
            let counts = match hold {
                Hold::Sole | Hold::Strong => hit.glue.is_none_or(|glue| glue.rest != Rest::Any),
                Hold::Common => hit.glue.is_none() && (place.cheap || place.baited()),
                Hold::Distinct => hit.glue.is_none() && hit.length >= 4 && (place.cheap || !place.registered),
                Hold::Exact => hit.glue.is_none() && hit.length >= 4 && place.doubly_baited(),
            };
            (hit.likeness == Likeness::Same && differs && counts).then_some(How::Digits)
        };
        let (hit, how) = self.scan(&context, &self.folded, disguised)?;
        Some(self.found(plain, &hit, how))
    }

    /// The first hit that is accepted: for each word as a whole, with its neighbours, in part, misspelt.
    fn scan(
        &self,
        context: &Context<'_, '_>,
        index: &Index,
        accept: impl Fn(&Hit) -> Option<How>,
    ) -> Option<(Hit, How)> {
        let reading = context.reading;
        for at in 0..reading.words.len() {
            let hits = self
                .together(reading, index, at)
                .chain(self.parts(reading, index, at))
                .chain(self.misspelt(reading, index, at));
            for hit in hits {
                if let Some(how) = accept(&hit) {
                    return Some((hit, how));
                }
            }
        }
        None
    }

    /// Word `at`, alone and with the next ones in its label.
    fn together<'a>(
        &'a self,
        reading: &'a Reading<'_>,
        index: &'a Index,
        at: usize,
    ) -> impl Iterator<Item = Hit> + 'a {
        let mut hash = 0;
        (at + 1..=(at + 4).min(reading.words.len()))
            .map_while(move |end| {
                let (first, last) = (reading.words.get(at)?, reading.words.get(end - 1)?);
                if first.label != last.label {
                    return None;
                }
                hash = Index::append(hash, &reading.hashes, last.range.clone());
                let words = at..end;
                let spelt = || reading.spelt(words.clone());
                let hit = index.near(hash, spelt).and_then(|(token, likeness)| {
                    let length = words
                        .clone()
                        .filter_map(|word| reading.words.get(word))
                        .map(|word| word.range.len())
                        .sum();
                    // Put together from pieces, only longer words are no chance.
                    let sure = likeness == Likeness::Same
                        || words.len() == 1
                        || (likeness == Likeness::Near && length >= 8)
                        || (likeness == Likeness::Close && length >= 7);
                    let ordinary = likeness != Likeness::Same && self.is_ordinary(reading, at);
                    (sure && !ordinary).then_some(Hit { token, likeness, words, glue: None, length })
                });
                Some(hit)
            })
            .flatten()
    }

    /// Tokens at the beginning and at the end of word `at`, and behind lures at its beginning; the longest first.
    fn parts<'a>(
        &'a self,
        reading: &'a Reading<'_>,
        index: &'a Index,
        at: usize,
    ) -> impl Iterator<Item = Hit> + 'a {
        let whole = reading.words.get(at).map_or(0..0, |word| word.range.clone());
        let front = self.fronts(reading, whole.clone());
        let (begin, end, longest) = (whole.start, whole.end, index.longest() + 1);
        let starts = (begin..end).take_while(move |start| start + GLUED_FROM <= end);
        starts.flat_map(move |start| {
            let before = front.get(start - begin).copied().unwrap_or(Rest::Any);
            // At the beginning and behind words a token may end anywhere; elsewhere only where the word does.
            let lengths = (GLUED_FROM..=(end - start).min(longest)).rev();
            let lengths = lengths.filter(move |length| before != Rest::Any || start + length == end);
            lengths.filter_map(move |length| {
                let part = start..start + length;
                if part.len() == end - begin {
                    return None;
                }
                let (token, likeness) =
                    index.near(reading.hashes.part(part.clone()), || reading.part(part.clone()).to_vec())?;
                // `americanexpres` is no misspelling where another `s` follows.
                let goes_on =
                    likeness != Likeness::Same && reading.part(start..end).starts_with(index.word(token));
                if likeness == Likeness::Far
                    || goes_on
                    || likeness != Likeness::Same && self.begins_ordinary(reading, &part, end)
                {
                    return None;
                }
                let rest = before.and(self.rest(reading, part.end..end));
                let glue = Some(Glue { rest, behind: start > begin });
                Some(Hit { token, likeness, words: at..at + 1, glue, length })
            })
        })
    }

    /// Word `at` as a misspelling that the eye sees.
    fn misspelt<'a>(
        &'a self,
        reading: &'a Reading<'_>,
        index: &'a Index,
        at: usize,
    ) -> impl Iterator<Item = Hit> + 'a {
        let hit = || {
            let range = reading.words.get(at)?.range.clone();
            let length = range.len();
            let (token, likeness) = index.far(&reading.hashes, reading.text, range)?;
            (!self.is_ordinary(reading, at)).then_some(Hit {
                token,
                likeness,
                words: at..at + 1,
                glue: None,
                length,
            })
        };
        hit().into_iter()
    }

    /// Whether a hit says enough, by how much its token says and by what stands beside it.
    fn accept(&self, hit: &Hit, context: &Context<'_, '_>) -> Option<How> {
        let (_, hold) = *self.tokens.get(hit.token)?;
        hit.weigh(hold, &self.place(hit, context)?)
    }

    fn place(&self, hit: &Hit, context: &Context<'_, '_>) -> Option<Placed> {
        let reading = context.reading;
        let label = reading.words.get(hit.words.start)?.label;
        let registered = label + 1 == reading.labels;
        Some(Placed {
            registered,
            alone: !reading.has_neighbours(&hit.words),
            embedded: !registered && self.is_embedded(reading, &hit.words),
            cheap: context.cheap,
            brief: context.brief,
            beside: self.beside(reading, &hit.words, None),
            in_label: self.beside(reading, &hit.words, Some(label)),
        })
    }

    /// Whether the next words continue the brand's name as its domain does, and then another domain follows.
    fn is_embedded(&self, reading: &Reading<'_>, words: &Range<usize>) -> bool {
        let word = |at: usize| reading.words.get(at).map(|word| reading.part(word.range.clone()));
        let next = word(words.end);
        let after = word(words.end + 1);
        let second =
            |word: Option<&[u8]>| matches!(word, Some(b"co" | b"ne" | b"or" | b"go" | b"ac" | b"com"));
        let country =
            |word: Option<&[u8]>| matches!(word, Some(b"jp" | b"uk" | b"br" | b"au" | b"in" | b"ip"));
        (second(next) && country(after)) || (matches!(next, Some(b"com" | b"net" | b"jp")) && after.is_some())
    }

    /// The words beside these, in one label or in all: the strongest, and how many lures there are.
    fn beside(&self, reading: &Reading<'_>, words: &Range<usize>, label: Option<usize>) -> Beside {
        let mut beside = Beside { strongest: Rest::Any, lures: 0, at_home: false };
        for (at, word) in reading.words.iter().enumerate() {
            if words.contains(&at) || label.is_some_and(|label| label != word.label) {
                continue;
            }
            let rest = self.rest(reading, word.range.clone());
            beside.strongest = beside.strongest.max(rest);
            beside.lures += usize::from(rest == Rest::Lure);
            let text = reading.part(word.range.clone());
            beside.at_home |=
                matches!(text, b"jp" | b"japan" | b"co" | b"ne" | b"com" | b"www" | b"cojp" | b"nihon");
        }
        beside
    }

    /// Of what words a part of a word is made.
    fn rest(&self, reading: &Reading<'_>, range: Range<usize>) -> Rest {
        let length = range.len();
        self.fronts(reading, range).get(length).copied().unwrap_or(Rest::Any)
    }

    /// Of what words each beginning of a part is made, by its length; nothing is a filler.
    fn fronts(&self, reading: &Reading<'_>, range: Range<usize>) -> [Rest; REST_MAX + 1] {
        let mut fronts = [Rest::Any; REST_MAX + 1];
        fronts[0] = Rest::Filler;
        let length = range.len().min(REST_MAX);
        for start in 0..length {
            if fronts[start] == Rest::Any {
                continue;
            }
            for end in start + 1..=length.min(start + WORD_MAX) {
                if fronts[end] != Rest::Lure {
                    let sort =
                        fronts[start].and(self.word_sort(reading, range.start + start..range.start + end));
                    fronts[end] = fronts[end].max(sort);
                }
            }
        }
        fronts
    }

    fn word_sort(&self, reading: &Reading<'_>, part: Range<usize>) -> Rest {
        let text = reading.part(part.clone());
        if text.iter().all(u8::is_ascii_digit) {
            return Rest::Filler;
        }
        match self.words.places(reading.hashes.part(part), text).next() {
            Some(word) if word < self.lures => Rest::Lure,
            Some(word) if word < self.lures + self.hints => Rest::Hint,
            Some(_) => Rest::Filler,
            None => Rest::Any,
        }
    }

    fn is_ordinary(&self, reading: &Reading<'_>, at: usize) -> bool {
        let Some(word) = reading.words.get(at) else { return false };
        let text = reading.part(word.range.clone());
        self.ordinary.places(reading.hashes.part(word.range.clone()), text).next().is_some()
    }

    /// Whether an ordinary word begins where a part does and covers it: `amazing`, where `amazin` was found.
    fn begins_ordinary(&self, reading: &Reading<'_>, part: &Range<usize>, end: usize) -> bool {
        (part.end.saturating_sub(2)..=end.min(part.end + 6)).filter(|end| *end > part.start).any(|end| {
            let word = part.start..end;
            self.ordinary.places(reading.hashes.part(word.clone()), reading.part(word)).next().is_some()
        })
    }
}

fn is_foldable(spelt: &[u8]) -> bool {
    std::str::from_utf8(spelt).is_ok_and(skeleton::is_foldable)
}

/// `co-jp` and the like before the suffix, with something before it: a Japanese host inside another.
fn country(reading: &Reading<'_>) -> Option<String> {
    reading.words.windows(2).skip(1).find_map(|pair| {
        let [second, country] = pair else { return None };
        let (second, country) = (reading.part(second.range.clone()), reading.part(country.range.clone()));
        let japanese = matches!(second, b"co" | b"go" | b"ne" | b"or" | b"ac" | b"lg")
            && matches!(country, b"jp" | b"ip");
        japanese.then(|| format!("{}-{}", String::from_utf8_lossy(second), String::from_utf8_lossy(country)))
    })
}
