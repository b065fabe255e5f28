//! Loads PTX files and says what is not taken.
fn main() {
    for path in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&path).expect("a file");
        let mut memory = vgpu_device_memory::Memory::new(1 << 32, 1 << 40, 1 << 32);
        let loaded = vgpu_ptx::parse(&text)
            .map_err(vgpu_simt::LoadError::from)
            .and_then(|module| vgpu_simt::Program::load(&module, &mut memory));
        match loaded {
            Ok(program) => println!("{path}: {} kernels", program.kernels().len()),
            Err(error) => println!("{path}: {error}"),
        }
    }
    println!("{:?}", vgpu_simt::counts());
}
