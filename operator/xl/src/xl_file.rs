//! The configuration files of xl, as xl's own library reads them (Xen:
//! tools/libs/util/libxlu_cfg_l.l, libxlu_cfg_y.y and libxlu_cfg.c).

use std::fmt;

/// A list in a list in a list: nothing of xl's goes as deep.
const DEEPEST: usize = 16;

/// What a file sets: each name with the last value that it is given, and what
/// `+=` has added to that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct XlFile {
    settings: Vec<(String, Value)>,
}

/// What a name is set to. Bytes that are no UTF-8 are replacement characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text in quotes, or a number, which is a text too.
    Text(String),
    /// A list.
    List(Vec<Value>),
}

/// Why xl cannot read a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// From 1.
    pub line: usize,
    /// What is wrong there.
    pub what: &'static str,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for SyntaxError {}

impl XlFile {
    /// Reads a whole file.
    ///
    /// # Errors
    ///
    /// xl cannot read it. Two things are errors here that xl may overlook: a
    /// text with a number after a backslash, of which it loses the character
    /// that is meant; and a last line without an end, of which it overlooks
    /// the rest from a character on that it takes nowhere.
    pub fn parse(bytes: &[u8]) -> Result<Self, SyntaxError> {
        let mut parser = Parser {
            rest: bytes,
            line: 1,
        };
        let mut file = Self::default();
        while let Some((name, adds, value)) = parser.assignment()? {
            match file.settings.iter_mut().find(|(it, _)| *it == name) {
                Some((_, before)) if adds => before.add(value).ok_or_else(|| {
                    parser.error("what += adds is a text to a list, or a list to a text")
                })?,
                Some((_, before)) => *before = value,
                None => file.settings.push((name, value)),
            }
        }
        Ok(file)
    }

    /// What a name is set to.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        let (_, value) = self.settings.iter().find(|(it, _)| it == name)?;
        Some(value)
    }

    /// The text that a name is set to.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Value::Text(text) => Some(text),
            Value::List(_) => None,
        }
    }

    /// The texts of the list that a name is set to.
    #[must_use]
    pub fn texts(&self, name: &str) -> Vec<String> {
        let Some(Value::List(values)) = self.get(name) else {
            return Vec::new();
        };
        let text = |value: &Value| match value {
            Value::Text(text) => Some(text.clone()),
            Value::List(_) => None,
        };
        values.iter().filter_map(text).collect()
    }
}

impl Value {
    /// Puts another of its kind after it.
    fn add(&mut self, other: Self) -> Option<()> {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a.push_str(&b),
            (Self::List(a), Self::List(b)) => a.extend(b),
            _ => return None,
        }
        Some(())
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Name(String),
    Text(String),
    /// One of `,` `;` `[` `]` `=`.
    Sign(u8),
    Adds,
    EndOfLine,
    EndOfFile,
}

struct Parser<'a> {
    rest: &'a [u8],
    line: usize,
}

impl<'a> Parser<'a> {
    fn error(&self, what: &'static str) -> SyntaxError {
        let line = self.line;
        SyntaxError { line, what }
    }

    /// The next name, whether its value is added to what it had, and the value.
    fn assignment(&mut self) -> Result<Option<(String, bool, Value)>, SyntaxError> {
        let name = loop {
            match self.token()? {
                Token::EndOfLine | Token::Sign(b';') => {}
                Token::EndOfFile => return Ok(None),
                Token::Name(name) => break name,
                _ => return Err(self.error("a name is expected here")),
            }
        };
        let adds = match self.token()? {
            Token::Sign(b'=') => false,
            Token::Adds => true,
            _ => return Err(self.error("= or += is expected after a name, on its line")),
        };
        let first = self.token()?;
        let value = self.value(first, 0)?;
        match self.token()? {
            Token::EndOfLine | Token::EndOfFile | Token::Sign(b';') => {
                Ok(Some((name, adds, value)))
            }
            _ => Err(self.error("the end of the line is expected after a value")),
        }
    }

