//! Fat binaries: images of several kinds and architectures, of which the PTX is
//! taken. Source: public descriptions of the format, such as those of ZLUDA and
//! of Cricket.

use vgpu_engine::{Error, ErrorKind, Result};

/// How a fat binary begins.
const MAGIC: [u8; 4] = [0x50, 0xed, 0x55, 0xba];
/// The kind of an entry that is PTX.
const PTX: u16 = 1;
/// Flags of an entry whose image is compressed: LZ4, Zstandard.
const COMPRESSED: u64 = 0x2000 | 0x8000;

/// One image of a fat binary.
struct Entry<'a> {
    kind: u16,
    /// The architecture that it is for: 70 for 7.0.
    arch: u32,
    compressed: bool,
    image: &'a [u8],
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let (word, _) = bytes.get(at..)?.split_first_chunk()?;
    Some(u16::from_le_bytes(*word))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let (word, _) = bytes.get(at..)?.split_first_chunk()?;
    Some(u32::from_le_bytes(*word))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let (word, _) = bytes.get(at..)?.split_first_chunk()?;
    Some(u64::from_le_bytes(*word))
}

/// Takes the first entry off.
fn entry<'a>(rest: &mut &'a [u8]) -> Option<Entry<'a>> {
    let header = usize::try_from(u32_at(rest, 4)?).ok()?;
    let size = usize::try_from(u64_at(rest, 8)?).ok()?;
    // The fields up to the flags have 48 bytes.
    let (fields, behind) = rest.split_at_checked(header.max(48))?;
    let (image, behind) = behind.split_at_checked(size)?;
    *rest = behind;
    Some(Entry {
        kind: u16_at(fields, 0)?,
        arch: u32_at(fields, 28)?,
        compressed: u64_at(fields, 40)? & COMPRESSED != 0,
        image,
    })
}

fn entries(image: &[u8]) -> Option<Vec<Entry<'_>>> {
    let header = usize::from(u16_at(image, 6)?);
    let size = usize::try_from(u64_at(image, 8)?).ok()?;
    let mut rest = image.get(header.max(16)..)?.get(..size)?;
    let mut all = Vec::new();
    while !rest.is_empty() {
        all.push(entry(&mut rest)?);
    }
    Some(all)
}

/// Whether an image is a fat binary.
pub(crate) fn is_one(image: &[u8]) -> bool {
    image.starts_with(&MAGIC)
}

/// The PTX of a fat binary for a device of `(major, minor)`: that for the latest
/// architecture that is not above it.
pub(crate) fn ptx(image: &[u8], (major, minor): (u32, u32)) -> Result<&[u8]> {
    let device = major.saturating_mul(10).saturating_add(minor);
    let entries = entries(image).ok_or_else(|| {
        let text = "this fat binary ends within an entry";
        Error::new(ErrorKind::InvalidImage, text)
    })?;
    let no_code = |text: String| Error::new(ErrorKind::NoBinaryForGpu, text);
    let ptx = || entries.iter().filter(|entry| entry.kind == PTX);
    let fitting = ptx().filter(|entry| entry.arch <= device);
    match fitting.max_by_key(|entry| (!entry.compressed, entry.arch)) {
        Some(entry) if !entry.compressed => Ok(entry.image),
        Some(_) => Err(no_code(
            "the PTX in this fat binary is compressed, and the CPU engine does not unpack it. \
             Build without compression (nvcc: `--no-compress`), or hand over PTX text"
                .into(),
        )),
        None => Err(no_code(match ptx().map(|entry| entry.arch).min() {
            Some(arch) => format!(
                "the PTX in this fat binary is for compute capability {}.{} and later, \
                 and this device has {major}.{minor}",
                arch / 10,
                arch % 10
            ),
            None => "this fat binary has machine code alone, and the CPU engine executes PTX. \
                     Let the program bring PTX (nvcc: `-gencode arch=compute_70,code=compute_70`), \
                     or use an engine with a GPU"
                .into(),
        })),
    }
}
