//! What libFuzzer says of how far it is.

use std::io::BufRead;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use tempfile::TempDir;
use vgpu_bed::steps::Step;

/// How far a target has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// How often it was executed.
    pub(super) executions: u64,
    /// Edges between blocks of code that were taken.
    pub(super) coverage: u64,
    pub(super) time: Duration,
    /// Inputs that break it, in a folder that goes with this.
    pub(super) crashes: Vec<PathBuf>,
    folder: Option<TempDir>,
}

impl Progress {
    /// Reads until the end. Lines go to the log of `step`, of those about progress a few.
    pub(super) fn follow(output: impl BufRead, step: &Step) -> Result<Self> {
        const INTERVAL: Duration = Duration::from_secs(1);
        let started = Instant::now();
        let mut shown = None;
        let mut progress = Self::default();
        for line in output.split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            match Line::parse(&line) {
                Some(Line { count, coverage }) => {
                    progress.executions = progress.executions.max(count);
                    progress.coverage = progress.coverage.max(coverage);
                    progress.time = started.elapsed();
                    if shown.is_none_or(|at: Instant| at.elapsed() >= INTERVAL) {
                        shown = Some(Instant::now());
                        step.say(&format!(
                            "{count} executions, {} a second, coverage {}",
                            progress.rate(),
                            progress.coverage
                        ));
                    }
                }
                None => step.say(&line),
            }
        }
        progress.time = started.elapsed();
        Ok(progress)
    }

    /// Executions a second.
    pub(super) fn rate(&self) -> u64 {
        match self.time.as_millis() {
            0 => 0,
            time => (u128::from(self.executions) * 1000 / time) as u64,
        }
    }

    /// Adds another process's.
    pub(super) fn add(&mut self, other: &Self) {
        self.executions += other.executions;
        self.coverage = self.coverage.max(other.coverage);
        self.time = self.time.max(other.time);
    }

    pub(super) fn keep(&mut self, folder: TempDir) {
        self.folder = Some(folder);
    }
}

/// `#1234  NEW    cov: 56 ft: …`, or `stat::number_of_executed_units: 1234`.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    count: u64,
    coverage: u64,
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        if let Some(count) = line.strip_prefix("stat::number_of_executed_units:") {
            return Some(Self {
                count: count.trim().parse().ok()?,
                coverage: 0,
            });
        }
        let (count, rest) = line.strip_prefix('#')?.split_once('\t')?;
        let coverage = rest
            .split_once("cov: ")
            .and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
        Some(Self {
            count: count.parse().ok()?,
            coverage: coverage.unwrap_or(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_s_lines_are_understood() {
        let line = |count, coverage| Some(Line { count, coverage });
        let new = "#442655\tNEW    cov: 1442 ft: 2994 corp: 455/91Kb lim: 785 exec/s: 16645";
        assert_eq!(Line::parse(new), line(442_655, 1442));
        assert_eq!(Line::parse("#2\tINITED exec/s: 0"), line(2, 0));
        let stat = "stat::number_of_executed_units: 10000";
        assert_eq!(Line::parse(stat), line(10_000, 0));
        for other in ["==7== ERROR: libFuzzer: deadly signal", "#", "#x\t", ""] {
            assert_eq!(Line::parse(other), None);
        }
    }
}
