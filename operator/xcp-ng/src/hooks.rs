//! What XAPI calls before a VM starts and when it has ended, for every VM of
//! the host: `-vmuuid UUID -reason REASON [-vmdomid N]`.
//!
//! A hook's exit code 0 lets XAPI go on, 1 too but is logged; each other one
//! fails the operation with what is on stdout (xen-api
//! `ocaml/xenopsd/lib/xenops_hooks.ml`).

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use vgpu_terminal::{Failure, Printable};

use crate::flag;
use crate::host::{self, Host, systemctl};
use crate::running::Running;
use crate::settings::Settings;
use crate::uuid::Uuid;

/// XAPI notes it and goes on.
const LOGGED: u8 = 1;
/// The VM does not start.
const REFUSED: u8 = 2;

/// How long systemd may take to hear of the end of an emulator.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Refuses a VM that cannot or may not have the device here, and blocks what
/// would lose the device's state. VMs without the device are none of its
/// business: whatever is wrong, they start.
pub(crate) fn vm_pre_start(host: &Host, words: &[OsString]) -> ExitCode {
    let vm = vm(words).and_then(|vm| Ok((flag::is_enabled(&vm)?, vm)));
    match vm {
        Ok((false, _)) => ExitCode::SUCCESS,
        Ok((true, vm)) => end(admit(host, &vm), REFUSED),
        // Should the VM be one with the device: its builder sees to it.
        Err(failure) => end(Err(failure), LOGGED),
    }
}

fn admit(host: &Host, vm: &Uuid) -> Result<(), Failure> {
    host.check()?;
    let settings = Settings::read(host)?;
    let running = Running::lock(host)?;
    running.forget_gone(&mut host.xenstore()?)?;
    settings.admit(vm, running.devices_beside(vm))?;
    drop(running);
    // A toolstack above XAPI may have made the VM a moment ago.
    flag::block(vm)
}

/// Forgets the domains that are gone, and ends an emulator that has outlived
/// its domain.
pub(crate) fn vm_post_destroy(host: &Host, _: &[OsString]) -> ExitCode {
    end(clean_up(host), LOGGED)
}

fn clean_up(host: &Host) -> Result<(), Failure> {
    let running = Running::lock(host)?;
    if running.all().is_empty() {
        return Ok(());
    }
    for record in running.forget_gone(&mut host.xenstore()?)? {
        // Mostly it has ended by itself, and this does nothing.
        let unit = host::unit(record.domain);
        systemctl(&["--no-block", "stop", &unit], STOP_LIMIT)
            .map_err(|cause| Failure::new(cause, format!("systemctl stop {unit}")))?;
    }
    Ok(())
}

/// The VM that XAPI calls for.
fn vm(words: &[OsString]) -> Result<Uuid, Failure> {
    let at = words.iter().position(|word| word == "-vmuuid");
    let value = at.and_then(|at| words.get(at.checked_add(1)?)?.to_str());
    value.unwrap_or_default().parse().map_err(|cause| {
        Failure::new(
            format!("-vmuuid: {cause}"),
            "let XAPI call this: -vmuuid UUID -reason REASON",
        )
    })
}

/// Tells XAPI, which hands on a hook's stdout.
fn end(result: Result<(), Failure>, code: u8) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(
                io::stdout(),
                "vgpu-stub: {}; {}",
                Printable(&failure.cause),
                Printable(&failure.mend)
            );
            ExitCode::from(code)
        }
    }
}
