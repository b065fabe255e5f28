//! The results of comparisons as a table, and as a chart.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use super::EXAMPLES;
use super::report::Report;

/// Print the results of comparisons as a table, from what --json printed
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// Files that `bench … --json` has written
    #[arg(required = true)]
    results: Vec<PathBuf>,

    /// Write a chart too, as SVG
    #[arg(long, value_name = "FILE")]
    chart: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> Result<()> {
    let mut reports: Vec<Report> = Vec::new();
    for path in &options.results {
        let name = path.display();
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
        let those: Vec<Report> =
            serde_json::from_str(&text).with_context(|| format!("{name} holds no comparisons"))?;
        reports.extend(those);
    }
    print!("{}", table(&reports));
    if let Some(path) = &options.chart {
        fs::write(path, chart(&reports))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// As Markdown.
fn table(reports: &[Report]) -> String {
    let mut text = String::from(
        "| by | access | against | ratio | 95 % interval | bound | ours | peer |\n|---|---|---|---|---|---|---|---|\n",
    );
    for report in reports {
        let bound = match (report.bound, report.verdict) {
            (Some(bound), Some(verdict)) => format!("{bound:.2}, {}", verdict.words()),
            _ => "none".into(),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.3} | {:.3} to {:.3} | {bound} | {:.1} µs | {:.1} µs |",
            report.attachment,
            report.access,
            report.peer,
            report.ratio.value,
            report.ratio.low,
            report.ratio.high,
            report.vgpu_stub_ns / 1e3,
            report.peer_ns / 1e3,
        );
    }
    text
}

/// Pixels: of all, of the names on the left, of a row, and above the first.
const WIDTH: f64 = 760.0;
const NAMES: f64 = 340.0;
const ROW: f64 = 26.0;
const TOP: f64 = 40.0;

/// A row for each ratio with its interval, over an axis with the ratio 1 and the bounds.
fn chart(reports: &[Report]) -> String {
    let most = reports
        .iter()
        .map(|report| report.ratio.high)
        .fold(1.2, f64::max);
    let x = |ratio: f64| NAMES + ratio / most * (WIDTH - NAMES - 20.0);
    let bottom = TOP + ROW * reports.len() as f64;
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
<text x="8" y="20" font-weight="bold">Cost of an access to vgpu-stub, in accesses to its peer (median, 95 % interval)</text>
"#,
        height = bottom + 30.0
    );
    for tenth in 0..=(most * 5.0) as u32 {
        let ratio = f64::from(tenth) / 5.0;
        let (at, colour) = (x(ratio), if tenth == 5 { "#888" } else { "#eee" });
        let _ = writeln!(
            svg,
            r##"<line x1="{at:.1}" x2="{at:.1}" y1="{TOP}" y2="{bottom}" stroke="{colour}"/><text x="{at:.1}" y="{y}" text-anchor="middle" fill="#555">{ratio:.1}</text>"##,
            y = bottom + 16.0
        );
    }
    for (row, report) in reports.iter().enumerate() {
        let y = TOP + ROW * (row as f64 + 0.5);
        let (low, value, high) = (
            x(report.ratio.low),
            x(report.ratio.value),
            x(report.ratio.high),
        );
        let name = format!(
            "{} {}, against {}",
            report.attachment, report.access, report.peer
        );
        let _ = writeln!(
            svg,
            r##"<text x="8" y="{text:.1}">{name}</text><line x1="{low:.1}" x2="{high:.1}" y1="{y:.1}" y2="{y:.1}" stroke="#1f5fa8" stroke-width="4"/><circle cx="{value:.1}" cy="{y:.1}" r="4" fill="#1f5fa8"/>"##,
            text = y + 4.0
        );
        if let Some(bound) = report.bound {
            let at = x(bound);
            let _ = writeln!(
                svg,
                r##"<line x1="{at:.1}" x2="{at:.1}" y1="{top:.1}" y2="{end:.1}" stroke="#c0392b" stroke-width="2"/>"##,
                top = y - 9.0,
                end = y + 9.0
            );
        }
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reports() -> Vec<Report> {
        let one = |peer: &str, bound: Option<f64>| {
            serde_json::json!({
                "attachment": "qemu", "access": "read", "peer": peer, "bound": bound,
                "verdict": bound.map(|_| "below"),
                "ratio": { "value": 0.9, "low": 0.8, "high": 1.0 }, "ratios": [0.9],
                "vgpu_stub_ns": 900.0, "peer_ns": 1000.0,
                "machine": "", "versions": {}, "command": "",
            })
        };
        let all = serde_json::json!([one("edu", Some(1.05)), one("another", None)]);
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn a_table_has_a_row_for_each() {
        let table = table(&reports());
        let rows: Vec<_> = table.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| qemu | read | edu | 0.900 | 0.800 to 1.000 | 1.05, holds: the interval is below it | 0.9 µs | 1.0 µs |",
                "| qemu | read | another | 0.900 | 0.800 to 1.000 | none | 0.9 µs | 1.0 µs |",
            ]
        );
    }

    #[test]
    fn a_chart_has_an_interval_for_each_and_the_bounds() {
        let chart = chart(&reports());
        assert_eq!(chart.matches("<circle").count(), 2);
        assert_eq!(chart.matches("#c0392b").count(), 1);
        assert!(chart.contains("qemu read, against edu"), "{chart}");
    }
}
