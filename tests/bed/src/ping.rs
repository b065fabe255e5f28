//! `vgpu` in a guest, for `vgpu ping`.

use std::path::Path;

use anyhow::Result;

use crate::cache::Cache;
use crate::guest::{GuestImage, GuestProgram};
use crate::steps::Steps;

/// What `vgpu` is linked to, of this machine: the guest's own C library may be another.
pub(crate) const SHARED: [&str; 4] = [
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libgcc_s.so.1",
    "libm.so.6",
];

/// How the guest starts it.
pub const VGPU: &str = "ld-linux-x86-64.so.2 --library-path /bin /bin/vgpu";

/// The guest with [`VGPU`], of the program `vgpu`, and others, which are static.
///
/// # Errors
/// As [`GuestImage::assemble`].
pub fn image(
    vgpu: &Path,
    others: &[GuestProgram<'_>],
    cache: &Cache,
    steps: &Steps,
) -> Result<GuestImage> {
    let shared = SHARED.map(|name| (name, Path::new("/lib/x86_64-linux-gnu").join(name)));
    let mut programs = vec![GuestProgram {
        name: "vgpu",
        file: vgpu,
    }];
    programs.extend_from_slice(others);
    programs.extend(
        shared
            .iter()
            .map(|(name, file)| GuestProgram { name, file }),
    );
    GuestImage::assemble(cache, &programs, steps)
}
