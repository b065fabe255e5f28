//! Text of others, for a terminal or a log.

use std::fmt::{self, Write};

/// Text that others chose, on one line and without what a terminal would obey:
/// a control character is shown as `\n`, or as `\u{1b}`.
#[derive(Clone, Copy, Debug)]
pub struct Printable<'a>(pub &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match is_obeyed(c) {
            true => c.escape_default().try_for_each(|c| f.write_char(c)),
            false => f.write_char(c),
        })
    }
}

/// Also what turns the direction of writing (Unicode Standard Annex 9), and
/// the ends of lines and paragraphs.
fn is_obeyed(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_of_it() {
        let text = "web 1 \u{1b}[2J\r\n\u{9b}\u{202e}é\\n";
        let shown = Printable(text).to_string();
        assert_eq!(shown, r"web 1 \u{1b}[2J\r\n\u{9b}\u{202e}é\n");
    }
}
