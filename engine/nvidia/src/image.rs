//! Images, checked before the driver reads them: it is given a pointer, and
//! believes what the image says of its own length.

use std::ffi::CString;

use vgpu_engine::{Error, ErrorKind, Result};

/// How an ELF file begins: a cubin is one.
const ELF: &[u8] = b"\x7fELF";
/// `e_ident`: 64 bits, little endian.
const ELF_64_LITTLE: [u8; 2] = [2, 1];
/// The length of a file header, a program header, a section header (`Elf64_Ehdr`,
/// `Elf64_Phdr`, `Elf64_Shdr` of the System V ABI).
const HEADERS: [usize; 3] = [64, 56, 64];
/// `SHT_NOBITS`: a section that takes no room in the file.
const NO_BITS: u64 = 8;

/// An image that ends where the driver stops to read.
#[derive(Debug)]
pub(crate) enum Image<'a> {
    /// PTX: text that ends with 0.
    Text(CString),
    /// A cubin whose headers stay inside of it.
    Elf(&'a [u8]),
}

impl<'a> Image<'a> {
    pub(crate) fn check(image: &'a [u8]) -> Result<Self> {
        if image.starts_with(ELF) {
            return match stays_inside(image) {
                Some(true) => Ok(Self::Elf(image)),
                _ => Err(Error::new(
                    ErrorKind::InvalidImage,
                    "this cubin names bytes behind its end, or is no 64-bit ELF file",
                )),
            };
        }
        let text = vgpu_ptx::image::text(image)
            .map_err(|error| Error::new(ErrorKind::InvalidImage, error.to_string()))?;
        Ok(Self::Text(CString::new(text).unwrap_or_default()))
    }

    /// The text, where it is one.
    pub(crate) fn ptx(&self) -> Option<&str> {
        match self {
            Self::Text(text) => text.to_str().ok(),
            Self::Elf(_) => None,
        }
    }

    /// Where it begins.
    pub(crate) fn start(&self) -> *const u8 {
        match self {
            Self::Text(text) => text.as_ptr().cast(),
            Self::Elf(bytes) => bytes.as_ptr(),
        }
    }
}

/// An unsigned number of up to 8 bytes.
fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(size)?)?;
    let mut word = [0; 8];
    word.get_mut(..size)?.copy_from_slice(field);
    Some(u64::from_le_bytes(word))
}

/// Whether all that the headers of an ELF file name lies in it.
fn stays_inside(file: &[u8]) -> Option<bool> {
    let [whole, program, section] = HEADERS;
    let length = file.len() as u64;
    let inside = |offset: u64, size: u64| offset.checked_add(size).is_some_and(|end| end <= length);
    if file.get(4..6)? != ELF_64_LITTLE || file.len() < whole {
        return Some(false);
    }
    // e_phoff, e_phentsize, e_phnum; then the same of sections. Of a header:
    // where its part's offset and size are.
    let tables = [
        (
            number(file, 32, 8)?,
            number(file, 54, 2)?,
            number(file, 56, 2)?,
            program,
            8,
            32,
        ),
        (
            number(file, 40, 8)?,
            number(file, 58, 2)?,
            number(file, 60, 2)?,
            section,
            24,
            32,
        ),
    ];
    for (start, entry, count, expected, offset_at, size_at) in tables {
        if count == 0 {
            // More than 65,279 sections have their count elsewhere: no cubin has.
            if start != 0 && expected == section {
                return Some(false);
            }
            continue;
        }
        if entry != expected as u64 || !inside(start, entry.checked_mul(count)?) {
            return Some(false);
        }
        let table = file.get(usize::try_from(start).ok()?..)?;
        for header in table
            .chunks_exact(expected)
            .take(usize::try_from(count).ok()?)
        {
            let no_bits = expected == section && number(header, 4, 4)? == NO_BITS;
            let (offset, size) = (number(header, offset_at, 8)?, number(header, size_at, 8)?);
            if !no_bits && !inside(offset, size) {
                return Some(false);
            }
        }
    }
    Some(true)
}

#[cfg(test)]
mod tests {
    use super::Image;

    /// A file with one section of 8 bytes behind the headers.
    fn elf() -> Vec<u8> {
        let mut file = vec![0; 64 + 64 + 8];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[40] = 64;
        file[58] = 64;
        file[60] = 1;
        file[64 + 24] = 128;
        file[64 + 32] = 8;
        file
    }

    #[test]
    fn a_cubin_stays_inside_itself() {
        assert!(Image::check(&elf()).is_ok());
        // The table, its entries' length, a section's place, its length, each
        // past the end or past all numbers; and the file cut.
        for (at, value) in [
            (40, 65),
            (47, 0x80),
            (58, 32),
            (60, 2),
            (61, 1),
            (88, 129),
            (95, 255),
            (96, 9),
            (103, 255),
        ] {
            let mut file = elf();
            file[at] = value;
            assert!(Image::check(&file).is_err(), "byte {at} = {value}");
        }
        for length in 4..elf().len() {
            assert!(Image::check(&elf()[..length]).is_err(), "{length} bytes");
        }
        // 32 bits; and big endian.
        for (at, value) in [(4, 1), (5, 2)] {
            let mut file = elf();
            file[at] = value;
            assert!(Image::check(&file).is_err());
        }
        // What takes no room in the file may be as large as it likes.
        let mut file = elf();
        (file[68], file[103]) = (8, 255);
        assert!(Image::check(&file).is_ok());
    }

    #[test]
    fn a_text_ends_with_a_zero() {
        for image in [b".version 7.0".as_slice(), b".version 7.0\0behind"] {
            let Ok(Image::Text(text)) = Image::check(image) else {
                panic!("text")
            };
            assert_eq!(text.as_bytes_with_nul(), b".version 7.0\0");
        }
        for image in [b"".as_slice(), b"\0", b" \n\0x", b"\xff\xfe"] {
            assert!(Image::check(image).is_err());
        }
    }
}
