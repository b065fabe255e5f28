//! What was seen.

use std::fmt;

use serde::Serialize;

/// What was looked at and found right, line by line.
#[derive(Debug, Default, Serialize)]
pub struct Evidence(Vec<String>);

impl Evidence {
    /// Adds a line.
    pub fn note(&mut self, line: impl fmt::Display) {
        self.0.push(line.to_string());
    }

    /// The lines.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}
