//! Sizes as people write them.

use vgpu_direct::HUGE;

/// Bytes: a number, and K, M, G or T for powers of 1,024.
pub(super) fn parse(text: &str) -> Result<u64, String> {
    let number = text.trim_end_matches(['K', 'M', 'G', 'T']);
    let shift = match &text[number.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err("not a size such as 512M".to_owned()),
    };
    let bytes = number
        .parse::<u64>()
        .ok()
        .and_then(|it| it.checked_mul(1 << shift));
    bytes
        .filter(|it| *it <= 1 << 50)
        .ok_or_else(|| "not a size such as 512M".to_owned())
}

/// The same of a region, which consists of huge pages.
pub(super) fn of_region(text: &str) -> Result<u64, String> {
    let bytes = parse(text)?;
    let whole = bytes > 0 && bytes.is_multiple_of(HUGE as u64);
    match whole && bytes <= 64 << 30 {
        true => Ok(bytes),
        false => Err("not a multiple of 2M, up to 64G".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_with_a_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("12", 12),
            ("3K", 3 << 10),
            ("64M", 64 << 20),
            ("2T", 2 << 40),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "M", "-1", "1.5G", "5MM", "5m", "99999999999G", "2000T"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(of_region("2M"), Ok(2 << 20));
        for wrong in ["0", "1M", "3M", "65G"] {
            assert!(of_region(wrong).is_err(), "{wrong}");
        }
    }
}
