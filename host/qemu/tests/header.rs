//! The C header is what the Rust interface says.

use std::path::Path;

/// `UPDATE=1 cargo test -p vgpu-qemu --test header` writes the header anew.
#[test]
fn the_header_declares_the_interface() {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let header = crate_dir.join("tree/hw/misc/vgpu-stub.h");
    let mut generated = Vec::new();
    cbindgen::generate(crate_dir)
        .expect("the crate's interface can be declared in C")
        .write(&mut generated);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&header, &generated).expect("the header can be written");
    }
    let committed = std::fs::read(&header).unwrap_or_default();
    assert!(
        committed == generated,
        "{} is out of date; write it anew with UPDATE=1",
        header.display()
    );
}
