//! The graph from the process tree to destinations, drawn as SVG. Pure.

use super::blocked_word;
use super::layout::{Edge, Layout, Place};
use super::markup::Markup;
use super::tree::Row;
use crate::report::Summary;
use crate::report::excerpt::Excerpt;
use crate::report::figures::{counted, grouped};

/// The drawing's own units, one of which is a pixel where there is room.
const WIDTH: usize = 1120;
const LINE: usize = 26;
const MARGIN: usize = 14;
/// Of one generation.
const INDENT: usize = 20;
/// Where programs end at the latest, and destinations begin.
const LEFT: usize = 470;
const RIGHT: usize = 690;
/// Of a character at twelve pixels, in any common fixed-width font.
const CHARACTER: f64 = 7.25;

/// The graph of a run with so many destinations in all.
pub(super) fn add(page: &mut Markup, summary: &Summary, destinations: usize, excerpt: &Excerpt<'_>) {
    let layout = Layout::of(excerpt, destinations);
    if layout.edges.is_empty() {
        return;
    }
    let drawing = Drawing::of(&layout);
    page.literal(
        "<section aria-labelledby=\"graph\">\n<h2 id=\"graph\">Who talked to whom</h2>\n<figure>\n\
         <div class=\"scroll\" role=\"region\" aria-labelledby=\"graph\" tabindex=\"0\">",
    );
    let view = format_args!("0 0 {WIDTH} {}", drawing.height);
    page.element(
        "svg",
        &[("class", &"graph"), ("viewBox", &view), ("aria-describedby", &"graph-text")],
        |svg| {
            for edge in &layout.edges {
                drawing.edge(svg, edge, &layout, summary);
            }
            for (index, row) in layout.rows.iter().enumerate() {
                drawing.row(svg, index, row, excerpt);
            }
            for (index, place) in layout.places.iter().enumerate() {
                drawing.place(svg, index, place);
            }
        },
    );
    page.literal(
        "</div>\n<figcaption id=\"graph-text\">Processes on the left, each beneath the one that started it; \
        those that talked lead to their destinations. A dashed line and a cross: ",
    );
    page.text(blocked_word(summary.mode).to_ascii_lowercase()).literal(".");
    if layout.programs_left_out > 0 {
        page.text(format_args!(" {} not drawn.", counted(layout.programs_left_out as u64, "more program")));
    }
    page.literal(" The tables below say the same.</figcaption>\n</figure>\n</section>\n");
}

/// Where things stand.
struct Drawing {
    height: usize,
    /// Above the first row, and above the first place.
    above: [usize; 2],
    /// Where the label of each row ends.
    ends: Vec<usize>,
    /// Where the longest ends.
    end: usize,
}

impl Drawing {
    fn of(layout: &Layout) -> Drawing {
        let sides = [layout.rows.len(), layout.places.len()].map(|count| count * LINE);
        let tallest = sides[0].max(sides[1]);
        let end = |row: &Row| {
            label_x(row) + (fitted(&row.label, LEFT - label_x(row)).len() as f64 * CHARACTER) as usize
        };
        let ends: Vec<usize> = layout.rows.iter().map(end).collect();
        Drawing {
            height: tallest + 2 * MARGIN,
            above: sides.map(|side| MARGIN + (tallest - side) / 2 + LINE / 2),
            end: ends.iter().max().map_or(LEFT, |longest| longest + 24),
            ends,
        }
    }

    fn row_y(&self, index: usize) -> usize {
        self.above[0] + index * LINE
    }

    fn place_y(&self, index: usize) -> usize {
        self.above[1] + index * LINE
    }

