//! What ran, and how it ended.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;
use vgpu_terminal::describe;

/// How a part of the tests ended.
pub(super) enum Outcome {
    Passed(Duration),
    Failed(anyhow::Error),
    Skipped(String),
}

/// What ran, for the summary.
pub(super) struct Summary(pub(super) Vec<(String, Outcome)>);

impl Outcome {
    pub(super) fn of(part: impl FnOnce() -> Result<()>) -> Self {
        let started = Instant::now();
        match part() {
            Ok(()) => Self::Passed(started.elapsed()),
            Err(error) => Self::Failed(error),
        }
    }
}

impl Summary {
    pub(super) fn add(&mut self, name: impl Into<String>, part: impl FnOnce() -> Result<()>) {
        self.0.push((name.into(), Outcome::of(part)));
    }

    pub(super) fn skip(&mut self, name: impl Into<String>, why: impl Into<String>) {
        self.0.push((name.into(), Outcome::Skipped(why.into())));
    }

    pub(super) fn failed(&self) -> usize {
        self.0
            .iter()
            .filter(|(_, outcome)| matches!(outcome, Outcome::Failed(_)))
            .count()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, outcome) in &self.0 {
            match outcome {
                Outcome::Passed(time) => {
                    writeln!(f, "  passed   {name} ({:.0} s)", time.as_secs_f64())?;
                }
                Outcome::Failed(error) => write!(f, "  FAILED   {name}\n{}", describe(error))?,
                Outcome::Skipped(why) => writeln!(f, "  skipped  {name}: {why}")?,
            }
        }
        Ok(())
    }
}
