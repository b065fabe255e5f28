//! `vgpu-stub qemu rollback`.

use std::fs;

use vgpu_terminal::Failure;

use crate::install::forget;
use crate::place::Place;
use crate::state::{State, changed};

/// Puts the old QEMU back. It is the very file of before, so all of it is as
/// it was: content, owner, permissions, times.
///
/// # Errors
///
/// The backup is not what it should be, or, without `force`, the QEMU in place
/// is not the one that was installed.
pub(crate) fn run(place: &Place, force: bool, dry_run: bool) -> Result<(), Failure> {
    let target = place.target.display();
    let folder = place.lock()?;
    match State::of(place)? {
        State::Untouched => {
            say!("{target}: nothing was installed, nothing to do");
            return Ok(());
        }
        State::Interrupted if dry_run => {
            say!("{target} is the old QEMU; what an install left would be removed");
            return Ok(());
        }
        State::Interrupted => {
            forget(place)?;
            say!("{target} is the old QEMU; what an install left is removed");
            return Ok(());
        }
        State::Changed if !force => return Err(changed(place)),
        State::Installed(_) | State::Changed => {}
        State::Broken(failure) => return Err(failure),
    }
    if dry_run {
        say!("{target} would be {} again", place.backup().display());
        return Ok(());
    }
    fs::rename(place.backup(), &place.target).map_err(|error| {
        Failure::new(
            format!("cannot put {} back: {error}", place.backup().display()),
            "run it as root",
        )
    })?;
    folder.sync()?;
    forget(place)?;
    say!("{target} is the old QEMU again");
    say!("VMs that run keep theirs until they are started again");
    Ok(())
}