    fn edge(&self, svg: &mut Markup, edge: &Edge, layout: &Layout, summary: &Summary) {
        let (from, to) = (self.ends[edge.row] + 8, RIGHT - 10);
        let (y, end) = (self.row_y(edge.row), self.place_y(edge.place));
        let start = self.end;
        let middle = (start + to) / 2;
        let class = match (edge.blocked > 0, layout.places[edge.place].kind) {
            (true, "") => "edge blocked rest",
            (false, "") => "edge allowed rest",
            (true, _) => "edge blocked",
            (false, _) => "edge allowed",
        };
        let path = format_args!("M{from} {y}H{start}C{middle} {y} {middle} {end} {to} {end}");
        let wide = 1.0 + ((edge.allowed + edge.blocked) as f64).log10();
        let attributes: &[(&'static str, &dyn std::fmt::Display)] = &[
            ("class", &class),
            ("d", &path),
            ("stroke-width", &format_args!("{wide:.1}")),
            ("data-from", &edge.row),
            ("data-to", &edge.place),
        ];
        svg.element("path", attributes, |path| {
            path.leaf(
                "title",
                &[],
                format_args!(
                    "{} to {}: {} allowed, {} {}",
                    fitted(&layout.rows[edge.row].label, LEFT),
                    fitted(&layout.places[edge.place].label, WIDTH - RIGHT),
                    grouped(edge.allowed),
                    grouped(edge.blocked),
                    blocked_word(summary.mode).to_ascii_lowercase(),
                ),
            );
        });
    }

    fn row(&self, svg: &mut Markup, index: usize, row: &Row, excerpt: &Excerpt<'_>) {
        let (x, y) = (dot_x(row), self.row_y(index));
        if let Some(parent) = row.parent {
            let (top, turn) = (self.row_y(parent) + 6, x - INDENT);
            svg.shape("path", &[("class", &"branch"), ("d", &format_args!("M{turn} {top}V{y}H{}", x - 5))]);
        }
        let class = if row.program.is_some() { "node talked" } else { "node" };
        svg.element("g", &[("class", &class), ("data-row", &index)], |group| {
            let full = match row.program {
                Some(program) => excerpt.programs[program].who.shown(),
                None => row.label.clone(),
            };
            group.leaf("title", &[], full);
            group.shape("circle", &[("cx", &x), ("cy", &y), ("r", &4)]);
            let label = fitted(&row.label, LEFT - label_x(row));
            let text = |markup: &mut Markup| {
                markup.leaf("text", &[("x", &label_x(row)), ("y", &(y + 4))], &label);
            };
            match row.program {
                Some(program) => {
                    group.element("a", &[("href", &format_args!("#p{program}"))], text);
                }
                None => text(group),
            }
        });
    }

    fn place(&self, svg: &mut Markup, index: usize, place: &Place) {
        let y = self.place_y(index);
        let class = if place.is_blocked { "node place blocked" } else { "node place allowed" };
        svg.element("g", &[("class", &class), ("data-place", &index)], |group| {
            group.leaf("title", &[], format_args!("{} {}", place.label, place.kind));
            if place.is_blocked {
                let (left, right, top, bottom) = (RIGHT - 4, RIGHT + 4, y - 4, y + 4);
                let cross = format_args!("M{left} {top}L{right} {bottom}M{right} {top}L{left} {bottom}");
                group.shape("path", &[("class", &"cross"), ("d", &cross)]);
            } else {
                group.shape("circle", &[("cx", &RIGHT), ("cy", &y), ("r", &4)]);
            }
            group.element("text", &[("x", &(RIGHT + 14)), ("y", &(y + 4))], |text| {
                text.text(fitted(&place.label, WIDTH - RIGHT - 14 - 50));
                text.literal(" ").leaf("tspan", &[("class", &"kind")], place.kind);
            });
        });
    }
}

fn dot_x(row: &Row) -> usize {
    8 + row.depth * INDENT
}

fn label_x(row: &Row) -> usize {
    dot_x(row) + 12
}

/// A label without its middle if it would be too wide. Labels are ASCII.
fn fitted(label: &str, width: usize) -> String {
    let most = (width as f64 / CHARACTER) as usize;
    if label.len() <= most {
        return label.to_owned();
    }
    let half = most.saturating_sub(3) / 2;
    format!("{}...{}", &label[..half], &label[label.len() - half..])
}
