//! What the target `cuda-ptx` reads: texts of modules, of which lines are missing and words are
//! others.

use std::fs;
use std::path::Path;

use fastrand::Rng;

/// Texts that are modules, line by line.
pub(crate) struct Seeds {
    texts: Vec<Vec<String>>,
    words: Vec<String>,
}

/// What a word is made of; all else is one of its own.
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._%$".contains(c)
}

/// Whether a line is one of a kernel's instructions, without which it is still one.
fn is_instruction(line: &str) -> bool {
    let begins = line.starts_with(|c: char| c.is_ascii_lowercase() || c == '@');
    begins && line.ends_with(';')
}

impl Seeds {
    pub(crate) fn read() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/cuda-ptx");
        let (mut texts, mut words) = (Vec::new(), Vec::new());
        for file in fs::read_dir(folder).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            let lines = text
                .lines()
                .map(|line| line.split("//").next().unwrap_or_default().trim());
            let lines: Vec<_> = lines
                .filter(|line| !line.is_empty())
                .map(str::to_owned)
                .collect();
            let found = lines
                .iter()
                .flat_map(|line| line.split(|c: char| !is_word(c)));
            words.extend(found.filter(|word| !word.is_empty()).map(str::to_owned));
            texts.push(lines);
        }
        words.sort_unstable();
        words.dedup();
        let odd = [
            "",
            "0",
            "-1",
            "4294967296",
            "0f7fc00000",
            "1.5",
            ".f16x2",
            "{",
            "}",
            "[",
            ";",
            "@!%p1",
            "\u{e9}",
        ];
        words.extend(odd.map(str::to_owned));
        Self { texts, words }
    }

    pub(crate) fn input(&self, random: &mut Rng, input: &mut Vec<u8>) {
        let text = &self.texts[random.usize(..self.texts.len())];
        let kept = random.u8(1..8);
        // One line in so many has another word.
        let changed = random.choice([3, 10, 40, u32::MAX]).unwrap_or(10);
        for line in text {
            if is_instruction(line) && random.u8(..8) >= kept {
                continue;
            }
            match random.u32(..) % changed {
                0 => self.change(line, random, input),
                _ => input.extend(line.as_bytes()),
            }
            input.push(b'\n');
        }
    }

    /// A line with another word in place of one of its own.
    fn change(&self, line: &str, random: &mut Rng, input: &mut Vec<u8>) {
        let at = random.usize(..line.len());
        let from = line[..at].rfind(|c: char| !is_word(c)).map_or(0, |n| n + 1);
        let to = line[at..]
            .find(|c: char| !is_word(c))
            .map_or(line.len(), |n| at + n);
        input.extend(&line.as_bytes()[..from]);
        input.extend(self.words[random.usize(..self.words.len())].as_bytes());
        input.extend(&line.as_bytes()[to..]);
    }
}

/// Most texts with few changes are modules: a generator whose texts were all refused in the first
/// line would find nothing.
#[test]
fn many_texts_are_modules() {
    let seeds = Seeds::read();
    let (mut random, mut input) = (Rng::with_seed(5), Vec::new());
    let mut modules = 0;
    for _ in 0..100 {
        input.clear();
        seeds.input(&mut random, &mut input);
        let text = std::str::from_utf8(&input).unwrap();
        modules += u32::from(vgpu_ptx::parse(text).is_ok());
    }
    assert!((20..95).contains(&modules), "{modules} of 100");
}
