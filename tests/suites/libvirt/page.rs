//! What the book tells users to type.

use anyhow::{Context, Result};

pub(crate) const VFIO_USER: &str = include_str!("../../../docs/vfio-user.md");
pub(crate) const CLOUDSTACK: &str = include_str!("../../../docs/cloudstack.md");
pub(crate) const QEMU: &str = include_str!("../../../docs/qemu.md");

/// The first block of code of `page` with a line that begins with `start`, as a user copies it.
pub(crate) fn block(page: &str, start: &str) -> Result<String> {
    let blocks = page.split("\n\n").map(|block| {
        let lines = block.lines().map(|line| line.strip_prefix("    "));
        lines.collect::<Option<Vec<_>>>().unwrap_or_default()
    });
    let mut blocks = blocks.filter(|lines| lines.iter().any(|line| line.starts_with(start)));
    let block = blocks
        .next()
        .with_context(|| format!("no block with {start:?}"))?;
    Ok(block.join("\n"))
}
