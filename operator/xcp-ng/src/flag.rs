//! `vgpu-stub xcp enable` and `disable`: the keys of a VM by which XAPI starts
//! it with the device, and leaves it where it runs.

use std::io::{self, Write};
use std::process::ExitCode;

use vgpu_terminal::{Failure, Printable};

use crate::list::hosts;
use crate::name::NAME;
use crate::uuid::Uuid;
use crate::xe::XAPI;

/// Operations that would lose the device's state: it is not saved.
const BLOCKED: [&str; 4] = ["suspend", "checkpoint", "pool_migrate", "migrate_send"];

/// Keys of `platform`, in the order in which they are set: once the first is
/// ours, what is there may be our own, and is not remembered as what was before.
const PLATFORM: [(&str, &str); 2] = [("xenguest", NAME), ("nomigrate", "true")];

/// Before a key's name in `other-config`: what it was before.
const WAS: &str = "vgpu-stub-was-";

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The VM, by its UUID or its name
    #[arg(value_name = "VM")]
    vm: String,
}

/// Whether a VM is to have the device.
///
/// # Errors
///
/// XAPI cannot be asked.
pub(crate) fn is_enabled(vm: &Uuid) -> Result<bool, Failure> {
    Ok(XAPI.map_value(vm, "platform", "xenguest")?.as_deref() == Some(NAME))
}

/// Blocks what would lose the device's state, and leaves what others have
/// blocked as it is.
///
/// # Errors
///
/// XAPI cannot be asked or refuses.
pub(crate) fn block(vm: &Uuid) -> Result<(), Failure> {
    let blocked = XAPI.keys(vm, "blocked-operations")?;
    let missing: Vec<_> = BLOCKED
        .into_iter()
        .filter(|operation| !blocked.iter().any(|known| known == operation))
        .map(|operation| ("blocked-operations", operation, NAME))
        .collect();
    XAPI.set(vm, &missing)
}

/// Sets the keys. What is cut short can be done again, or undone by [`disable`].
///
/// # Errors
///
/// XAPI cannot be asked or refuses.
pub(crate) fn enable(args: &Args) -> Result<ExitCode, Failure> {
    let vm = XAPI.find(&args.vm)?;
    block(&vm)?;
    if !is_enabled(&vm)? {
        // What is there now comes back with 'disable'.
        for (key, _) in PLATFORM {
            let was = was(key);
            if let Some(value) = XAPI.map_value(&vm, "platform", key)? {
                XAPI.set(&vm, &[("other-config", &was, &value)])?;
            } else if XAPI.map_value(&vm, "other-config", &was)?.is_some() {
                // Of an 'enable' or 'disable' that was cut short.
                XAPI.remove(&vm, "other-config", &was)?;
            }
        }
    }
    for (key, value) in PLATFORM {
        // One by one: xe does not say in which order it sets several.
        XAPI.set(&vm, &[("platform", key, value)])?;
    }
    say(&format!(
        "VM {vm} has the device when it is next started: xe vm-shutdown, then xe vm-start"
    ));
    let mut whole = true;
    for host in hosts()? {
        if let Some(problem) = host.problem() {
            whole = false;
            let _ = writeln!(
                io::stderr(),
                "warning: host {}: {problem}; install the kit there, or the VM starts there without the device or not at all",
                host.name
            );
        }
    }
    Ok(ExitCode::from(u8::from(!whole)))
}

/// Undoes what [`enable`] did, and what is left of one that was cut short.
///
/// # Errors
///
/// XAPI cannot be asked or refuses.
pub(crate) fn disable(args: &Args) -> Result<ExitCode, Failure> {
    let vm = XAPI.find(&args.vm)?;
    let enabled = is_enabled(&vm)?;
    let mut blocked = Vec::new();
    for operation in BLOCKED {
        let reason = XAPI.map_value(&vm, "blocked-operations", operation)?;
        if reason.as_deref() == Some(NAME) {
            blocked.push(operation);
        }
    }
    let mut remembered = Vec::new();
    for was in PLATFORM.map(|(key, _)| was(key)) {
        if XAPI.map_value(&vm, "other-config", &was)?.is_some() {
            remembered.push(was);
        }
    }
    if !enabled && blocked.is_empty() && remembered.is_empty() {
        return Err(Failure::new(
            format!("VM {vm} is not to have the device"),
            "see which are: vgpu-stub xcp list",
        ));
    }
    // 'xenguest' is last, as it says that there is something to restore. Should
    // the VM start before that, the hook blocks again.
    if enabled {
        restore(&vm, "nomigrate")?;
    }
    for operation in blocked {
        XAPI.remove(&vm, "blocked-operations", operation)?;
    }
    if enabled {
        restore(&vm, "xenguest")?;
    }
    for was in remembered {
        XAPI.remove(&vm, "other-config", &was)?;
    }
    say(&format!(
        "VM {vm} has the device no more when it is next started"
    ));
    Ok(ExitCode::SUCCESS)
}

/// The key of `other-config` that remembers a key of `platform`.
fn was(key: &str) -> String {
    format!("{WAS}{key}")
}

/// Gives a key of `platform` the value that it had before.
fn restore(vm: &Uuid, key: &str) -> Result<(), Failure> {
    match XAPI.map_value(vm, "other-config", &was(key))? {
        Some(value) => XAPI.set(vm, &[("platform", key, &value)]),
        None if XAPI.map_value(vm, "platform", key)?.is_some() => XAPI.remove(vm, "platform", key),
        None => Ok(()),
    }
}

fn say(text: &str) {
    // Who closes stdout does not want to know.
    let _ = writeln!(io::stdout(), "{}", Printable(text));
}
