//! Generates the exported symbols from the description.

fn main() -> anyhow::Result<()> {
    let idl = vgpu_cuda_gen::for_build()?;
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libcuda.so.1");
    vgpu_cuda_gen::write_generated("exports.rs", &vgpu_cuda_gen::exports(&idl))
}
