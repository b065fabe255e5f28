//! The C header is what the tables say, and C agrees about sizes and offsets.

use std::path::Path;

/// `UPDATE=1 cargo test -p vgpu-abi --test header` writes the header anew.
#[test]
fn the_header_is_what_the_tables_say() {
    let header = Path::new(env!("CARGO_MANIFEST_DIR")).join("vgpu_uapi.h");
    let generated = vgpu_abi::header::uapi();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&header, &generated).expect("the header can be written");
    }
    let committed = std::fs::read_to_string(&header).unwrap_or_default();
    assert!(
        committed == generated,
        "{} is out of date; write it anew with UPDATE=1",
        header.display()
    );
}

/// C has no other idea of a structure's size than Rust, and takes the header without a warning.
#[test]
fn c_compiles_it_and_agrees_about_sizes() {
    use vgpu_abi::{ioctl, mailbox, segment};
    let sizes = [
        ("vgpu_reply", size_of::<mailbox::Reply>()),
        ("vgpu_info", size_of::<mailbox::Info>()),
        ("vgpu_start", size_of::<mailbox::Start>()),
        ("vgpu_channel_open", size_of::<mailbox::Open>()),
        ("vgpu_channel", size_of::<mailbox::Channel>()),
        ("vgpu_region_add", size_of::<mailbox::Add>()),
        ("vgpu_region", size_of::<mailbox::Region>()),
        ("vgpu_directory", size_of::<segment::Directory>()),
        ("vgpu_ioctl_info", size_of::<ioctl::Info>()),
        ("vgpu_ioctl_session", size_of::<ioctl::Session>()),
        ("vgpu_ioctl_region", size_of::<ioctl::Region>()),
        ("vgpu_ioctl_wait", size_of::<ioctl::Wait>()),
    ];
    let mut program = String::from("#include \"vgpu_uapi.h\"\n");
    for (name, size) in sizes {
        program += &format!("_Static_assert(sizeof(struct {name}) == {size}, \"{name}\");\n");
    }
    program += "_Static_assert(VGPU_BAR0_EVENTS_ACK == 0x434, \"offsets\");\n";
    let folder = std::env::temp_dir().join(format!("vgpu-uapi-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let source = folder.join("uapi.c");
    std::fs::write(&source, program).expect("a source");
    let compiled = std::process::Command::new("cc")
        .args([
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-fsyntax-only",
            "-I",
        ])
        .arg(env!("CARGO_MANIFEST_DIR"))
        .arg(&source)
        .output();
    std::fs::remove_dir_all(&folder).expect("the folder goes");
    let compiled = compiled.expect("a C compiler");
    assert!(
        compiled.status.success(),
        "{}",
        String::from_utf8_lossy(&compiled.stderr)
    );
}
