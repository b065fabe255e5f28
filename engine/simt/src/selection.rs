//! What a video instruction takes of a register, by the word behind it.
//! Source: PTX ISA 9.7.18.

/// What the word may be. An operand with its bits follows the register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Selection {
    /// None: all of the register.
    Whole,
    /// `.b0` to `.b3`, `.h0`, `.h1`: a byte or a half.
    Part,
    /// `.h10`, `.b310`: the elements, of so many, that are results.
    Mask(u32),
    /// `.h32`, `.b7654`: for each element, of so many, which of `a` and `b`
    /// together; and the bits where no word stands there.
    Pick(u32, u64),
}

/// The bit that says that `-` stands before the register.
pub(crate) const NEGATIVE: u64 = 1 << 16;

impl Selection {
    /// The bits of a word: of a part, where it begins and, 8 bits up, its width;
    /// of a mask, a bit for each element; of a pick, four bits for each.
    /// `None` where it may not stand there.
    pub(crate) fn bits(self, word: Option<&str>) -> Option<u64> {
        let digits = |letter| {
            word.map(|word| word.strip_prefix(letter))
                .unwrap_or_default()
        };
        let letter = |count| if count == 2 { 'h' } else { 'b' };
        match (self, word) {
            (Self::Whole | Self::Part, None) => Some(32 << 8),
            (Self::Whole, Some(_)) => None,
            (Self::Part, Some(word)) => Some(match word {
                "b0" => 8 << 8,
                "b1" => 8 << 8 | 8,
                "b2" => 8 << 8 | 16,
                "b3" => 8 << 8 | 24,
                "h0" => 16 << 8,
                "h1" => 16 << 8 | 16,
                _ => return None,
            }),
            (Self::Mask(count), None) => Some((1 << count) - 1),
            (Self::Mask(count), Some(_)) => {
                let digits = digits(letter(count))?.chars();
                let places = digits.map(|digit| digit.to_digit(count));
                let places = places.collect::<Option<Vec<_>>>()?;
                let falling = places.windows(2).all(|pair| pair[0] > pair[1]);
                (falling && !places.is_empty())
                    .then(|| places.iter().fold(0, |mask, place| mask | 1 << place))
            }
            (Self::Pick(_, usual), None) => Some(usual),
            (Self::Pick(count, _), Some(_)) => {
                let digits = digits(letter(count))?;
                let right = |digit: char| digit.is_digit(2 * count);
                let all = digits.len() == count as usize && digits.chars().all(right);
                all.then(|| u64::from_str_radix(digits, 16).ok())?
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Selection::{Mask, Part, Pick, Whole};

    #[test]
    fn words_are_those_of_the_isa() {
        assert_eq!(Part.bits(Some("b3")), Some(8 << 8 | 24));
        assert_eq!(Part.bits(None), Some(32 << 8));
        assert_eq!(Mask(2).bits(Some("h1")), Some(2));
        assert_eq!(Mask(4).bits(Some("b320")), Some(0b1101));
        assert_eq!(Pick(2, 0x32).bits(Some("h03")), Some(0x03));
        assert_eq!(Pick(4, 0).bits(Some("b7015")), Some(0x7015));
        assert_eq!(Pick(4, 0x7654).bits(None), Some(0x7654));
    }

    #[test]
    fn no_other_word_is_taken() {
        for word in ["x", "b4", "h2", "b", "h01", ""] {
            assert_eq!(Part.bits(Some(word)), None, "{word}");
            assert_eq!(Whole.bits(Some(word)), None, "{word}");
        }
        for word in ["b0", "h2", "h01", "h", "h00"] {
            assert_eq!(Mask(2).bits(Some(word)), None, "{word}");
        }
        for word in ["h0", "b4", "b01", "b00"] {
            assert_eq!(Mask(4).bits(Some(word)), None, "{word}");
        }
        for word in ["h4", "h40", "h012", "b10", "h"] {
            assert_eq!(Pick(2, 0).bits(Some(word)), None, "{word}");
        }
        for word in ["b321", "b8000", "b32100", "h3210", "b+210"] {
            assert_eq!(Pick(4, 0).bits(Some(word)), None, "{word}");
        }
    }
}
