//! The words of a [`Call`], read again.

use std::ffi::{OsStr, OsString};
use std::num::NonZeroU32;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::str::FromStr;

use lexopt::{Arg, Error, Parser};
use uuid::Uuid;
use vgpu_terminal::Failure;
use vgpu_vfio_user::{Guarding, LinkOptions};
use vgpu_xen::PlacedDevice;
use xen_dm::DomainId;

use crate::call::{CALL, Call, GUARD, GUARD_LINK, VFIO_USER, XEN, XenCall};
use crate::number::socket_mode;
use crate::{DeviceProperties, PROGRAM};

impl Call {
    /// What these arguments ask for; the program's own name is none of them.
    ///
    /// # Errors
    ///
    /// They are not [`Call::words`]. Then somebody else than `vgpu-stub` has started the program, or one of another
    /// version.
    pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Self, Failure> {
        let words = words.into_iter().collect();
        let read = take_version(words).and_then(|words| read(Parser::from_args(words)));
        read.map_err(|error| {
            Failure::new(
                format!("{PROGRAM}: {error}"),
                "start it by vgpu-stub; where that has started it, install the package again: \
                 both programs have to be of one release",
            )
        })
    }
}

/// The words without the one that has the version, which is the program's own.
fn take_version(mut words: Vec<OsString>) -> Result<Vec<OsString>, Error> {
    let version = |word: &OsString| Some(word.to_str()?.strip_prefix(CALL)?.to_owned());
    // The last of the options: what a user has chosen may look like it, and comes before, or is only shown.
    let options = words.iter().take_while(|word| *word != SHOWN).enumerate();
    let found = options
        .filter_map(|(at, word)| Some((at, version(word)?)))
        .last();
    let Some((at, version)) = found else {
        return Err("its caller names no version of the call".into());
    };
    let own = Call::VERSION;
    if version != own.to_string() {
        let error = format!("it is called in version {version:?}, and understands version {own}");
        return Err(error.into());
    }
    words.remove(at);
    Ok(words)
}

fn read(mut words: Parser) -> Result<Call, Error> {
    let Some(subcommand) = words.raw_args()?.next() else {
        return Err("it is not told what to do".into());
    };
    match subcommand.to_str() {
        Some(VFIO_USER) => vfio_user(words),
        Some(GUARD) => guard(words),
        Some(XEN) => xen(words),
        _ => Err(format!("{subcommand:?} is none of its subcommands").into()),
    }
}

/// All options that there are, as far as they were given.
#[derive(Default)]
struct Given {
    socket: Option<PathBuf>,
    socket_mode: Option<u32>,
    control: Option<PathBuf>,
    link: Option<PathBuf>,
    machine: Option<[u8; 16]>,
    devices: Vec<DeviceProperties>,
    trace: bool,
    domain: Option<u16>,
    backend: Option<u16>,
    uid_base: Option<u32>,
    serving: bool,
    detached: bool,
    shown: Vec<OsString>,
}

impl Given {
    /// Reads those with these names, and no others.
    fn read(mut words: Parser, known: &[&str]) -> Result<Self, Error> {
        let mut given = Self::default();
        while let Some(argument) = words.next()? {
            let name = match &argument {
                Arg::Long(name) if known.contains(name) => (*name).to_owned(),
                // Only what is shown has no name.
                Arg::Value(word) if known.contains(&SHOWN) => {
                    given.shown.push(word.clone());
                    continue;
                }
                _ => return Err(argument.unexpected()),
            };
            match &*name {
                "serving" => given.serving = true,
                "detached" => given.detached = true,
                _ => given.set(&name, words.value()?)?,
            }
        }
        Ok(given)
    }

