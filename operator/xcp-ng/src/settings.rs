//! `/etc/vgpu-stub/xcp.conf`: which VMs may have which devices on this host.
//!
//! A VM's administrator may set its platform keys, so this file, which only
//! root can write, has the last word. Its lines are `NAME = VALUE`, and
//! `[UUID]` before those of one VM.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;

use rustix::process::geteuid;
use vgpu_emulator::{DeviceProperties, placed};
use vgpu_terminal::Failure;

use crate::host::Host;
use crate::uuid::Uuid;

/// The file's place.
const FILE: &str = "/etc/vgpu-stub/xcp.conf";

/// Longer ones are no settings of ours.
const LONGEST: u64 = 1 << 20;

/// What a VM has of which nothing else is said.
const DEFAULT_DEVICE: &str = "slot=0x18";

/// What the file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Devices of all VMs on this host, at most.
    max_devices: Option<usize>,
    /// Whether only VMs that the file names may have devices.
    only_listed: bool,
    /// Devices of each VM that the file names.
    vms: BTreeMap<Uuid, Vec<String>>,
}

impl Settings {
    /// Reads the file. Where there is none, all is as by default.
    ///
    /// # Errors
    ///
    /// Others than root can write the file, or it says what cannot be.
    pub(crate) fn read(host: &Host) -> Result<Self, Failure> {
        let mut file = match File::open(host.path(FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            file => file.map_err(|error| unreadable(&error))?,
        };
        let metadata = file.metadata().map_err(|error| unreadable(&error))?;
        // Whoever runs this is root, but in tests.
        let owned = metadata.uid() == 0 || metadata.uid() == geteuid().as_raw();
        if !owned || metadata.mode() & 0o022 != 0 || !metadata.is_file() {
            return Err(Failure::new(
                format!(
                    "{FILE} may not be trusted: owner {}, mode {:o}",
                    metadata.uid(),
                    metadata.mode() & 0o7777
                ),
                format!("chown root: {FILE} && chmod 644 {FILE}"),
            ));
        }
        let mut bytes = Vec::new();
        (&mut file)
            .take(LONGEST)
            .read_to_end(&mut bytes)
            .map_err(|error| unreadable(&error))?;
        Self::parse(&as_text(&bytes)).map_err(|cause| {
            Failure::new(
                format!("{FILE}, {cause}"),
                "mend the line; the comments of the file say what it may hold",
            )
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut settings = Self::default();
        let mut vm: Option<Uuid> = None;
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            settings
                .take(line, &mut vm)
                .map_err(|cause| format!("line {}: {cause}", index + 1))?;
        }
        for (vm, devices) in &settings.vms {
            check(devices).map_err(|cause| format!("[{vm}]: {cause}"))?;
        }
        Ok(settings)
    }

    /// Takes a line, which is `vm`'s if there is one.
    fn take(&mut self, line: &str, vm: &mut Option<Uuid>) -> Result<(), String> {
        if line.is_empty() {
            return Ok(());
        }
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            let uuid: Uuid = name.trim().parse()?;
            if self.vms.insert(uuid.clone(), Vec::new()).is_some() {
                return Err(format!("[{uuid}] is there twice"));
            }
            *vm = Some(uuid);
            return Ok(());
        }
        let (name, value) = line
            .split_once('=')
            .map(|(name, value)| (name.trim(), value.trim()))
            .ok_or_else(|| format!("'{line}' is neither NAME = VALUE nor [UUID]"))?;
        let devices = vm.as_ref().and_then(|vm| self.vms.get_mut(vm));
        match (name, devices) {
            ("max-devices", None) => {
                let number = value
                    .parse()
                    .map_err(|_| format!("'{value}' is no number"))?;
                self.max_devices = Some(number);
            }
            ("vms", None) => {
                self.only_listed = match value {
                    "any" => false,
                    "listed" => true,
                    _ => return Err(format!("vms = {value}: expected any or listed")),
                };
            }
            ("device", Some(devices)) => {
                value
                    .parse::<DeviceProperties>()
                    .map_err(|cause| format!("device = {value}: {cause}"))?;
                devices.push(value.to_owned());
            }
            ("device", None) => return Err("device stands below the [UUID] of a VM".into()),
            ("max-devices" | "vms", Some(_)) => {
                return Err(format!("{name} stands above the first [UUID]"));
            }
            _ => {
                return Err(format!(
                    "there is no setting '{name}'; there are max-devices, vms, device"
                ));
            }
        }
        Ok(())
    }

    /// Devices of all VMs on this host, at most.
    pub(crate) fn max_devices(&self) -> Option<usize> {
        self.max_devices
    }

    /// The devices of a VM, beside which this host has `others`.
    ///
    /// # Errors
    ///
    /// It may not have them here.
    pub(crate) fn admit(&self, vm: &Uuid, others: usize) -> Result<Vec<String>, Failure> {
        let devices = match self.vms.get(vm) {
            Some(devices) if !devices.is_empty() => devices.clone(),
            None if self.only_listed => {
                return Err(Failure::new(
                    format!("{FILE} does not name VM {vm}, and says: vms = listed"),
                    format!("add the line [{vm}] to the file"),
                ));
            }
            _ => vec![DEFAULT_DEVICE.to_owned()],
        };
        match self.max_devices {
            Some(most) if others.saturating_add(devices.len()) > most => Err(Failure::new(
                format!(
                    "this host may have {most} devices, has {others}, and VM {vm} wants {}",
                    devices.len()
                ),
                format!("start it on another host, or raise max-devices in {FILE}"),
            )),
            _ => Ok(devices),
        }
    }
}

/// Whether a VM can have all of these at once.
fn check(devices: &[String]) -> Result<(), String> {
    let parsed: Result<Vec<DeviceProperties>, String> =
        devices.iter().map(|device| device.parse()).collect();
    placed(&parsed?).map_err(|failure| failure.cause)?;
    Ok(())
}

/// What editors make of a file: a mark at its beginning, and comments in any
/// encoding. What says something is ASCII.
fn as_text(bytes: &[u8]) -> Cow<'_, str> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    String::from_utf8_lossy(bytes)
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::new(
        format!("cannot read {FILE}: {error}"),
        "make it a text file that root can read, or remove it",
    )
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, chown};

    use super::*;

    const ONE: &str = "2f1a8c4e-6b0d-4d0e-9a6c-0d8f3f6f0a11";
    const TWO: &str = "2f1a8c4e-6b0d-4d0e-9a6c-0d8f3f6f0a12";

    fn uuid(text: &str) -> Uuid {
        text.parse().unwrap()
    }

    #[test]
    fn what_each_vm_gets() {
        let settings = Settings::parse(&format!(
            "# a comment\nmax-devices = 3\n\n[{ONE}]\ndevice = revision=2 # as was\n\
             device=slot=0x1a,bar0-size=64K\n [ {TWO} ] \n"
        ))
        .unwrap();
        assert_eq!(
            settings.admit(&uuid(ONE), 1).unwrap(),
            ["revision=2", "slot=0x1a,bar0-size=64K"]
        );
        assert_eq!(settings.admit(&uuid(TWO), 2).unwrap(), [DEFAULT_DEVICE]);
        let refused = settings.admit(&uuid(ONE), 2).unwrap_err();
        assert!(refused.cause.contains("may have 3 devices, has 2"));
        assert!(settings.admit(&uuid(TWO), usize::MAX).is_err());

        let default = Settings::parse("").unwrap();
        assert_eq!(default.admit(&uuid(ONE), 1000).unwrap(), [DEFAULT_DEVICE]);

        let listed = Settings::parse(&format!("vms = listed\n[{ONE}]")).unwrap();
        assert!(listed.admit(&uuid(ONE), 0).is_ok());
        let refused = listed.admit(&uuid(TWO), 0).unwrap_err();
        assert!(refused.cause.contains("does not name VM"));
    }

    #[test]
    fn what_cannot_be_is_named_with_its_line() {
        for (text, reason) in [
            ("\nnonsense", "line 2: 'nonsense' is neither"),
            ("max-devices = -1", "'-1' is no number"),
            ("vms = all", "expected any or listed"),
            ("quota = 1", "there is no setting 'quota'; there are"),
            ("device = slot=1", "below the [UUID]"),
            ("[no]", "'no' is no UUID"),
            (&format!("[{ONE}]\n[{ONE}]"), "line 2: [2f1a"),
            (&format!("[{ONE}]\nvms = any"), "above the first [UUID]"),
            (&format!("[{ONE}]\ndevice = slot=32"), "line 2: device ="),
            (
                &format!("[{ONE}]\ndevice = slot=3\ndevice = slot=3"),
                "two devices have slot 0x03",
            ),
        ] {
            let error = Settings::parse(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn what_editors_make_of_a_file_refuses_no_vm() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::below(root.path());
        let path = host.path(FILE);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let read = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            Settings::read(&host)
        };
        for bytes in [
            &b"\xef\xbb\xbfmax-devices = 3\r\n"[..],
            b"# f\xfcr alle\nmax-devices = 3 # \xe9\n",
        ] {
            assert_eq!(read(bytes).unwrap().max_devices(), Some(3));
        }
        for (bytes, line) in [
            (&b"max-devices = 3\nvms = \xe9\n"[..], "line 2"),
            (b"\xff\xfem\0a\0x\0", "line 1"),
        ] {
            let refused = read(bytes).unwrap_err();
            assert!(refused.cause.contains(line), "{}", refused.cause);
        }
    }

    #[test]
    fn a_file_that_others_can_write_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::below(root.path());
        assert_eq!(Settings::read(&host).unwrap(), Settings::default());
        let path = host.path(FILE);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "max-devices = 1").unwrap();
        for (mode, trusted) in [(0o644, true), (0o600, true), (0o664, false), (0o646, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(Settings::read(&host).is_ok(), trusted, "{mode:o}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        // Only root can give a file away.
        if geteuid().is_root() {
            chown(&path, Some(1), None).unwrap();
            let refused = Settings::read(&host).unwrap_err();
            assert!(refused.cause.contains("may not be trusted: owner 1"));
        }
    }
}
