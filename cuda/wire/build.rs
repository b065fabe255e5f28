//! Generates the messages from the description.
#![forbid(unsafe_code)]

fn main() -> anyhow::Result<()> {
    let idl = vgpu_cuda_gen::for_build()?;
    vgpu_cuda_gen::write_generated("wire.rs", &vgpu_cuda_gen::wire(&idl))
}
