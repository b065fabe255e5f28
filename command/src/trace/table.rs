//! A trace as tables, for people.

use std::io::{self, Write};

use vgpu_terminal::Printable;
use vgpu_trace::Trace;

use super::report::{Report, error};

/// A time with three digits, or what is left of it.
pub(super) fn time(nanoseconds: u64) -> String {
    let nanoseconds = nanoseconds as f64;
    let units = [(1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns")];
    let unit = units.iter().find(|(size, _)| nanoseconds >= *size);
    let Some((size, name)) = unit else {
        return "-".into();
    };
    let value = nanoseconds / size;
    let places = match value {
        _ if *size == 1.0 || value >= 100.0 => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("{value:.places$} {name}")
}

/// A number with its thousands apart; 0 is a dash.
pub(super) fn number(value: u64) -> String {
    if value == 0 {
        return "-".into();
    }
    let digits = value.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes rows, the first of which is a head: the first column to the left, the
/// others to the right.
fn rows<const N: usize>(out: &mut dyn Write, rows: &[[String; N]]) -> io::Result<()> {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in rows {
        let mut line = String::new();
        for (n, (cell, width)) in row.iter().zip(widths).enumerate() {
            match n {
                0 => line += &format!("{cell:width$}"),
                _ => line += &format!("  {cell:>width$}"),
            }
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Writes all but single calls.
pub(super) fn report(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let program = report.program.join(" ");
    let device = report.device.as_deref();
    writeln!(out, "program   {}", Printable(&program))?;
    writeln!(
        out,
        "ended     after {}, with exit code {}",
        time(report.nanoseconds),
        report.exit_code
    )?;
    writeln!(
        out,
        "engine    {}, device {}",
        Printable(&report.engine),
        Printable(device.unwrap_or("not opened by any process"))
    )?;
    if report.processes == 0 {
        return writeln!(
            out,
            "\nno process called the library: does the program use CUDA, by libcuda.so.1?"
        );
    }
    let head = |words: [&str; 8]| words.map(str::to_owned);
    let functions = report.functions.iter().map(|function| {
        let failed = match &function.last_error {
            Some(last) => format!("{} {}", number(function.errors), Printable(last)),
            None => "-".into(),
        };
        [
            Printable(&function.name).to_string(),
            function.class.clone().unwrap_or("not supported".into()),
            number(function.calls),
            time(function.nanoseconds),
            number(function.messages),
            number(function.waits),
            time(function.waited_nanoseconds),
            failed,
        ]
    });
    let names = [
        "function",
        "class",
        "calls",
        "time",
        "messages",
        "waits",
        "waited",
        "errors, the last",
    ];
    let table: Vec<_> = std::iter::once(head(names)).chain(functions).collect();
    writeln!(out)?;
    rows(out, &table)?;
    let messages = report.messages.iter().map(|message| {
        let name = Printable(&message.name).to_string();
        [name, number(message.count), number(message.bytes)]
    });
    let names = ["message", "count", "bytes"].map(str::to_owned);
    let table: Vec<_> = std::iter::once(names).chain(messages).collect();
    writeln!(out)?;
    rows(out, &table)?;
    let waits = report.waits.iter().map(|wait| {
        [
            Printable(&wait.name).to_string(),
            number(wait.count),
            time(wait.nanoseconds),
            number(wait.sleeps),
        ]
    });
    let names = ["waited for", "count", "time", "slept"].map(str::to_owned);
    let table: Vec<_> = std::iter::once(names).chain(waits).collect();
    writeln!(out)?;
    rows(out, &table)?;
    match report.unwanted_waits() {
        (0, _) => writeln!(out, "\nno function waited that is asynchronous in CUDA"),
        (count, waited) => writeln!(
            out,
            "\nfunctions that are asynchronous in CUDA waited {} times, {} in all",
            number(count),
            time(waited)
        ),
    }
}

/// Writes the last calls, as they ended.
pub(super) fn calls(out: &mut dyn Write, trace: &Trace) -> io::Result<()> {
    for (name, call) in trace.calls() {
        let waited = match (call.waits.count, call.waits.sleeps) {
            (0, _) => String::new(),
            (_, 0) => format!("  waited {}", time(call.waits.nanoseconds)),
            (_, _) => format!("  waited {}, asleep", time(call.waits.nanoseconds)),
        };
        let failed = match call.status {
            0 => String::new(),
            status => format!("  {}", error(status)),
        };
        let second = call.start as f64 / 1e9;
        writeln!(
            out,
            "{second:12.6}  {:7}  {name:32} {:>8}{waited}{failed}",
            call.thread,
            time(call.nanoseconds)
        )?;
    }
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_numbers_are_short() {
        for (nanoseconds, text) in [
            (0, "-"),
            (7, "7 ns"),
            (1_234, "1.23 us"),
            (45_678, "45.7 us"),
            (456_789_000, "457 ms"),
            (90_000_000_000, "90.0 s"),
        ] {
            assert_eq!(time(nanoseconds), text);
        }
        assert_eq!(number(0), "-");
        assert_eq!(number(999), "999");
        assert_eq!(number(1_000), "1,000");
        assert_eq!(number(u64::MAX), "18,446,744,073,709,551,615");
    }
}
