//! Text to tokens, on demand. Source: PTX ISA 4.1 to 4.4.

use crate::error::{Error, ErrorKind, Position};
use crate::number::{Number, literal};

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Token<'a> {
    /// A name, with its percent or dollar sign.
    Word(&'a str),
    /// `.word`, without the dot.
    Dot(&'a str),
    Number(Number),
    /// A string without its quotes, escapes as they are.
    Text(&'a str),
    Mark(u8),
    End,
}

#[derive(Debug)]
pub(crate) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    line: u32,
    line_start: usize,
    /// The token ahead, and where it begins.
    ahead: Token<'a>,
    position: Position,
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'%')
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Result<Self, Error> {
        let mut lexer = Self {
            text,
            at: 0,
            line: 1,
            line_start: 0,
            ahead: Token::End,
            position: Position::default(),
        };
        lexer.advance()?;
        Ok(lexer)
    }

    /// The token ahead.
    pub(crate) fn peek(&self) -> Token<'a> {
        self.ahead
    }

    /// Where the token ahead begins.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// Takes the token ahead.
    pub(crate) fn next(&mut self) -> Result<Token<'a>, Error> {
        let token = self.ahead;
        self.advance()?;
        Ok(token)
    }

    /// Drops the rest of the line that the token ahead begins on.
    pub(crate) fn skip_line(&mut self, line: u32) -> Result<(), Error> {
        while self.position.line == line && self.ahead != Token::End {
            self.advance()?;
        }
        Ok(())
    }

    /// The error that `expected` does not stand here.
    pub(crate) fn expected(&self, expected: &'static str) -> Error {
        let found = match self.ahead {
            Token::Word(word) => format!("`{}`", shortened(word)),
            Token::Dot(word) => format!("`.{}`", shortened(word)),
            Token::Number(_) => "a number".into(),
            Token::Text(_) => "a string".into(),
            Token::Mark(mark) => format!("`{}`", char::from(mark)),
            Token::End => "the end".into(),
        };
        ErrorKind::Syntax { expected, found }.at(self.position)
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn here(&self) -> Position {
        let column = self.at.saturating_sub(self.line_start).saturating_add(1);
        Position {
            line: self.line,
            column: u32::try_from(column).unwrap_or(u32::MAX),
        }
    }

    fn advance(&mut self) -> Result<(), Error> {
        self.blank()?;
        self.position = self.here();
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let word = |from: usize, also: fn(u8) -> bool| {
            let tail = bytes.get(from..).unwrap_or_default();
            let length = tail
                .iter()
                .take_while(|b| is_word(**b) || also(**b))
                .count();
            from.saturating_add(length)
        };
        let (token, length) = match bytes.first() {
            None => (Token::End, 0),
            Some(b'.') => {
                // `L1::evict_last`, `shared::cta`
                let end = word(1, |b| b == b':');
                (Token::Dot(rest.get(1..end).unwrap_or_default()), end)
            }
            Some(b'"') => {
                let tail = rest.get(1..).unwrap_or_default();
                let Some(length) = tail.find(['"', '\n']) else {
                    return Err(self.unreadable("a closing quote"));
                };
                (
                    Token::Text(tail.get(..length).unwrap_or_default()),
                    length.saturating_add(2),
                )
            }
            Some(b'0'..=b'9') => match literal(rest) {
                Some((number, end)) if !bytes.get(end).copied().is_some_and(is_word) => {
                    (Token::Number(number), end)
                }
                _ => return Err(self.unreadable("a number")),
            },
            Some(&byte) if is_word(byte) => {
                let end = word(0, |_| false);
                (Token::Word(rest.get(..end).unwrap_or_default()), end)
            }
            Some(&byte) if byte.is_ascii_graphic() => (Token::Mark(byte), 1),
            Some(_) => return Err(self.unreadable("PTX")),
        };
        self.at = self.at.saturating_add(length);
        self.ahead = token;
        Ok(())
    }

    fn unreadable(&self, expected: &'static str) -> Error {
        let found: String = self
            .rest()
            .chars()
            .take(20)
            .flat_map(char::escape_default)
            .collect();
        ErrorKind::Syntax {
            expected,
            found: format!("`{found}`"),
        }
        .at(self.here())
    }

    /// Passes white space and comments.
    fn blank(&mut self) -> Result<(), Error> {
        loop {
            let rest = self.rest();
            if let Some(tail) = rest.strip_prefix("/*") {
                let Some(length) = tail.find("*/") else {
                    return Err(self.unreadable("the end of a comment"));
                };
                self.pass(length.saturating_add(4));
            } else if rest.starts_with("//") {
                self.pass(rest.find('\n').unwrap_or(rest.len()));
            } else {
                let length = rest
                    .bytes()
                    .take_while(|b| b.is_ascii_whitespace() || *b == 0)
                    .count();
                if length == 0 {
                    return Ok(());
                }
                self.pass(length);
            }
        }
    }

    /// Moves on by `length` bytes, counting lines.
    fn pass(&mut self, length: usize) {
        let end = self.at.saturating_add(length);
        let passed = self.text.as_bytes().get(self.at..end).unwrap_or_default();
        for (index, byte) in passed.iter().enumerate() {
            if *byte == b'\n' {
                self.line = self.line.saturating_add(1);
                self.line_start = self.at.saturating_add(index).saturating_add(1);
            }
        }
        self.at = end;
    }
}

/// A word of the text, for a message: its first 60 characters, and an ellipsis
/// where it has more.
#[must_use]
pub fn shortened(word: &str) -> String {
    const LONGEST: usize = 60;
    match word.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", word.get(..end).unwrap_or_default()),
        None => word.into(),
    }
}
