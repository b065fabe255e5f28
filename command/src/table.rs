//! Tables for people: words to the left, numbers to the right.

use std::io::{self, Write};

/// A column: its heading, and whether it has words.
pub(crate) type Column = (&'static str, bool);

/// Writes a table, with two blanks between its columns.
pub(crate) fn write(
    out: &mut dyn Write,
    columns: &[Column],
    rows: &[Vec<String>],
) -> io::Result<()> {
    let width = |n: usize| {
        let cells = rows.iter().filter_map(|row| row.get(n));
        let longest = cells.map(|cell| cell.chars().count()).max();
        longest.unwrap_or(0).max(columns[n].0.len())
    };
    let widths: Vec<_> = (0..columns.len()).map(width).collect();
    let headings: Vec<_> = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    for row in [&headings].into_iter().chain(rows) {
        let cells = row.iter().zip(columns.iter().zip(&widths));
        let cells = cells.map(|(cell, ((_, words), width))| match words {
            true => format!("{cell:<width$}"),
            false => format!("{cell:>width$}"),
        });
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// A time, as people read it.
pub(crate) fn time(nanoseconds: Option<u64>) -> String {
    let Some(nanoseconds) = nanoseconds else {
        return "-".to_owned();
    };
    match nanoseconds as f64 {
        ns if ns < 1e6 => format!("{:.1} us", ns / 1e3),
        ns if ns < 1e9 => format!("{:.1} ms", ns / 1e6),
        ns => format!("{:.1} s", ns / 1e9),
    }
}

/// Bytes, as people read them.
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes as f64 {
        bytes if bytes < 1024.0 => format!("{bytes} B"),
        bytes if bytes < 1048576.0 => format!("{:.1} KiB", bytes / 1024.0),
        bytes if bytes < 1073741824.0 => format!("{:.1} MiB", bytes / 1048576.0),
        bytes => format!("{:.1} GiB", bytes / 1073741824.0),
    }
}

/// A part of a whole.
pub(crate) fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_to_the_left_and_numbers_to_the_right() {
        let mut out = Vec::new();
        let rows = [
            vec!["a".to_owned(), "1".to_owned()],
            vec!["longer".to_owned(), "12345".to_owned()],
        ];
        write(&mut out, &[("name", true), ("n", false)], &rows).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "name        n\na           1\nlonger  12345\n"
        );
    }

    #[test]
    fn quantities_have_their_units() {
        assert_eq!(
            [time(None), time(Some(1500)), time(Some(2_000_000))],
            ["-", "1.5 us", "2.0 ms"]
        );
        assert_eq!(
            [bytes(5), bytes(3 << 20), bytes(5 << 29)],
            ["5 B", "3.0 MiB", "2.5 GiB"]
        );
        assert_eq!(percent(0.256), "25.6 %");
    }
}
