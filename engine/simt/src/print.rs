//! `vprintf`: a format and its arguments to text.
//! Source: CUDA C++ Programming Guide, formatted output; ISO C 7.21.6.1.
//!
//! The arguments lie one after the other in memory, each at a multiple of its
//! own size: words of 32 bits, and of 64 for `ll`, `l`, pointers and floats.

use crate::execution::Execution;
use crate::fault::Failure;
use crate::grid::PRINTED_MAX;

/// The longest format, and the longest string that it is given, in bytes.
const STRING_MAX: usize = 4096;
/// The widest field, and the most digits.
const WIDTH_MAX: usize = 512;

/// A part of a format that takes an argument, such as `%-8.3f`.
#[derive(Debug, Default, PartialEq)]
struct Field {
    left: bool,
    plus: bool,
    space: bool,
    zero: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
    wide: bool,
    conversion: u8,
}

/// Where the arguments are read.
struct Arguments<'x, 'a> {
    execution: &'x Execution<'a>,
    lane: usize,
    at: u64,
}

impl Arguments<'_, '_> {
    fn next(&mut self, size: u8) -> Result<u64, Failure> {
        let mask = u64::from(size) - 1;
        let at = self.at.wrapping_add(mask) & !mask;
        self.at = at.wrapping_add(u64::from(size));
        self.execution.fetch(at, size, self.lane)
    }
}

/// The bytes at a generic address up to a zero, of which no more than
/// [`STRING_MAX`] count.
pub(crate) fn string(x: &Execution<'_>, lane: usize, address: u64) -> Result<Vec<u8>, Failure> {
    let mut all = Vec::new();
    while all.len() < STRING_MAX {
        let byte = x.fetch(address.wrapping_add(all.len() as u64), 1, lane)? as u8;
        if byte == 0 {
            break;
        }
        all.push(byte);
    }
    Ok(all)
}

/// Adds what a lane prints to `to`; how many arguments it took.
pub(crate) fn print(
    x: &Execution<'_>,
    lane: usize,
    format: u64,
    arguments: u64,
    to: &mut Vec<u8>,
) -> Result<u32, Failure> {
    let format = string(x, lane, format)?;
    let mut arguments = Arguments {
        execution: x,
        lane,
        at: arguments,
    };
    let mut rest = format.as_slice();
    let mut count = 0;
    // A format can ask for more than a thousand times its length.
    while let Some((first, after)) = rest.split_first()
        && to.len() < PRINTED_MAX
    {
        rest = after;
        if *first != b'%' {
            to.push(*first);
            continue;
        }
        let (field, after) = Field::parse(rest, &mut arguments)?;
        rest = after;
        if field.conversion == b'%' {
            to.push(b'%');
        } else if field.conversion != 0 {
            count += 1;
            let text = field.text(&mut arguments)?;
            field.pad(&text, to);
        }
    }
    Ok(count)
}

