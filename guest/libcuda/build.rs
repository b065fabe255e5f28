//! Generates the exported symbols from the description.

fn main() -> anyhow::Result<()> {
    let idl = vgpu_cuda_gen::for_build()?;
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libcuda.so.1");
    // A thread of its own runs where a program has callbacks: what is closed stays.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    vgpu_cuda_gen::write_generated("exports.rs", &vgpu_cuda_gen::exports(&idl))
}
