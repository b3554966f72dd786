//! Pages: text flows down them, tables break between rows and long rows within, and head and foot stand on each.

use super::text::{Ink, Line, Setter, Span, Style};

/// A4 in points.
const SHORT: f32 = 595.28;
const LONG: f32 = 841.89;
/// Wide enough for a punch on the left, and for printers that cannot reach the edge.
const LEFT: f32 = 42.0;
const RIGHT: f32 = 30.0;
const TOP: f32 = 26.0;
const BOTTOM: f32 = 24.0;
/// Kept free for the page's number at the foot.
const NUMBER_WIDTH: f32 = 90.0;
/// Lines of a column's title.
const HEAD_LINES_MAX: usize = 2;
/// From one line to the next, in sizes.
const LEADING: f32 = 1.32;
/// From the top of a line to its baseline, in sizes.
const ASCENT: f32 = 1.02;
/// Between a rule and the text, in points.
const PAD: f32 = 2.4;

/// What is drawn on a page, in points from its upper left corner.
#[derive(Debug, Clone)]
pub(super) enum Op {
    /// `y` is the baseline's.
    Text { x: f32, y: f32, line: Line },
    /// A filled rectangle.
    Fill { x: f32, y: f32, width: f32, height: f32, shade: Shade },
    /// Black rectangles (left, top, width, height): the modules of a QR code.
    Modules { rects: Vec<(f32, f32, f32, f32)> },
    /// A frame.
    Frame { x: f32, y: f32, width: f32, height: f32, thickness: f32, ink: Ink },
    /// A line through points.
    Rule { points: Vec<(f32, f32)>, thickness: f32, ink: Ink },
}

/// How dark an area is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shade {
    /// Behind text.
    Pale,
    /// The reference range behind a curve, also on a pale ground.
    Range,
    /// Bands of a heading.
    Middle,
    /// The last point of a curve.
    Black,
}

/// One page.
#[derive(Debug, Clone)]
pub(super) struct Page {
    pub(super) ops: Vec<Op>,
    pub(super) width: f32,
    pub(super) height: f32,
}

/// Which way the paper lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Upright,
    Across,
}

/// What stands at the top of pages: operations from (0, 0), and their height.
#[derive(Debug, Clone, Default)]
pub(super) struct Block {
    pub(super) ops: Vec<Op>,
    pub(super) height: f32,
}

/// A cell of a table.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    pub(super) spans: Vec<Span>,
    pub(super) is_right: bool,
    /// Values of a trend, oldest first, and the reference range.
    pub(super) spark: Option<Spark>,
}

/// A small curve.
#[derive(Debug, Clone)]
pub(super) struct Spark {
    pub(super) values: Vec<f32>,
    pub(super) range: Option<(f32, f32)>,
}

impl From<Vec<Span>> for Cell {
    fn from(spans: Vec<Span>) -> Cell {
        Cell { spans, is_right: false, spark: None }
    }
}

/// The columns of a table: where each begins, and how wide it is.
pub(super) struct Columns {
    places: Vec<(f32, f32)>,
    head: Vec<Vec<Line>>,
    /// Rules between the columns, as on a form.
    has_grid: bool,
}

/// A document's worth of pages with the same head and foot.
pub(super) struct Flow<'s> {
    pub(super) setter: &'s mut Setter,
    pub(super) width: f32,
    full: (f32, f32),
    bottom: f32,
    y: f32,
    first: Block,
    later: Block,
    foot: Foot,
    foot_lines: Vec<Line>,
    pages: Vec<Page>,
}

/// Lines at the bottom of each page; the page's number stands at the right of the first.
pub(super) struct Foot {
    pub(super) lines: Vec<Vec<Span>>,
    /// Number and count of the pages in words.
    pub(super) number: fn(usize, usize) -> String,
    pub(super) style: Style,
}

