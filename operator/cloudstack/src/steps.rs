//! What an administrator of CloudStack does, in order.

use std::io::{self, Write};

use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};

use crate::call::Call;
use crate::facts::all_hold;
use crate::options::Args;
use crate::tables::Row;
use crate::values::Values;

/// A call, and what to know about it.
#[derive(Debug)]
pub(crate) struct Step {
    title: &'static str,
    notes: Vec<String>,
    call: Call,
}

impl Step {
    /// What a row says for this user.
    pub(crate) fn new(row: &Row, args: &Args, values: &Values) -> Self {
        let notes = row.notes.iter().filter(|(facts, _)| all_hold(facts, args));
        let parameters = row
            .parameters
            .iter()
            .filter(|(facts, ..)| all_hold(facts, args));
        Self {
            title: row.title,
            notes: notes.map(|(_, text)| values.fill(text)).collect(),
            call: Call {
                command: row.command,
                parameters: parameters
                    .map(|(_, name, value)| (*name, values.fill(value)))
                    .collect(),
            },
        }
    }

    /// Writes it for a reader; all but the line for CloudMonkey is a comment
    /// of a shell.
    pub(crate) fn write(&self, number: usize, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "# {number}. {}", self.title)?;
        for note in &self.notes {
            writeln!(out, "#    {note}")?;
        }
        writeln!(out, "#    API: {}", self.call.query())?;
        writeln!(out, "{}\n", self.call.cmk())
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut step = serializer.serialize_struct("Step", 6)?;
        step.serialize_field("title", self.title)?;
        step.serialize_field("notes", &self.notes)?;
        step.serialize_field("command", self.call.command)?;
        step.serialize_field("parameters", &Parameters(&self.call.parameters))?;
        step.serialize_field("cmk", &self.call.cmk())?;
        step.serialize_field("query", &self.call.query())?;
        step.end()
    }
}

/// Parameters as an object, in their order.
struct Parameters<'a>(&'a [(&'static str, String)]);

impl Serialize for Parameters<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            object.serialize_entry(name, value)?;
        }
        object.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extra_config::ExtraConfig;
    use crate::tables::{GIVE, TAKE_AWAY};

    #[derive(clap::Parser)]
    struct Options {
        #[command(flatten)]
        args: Args,
    }

    /// A brace would be a name that [`Values`] does not know.
    #[test]
    fn each_name_in_the_tables_stands_for_something() {
        let words = [
            "x",
            "--hypervisor",
            "xenserver",
            "--cloudstack-version",
            "4.19.1",
        ];
        let Options { args } = clap::Parser::parse_from(words);
        let values = Values::new(&args, &ExtraConfig::xenserver());
        for row in GIVE.iter().chain(&TAKE_AWAY) {
            let notes = row.notes.iter().map(|(_, text)| text);
            for text in notes.chain(row.parameters.iter().map(|(_, _, value)| value)) {
                let filled = values.fill(text);
                assert!(!filled.contains(['{', '}']), "{filled}");
            }
        }
        assert_eq!(
            values.fill("a {no such} {host tag}{ {"),
            "a {no such} vgpu-stub{ {"
        );
    }
}
