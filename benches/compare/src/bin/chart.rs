//! Draws what a request costs as an SVG: `cargo run --release --bin chart -- ours.tsv peers.tsv > ../chart.svg`.
//!
//! Of each file that `compare --out` wrote, the cases that are not there yet. The scale is linear and starts at nothing, so that a bar
//! twice as long is twice the cost.

use std::{collections::HashSet, env, fmt::Write, path::Path};

use compare::{
    REFERENCE,
    report::{Report, Row},
};
use tower::BoxError;

const LABELS: usize = 400;
const BARS: usize = 460;
const FIGURES: usize = 250;
const LINE: usize = 22;
const TOP: usize = 78;

/// In the order in which they are drawn.
const GROUPS: [(&str, &str); 3] = [("floors", "#8a8f98"), ("tower-token", "#1f6feb"), ("others", "#d29922")];

fn main() -> Result<(), BoxError> {
    let reports = env::args().skip(1).map(|path| Report::read(Path::new(&path))).collect::<Result<Vec<_>, _>>()?;
    if reports.is_empty() {
        return Err("chart FILE.. > chart.svg".into());
    }
    print!("{}", draw(&reports)?);
    Ok(())
}

fn group(name: &str) -> usize {
    match name {
        _ if name.starts_with(REFERENCE) || name.starts_with("limit: ") || name.starts_with("floor: ") => 0,
        _ if name.starts_with("tower-token: ") => 1,
        _ => 2,
    }
}

struct Bar<'a> {
    row: &'a Row,
    ir: f64,
    ratio: f64,
}

fn draw(reports: &[Report]) -> Result<String, BoxError> {
    let mut seen = HashSet::new();
    let mut bars = Vec::new();
    for report in reports {
        for row in &report.rows {
            // A file's ratios are to the reference in the same file.
            let (Some(ir), Some(ratio)) = (row.ir, report.ir_ratio(row)) else { continue };
            if seen.insert(&row.name) {
                bars.push(Bar { row, ir, ratio });
            }
        }
    }
    bars.sort_by_key(|bar| group(&bar.row.name));
    let longest = bars.iter().map(|bar| bar.ratio).fold(0.0, f64::max);
    if longest <= 0.0 {
        return Err("there are no instructions in these files: `compare ir --out FILE`".into());
    }
    let step = [0.5, 1.0, 2.0, 5.0, 10.0].into_iter().find(|step| longest / step <= 12.0).unwrap_or(20.0);
    let end = (longest / step).ceil() * step;
    let x = |ratio: f64| LABELS as f64 + ratio / end * BARS as f64;
    let (width, bottom) = (LABELS + BARS + FIGURES, TOP + LINE * bars.len());

    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{}" viewBox="0 0 {width} {0}" font-family="sans-serif" font-size="13">
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="16" y="26" font-size="17" font-weight="bold">What authentication adds to a request</text>
<text x="16" y="46" fill="#57606a">instructions of one request with a cached token, over what tower-http's AddAuthorization adds (1×); less is better</text>
"##,
        bottom + 60
    );
    for tick in 0..=(end / step).round() as usize {
        let ratio = tick as f64 * step;
        let at = x(ratio);
        writeln!(svg, r##"<line x1="{at:.1}" y1="{}" x2="{at:.1}" y2="{bottom}" stroke="#d8dee4"/>"##, TOP - 6)?;
        writeln!(svg, r##"<text x="{at:.1}" y="{}" text-anchor="middle" fill="#57606a">{ratio}×</text>"##, TOP - 12)?;
    }
    for (index, bar) in bars.iter().enumerate() {
        let (y, name) = (TOP + LINE * index, escape(&bar.row.name));
        let (_, colour) = GROUPS[group(&bar.row.name)];
        let length = x(bar.ratio.max(0.0)) - LABELS as f64;
        let allocs = bar.row.allocs.map_or(String::new(), |count| format!(", {count:.0} alloc."));
        let ns = bar.row.ns.map_or(String::new(), |ns| format!(", {:.0} ns", ns.median));
        writeln!(svg, r##"<text x="{}" y="{}" text-anchor="end">{name}</text>"##, LABELS - 8, y + 15)?;
        writeln!(svg, r##"<rect x="{LABELS}" y="{}" width="{length:.1}" height="{}" fill="{colour}"/>"##, y + 3, LINE - 6)?;
        let figures = format!("{:.2}× ({:.0} Ir{ns}{allocs})", bar.ratio, bar.ir);
        writeln!(svg, r##"<text x="{:.1}" y="{}" fill="#24292f">{figures}</text>"##, x(bar.ratio.max(0.0)) + 6.0, y + 15)?;
    }
    let one = x(1.0);
    writeln!(svg, r##"<line x1="{one:.1}" y1="{TOP}" x2="{one:.1}" y2="{bottom}" stroke="#24292f" stroke-dasharray="3 3"/>"##)?;
    for (index, (name, colour)) in GROUPS.iter().enumerate() {
        let at = LABELS + 120 * index;
        writeln!(svg, r##"<rect x="{at}" y="{}" width="12" height="12" fill="{colour}"/>"##, bottom + 14)?;
        writeln!(svg, r##"<text x="{}" y="{}">{name}</text>"##, at + 18, bottom + 24)?;
    }
    let machine = escape(&reports[0].machine);
    writeln!(
        svg,
        r##"<text x="16" y="{}" fill="#57606a" font-size="11">{machine}; 1,024 B token, 4 headers</text>"##,
        bottom + 48
    )?;
    svg.push_str("</svg>\n");
    Ok(svg)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
