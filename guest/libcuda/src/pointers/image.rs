//! How long an image is that a program points at.

use std::ffi::c_void;

use vgpu_cuda_wire::CUresult;

use super::references::{bytes, input, text};

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_IMAGE;

/// How an ELF file begins.
const ELF: &[u8] = b"\x7fELF";
/// What stands there in each that can be loaded: 64 bits, little endian, version 1 (`e_ident` of the System V ABI).
const ELF_64_LITTLE: &[u8] = &[2, 1, 1];
/// The length of its header, and of a section's (`Elf64_Ehdr`, `Elf64_Shdr`).
const ELF_HEADERS: [u64; 2] = [64, 64];
/// How a fat binary begins.
const FATBIN: &[u8] = &[0x50, 0xed, 0x55, 0xba];
/// How the structure begins that points at a fat binary.
const WRAPPER: &[u8] = &[0xb1, 0x43, 0x62, 0x46];

/// What compilers leave in a program for a fat binary.
#[repr(C)]
struct Wrapper {
    magic: u32,
    version: u32,
    data: *const c_void,
}

fn number(header: &[u8], at: usize, size: usize) -> u64 {
    let mut word = [0; 8];
    word[..size].copy_from_slice(&header[at..at + size]);
    u64::from_le_bytes(word)
}

/// An image: text that ends with 0; or an ELF file or a fat binary, whose headers
/// say how long it is; or what points at a fat binary.
///
/// # Safety
/// The pointer is null, or points to such an image.
pub(crate) unsafe fn image<'a>(pointer: *const c_void) -> Result<&'a [u8], CUresult> {
    let start: *const u8 = pointer.cast();
    // SAFETY: the caller's promise; what is no binary is text.
    let text = unsafe { text(start.cast()) }?.to_bytes();
    // A magic that the text ends with is all of it: what is longer has its version next.
    if [WRAPPER, FATBIN].contains(&text) {
        return Err(INVALID);
    }
    let length = if text.starts_with(WRAPPER) {
        // SAFETY: the caller's promise.
        let wrapper: &Wrapper = unsafe { input(pointer.cast()) }?;
        if wrapper.data == pointer {
            return Err(INVALID);
        }
        // SAFETY: the caller's promise: it points to a fat binary.
        return unsafe { fatbin(wrapper.data) };
    } else if text.starts_with(FATBIN) {
        // SAFETY: the caller's promise.
        return unsafe { fatbin(pointer) };
    } else if let Some(rest) = text.strip_prefix(ELF) {
        // One that ends here has no header to be looked at.
        if !rest.starts_with(ELF_64_LITTLE) {
            return Err(INVALID);
        }
        // SAFETY: the header of a 64-bit ELF file has 64 bytes.
        let header = unsafe { bytes(start, 64_usize) }?;
        // e_ehsize, e_shentsize
        if [number(header, 0x34, 2), number(header, 0x3a, 2)] != ELF_HEADERS {
            return Err(INVALID);
        }
        // e_shoff, e_shnum: the sections' headers come last.
        let sections = ELF_HEADERS[1] * number(header, 0x3c, 2);
        number(header, 0x28, 8).checked_add(sections)
    } else {
        return Ok(text);
    };
    // SAFETY: the caller's promise: the image is as long as its headers say.
    unsafe { bytes(start, length.ok_or(INVALID)?) }
}

/// A fat binary.
///
/// # Safety
/// The pointer is null, or points to a fat binary.
unsafe fn fatbin<'a>(pointer: *const c_void) -> Result<&'a [u8], CUresult> {
    let start: *const u8 = pointer.cast();
    // SAFETY: the caller's promise: its header has 16 bytes.
    let header = unsafe { bytes(start, 16_usize) }?;
    if !header.starts_with(FATBIN) {
        return Err(INVALID);
    }
    // The length of the header, and of all behind it.
    let length = number(header, 6, 2).checked_add(number(header, 8, 8));
    // SAFETY: the caller's promise: it is as long as its header says.
    unsafe { bytes(start, length.ok_or(INVALID)?) }
}
