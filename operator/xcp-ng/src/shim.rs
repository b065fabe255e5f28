//! The program that xenopsd starts to build the domain of a VM with
//! `platform:xenguest=vgpu-stub`: it starts the device's emulator, waits until
//! that answers, and becomes the real builder.
//!
//! xenopsd calls a builder with `-controloutfd F -controlinfd F … -domid N`,
//! and reads lines from the former: `result:…`, or `error:FUNCTION CODE TEXT`
//! (xen-api `ocaml/xenopsd/xc/xenguestHelper.ml`). stdout and stderr lead
//! nowhere.

use std::convert::Infallible;
use std::env::ArgsOs;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Duration;

use vgpu_inherited_fds::pass_on;
use vgpu_terminal::{COULD_NOT_RUN, Failure, Printable};
use xen_dm::xenstore::{Transaction, Xenstore};

use crate::host::{self, Host, XENGUEST, systemctl};
use crate::running::{Record, Running};
use crate::settings::Settings;
use crate::uuid::Uuid;

/// The end of the path by which this program knows what it is to be.
pub const NAME: &str = "xapi/alternatives/xenguest/vgpu-stub";

/// More than the unit's own `TimeoutStartSec`.
const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// The mode of an HVM guest.
const HVM: &str = "hvm_build";

/// What xenopsd asks the builder for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Call {
    words: Vec<OsString>,
    domain: Option<String>,
    mode: Option<String>,
    control_out: Option<RawFd>,
    control_in: Option<RawFd>,
}

/// Acts as the builder.
pub fn main(arguments: ArgsOs) -> ExitCode {
    let call = Call::parse(arguments);
    let Err(failure) = build(&Host::here(), &call);
    call.report(&failure);
    ExitCode::from(COULD_NOT_RUN)
}

impl Call {
    fn parse(arguments: impl Iterator<Item = OsString>) -> Self {
        let words: Vec<OsString> = arguments.collect();
        let after = |name: &str| {
            let at = words.iter().position(|word| word == name)?;
            words.get(at.checked_add(1)?)?.to_str()
        };
        let descriptor = |name| after(name)?.parse().ok();
        Self {
            domain: after("-domid").map(str::to_owned),
            mode: after("-mode").map(str::to_owned),
            control_out: descriptor("-controloutfd"),
            control_in: descriptor("-controlinfd"),
            words,
        }
    }

    /// Whether the real builder's children get xenopsd's descriptors. Those
    /// of this program do not: xenopsd waits until nobody has them.
    fn pass_on(&self, to_children: bool) -> Result<(), Failure> {
        for descriptor in [self.control_out, self.control_in].into_iter().flatten() {
            pass_on(descriptor, to_children).map_err(|errno| {
                Failure::new(
                    format!("xenopsd's descriptor {descriptor} cannot be used: {errno}"),
                    "let xenopsd start this program",
                )
            })?;
        }
        Ok(())
    }

    /// Tells xenopsd, which fails the VM's start with this text.
    fn report(&self, failure: &Failure) {
        let function = match self.mode.as_deref() {
            Some("linux_build") => "xc_dom_linux_build",
            _ => HVM,
        };
        let line = format!(
            "error:{function} 1 vgpu-stub: {}; {}",
            failure.cause, failure.mend
        );
        let line = Printable(&line);
        // A pipe can be opened again, and closed without harm.
        let control = self.control_out.and_then(|fd| {
            File::options()
                .write(true)
                .open(format!("/proc/self/fd/{fd}"))
                .ok()
        });
        match control {
            // The builder's end is an error of its own to xenopsd.
            Some(mut control) => drop(writeln!(control, "{line}")),
            None => failure.print(),
        }
    }
}

