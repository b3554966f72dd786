//! Charts, ward lists and blank downtime forms on paper: PDF that a bare machine makes and any printer prints.
//!
//! Nothing is cut off without a word: what a font lacks is printed as its code point, what is too long is counted, and each page says
//! whose it is, what the data is as of, and that "not recorded" is not "none".

mod article;
mod banner;

mod chart;
mod draw;
mod font;
mod forms;
mod mar;
mod notes;
mod round;
mod sections;
mod sheet;
mod text;
mod words;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use schema::Lang;
use serde::Serialize;

use crate::charts::{Basis, Chart};
use draw::Pdf;
use font::Fonts;
use sheet::{Flow, Foot, Page, Way};
use text::{Ink, Setter, Span, Style};

pub use forms::{FormFor, FormKind};

/// Why a document could not be printed.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The font in the program is damaged.
    #[error("the font of this program cannot be read")]
    Font,
    /// A page has no size.
    #[error("a page has no size")]
    Page,
    /// Nothing was asked for.
    #[error("there is nothing to print")]
    NoPages,
    /// A code is longer than a QR code may be.
    #[error("the patient id is too long for a QR code")]
    Code,
    /// The PDF could not be put together.
    #[error("the pdf cannot be written: {0}")]
    Pdf(String),
}

/// What was left out of a document, each where a sentence on the page says so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Characters at the end of long texts.
    pub characters: u64,
    /// Older rows of long lists.
    pub rows: u64,
}

/// What was printed.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Printed {
    /// Pages.
    pub pages: u64,
    /// What was left out.
    pub left_out: LeftOut,
    /// Characters that no font has: printed as 〓 with their code points.
    pub as_code_points: u64,
}

/// A document that grows page by page, in one language.
pub struct Print {
    pdf: Pdf,
    setter: Setter,
    lang: Lang,
    zone: TimeZone,
    printed_at: DateTime,
    left_out: LeftOut,
}

impl Print {
    /// An empty document. `printed_at` stands on each page.
    pub fn new(lang: Lang, zone: TimeZone, printed_at: DateTime) -> Result<Print, Fault> {
        Print::titled(lang.pick("Downtime charts", "電子カルテ停止時の帳票"), lang, zone, printed_at)
    }

    /// The same for a document that is not about patients, with its own title.
    pub fn titled(title: &str, lang: Lang, zone: TimeZone, printed_at: DateTime) -> Result<Print, Fault> {
        Ok(Print {
            pdf: Pdf::new(title, printed_at, lang),
            setter: Setter::new(Fonts::new()?),
            lang,
            zone,
            printed_at,
            left_out: LeftOut::default(),
        })
    }

    /// Adds a patient's whole chart.
    pub fn chart(&mut self, chart: &Chart, basis: &Basis) -> Result<(), Fault> {
        let pages = chart::pages(self, chart, basis);
        self.draw(&pages)
    }

    /// Adds the round list of a ward, in the order of `charts`; a page that says so when there is nobody.
    pub fn round_list(&mut self, ward: &str, charts: &[Chart], basis: &Basis) -> Result<(), Fault> {
        let pages = round::pages(self, ward, charts, basis);
        self.draw(&pages)
    }

    /// Adds a patient's medication administration record.
    pub fn administration_record(&mut self, chart: &Chart, basis: &Basis) -> Result<(), Fault> {
        let pages = mar::pages(self, chart, basis);
        self.draw(&pages)
    }

    /// Adds a blank form.
    pub fn form(&mut self, kind: FormKind, of: &FormFor) -> Result<(), Fault> {
        let pages = forms::pages(self, kind, of)?;
        self.draw(&pages)
    }

    /// Adds the list of one patient's downtime notes that were taken, to be signed.
    pub fn downtime_notes(&mut self, notes: &[&crate::downtime::export::Accepted]) -> Result<(), Fault> {
        let pages = notes::pages(self, notes);
        self.draw(&pages)
    }

    /// Adds a report.
    pub fn article(&mut self, article: &schema::telescope::Article) -> Result<(), Fault> {
        let pages = article::pages(self, article);
        self.draw(&pages)
    }

    /// The PDF, and what it holds. A document without pages is [`Fault::NoPages`].
    pub fn finish(self) -> Result<(Vec<u8>, Printed), Fault> {
        let Print { pdf, setter, left_out, .. } = self;
        let printed = Printed { pages: pdf.pages, left_out, as_code_points: setter.as_code_points };
        Ok((pdf.finish()?, printed))
    }

    fn draw(&mut self, pages: &[Page]) -> Result<(), Fault> {
        pages.iter().try_for_each(|page| self.pdf.draw(page, &self.setter.fonts))
    }

    /// The foot of pages that rest on records.
    fn foot(&self, lead: String, chart: Option<&Chart>, basis: &Basis) -> Foot {
        let mut lines = basis.lines(chart, self.lang, &self.zone);
        let printed = self.printed();
        if let Some(first) = lines.first_mut() {
            *first = if lead.is_empty() { first.clone() } else { format!("{lead} · {first}") };
        }
        if let Some(last) = lines.last_mut() {
            *last = format!("{last} · {printed}");
        }
        // A path may be long; its end, and what is said of it, must stay.
        let span = |text: String| vec![Span { text: words::shortened(&text, FOOT_CHARS_MAX), style: SMALL }];
        Foot { lines: lines.into_iter().map(span).collect(), number: self.page_words(), style: SMALL }
    }

    fn printed(&self) -> String {
        let at = self.printed_at.strftime("%Y-%m-%d %H:%M");
        self.lang.pick(format!("printed {at}"), format!("{at} 印刷"))
    }

    fn page_words(&self) -> fn(usize, usize) -> String {
        self.lang.pick(|page, of| format!("page {page} of {of}"), |page, of| format!("{page} / {of} ページ"))
    }

    fn flow(&mut self, way: Way, foot: Foot) -> Flow<'_> {
        Flow::new(&mut self.setter, way, foot)
    }
}

/// Characters of one line of the foot.
const FOOT_CHARS_MAX: usize = 400;
/// What is read at a bedside.
const BODY: Style = Style { size: 9.5, bold: false, ink: Ink::Black, raised: false };
/// What stands beside it.
const SMALL: Style = Style { size: 7.5, bold: false, ink: Ink::Grey, raised: false };

#[cfg(test)]
mod tests;
