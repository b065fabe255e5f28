//! The daemon's log.

use std::fmt::Display;
use std::io::Write;

/// Writes a line for the daemon's log, if the daemon still takes any.
pub fn log(line: impl Display) {
    write(&mut std::io::stderr(), line);
}

/// By one write: the daemon takes each for lines of their own.
fn write(out: &mut impl Write, line: impl Display) {
    // The daemon ends a log that grows too long: that is no worker's end.
    let _ = out.write_all(format!("{line}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each write to it.
    struct Writes(Vec<String>);

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.push(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_one_write() {
        let mut out = Writes(Vec::new());
        write(&mut out, format_args!("{}: line {}", "error", 7));
        assert_eq!(out.0, ["error: line 7\n"]);
    }
}
