//! What an image has to be, before it is read as PTX.

use vgpu_engine::{Error, ErrorKind, Result};
use vgpu_ptx::{Producer, producer};

use crate::fatbin;

/// How an ELF file begins: a cubin is one.
const ELF: &[u8] = b"\x7fELF";

/// The PTX of an image, for a device of a compute capability.
pub(crate) fn text(image: &[u8], capability: (u32, u32)) -> Result<&str> {
    let image = match fatbin::is_one(image) {
        true => fatbin::ptx(image, capability)?,
        false => image,
    };
    if image.starts_with(ELF) {
        return Err(Error::new(
            ErrorKind::NoBinaryForGpu,
            "this image is machine code, and the CPU engine executes PTX text. \
             Let the program hand over PTX, or use an engine with a GPU",
        ));
    }
    let text = vgpu_ptx::image::text(image)
        .map_err(|error| Error::new(ErrorKind::InvalidImage, error.to_string()))?;
    if producer(text) == Producer::Nvvm {
        return Err(Error::new(
            ErrorKind::NoBinaryForGpu,
            "this PTX was made by NVIDIA's compiler (nvcc, NVRTC or libNVVM), whose licence limits \
             what it makes to systems with NVIDIA GPUs, so the CPU engine does not execute it. \
             Compile with clang, rustc, Triton, Taichi or tinygrad's PTX renderer, \
             or use an engine with a GPU",
        ));
    }
    Ok(text)
}
