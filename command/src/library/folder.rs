//! Where the program's `libcuda.so.1` is.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use vgpu_terminal::Failure;

/// From the folder of this program, as it is installed.
const BESIDE: &str = "../lib/vgpu";
/// The names by which programs look for it.
const NAMES: [&str; 2] = ["libcuda.so.1", "libcuda.so"];
const SEARCHED: &str = "LD_LIBRARY_PATH";

/// The folder with the library: the one that is given, or that beside this
/// program.
///
/// # Errors
/// It is not there.
pub(crate) fn folder(given: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let beside = || {
        let program = env::current_exe().unwrap_or_default();
        program.parent().unwrap_or(Path::new(".")).join(BESIDE)
    };
    let is_given = given.is_some();
    let folder = given.unwrap_or_else(beside);
    let missing = NAMES.iter().find(|name| !folder.join(name).is_file());
    let Some(missing) = missing else {
        return folder
            .canonicalize()
            .map_err(|error| Failure::new(format!("{}: {error}", folder.display()), MEND));
    };
    let mend = match is_given {
        true => {
            "name a folder with both libcuda.so.1 and libcuda.so, as `cargo xtask cuda build` makes it"
        }
        false => MEND,
    };
    let cause = format!("there is no {missing} in {}", folder.display());
    Err(Failure::new(cause, mend))
}

const MEND: &str = "in the checkout, `cargo xtask cuda build` makes a folder with all that is needed; or name the library's by --library FOLDER";

/// The value of the linker's variable that has the folder searched first.
///
/// # Errors
/// The linker cannot be told of such a folder.
pub(crate) fn search(folder: &Path) -> Result<(&'static str, OsString), Failure> {
    let name = folder.as_os_str();
    if name
        .as_encoded_bytes()
        .iter()
        .any(|byte| b":;".contains(byte))
    {
        let cause = format!(
            "the linker takes no folder with : or ; in its name: {}",
            folder.display()
        );
        return Err(Failure::new(cause, "move the library to another folder"));
    }
    let mut value = name.to_owned();
    if let Some(others) = env::var_os(SEARCHED).filter(|others| !others.is_empty()) {
        value.push(OsStr::new(":"));
        value.push(others);
    }
    Ok((SEARCHED, value))
}
