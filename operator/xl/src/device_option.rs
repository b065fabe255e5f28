//! The value of QEMU's `-device`, as QEMU reads it (util/qemu-option.c; for an
//! object, qobject/json-parser.c).

use serde_json::Value;

/// The properties of a device, one of which is the `driver`.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceOption {
    /// In order; of equal names, the last one counts. Those of an object in an
    /// object are `outer.inner`.
    properties: Vec<(String, Value)>,
    /// Whether the properties of the driver are asked for.
    pub(crate) help: bool,
}

impl DeviceOption {
    /// Understands `DRIVER,NAME=VALUE,…` or a JSON object. Where it is neither,
    /// QEMU is to say so.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut option = Self {
            properties: Vec::new(),
            help: false,
        };
        if text.starts_with('{') {
            let object = serde_json::from_slice(text.as_bytes()).ok()?;
            option.add_object("", object);
        } else {
            option.add_list(text);
        }
        Some(option)
    }

    /// Its name.
    #[must_use]
    pub fn driver(&self) -> Option<&str> {
        self.text("driver")
    }

    /// The property with this name, where it is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.properties().find(|(it, _)| *it == name)?;
        value.as_str()
    }

    /// Each property that counts.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &Value)> {
        let properties = self.properties.iter().enumerate();
        let counts = |(index, (name, _)): &(usize, &(String, Value))| {
            let mut later = self.properties.iter().skip(index + 1);
            later.all(|(it, _)| it != name)
        };
        let counting = properties.filter(counts);
        counting.map(|(_, (name, value))| (name.as_str(), value))
    }

    fn add_object(&mut self, before: &str, object: serde_json::Map<String, Value>) {
        for (name, value) in object {
            let name = format!("{before}{name}");
            match value {
                Value::Object(inner) => self.add_object(&format!("{name}."), inner),
                value => self.properties.push((name, value)),
            }
        }
    }

    fn add_list(&mut self, text: &str) {
        let mut rest = text;
        let mut first = true;
        while !rest.is_empty() {
            let end = rest.find(['=', ',']).unwrap_or(rest.len());
            let name = &rest[..end];
            let (name, value) = if let Some(after) = rest[end..].strip_prefix('=') {
                let (value, left) = up_to_comma(after);
                rest = left;
                (name, value)
            } else if first {
                let (driver, left) = up_to_comma(rest);
                rest = left;
                ("driver", driver)
            } else {
                rest = rest[end..].strip_prefix(',').unwrap_or_default();
                self.help |= is_help(name);
                match name.strip_prefix("no") {
                    Some(name) => (name, "off".to_owned()),
                    None => (name, "on".to_owned()),
                }
            };
            first = false;
            if !is_help(name) {
                self.properties.push((name.to_owned(), value.into()));
            }
        }
    }
}

/// What asks QEMU for help in place of a name.
pub(crate) fn is_help(name: &str) -> bool {
    matches!(name, "help" | "?")
}

/// A value, in which a comma is doubled, and what comes after its end.
fn up_to_comma(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(',') {
        value += before;
        match after.strip_prefix(',') {
            Some(after) => {
                value.push(',');
                rest = after;
            }
            None => return (value, after),
        }
    }
    (value + rest, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (String, bool) {
        let option = DeviceOption::parse(text).unwrap();
        let words = option.properties();
        let words: Vec<_> = words
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        (words.join(" "), option.help)
    }

    #[test]
    fn as_qemu_reads_it() {
        for (text, properties) in [
            ("e1000", r#"driver="e1000""#),
            ("e1000,", r#"driver="e1000""#),
            ("addr=5,driver=x", r#"addr="5" driver="x""#),
            ("x,driver=y,driver=z", r#"driver="z""#),
            (
                "x,id=a,,b,on,nooff",
                r#"driver="x" id="a,b" on="on" off="off""#,
            ),
            ("x,,y,romfile=", r#"driver="x,y" romfile="""#),
            ("x,a=b=c", r#"driver="x" a="b=c""#),
            ("x,,,,y=1", r#"driver="x,,y=1""#),
            (
                r#"{"driver":"x","addr":5,"socket":{"path":"/a,b"}}"#,
                r#"addr=5 driver="x" socket.path="/a,b""#,
            ),
        ] {
            assert_eq!(parse(text), (properties.to_owned(), false), "{text}");
        }
        assert_eq!(parse("x,help"), (r#"driver="x""#.to_owned(), true));
        assert!(parse("x,a=1,?").1);
        assert_eq!(DeviceOption::parse("{'driver':"), None);
    }
}