    fn set(&mut self, name: &str, value: OsString) -> Result<(), Error> {
        match name {
            "socket" => self.socket = Some(value.into()),
            "control" => self.control = Some(value.into()),
            "link" => self.link = Some(value.into()),
            "machine" => {
                let machine: Uuid = understood(name, &value, str::parse)?;
                self.machine = Some(machine.into_bytes());
            }
            "socket-mode" => {
                self.socket_mode = Some(understood(name, &value, socket_mode)?);
            }
            "device" => {
                self.devices.push(understood(name, &value, str::parse)?);
            }
            "trace" => {
                understood(name, &value, |text| match text {
                    "access" => Ok(()),
                    _ => Err("there is access alone"),
                })?;
                self.trace = true;
            }
            "domid" => self.domain = Some(understood(name, &value, u16::from_str)?),
            "backend" => self.backend = Some(understood(name, &value, u16::from_str)?),
            "uid-base" => {
                // Root's is not to be had.
                let base: NonZeroU32 = understood(name, &value, str::parse)?;
                self.uid_base = Some(base.get());
            }
            _ => return Err(Arg::Long(name).unexpected()),
        }
        Ok(())
    }
}

/// The name by which [`Given::read`] is told of words of no meaning, which have none.
const SHOWN: &str = "--";

fn understood<T, E: ToString>(
    name: &str,
    value: &OsStr,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, Error> {
    let parsed = match value.to_str() {
        Some(text) => parse(text).map_err(|error| error.to_string()),
        None => Err("it is no text".to_owned()),
    };
    parsed.map_err(|error| format!("--{name} {}: {error}", value.display()).into())
}

fn needed<T>(name: &str, value: Option<T>) -> Result<T, Error> {
    value.ok_or_else(|| format!("--{name} is not given").into())
}

fn vfio_user(words: Parser) -> Result<Call, Error> {
    let known = [
        "socket",
        "socket-mode",
        "control",
        "device",
        "trace",
        "link",
        "machine",
    ];
    let given = Given::read(words, &known)?;
    let link = match (given.link, given.machine) {
        (Some(socket), Some(machine)) => Some(LinkOptions { socket, machine }),
        (None, None) => None,
        _ => return Err("--link and --machine are given together".into()),
    };
    Ok(Call::VfioUser(vgpu_vfio_user::Options {
        socket: needed("socket", given.socket)?,
        socket_mode: given.socket_mode.unwrap_or(0o600),
        control: given.control,
        device: given
            .devices
            .first()
            .map(|device| device.config)
            .unwrap_or_default(),
        trace: given.trace,
        link,
    }))
}

fn guard(mut words: Parser) -> Result<Call, Error> {
    let mut words = words.raw_args()?;
    let link = words.next().unwrap_or_default();
    let link = link.as_bytes().strip_prefix(GUARD_LINK.as_bytes());
    let link = link.ok_or_else(|| Error::from(format!("{GUARD_LINK} is not given")))?;
    Ok(Call::Guard(Guarding {
        link: (!link.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(link))),
        sockets: words.map(PathBuf::from).collect(),
    }))
}

fn xen(words: Parser) -> Result<Call, Error> {
    let known = [
        "domid", "backend", "control", "uid-base", "device", "trace", "serving", "detached", SHOWN,
    ];
    let given = Given::read(words, &known)?;
    let devices = given.devices.into_iter().map(|device| PlacedDevice {
        slot: device.slot.unwrap_or(PlacedDevice::default().slot),
        config: device.config,
    });
    let devices = Some(devices.collect::<Vec<_>>()).filter(|devices| !devices.is_empty());
    Ok(Call::Xen(XenCall {
        options: vgpu_xen::Options {
            domain: DomainId(needed("domid", given.domain)?),
            backend: given.backend.map_or(DomainId::DOM0, DomainId),
            devices: needed("device", devices)?,
            control: needed("control", given.control)?,
            trace: given.trace,
            uid_base: needed("uid-base", given.uid_base)?,
        },
        serving: given.serving,
        detached: given.detached,
        shown: given.shown,
    }))
}
