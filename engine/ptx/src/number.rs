//! Number literals. Source: PTX ISA 4.5.

/// A literal, without its sign.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Integer(u64),
    Single(u32),
    Double(u64),
}

/// The literal at the start of `text`, and its length in bytes.
pub(crate) fn literal(text: &str) -> Option<(Number, usize)> {
    let bytes = text.as_bytes();
    if !bytes.first()?.is_ascii_digit() {
        return None;
    }
    let exact = |digits: usize| {
        let end = digits.checked_add(2)?;
        let hexadecimal = text.get(2..end)?;
        let more = bytes.get(end).is_some_and(u8::is_ascii_hexdigit);
        if more || !hexadecimal.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        Some((u64::from_str_radix(hexadecimal, 16).ok()?, end))
    };
    let prefix = text.get(..2).unwrap_or_default().to_ascii_lowercase();
    match prefix.as_str() {
        "0f" => exact(8).map(|(bits, end)| (Number::Single(u32::try_from(bits).unwrap_or(0)), end)),
        "0d" => exact(16).map(|(bits, end)| (Number::Double(bits), end)),
        "0x" => integer(text, 2, 16),
        "0b" => integer(text, 2, 2),
        _ => decimal(text),
    }
}

fn integer(text: &str, start: usize, radix: u32) -> Option<(Number, usize)> {
    let rest = text.get(start..)?;
    let length = rest
        .bytes()
        .take_while(|b| char::from(*b).is_digit(radix))
        .count();
    let value = u64::from_str_radix(rest.get(..length)?, radix).ok()?;
    let mut end = start.checked_add(length)?;
    if matches!(text.as_bytes().get(end), Some(b'U' | b'u')) {
        end = end.checked_add(1)?;
    }
    Some((Number::Integer(value), end))
}

fn decimal(text: &str) -> Option<(Number, usize)> {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        let rest = bytes.get(from..).unwrap_or_default();
        from.saturating_add(rest.iter().take_while(|b| b.is_ascii_digit()).count())
    };
    let whole = digits(0);
    let mut end = whole;
    if bytes.get(end) == Some(&b'.') {
        end = digits(end.saturating_add(1));
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = end.saturating_add(1);
        let first = match bytes.get(sign) {
            Some(b'+' | b'-') => sign.saturating_add(1),
            _ => sign,
        };
        let after = digits(first);
        if after > first {
            end = after;
        }
    }
    if end == whole {
        let octal = whole > 1 && bytes.first() == Some(&b'0');
        return if octal {
            integer(text, 1, 8)
        } else {
            integer(text, 0, 10)
        };
    }
    let value: f64 = text.get(..end)?.parse().ok()?;
    Some((Number::Double(value.to_bits()), end))
}

#[cfg(test)]
mod tests {
    use super::{Number, literal};

    #[test]
    fn literals() {
        let table = [
            ("0f3F800000,", Number::Single(0x3f80_0000), 10),
            (
                "0dBFF0000000000000",
                Number::Double(0xbff0_0000_0000_0000),
                18,
            ),
            ("0x1FU;", Number::Integer(31), 5),
            ("0b101", Number::Integer(5), 5),
            ("017", Number::Integer(15), 3),
            ("0", Number::Integer(0), 1),
            ("42U", Number::Integer(42), 3),
            ("18446744073709551615", Number::Integer(u64::MAX), 20),
            ("1.5", Number::Double(1.5f64.to_bits()), 3),
            ("2e3]", Number::Double(2000f64.to_bits()), 3),
        ];
        for (text, number, length) in table {
            assert_eq!(literal(text), Some((number, length)), "{text}");
        }
        for text in [
            "",
            "x",
            "0f3F8",
            "0f3F8000001",
            "0x",
            "18446744073709551616",
        ] {
            assert_eq!(literal(text), None, "{text}");
        }
    }
}