impl<'s> Flow<'s> {
    /// A flow whose first page has been begun.
    pub(super) fn new(setter: &'s mut Setter, way: Way, foot: Foot) -> Flow<'s> {
        let full = match way {
            Way::Upright => (SHORT, LONG),
            Way::Across => (LONG, SHORT),
        };
        let width = full.0 - LEFT - RIGHT;
        let beside = |row: usize| if row == 0 { width - NUMBER_WIDTH } else { width };
        let wrapped = |(row, spans): (usize, &Vec<Span>)| setter.lines(spans, beside(row));
        let foot_lines: Vec<Line> = foot.lines.iter().enumerate().flat_map(wrapped).collect();
        let foot_height = foot.style.size * LEADING * foot_lines.len() as f32 + 6.0;
        Flow {
            setter,
            width,
            full,
            foot_lines,
            bottom: full.1 - BOTTOM - foot_height,
            y: TOP,
            first: Block::default(),
            later: Block::default(),
            foot,
            pages: Vec::new(),
        }
    }

    /// Puts `first` on the first page and `later` on all others; before anything else is put.
    pub(super) fn head(&mut self, first: Block, later: Block) {
        (self.first, self.later) = (first, later);
        self.page();
    }

    /// Begins a page.
    pub(super) fn page(&mut self) {
        let block = if self.pages.is_empty() { &self.first } else { &self.later };
        let ops = block.ops.iter().map(|op| moved(op, LEFT, TOP)).collect();
        self.y = TOP + block.height;
        self.pages.push(Page { ops, width: self.full.0, height: self.full.1 });
    }

    /// How much is left on this page.
    pub(super) fn room(&self) -> f32 {
        self.bottom - self.y
    }

    /// Begins a page unless `height` is left on this one.
    pub(super) fn need(&mut self, height: f32) {
        if self.room() < height {
            self.page();
        }
    }

    /// Leaves a gap.
    pub(super) fn gap(&mut self, height: f32) {
        self.y += height;
    }

    /// A heading with a band, never alone at the foot of a page.
    pub(super) fn heading(&mut self, spans: &[Span]) {
        self.gap(6.0);
        self.need(60.0);
        let line = self.setter.cut(spans, self.width - 10.0);
        let height = 15.0;
        self.op(Op::Fill { x: 0.0, y: 0.0, width: self.width, height, shade: Shade::Pale });
        self.op(Op::Fill { x: 0.0, y: 0.0, width: 4.0, height, shade: Shade::Middle });
        self.op(Op::Text { x: 9.0, y: 11.5, line });
        self.y += height + 2.0;
    }

    /// Text over the whole width.
    pub(super) fn text(&mut self, spans: &[Span]) {
        let columns = self.columns(&[1.0], &[], false);
        self.row(&columns, &[Cell::from(spans.to_vec())], RowLook::Bare);
    }

    /// Columns by their shares of the width. A head is put where the table begins and on each page that it goes on to.
    pub(super) fn columns(&mut self, shares: &[f32], head: &[Vec<Span>], has_grid: bool) -> Columns {
        let all: f32 = shares.iter().sum();
        let mut x = 0.0;
        let mut places = Vec::with_capacity(shares.len());
        for share in shares {
            let width = self.width * share / all;
            places.push((x, width));
            x += width;
        }
        let wrapped = |(spans, (_, width)): (&Vec<Span>, &(f32, f32))| {
            let mut lines = self.setter.lines(spans, width - 2.0 * PAD);
            lines.truncate(HEAD_LINES_MAX);
            lines
        };
        let head = head.iter().zip(&places).map(wrapped).collect();
        Columns { places, head, has_grid }
    }

    /// The head of a table.
    pub(super) fn table_head(&mut self, columns: &Columns) {
        if columns.head.is_empty() {
            return;
        }
        let height = columns.head.iter().map(|lines| heights(lines)).fold(0.0, f32::max) + 3.0;
        self.need(height + 24.0);
        if columns.has_grid {
            self.op(Op::Fill { x: 0.0, y: 0.0, width: self.width, height, shade: Shade::Pale });
        }
        for (lines, (x, _)) in columns.head.iter().zip(&columns.places) {
            let mut y = 1.5;
            for line in lines {
                let size = size_of(line);
                self.op(Op::Text { x: x + PAD, y: y + size * ASCENT, line: line.clone() });
                y += size * LEADING;
            }
        }
        self.grid(columns, 0.0, height);
        self.y += height;
        self.rule(0.9, Ink::Black);
    }

    /// One row; what does not fit on the page goes on on the next, below the table's head.
    pub(super) fn row(&mut self, columns: &Columns, cells: &[Cell], look: RowLook) {
        let pad = if look == RowLook::Bare { 0.0 } else { PAD };
        let mut set: Vec<std::vec::IntoIter<Line>> = Vec::with_capacity(cells.len());
        for (cell, (_, width)) in cells.iter().zip(&columns.places) {
            set.push(self.setter.lines(&cell.spans, width - 2.0 * pad).into_iter());
        }
        let whole = set.iter().map(|lines| heights(lines.as_slice())).fold(0.0, f32::max) + 2.0 * pad;
        let whole = whole.max(look.height_min());
        let page_height = self.bottom - TOP - self.later.height;
        let goes_over = whole > self.room();
        // A row of several pages begins here, unless not even its first lines would.
        if goes_over && (whole < page_height * 0.6 || self.room() < 40.0) {
            self.page();
            self.table_head(columns);
        }
        let mut is_first_part = true;
        loop {
            let room = self.room() - 2.0 * pad;
            let part: Vec<Vec<Line>> = set.iter_mut().map(|lines| take(lines, room)).collect();
            let is_last = set.iter().all(|lines| lines.as_slice().is_empty());
            let height = part.iter().map(|lines| heights(lines)).fold(0.0, f32::max) + 2.0 * pad;
            let height = if is_first_part && is_last { height.max(look.height_min()) } else { height };
            self.part(columns, cells, part, pad, height, look, is_first_part);
            if is_last {
                return;
            }
            is_first_part = false;
            self.page();
            self.table_head(columns);
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one row, used once")]
    fn part(
        &mut self,
        columns: &Columns,
        cells: &[Cell],
        part: Vec<Vec<Line>>,
        pad: f32,
        height: f32,
        look: RowLook,
        is_first: bool,
    ) {
        if look == RowLook::Shaded {
            self.op(Op::Fill { x: 0.0, y: 0.0, width: self.width, height, shade: Shade::Pale });
        }
        for ((lines, cell), (x, width)) in part.into_iter().zip(cells).zip(&columns.places) {
            let mut y = pad;
            for line in lines {
                let size = size_of(&line);
                let shift = if cell.is_right { width - 2.0 * pad - line.width() } else { 0.0 };
                self.op(Op::Text { x: x + pad + shift, y: y + size * ASCENT, line });
                y += size * LEADING;
            }
            if let Some(spark) = cell.spark.as_ref().filter(|_| is_first) {
                self.spark(spark, x + pad, pad, width - 2.0 * pad, 11.0);
            }
        }
        self.grid(columns, 0.0, height);
        self.y += height;
        if look != RowLook::Bare {
            self.rule(if columns.has_grid { 0.6 } else { 0.35 }, Ink::Grey);
        }
    }

    fn grid(&mut self, columns: &Columns, top: f32, height: f32) {
        if !columns.has_grid {
            return;
        }
        let edges: Vec<f32> = columns.places.iter().map(|(x, _)| *x).chain([self.width]).collect();
        for x in edges {
            self.op(Op::Rule { points: vec![(x, top), (x, top + height)], thickness: 0.6, ink: Ink::Grey });
        }
    }

    fn spark(&mut self, spark: &Spark, x: f32, y: f32, width: f32, height: f32) {
        let all = || spark.values.iter().copied();
        let (low, high) = all().fold((f32::MAX, f32::MIN), |(low, high), v| (low.min(v), high.max(v)));
        let span = (high - low).max(f32::EPSILON.max(high.abs() * 0.02));
        let (floor, scale) = ((high + low - span) / 2.0, height / span);
        let at = |value: f32| (y + height - (value - floor) * scale).clamp(y, y + height);
        if let Some((from, to)) = spark.range {
            let (top, bottom) = (at(to), at(from));
            if bottom - top > 0.3 {
                self.op(Op::Fill { x, y: top, width, height: bottom - top, shade: Shade::Range });
            }
        }
        let step = (width - 4.0) / (spark.values.len().max(2) - 1) as f32;
        let points: Vec<(f32, f32)> =
            all().enumerate().map(|(place, value)| (x + 2.0 + step * place as f32, at(value))).collect();
        if let Some((x, y)) = points.last().copied() {
            self.op(Op::Fill { x: x - 1.5, y: y - 1.5, width: 3.0, height: 3.0, shade: Shade::Black });
        }
        self.op(Op::Rule { points, thickness: 0.8, ink: Ink::Black });
    }

    /// A line over the whole width.
    pub(super) fn rule(&mut self, thickness: f32, ink: Ink) {
        self.op(Op::Rule { points: vec![(0.0, 0.0), (self.width, 0.0)], thickness, ink });
    }

    /// Puts an operation, from the left margin and the present height.
    pub(super) fn op(&mut self, op: Op) {
        let y = self.y;
        if let Some(page) = self.pages.last_mut() {
            page.ops.push(moved(&op, LEFT, y));
        }
    }

    /// All pages, with their numbers.
    pub(super) fn finish(self) -> Vec<Page> {
        let Flow { setter, full, bottom, foot, foot_lines, mut pages, .. } = self;
        let count = pages.len();
        let step = foot.style.size * LEADING;
        for (index, page) in pages.iter_mut().enumerate() {
            let number =
                Span { text: (foot.number)(index + 1, count), style: Style { bold: true, ..foot.style } };
            let number = setter.cut(&[number], NUMBER_WIDTH);
            let right = full.0 - RIGHT - number.width();
            let top = bottom + 3.0;
            let points = vec![(LEFT, top), (full.0 - RIGHT, top)];
            page.ops.push(Op::Rule { points, thickness: 0.6, ink: Ink::Black });
            page.ops.push(Op::Text { x: right, y: top + step, line: number });
            for (row, line) in foot_lines.iter().cloned().enumerate() {
                page.ops.push(Op::Text { x: LEFT, y: top + step * (row as f32 + 1.0), line });
            }
        }
        pages
    }
}

/// How a row looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum RowLook {
    /// Text alone.
    Bare,
    /// With a rule below.
    Ruled,
    /// On a pale ground.
    Shaded,
    /// With a rule below, and at least so many points high: room to write.
    Roomy(f32),
}

impl RowLook {
    fn height_min(self) -> f32 {
        match self {
            RowLook::Roomy(height) => height,
            _ => 0.0,
        }
    }
}

fn size_of(line: &Line) -> f32 {
    let plain = line.glyphs.iter().filter(|glyph| !glyph.style.raised).map(|glyph| glyph.style.size);
    let size = plain.fold(0.0, f32::max);
    if size > 0.0 { size } else { 9.0 }
}

fn heights(lines: &[Line]) -> f32 {
    lines.iter().map(|line| size_of(line) * LEADING).sum()
}

/// The lines that fit into `room`, at least one.
fn take(lines: &mut std::vec::IntoIter<Line>, room: f32) -> Vec<Line> {
    let mut taken = Vec::new();
    let mut used = 0.0;
    while let Some(line) = lines.as_slice().first() {
        used += size_of(line) * LEADING;
        if used > room && !taken.is_empty() {
            break;
        }
        taken.extend(lines.next());
    }
    taken
}

fn moved(op: &Op, dx: f32, dy: f32) -> Op {
    let mut op = op.clone();
    match &mut op {
        Op::Text { x, y, .. } | Op::Fill { x, y, .. } | Op::Frame { x, y, .. } => {
            *x += dx;
            *y += dy;
        }
        Op::Modules { rects } => rects.iter_mut().for_each(|(x, y, ..)| {
            *x += dx;
            *y += dy;
        }),
        Op::Rule { points, .. } => points.iter_mut().for_each(|(x, y)| {
            *x += dx;
            *y += dy;
        }),
    }
    op
}
