//! Words as a shell takes them.

use std::path::Path;

/// A word that a shell takes as it is, and people may copy.
pub fn quoted(word: impl AsRef<Path>) -> String {
    let word = word.as_ref().display().to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:=,@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word;
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// This very command, with further words.
pub fn this_command(more: &str) -> String {
    let words = std::env::args_os().map(quoted);
    let words: Vec<String> = words.chain([more.to_owned()]).collect();
    words.join(" ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_it_as_one_word() {
        assert_eq!(quoted("/run/vgpu-stub/a.sock"), "/run/vgpu-stub/a.sock");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's; x"), r"'it'\''s; x'");
        assert_eq!(quoted(""), "''");
    }
}
