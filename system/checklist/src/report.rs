//! The report, for programs and for people. Its JSON form is a promise:
//! docs/troubleshooting.md describes it, and so does the help of each command that prints one.

use std::io::{self, Write};

use serde::Serialize;
use vgpu_terminal::Printable;

use crate::{Finding, Mend, Place, Verdict};

/// Raised when a field changes its meaning or goes away.
const VERSION: u32 = 1;

/// Column where titles, evidence, cause and mend begin.
const INDENT: usize = 10;

/// How all points were found.
#[derive(Debug, Serialize)]
pub struct Report {
    version: u32,
    /// What was examined, in words.
    subject: String,
    /// No point has a fault.
    pub well: bool,
    points: Vec<Finding>,
}

impl Report {
    /// Of what was examined, in words.
    #[must_use]
    pub fn new(subject: String, points: Vec<Finding>) -> Self {
        Self {
            version: VERSION,
            subject,
            well: points.iter().all(|point| point.verdict != Verdict::Fault),
            points,
        }
    }

    /// Writes it in lines, for people.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", Printable(&self.subject))?;
        for point in &self.points {
            write_point(out, point)?;
        }
        let count = |verdict| {
            let points = self.points.iter();
            points.filter(|point| point.verdict == verdict).count()
        };
        writeln!(
            out,
            "\n{} of {} points are well, {} not seen, {} at fault",
            count(Verdict::Ok),
            self.points.len(),
            count(Verdict::NotSeen),
            count(Verdict::Fault)
        )
    }
}

fn write_point(out: &mut dyn Write, point: &Finding) -> io::Result<()> {
    let verdict = match point.verdict {
        Verdict::Ok => "ok",
        Verdict::Fault => "FAULT",
        Verdict::NotSeen => "not seen",
    };
    write!(out, "{verdict:<INDENT$}{} ({})", point.title, point.id)?;
    if let (Verdict::NotSeen, Some(why), []) = (point.verdict, &point.cause, &*point.mend) {
        return writeln!(out, ": {}", Printable(why));
    }
    writeln!(out)?;
    for line in point.seen.lines() {
        writeln!(out, "{:INDENT$}{}", "", Printable(line))?;
    }
    if let Some(cause) = &point.cause {
        writeln!(out, "{:INDENT$}cause: {}", "", Printable(cause))?;
    }
    for Mend { on, line } in &point.mend {
        let place = match on {
            Place::Host => "on the host",
            Place::Guest => "in the guest",
            Place::QemuArguments => "start the VM again, with these further arguments of QEMU",
        };
        writeln!(out, "{:INDENT$}mend, {place}:", "")?;
        writeln!(out, "{:INDENT$}  {}", "", Printable(line))?;
    }
    Ok(())
}