impl Field {
    fn parse<'t>(
        text: &'t [u8],
        arguments: &mut Arguments<'_, '_>,
    ) -> Result<(Self, &'t [u8]), Failure> {
        let mut field = Self::default();
        let mut rest = text;
        while let Some((flag, after)) = rest.split_first() {
            match flag {
                b'-' => field.left = true,
                b'+' => field.plus = true,
                b' ' => field.space = true,
                b'0' => field.zero = true,
                b'#' => field.alternate = true,
                _ => break,
            }
            rest = after;
        }
        let (width, after) = number(rest, arguments)?;
        (field.width, rest) = (width, after);
        if let Some((b'.', after)) = rest.split_first() {
            let (precision, after) = number(after, arguments)?;
            (field.precision, rest) = (Some(precision), after);
        }
        while let Some((size, after)) = rest.split_first() {
            match size {
                b'l' | b'j' | b'z' | b't' => field.wide = true,
                b'h' => {}
                _ => break,
            }
            rest = after;
        }
        if let Some((conversion, after)) = rest.split_first() {
            (field.conversion, rest) = (*conversion, after);
        }
        Ok((field, rest))
    }

    fn text(&self, arguments: &mut Arguments<'_, '_>) -> Result<Vec<u8>, Failure> {
        let size = if self.wide { 8 } else { 4 };
        Ok(match self.conversion {
            b'd' | b'i' => {
                let bits = arguments.next(size)?;
                let value = if self.wide {
                    bits as i64
                } else {
                    i64::from(bits as i32)
                };
                let digits = self.digits(&value.unsigned_abs().to_string());
                self.signed(value < 0, &digits)
            }
            b'u' => self.digits(&arguments.next(size)?.to_string()).into_bytes(),
            b'x' | b'X' | b'o' => {
                let bits = arguments.next(size)?;
                let (digits, prefix) = match self.conversion {
                    b'x' => (format!("{bits:x}"), "0x"),
                    b'X' => (format!("{bits:X}"), "0X"),
                    _ => (format!("{bits:o}"), "0"),
                };
                let prefix = if self.alternate && bits != 0 {
                    prefix
                } else {
                    ""
                };
                format!("{prefix}{}", self.digits(&digits)).into_bytes()
            }
            b'c' => vec![arguments.next(4)? as u8],
            b's' => {
                let address = arguments.next(8)?;
                let mut text = string(arguments.execution, arguments.lane, address)?;
                text.truncate(self.precision.unwrap_or(STRING_MAX));
                text
            }
            b'p' => format!("{:#x}", arguments.next(8)?).into_bytes(),
            b'f' | b'F' | b'e' | b'E' | b'g' | b'G' => {
                let value = f64::from_bits(arguments.next(8)?);
                let text = self.float(value.abs());
                let text = match self.conversion.is_ascii_uppercase() {
                    true => text.to_uppercase(),
                    false => text,
                };
                self.signed(value.is_sign_negative(), &text)
            }
            // One that nobody knows: it takes a word, and is shown.
            other => {
                arguments.next(size)?;
                vec![b'%', other]
            }
        })
    }

    /// At least so many digits as the precision says.
    fn digits(&self, digits: &str) -> String {
        let least = self.precision.unwrap_or(1);
        let missing = least.saturating_sub(digits.len());
        "0".repeat(missing) + digits
    }

    fn signed(&self, negative: bool, text: &str) -> Vec<u8> {
        let sign = match negative {
            true => "-",
            false if self.plus => "+",
            false if self.space => " ",
            false => "",
        };
        format!("{sign}{text}").into_bytes()
    }

    fn float(&self, value: f64) -> String {
        if value.is_nan() {
            return "nan".into();
        }
        if value.is_infinite() {
            return "inf".into();
        }
        let precision = self.precision.unwrap_or(6);
        match self.conversion.to_ascii_lowercase() {
            b'f' => format!("{value:.precision$}"),
            b'e' => exponential(value, precision),
            _ => {
                let significant = precision.max(1);
                let text = exponential(value, significant - 1);
                let exponent: i32 = text
                    .split_once('e')
                    .and_then(|(_, exponent)| exponent.parse().ok())
                    .unwrap_or(0);
                let fits = exponent >= -4 && exponent < significant as i32;
                let text = match fits {
                    true => format!("{value:.*}", (significant as i32 - 1 - exponent) as usize),
                    false => text,
                };
                if self.alternate { text } else { short(&text) }
            }
        }
    }

    fn pad(&self, text: &[u8], to: &mut Vec<u8>) {
        let missing = self.width.saturating_sub(text.len());
        let number = text.iter().any(u8::is_ascii_digit);
        let zeros = self.zero && !self.left && number && self.takes_zeros();
        match (self.left, zeros) {
            (true, _) => {
                to.extend(text);
                to.resize(to.len() + missing, b' ');
            }
            (false, true) => {
                // Behind the sign, and behind `0x`.
                let sign = text.iter().take_while(|c| b"+- ".contains(c)).count();
                let prefix = match text[sign..] {
                    [b'0', b'x' | b'X', ..] => sign + 2,
                    _ => sign,
                };
                to.extend(&text[..prefix]);
                to.resize(to.len() + missing, b'0');
                to.extend(&text[prefix..]);
            }
            (false, false) => {
                to.resize(to.len() + missing, b' ');
                to.extend(text);
            }
        }
    }

    /// Whether `0` counts: not for text, nor for an integer with a precision.
    fn takes_zeros(&self) -> bool {
        match self.conversion {
            b's' | b'c' | b'p' => false,
            b'd' | b'i' | b'u' | b'x' | b'X' | b'o' => self.precision.is_none(),
            _ => true,
        }
    }
}

/// A number of a format, or `*`, which takes one of the arguments.
fn number<'t>(
    text: &'t [u8],
    arguments: &mut Arguments<'_, '_>,
) -> Result<(usize, &'t [u8]), Failure> {
    if let Some((b'*', after)) = text.split_first() {
        let value = arguments.next(4)? as i32;
        return Ok((usize::try_from(value).unwrap_or(0).min(WIDTH_MAX), after));
    }
    let count = text.iter().take_while(|c| c.is_ascii_digit()).count();
    let digits = text[..count].iter();
    let value = digits.fold(0usize, |all, digit| {
        (all * 10 + usize::from(digit - b'0')).min(WIDTH_MAX)
    });
    Ok((value, &text[count..]))
}

/// With an exponent of a sign and two digits at least.
fn exponential(value: f64, precision: usize) -> String {
    let text = format!("{value:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

/// Without the zeros at the end of a fraction.
fn short(text: &str) -> String {
    let (digits, exponent) = match text.find('e') {
        Some(place) => text.split_at(place),
        None => (text, ""),
    };
    let digits = match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.'),
        false => digits,
    };
    format!("{digits}{exponent}")
}
