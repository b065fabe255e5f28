//! The program that guests reach, which this one starts: `vgpu-emulator`.

use std::convert::Infallible;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use vgpu_emulator::{Call, PROGRAM, SHOWN_AS, places};
use vgpu_terminal::Failure;

/// Whether nobody may have written it who may not have written this program: in a folder such as `/tmp`, others put files beside it.
fn is_as_safe_as_this(program: &Path) -> bool {
    const OTHERS_WRITE: u32 = 0o022;
    let (Ok(own), Ok(program)) = (fs::metadata("/proc/self/exe"), fs::metadata(program)) else {
        return false;
    };
    [0, own.uid()].contains(&program.uid()) && program.mode() & !own.mode() & OTHERS_WRITE == 0
}

/// Becomes the emulator, so that who waits for this process waits for that one. It only returns where that fails.
///
/// # Errors
///
/// The emulator is not there, or cannot be executed.
pub(crate) fn run(call: &Call) -> Result<Infallible, Failure> {
    let places = places();
    let failure = |cause| {
        Failure::new(
            cause,
            format!("install the package again, or put {PROGRAM} beside vgpu-stub"),
        )
    };
    let Some(program) = places.iter().find(|place| place.is_file()) else {
        let places: Vec<_> = places.iter().map(|it| it.display().to_string()).collect();
        return Err(failure(format!("there is no {}", places.join(" or "))));
    };
    if !is_as_safe_as_this(program) {
        return Err(failure(format!(
            "others may have written {}",
            program.display()
        )));
    }
    // For who looks at the list of processes.
    let mut emulator = Command::new(program);
    let error = emulator.arg0(SHOWN_AS).args(call.words()).exec();
    Err(failure(format!(
        "cannot run {}: {error}",
        program.display()
    )))
}
