//! The report for people.

use std::io::{self, Write};

use vgpu_terminal::Printable;

use super::report::{Criterion, Report, Verdict};

/// Column where names, evidence, cause and mend begin.
const INDENT: usize = 9;

pub(super) fn write(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    for (index, device) in report.devices.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        match &device.address {
            Some(address) => writeln!(out, "vGPU at {address}")?,
            None => writeln!(out, "no vGPU found")?,
        }
        for criterion in &device.criteria {
            write_criterion(out, criterion)?;
        }
        writeln!(out)?;
        writeln!(out, "{}", summary(&device.criteria))?;
    }
    Ok(())
}

fn write_criterion(out: &mut dyn Write, criterion: &Criterion) -> io::Result<()> {
    let verdict = match criterion.verdict {
        Verdict::Pass => "PASS",
        Verdict::Fail => "FAIL",
        Verdict::Skipped => "SKIP",
    };
    write!(out, "{:>2} {verdict}  {}", criterion.number, criterion.name)?;
    for line in criterion.evidence.lines().map(Printable) {
        match criterion.verdict {
            Verdict::Skipped => write!(out, ": {line}")?,
            Verdict::Pass | Verdict::Fail => write!(out, "\n{:INDENT$}{line}", "")?,
        }
    }
    writeln!(out)?;
    for (label, text) in [("cause", &criterion.cause), ("mend", &criterion.mend)] {
        if let Some(text) = text {
            let text = Printable(text);
            writeln!(out, "{:INDENT$}{:6} {text}", "", format!("{label}:"))?;
        }
    }
    Ok(())
}

fn summary(criteria: &[Criterion]) -> String {
    let count = |verdict| {
        criteria
            .iter()
            .filter(|criterion| criterion.verdict == verdict)
            .count()
    };
    format!(
        "{} of {} criteria hold, {} skipped, {} failed",
        count(Verdict::Pass),
        criteria.len(),
        count(Verdict::Skipped),
        count(Verdict::Fail)
    )
}
