//! What is in the file of a Linux kernel.

use anyhow::{Context, Result, ensure};

/// How the legacy frame of LZ4 begins. Source: the LZ4 Frame Format, "Legacy frame".
const LZ4: &[u8] = &[0x02, 0x21, 0x4c, 0x18];
/// The most that one of its blocks holds.
const BLOCK: usize = 8 << 20;

/// The ELF file in a `bzImage` that is compressed by LZ4. A machine that starts it directly (PVH) leaves out what takes a third
/// of a boot here: to decompress it, in an emulated processor.
///
/// # Errors
/// When it is no such file.
pub fn elf(bz_image: &[u8]) -> Result<Vec<u8>> {
    let payload = payload(bz_image).context("the kernel is no bzImage")?;
    let mut rest = payload
        .strip_prefix(LZ4)
        .context("the kernel is not compressed by LZ4")?;
    let mut elf = Vec::new();
    // The last number is the length of it all, and no block's.
    while rest.len() > 4 {
        let (block, behind) = split(rest).context("the kernel's payload is cut short")?;
        elf.extend(lz4_flex::block::decompress(block, BLOCK)?);
        rest = behind;
    }
    ensure!(
        elf.starts_with(b"\x7fELF"),
        "the kernel's payload is no ELF file"
    );
    Ok(elf)
}

/// What is compressed. Source: Linux's Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header".
fn payload(bz_image: &[u8]) -> Option<&[u8]> {
    let sectors = *bz_image.get(0x1f1)?;
    let start = (usize::from(sectors) + 1) * 512 + number(bz_image.get(0x248..)?)?;
    let length = number(bz_image.get(0x24c..)?)?;
    bz_image.get(start..start.checked_add(length)?)
}

fn split(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    rest.get(4..)?.split_at_checked(number(rest)?)
}

fn number(bytes: &[u8]) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(*bytes.first_chunk()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with this payload behind one sector of its real-mode part.
    fn image(payload: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 1024];
        image[0x1f1] = 1;
        image[0x24c..0x250].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        [image, payload.to_vec()].concat()
    }

    fn compressed(parts: &[&[u8]]) -> Vec<u8> {
        let mut payload = LZ4.to_vec();
        for part in parts {
            let block = lz4_flex::block::compress(part);
            payload.extend((block.len() as u32).to_le_bytes());
            payload.extend(block);
        }
        [payload, vec![9; 4]].concat()
    }

    #[test]
    fn its_blocks_are_put_together() {
        let elf = elf(&image(&compressed(&[b"\x7fELF and", b" more"]))).unwrap();
        assert_eq!(elf, b"\x7fELF and more");
    }

    #[test]
    fn what_is_none_is_refused() {
        let whole = image(&compressed(&[b"\x7fELF"]));
        for (file, reason) in [
            (vec![], "the kernel is no bzImage"),
            (
                whole[..whole.len() - 1].to_vec(),
                "the kernel is no bzImage",
            ),
            (image(b"\x1f\x8b"), "the kernel is not compressed by LZ4"),
            (
                image(&compressed(&[b"text"])),
                "the kernel's payload is no ELF file",
            ),
            (
                image(&[LZ4, &[99, 0, 0, 0, 1]].concat()),
                "the kernel's payload is cut short",
            ),
        ] {
            assert_eq!(elf(&file).unwrap_err().to_string(), reason);
        }
    }
}
