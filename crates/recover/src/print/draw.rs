//! Pages become PDF.

use jiff::civil::DateTime;
use krilla::Document;
use krilla::color::{luma, rgb};
use krilla::geom::{PathBuilder, Point, Rect};
use krilla::metadata::Metadata;
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::{Fill, FillRule, Paint, Stroke};
use krilla::surface::Surface;
use krilla::text::{GlyphId, KrillaGlyph};
use schema::Lang;

use super::Fault;
use super::font::Fonts;
use super::sheet::{Op, Page, Shade};
use super::text::{Glyph, Ink, Line, Style};

/// Thickness of the stroke that makes a letter bold, in sizes: a second weight would double the program's fonts.
const BOLD: f32 = 0.03;
/// How far and how small references to records stand above the line.
const RAISED: f32 = 0.35;

/// A PDF that pages are added to.
pub(super) struct Pdf {
    document: Document,
    pub(super) pages: u64,
}

impl Pdf {
    /// An empty one. Its title says nothing about patients: file managers and printers' queues show it.
    pub(super) fn new(title: &str, made_at: DateTime, lang: Lang) -> Pdf {
        let mut document = Document::new();
        let part = |number: i8| number.unsigned_abs();
        let date = krilla::metadata::DateTime::new(made_at.year().unsigned_abs())
            .month(part(made_at.month()))
            .day(part(made_at.day()))
            .hour(part(made_at.hour()))
            .minute(part(made_at.minute()))
            .second(part(made_at.second()));
        let metadata = Metadata::new().title(title.to_owned()).creator("Chartward".to_owned());
        document.set_metadata(metadata.creation_date(date).language(lang.tag().to_owned()));
        Pdf { document, pages: 0 }
    }

    /// Draws one page.
    pub(super) fn draw(&mut self, page: &Page, fonts: &Fonts) -> Result<(), Fault> {
        let settings = PageSettings::from_wh(page.width, page.height).ok_or(Fault::Page)?;
        let mut drawn = self.document.start_page_with(settings);
        let mut surface = drawn.surface();
        for op in &page.ops {
            draw(&mut surface, op, fonts);
        }
        surface.finish();
        drawn.finish();
        self.pages += 1;
        Ok(())
    }

    /// The file's bytes.
    pub(super) fn finish(self) -> Result<Vec<u8>, Fault> {
        if self.pages == 0 {
            return Err(Fault::NoPages);
        }
        self.document.finish().map_err(|error| Fault::Pdf(format!("{error:?}")))
    }
}

fn draw(surface: &mut Surface<'_>, op: &Op, fonts: &Fonts) {
    match op {
        Op::Text { x, y, line } => text(surface, *x, *y, line, fonts),
        Op::Fill { x, y, width, height, shade } => {
            let Some(rect) = Rect::from_xywh(*x, *y, *width, *height) else { return };
            let lightness = match shade {
                Shade::Pale => 234,
                Shade::Range => 208,
                Shade::Middle => 110,
                Shade::Black => 0,
            };
            let mut path = PathBuilder::new();
            path.push_rect(rect);
            surface.set_stroke(None);
            surface.set_fill(Some(fill(luma::Color::new(lightness).into())));
            path.finish().iter().for_each(|path| surface.draw_path(path));
        }
        Op::Modules { rects } => {
            let mut path = PathBuilder::new();
            for (x, y, width, height) in rects {
                if let Some(rect) = Rect::from_xywh(*x, *y, *width, *height) {
                    path.push_rect(rect);
                }
            }
            surface.set_stroke(None);
            surface.set_fill(Some(fill(luma::Color::new(0).into())));
            path.finish().iter().for_each(|path| surface.draw_path(path));
        }
        Op::Frame { x, y, width, height, thickness, ink } => {
            let Some(rect) = Rect::from_xywh(*x, *y, *width, *height) else { return };
            let mut path = PathBuilder::new();
            path.push_rect(rect);
            surface.set_fill(None);
            surface.set_stroke(Some(stroke(*ink, *thickness)));
            path.finish().iter().for_each(|path| surface.draw_path(path));
        }
        Op::Rule { points, thickness, ink } => {
            let mut path = PathBuilder::new();
            for (place, (x, y)) in points.iter().enumerate() {
                if place == 0 { path.move_to(*x, *y) } else { path.line_to(*x, *y) }
            }
            surface.set_fill(None);
            surface.set_stroke(Some(stroke(*ink, *thickness)));
            path.finish().iter().for_each(|path| surface.draw_path(path));
        }
    }
}

/// Draws runs of glyphs that share a font and a style.
fn text(surface: &mut Surface<'_>, x: f32, y: f32, line: &Line, fonts: &Fonts) {
    let mut x = x;
    for run in line.glyphs.chunk_by(|a, b| a.face.font == b.face.font && a.style == b.style) {
        let Some((first, font)) = run.first().and_then(|first| Some((first, fonts.krilla(first.face.font)?)))
        else {
            continue;
        };
        let Style { size, bold, ink, raised } = first.style;
        surface.set_fill(Some(fill(paint(ink))));
        surface.set_stroke(bold.then(|| stroke(ink, size * BOLD)));
        let mut letters = String::with_capacity(run.len() * 3);
        let glyphs: Vec<KrillaGlyph> = run
            .iter()
            .map(|glyph| {
                let from = letters.len();
                letters.push(glyph.char);
                let id = GlyphId::new(u32::from(glyph.face.glyph));
                KrillaGlyph::new(id, glyph.face.advance, 0.0, 0.0, 0.0, from..letters.len(), None)
            })
            .collect();
        let up = if raised { size * RAISED } else { 0.0 };
        surface.draw_glyphs(Point::from_xy(x, y - up), &glyphs, font.clone(), &letters, size, false);
        x += run.iter().map(Glyph::width).sum::<f32>();
    }
}

fn paint(ink: Ink) -> Paint {
    match ink {
        Ink::Black => luma::Color::new(0).into(),
        Ink::Grey => luma::Color::new(80).into(),
        Ink::Red => rgb::Color::new(170, 0, 0).into(),
    }
}

fn fill(paint: Paint) -> Fill {
    Fill { paint, opacity: NormalizedF32::ONE, rule: FillRule::NonZero }
}

fn stroke(ink: Ink, width: f32) -> Stroke {
    Stroke { paint: paint(ink), width, ..Stroke::default() }
}
