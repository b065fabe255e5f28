//! Reads the CUDA interface's description (`cuda/idl/`), and generates what
//! follows from it. The build scripts of the crates that need it call this; no
//! generated code is committed.
#![forbid(unsafe_code)]

mod coverage;
mod exports;
mod idl;
mod wire;

pub use coverage::coverage;
pub use exports::exports;
pub use idl::{Class, Function, Idl, Kind, Message, Needs, Parameter, Symbol};
pub use wire::wire;

use std::path::{Path, PathBuf};

/// The folder of the description.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../idl")
}

/// For a build script: reads the description, and has cargo run the script
/// again where it changes.
///
/// # Errors
/// The description cannot be read; the error names the line.
pub fn for_build() -> anyhow::Result<Idl> {
    println!("cargo::rerun-if-changed={}", folder().display());
    Idl::read(&folder())
}

/// For a build script: writes generated code to cargo's folder for it.
///
/// # Errors
/// The file cannot be written.
pub fn write_generated(name: &str, code: &proc_macro2::TokenStream) -> anyhow::Result<()> {
    let folder = std::env::var_os("OUT_DIR").ok_or_else(|| anyhow::anyhow!("no OUT_DIR"))?;
    let code = prettyplease::unparse(&syn::parse2(code.clone())?);
    Ok(std::fs::write(Path::new(&folder).join(name), code)?)
}
