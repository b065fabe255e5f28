//! PTX as an image: the bytes that a program hands to `cuModuleLoadData`.
//!
//! That is the text, up to a 0 byte. `vgpu-ptxas` puts a line ahead of it, which
//! makes it a container with a magic, a version and a length:
//!
//! ```text
//! // vgpu image 1, 1234 bytes of PTX
//! .version 8.0
//! ```
//!
//! The line is a comment, so an image of version 1 is also PTX for who does not
//! know it.

use std::fmt::Write;

/// How a container begins.
pub const MAGIC: &str = "// vgpu image ";
/// The version that this crate writes and reads.
pub const VERSION: u32 = 1;

/// Why there is no text in an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// It is empty, or blank.
    #[error("this image is empty")]
    Empty,
    /// It is no text.
    #[error("this image is neither PTX text nor a known binary")]
    Binary,
    /// The line at its head is not as [`pack`] writes it.
    #[error("the first line of this vgpu image is damaged; compile the kernel again")]
    Header,
    /// Another version wrote it.
    #[error("this vgpu image has version {0}, and {VERSION} is known; compile the kernel again")]
    Version(u32),
    /// It has not all of its text, or more.
    #[error("this vgpu image has {found} bytes of PTX, not {stated}; compile the kernel again")]
    Length {
        /// What its first line states.
        stated: usize,
        /// What there is.
        found: usize,
    },
}

/// A container for a text without 0 bytes; it ends in a 0 byte.
#[must_use]
pub fn pack(ptx: &str) -> Vec<u8> {
    let mut image = String::new();
    let length = ptx.len();
    // Writing to a string does not fail.
    let _ = write!(image, "{MAGIC}{VERSION}, {length} bytes of PTX\n{ptx}\0");
    image.into_bytes()
}

/// The PTX of an image, be it in a container or not.
///
/// # Errors
///
/// It is empty or no text, or a container that is damaged or of another version.
pub fn text(image: &[u8]) -> Result<&str, ImageError> {
    let text = unpack(image)?;
    match text.trim_ascii().is_empty() {
        true => Err(ImageError::Empty),
        false => Ok(text),
    }
}

fn unpack(image: &[u8]) -> Result<&str, ImageError> {
    let end = image.iter().position(|byte| *byte == 0);
    let text = image.get(..end.unwrap_or(image.len())).unwrap_or_default();
    let text = std::str::from_utf8(text).map_err(|_| ImageError::Binary)?;
    let Some(rest) = text.strip_prefix(MAGIC) else {
        return Ok(text);
    };
    let (header, ptx) = rest.split_once('\n').ok_or(ImageError::Header)?;
    let (version, length) = header.split_once(", ").ok_or(ImageError::Header)?;
    let version = version.parse().map_err(|_| ImageError::Header)?;
    if version != VERSION {
        return Err(ImageError::Version(version));
    }
    let stated = length.strip_suffix(" bytes of PTX");
    let stated = stated.and_then(|length| length.parse().ok());
    let stated = stated.ok_or(ImageError::Header)?;
    match ptx.len() {
        found if found == stated => Ok(ptx),
        found => Err(ImageError::Length { stated, found }),
    }
}

#[cfg(test)]
mod tests {
    use super::{ImageError, pack, text};

    const PTX: &str = "//\n.version 7.0\n.target sm_70\n.address_size 64\n";

    #[test]
    fn a_container_gives_its_text_and_is_ptx_itself() {
        let image = pack(PTX);
        assert_eq!(text(&image), Ok(PTX));
        assert_eq!(text(PTX.as_bytes()), Ok(PTX));
        assert_eq!(text(b".version 7.0\0rest"), Ok(".version 7.0"));
        // As who does not know containers reads it.
        let whole = std::str::from_utf8(image.strip_suffix(b"\0").unwrap()).unwrap();
        assert!(crate::parse(whole).is_ok());
    }

    #[test]
    fn a_container_that_is_damaged_says_so() {
        let image = pack(PTX);
        for cut in 40..image.len() - 2 {
            let error = text(&image[..cut]).unwrap_err();
            assert!(matches!(error, ImageError::Length { .. }), "{cut}: {error}");
        }
        let table = [
            ("// vgpu image 2, 0 bytes of PTX\n", ImageError::Version(2)),
            ("// vgpu image 1, 0 bytes of PTX", ImageError::Header),
            ("// vgpu image 1\n", ImageError::Header),
            ("// vgpu image x, 0 bytes of PTX\n", ImageError::Header),
            ("// vgpu image 1, -1 bytes of PTX\n", ImageError::Header),
            (
                "// vgpu image 1, 9999999999999999999999 bytes of PTX\n",
                ImageError::Header,
            ),
        ];
        for (image, error) in table {
            assert_eq!(text(image.as_bytes()), Err(error), "{image}");
        }
        assert_eq!(text(b"\xff\xfe"), Err(ImageError::Binary));
        for image in [&b""[..], b" \n\0rest", &pack(""), &pack("\n")] {
            assert_eq!(text(image), Err(ImageError::Empty), "{image:?}");
        }
    }
}