/// Builds the domain. It only returns where that fails.
fn build(host: &Host, call: &Call) -> Result<Infallible, Failure> {
    let domain = match &call.domain {
        // It is asked for what it can do.
        None => return become_builder(host, call),
        Some(domain) => domain.parse().map_err(|_| {
            Failure::new(
                format!("'-domid {domain}' is no domain"),
                "let xenopsd start this program",
            )
        })?,
    };
    if let Some(mode) = call.mode.as_deref().filter(|mode| *mode != HVM) {
        return Err(Failure::new(
            format!("only HVM guests can have the device, and this one is built by {mode}"),
            "make it an HVM guest, or take the device away: vgpu-stub xcp disable VM",
        ));
    }
    call.pass_on(false)?;
    reserve(host, domain)?;
    let unit = host::unit(domain);
    let built = start(&unit).and_then(|()| {
        call.pass_on(true)?;
        become_builder(host, call)
    });
    let Err(failure) = built;
    // The domain is not built, so nobody needs it. It may have ended already.
    let _ = call.pass_on(false);
    let _ = systemctl(&["--no-block", "stop", &unit], STOP_LIMIT);
    if let Ok(running) = Running::lock(host) {
        let _ = running.remove(domain);
    }
    Err(failure)
}

/// Writes down which devices the domain gets, if it may have them.
fn reserve(host: &Host, domain: u16) -> Result<(), Failure> {
    let settings = Settings::read(host)?;
    let mut store = host.xenstore()?;
    let vm = vm_of(&mut store, domain)?;
    let running = Running::lock(host)?;
    running.forget_gone(&mut store)?;
    let devices = settings.admit(&vm, running.devices_beside(&vm))?;
    running.add(&Record {
        domain,
        vm,
        devices,
    })
}

/// The VM that a domain is made for, as the toolstack has written it down.
fn vm_of(store: &mut Xenstore, domain: u16) -> Result<Uuid, Failure> {
    let path = format!("/local/domain/{domain}/vm");
    let value = store.read(Transaction::NONE, &path).map_err(|error| {
        Failure::new(
            format!("xenstore does not say which VM domain {domain} is: {error}"),
            "see xenstored's log",
        )
    })?;
    let value = String::from_utf8_lossy(&value);
    value
        .strip_prefix("/vm/")
        .unwrap_or(&value)
        .parse()
        .map_err(|cause| Failure::new(format!("xenstore's {path}: {cause}"), "see xenopsd's log"))
}

/// Starts the emulator and waits until it answers.
fn start(unit: &str) -> Result<(), Failure> {
    systemctl(&["start", unit], START_LIMIT).map_err(|cause| {
        Failure::new(
            format!("the device's emulator did not start: {cause}"),
            format!("see journalctl -u {unit}"),
        )
    })
}

/// Becomes the real builder, with the same arguments and descriptors.
fn become_builder(host: &Host, call: &Call) -> Result<Infallible, Failure> {
    // Unlike xenopsd, Rust hands on SIGPIPE as it is by default. A builder
    // whose xenopsd has gone ends either way.
    let error = Command::new(host.path(XENGUEST)).args(&call.words).exec();
    Err(Failure::new(
        format!("cannot run {XENGUEST}: {error}"),
        "install XCP-ng's xen-dom0-tools again",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_is_understood_and_kept() {
        let line = "-controloutfd 7 -controlinfd 9 -mode hvm_build -image /usr/libexec/xen/boot/hvmloader \
                    -domid 12 -store_port 1 -store_domid 0 -console_port 2 -console_domid 0 -mem_max_mib 4096";
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let call = Call::parse(words.clone().into_iter());
        assert_eq!(
            call,
            Call {
                words,
                domain: Some("12".into()),
                mode: Some(HVM.into()),
                control_out: Some(7),
                control_in: Some(9),
            }
        );
        let asked = Call::parse(["-supports", "feature"].map(OsString::from).into_iter());
        assert_eq!((asked.domain, asked.control_out), (None, None));
        let cut = Call::parse(["-domid"].map(OsString::from).into_iter());
        assert_eq!(cut.domain, None);
    }
}