    fn value(&mut self, first: Token, depth: usize) -> Result<Value, SyntaxError> {
        match first {
            Token::Text(text) => Ok(Value::Text(text)),
            Token::Sign(b'[') if depth < DEEPEST => self.list(depth + 1),
            Token::Sign(b'[') => Err(self.error("lists are too deep in each other")),
            _ => Err(self.error("a text in quotes, a number or a list is expected here")),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        let mut values = Vec::new();
        loop {
            match self.token_on_any_line()? {
                Token::Sign(b']') => break,
                first => values.push(self.value(first, depth)?),
            }
            match self.token_on_any_line()? {
                Token::Sign(b']') => break,
                Token::Sign(b',') => {}
                _ => return Err(self.error(", or ] is expected in a list")),
            }
        }
        Ok(Value::List(values))
    }

    fn token_on_any_line(&mut self) -> Result<Token, SyntaxError> {
        loop {
            match self.token()? {
                Token::EndOfLine => {}
                token => return Ok(token),
            }
        }
    }

    fn token(&mut self) -> Result<Token, SyntaxError> {
        self.take(|byte| matches!(byte, b' ' | b'\t'));
        let Some(&first) = self.rest.first() else {
            return Ok(Token::EndOfFile);
        };
        match first {
            b'a'..=b'z' => {
                let name = self.take(|it| matches!(it, b'a'..=b'z' | b'0'..=b'9' | b'_'));
                Ok(Token::Name(text(name)))
            }
            b'0'..=b'9' => {
                let number = self.take(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f' | b'x'));
                Ok(Token::Text(text(number)))
            }
            b'"' | b'\'' => self.quoted(first),
            b'#' => {
                self.take(|byte| byte != b'\n');
                if self.rest.is_empty() {
                    return Err(self.error("a comment needs an end of its line"));
                }
                self.token()
            }
            b'\n' => {
                self.skip(1);
                self.line += 1;
                Ok(Token::EndOfLine)
            }
            b'+' if self.rest.get(1) == Some(&b'=') => {
                self.skip(2);
                Ok(Token::Adds)
            }
            b',' | b';' | b'[' | b']' | b'=' => {
                self.skip(1);
                Ok(Token::Sign(first))
            }
            b'\r' => {
                Err(self.error("a carriage return, which xl does not take at the end of a line"))
            }
            _ => Err(self.error("a character that xl takes in quotes alone")),
        }
    }

    /// A text in quotes, which ends on its line.
    fn quoted(&mut self, quote: u8) -> Result<Token, SyntaxError> {
        let mut bytes = Vec::new();
        self.skip(1);
        loop {
            let &byte = self.rest.first().unwrap_or(&b'\n');
            self.skip(1);
            match byte {
                b'\n' => return Err(self.error("a text in quotes has no end on its line")),
                0 => return Err(self.error("a zero byte")),
                b'\\' => bytes.push(self.escaped()?),
                byte if byte == quote => return Ok(Token::Text(text(&bytes))),
                byte => bytes.push(byte),
            }
        }
    }

    /// The byte that is meant after a backslash.
    fn escaped(&mut self) -> Result<u8, SyntaxError> {
        let &byte = self.rest.first().unwrap_or(&b'\n');
        let meant = match byte {
            b'"' | b'\'' | b'\\' => byte,
            b'a' => 0x07,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            b'x' | b'0'..=b'7' => {
                return Err(self.error("a number after a backslash, which xl loses"));
            }
            _ => return Err(self.error("a backslash before what needs none")),
        };
        self.skip(1);
        Ok(meant)
    }

    fn take(&mut self, is: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| !is(*byte));
        let (taken, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a(text: &str) -> Result<Value, String> {
        let file = XlFile::parse(text.as_bytes()).map_err(|error| error.to_string())?;
        Ok(file.get("a").cloned().expect("a is set"))
    }

    fn is(text: &str) -> Value {
        Value::Text(text.into())
    }

    fn list(texts: &[&str]) -> Value {
        Value::List(texts.iter().map(|text| is(text)).collect())
    }

    #[test]
    fn what_xl_takes() {
        for (text, value) in [
            ("a = \"x\"", is("x")),
            ("a='x'\n", is("x")),
            ("a=\"it's\" # it's\n", is("it's")),
            ("a='\"'#\n", is("\"")),
            ("a='\\\\\\''\n", is("\\'")),
            ("a=\"#\\t\" ; b = 1;;\n  ", is("#\t")),
            ("a=1f0x\n", is("1f0x")),
            ("a=1\na=2\n", is("2")),
            ("a=\"x\"\na+='y'\n", is("xy")),
            ("a=[\"x\", # 'c\n'y'\n , \"z\",]\n", list(&["x", "y", "z"])),
            ("# [\na=[\n]\n", list(&[])),
            ("a=['x']\na+=['y']\n", list(&["x", "y"])),
            ("a+=['y']\n", list(&["y"])),
            ("a=['w']\na=['x']\na+=['y']\n", list(&["x", "y"])),
            ("a=[[],'x']\n", Value::List(vec![list(&[]), is("x")])),
        ] {
            assert_eq!(a(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_xl_does_not_take_is_named_with_its_line() {
        let deep = format!("a={}{}\n", "[".repeat(17), "]".repeat(17));
        for (text, error) in [
            (
                "a='x'\n# no end",
                "line 2: a comment needs an end of its line",
            ),
            ("a='x'b='y'\n", "line 1: the end of the line is expected"),
            ("a\n='x'\n", "line 2: = or += is expected"),
            ("a=\n'x'\n", "line 2: a text in quotes, a number or a list"),
            ("a=[,]\n", "line 1: a text in quotes, a number or a list"),
            ("a=['x' 'y']\n", "line 1: , or ] is expected"),
            ("a=['x';]\n", "line 1: , or ] is expected"),
            ("a=1z\n", "line 1: the end of the line"),
            ("a='x\ny'\n", "line 1: a text in quotes has no end"),
            ("a='x\\\ny'\n", "line 1: a backslash before"),
            ("a='\\x41'\n", "line 1: a number after a backslash"),
            ("a='\\d'\n", "line 1: a backslash before"),
            ("a=1\r\n", "line 1: a carriage return"),
            (
                "a=-1\n",
                "line 1: a character that xl takes in quotes alone",
            ),
            ("A=1\n", "line 1: a character that xl takes in quotes alone"),
            ("a='x'\na+=['y']\n", "line 3: what += adds"),
            (&deep, "line 1: lists are too deep"),
        ] {
            let found = a(text).unwrap_err();
            assert!(found.starts_with(error), "{text}: {found}");
        }
    }
}
