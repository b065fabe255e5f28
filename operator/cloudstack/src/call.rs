//! A call of CloudStack's API, in the forms that people and programs send.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// A command with its parameters.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) command: &'static str,
    pub(crate) parameters: Vec<(&'static str, String)>,
}

impl Call {
    /// The line for CloudMonkey, in its own shell or in the system's. It
    /// encodes the request itself.
    pub(crate) fn cmk(&self) -> String {
        let noun = self.command.find(|c: char| c.is_ascii_uppercase());
        let (verb, noun) = self.command.split_at(noun.unwrap_or(self.command.len()));
        let mut line = format!("cmk {verb} {}", noun.to_ascii_lowercase());
        for (name, value) in &self.parameters {
            // In some shells a bracket is a pattern.
            line += &match (name.contains('['), value.contains(' ') || value.is_empty()) {
                (true, _) => format!(" '{name}={value}'"),
                (false, true) => format!(" {name}='{value}'"),
                (false, false) => format!(" {name}={value}"),
            };
        }
        line
    }

    /// The request's query string, to be completed with apikey and signature.
    pub(crate) fn query(&self) -> String {
        let mut query = format!("command={}", self.command);
        for (name, value) in &self.parameters {
            query += &format!("&{}={}", percent_encoded(name), percent_encoded(value));
        }
        query
    }
}

/// What is encoded: all but letters, digits, and these marks, as RFC 3986 and Java's URLEncoder have it.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// Text with these characters as %XX, which Java's URLDecoder reads back.
pub(crate) fn percent_encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_a_line_and_a_query() {
        let call = Call {
            command: "updateConfiguration",
            parameters: vec![("name", "a.b".into()), ("value", "PV-args, c:d".into())],
        };
        assert_eq!(
            call.cmk(),
            "cmk update configuration name=a.b value='PV-args, c:d'"
        );
        assert_eq!(
            call.query(),
            "command=updateConfiguration&name=a.b&value=PV-args%2C%20c%3Ad"
        );
    }

    #[test]
    fn a_shell_takes_a_map_and_nothing_as_they_are() {
        let call = Call {
            command: "updateHost",
            parameters: vec![("a[0].b", "c d".into()), ("e", String::new())],
        };
        assert_eq!(call.cmk(), "cmk update host 'a[0].b=c d' e=''");
        assert_eq!(call.query(), "command=updateHost&a%5B0%5D.b=c%20d&e=");
    }

    #[test]
    fn what_is_encoded_already_is_encoded_again() {
        assert_eq!(percent_encoded("%0A+é"), "%250A%2B%C3%A9");
    }
}
