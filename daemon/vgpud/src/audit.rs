//! The audit log: a line of JSON for each session that is opened, refused, or over.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::budget::Budget;

/// Bytes that it may grow by at once, and then in a second: a guest that opens and closes channels without end fills no disk.
const AT_ONCE: u64 = 1 << 20;
const A_SECOND: u64 = 4 << 10;

/// Where sessions are noted, if anywhere.
#[derive(Debug, Default)]
pub(crate) struct Audit(Option<Writer>);

#[derive(Debug)]
struct Writer {
    file: File,
    budget: Budget,
    missing: u64,
}

#[derive(Serialize)]
struct Line<'a, T> {
    /// Milliseconds since 1970, in UTC.
    time_ms: u64,
    event: &'static str,
    /// Lines that were left out before this one, as there were too many.
    #[serde(skip_serializing_if = "is_zero")]
    missing: u64,
    #[serde(flatten)]
    what: &'a T,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Audit {
    /// Appends to a file, which this user alone can read where it is new.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) fn to(path: &Path) -> io::Result<Self> {
        let mut options = File::options();
        let file = options.append(true).create(true).mode(0o600).open(path)?;
        Ok(Self(Some(Writer {
            file,
            budget: Budget::new(AT_ONCE, A_SECOND),
            missing: 0,
        })))
    }

    /// Notes something. A full disk ends no session.
    pub(crate) fn note(&mut self, event: &'static str, what: &impl Serialize) {
        let Some(writer) = &mut self.0 else { return };
        let time = SystemTime::now().duration_since(UNIX_EPOCH);
        let time = time.unwrap_or_default().as_millis();
        let line = Line {
            time_ms: u64::try_from(time).unwrap_or(u64::MAX),
            event,
            missing: writer.missing,
            what,
        };
        let Ok(mut text) = serde_json::to_vec(&line) else {
            return;
        };
        text.push(b'\n');
        let noted = writer.budget.take(text.len() as u64, Instant::now())
            && writer.file.write_all(&text).is_ok();
        writer.missing = if noted { 0 } else { writer.missing + 1 };
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn lines_are_appended_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit");
        let note = |audit: &mut Audit, n: u64| {
            audit.note("opened", &std::collections::BTreeMap::from([("n", n)]));
        };
        note(&mut Audit::to(&path).unwrap(), 1);
        let mut audit = Audit::to(&path).unwrap();
        (2..30_000).for_each(|n| note(&mut audit, n));
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.len() as u64 <= AT_ONCE + 60 * A_SECOND,
            "{}",
            text.len()
        );
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!((&lines[0]["n"], &lines[1]["n"]), (&1.into(), &2.into()));
        assert!(lines.len() > 10_000 && lines[0]["event"] == "opened");
        assert!(lines[0]["time_ms"].as_u64().unwrap() > 1_600_000_000_000);
        note(&mut Audit::default(), 1);
    }
}
