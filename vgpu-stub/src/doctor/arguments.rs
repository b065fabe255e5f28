//! What QEMU's arguments say: devices, monitors, logs.

use serde_json::{Value, json};

use super::process::Process;
use crate::shell::quoted;

/// QEMU's own device.
pub(super) const OWN: &str = "vgpu-stub";
/// QEMU's client of a vfio-user server.
pub(super) const VFIO_USER: &str = "vfio-user-pci";

/// Where libvirt keeps its files.
const LIBVIRTS: [&str; 2] = ["/var/lib/libvirt/", "/run/libvirt/"];

/// A `-device` of the project's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DeviceArgument {
    pub(super) driver: String,
    /// Of a vfio-user server.
    pub(super) socket: Option<String>,
}

/// The devices that may be the project's, in order.
pub(super) fn devices(qemu: &Process) -> Vec<DeviceArgument> {
    let values = ["-device", "--device"].map(|option| qemu.values(option));
    let devices = values.into_iter().flatten().filter_map(device);
    devices
        .filter(|device| [OWN, VFIO_USER].contains(&device.driver.as_str()))
        .collect()
}

/// A device as properties with commas, or as a JSON object.
fn device(value: &str) -> Option<DeviceArgument> {
    if value.starts_with('{') {
        let device: Value = serde_json::from_str(value).ok()?;
        return Some(DeviceArgument {
            driver: device["driver"].as_str()?.to_owned(),
            socket: device["socket"]["path"].as_str().map(str::to_owned),
        });
    }
    let driver = property(value, "driver").or_else(|| value.split(',').next())?;
    Some(DeviceArgument {
        driver: driver.to_owned(),
        socket: property(value, "socket.path").map(str::to_owned),
    })
}

/// What gives a VM the device of a server, as a shell takes it.
pub(super) fn served(socket: &str) -> String {
    let device = json!({ "driver": VFIO_USER, "socket": { "type": "unix", "path": socket } });
    format!("-device {}", quoted(device.to_string()))
}

/// A property of an option's value. Commas in values, which are doubled, are
/// not taken apart: no path of ours has one.
pub(super) fn property<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let mut parts = value.split(',');
    parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
}

/// The VM's name, as `-name NAME` or `-name guest=NAME,…`.
pub(super) fn name(qemu: &Process) -> Option<&str> {
    let value = qemu.value("-name")?;
    property(value, "guest").or_else(|| value.split(',').next())
}

/// The same, where libvirt has started QEMU.
pub(super) fn libvirts_name(qemu: &Process) -> Option<&str> {
    let is_guest = |value: &str| property(value, "guest").is_some();
    let is_libvirts = |word: &String| LIBVIRTS.iter().any(|folder| word.contains(folder));
    let started = qemu.value("-name").is_some_and(is_guest) || qemu.words.iter().any(is_libvirts);
    name(qemu).filter(|_| started)
}

/// The UNIX socket on which QEMU takes commands of QMP.
pub(super) fn qmp_socket(qemu: &Process) -> Option<&str> {
    if let Some(value) = qemu.value("-qmp") {
        return value.strip_prefix("unix:")?.split(',').next();
    }
    // QEMU 11.1 has objects in place of -mon.
    let objects = qemu
        .values("-object")
        .filter(|value| value.starts_with("monitor-qmp"));
    let is_qmp = |value: &&str| property(value, "mode") == Some("control");
    let monitor = qemu
        .values("-mon")
        .find(is_qmp)
        .or_else(|| objects.into_iter().next())?;
    let id = property(monitor, "chardev").or_else(|| monitor.split(',').next())?;
    let mut chardevs = qemu.values("-chardev");
    let chardev = chardevs.find(|value| property(value, "id") == Some(id))?;
    property(chardev, "path")
}

/// The file that records what the guest prints to its first serial port.
pub(super) fn console(qemu: &Process) -> Option<&str> {
    let serial = qemu.value("-serial")?;
    if let Some(path) = serial.strip_prefix("file:") {
        return path.split(',').next();
    }
    let id = serial.strip_prefix("chardev:")?;
    let mut chardevs = qemu.values("-chardev");
    let chardev = chardevs.find(|value| property(value, "id") == Some(id))?;
    let file = chardev.starts_with("file,").then_some("path");
    property(chardev, file.unwrap_or("logfile"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::doctor::host::Host;

    fn qemu(line: &str) -> Process {
        let folder = tempfile::tempdir().unwrap();
        let process = folder.path().join("proc/7");
        std::fs::create_dir_all(&process).unwrap();
        let words = line.split(' ').collect::<Vec<_>>().join("\0");
        std::fs::write(process.join("cmdline"), words + "\0").unwrap();
        std::fs::write(process.join("stat"), "7 (q (x) S) T 1 7 7").unwrap();
        let host = Host::new(folder.path(), Duration::from_secs(1));
        Process::of(&host, 7).unwrap()
    }

    #[test]
    fn the_monitor_is_found_however_it_is_written() {
        for line in [
            "q -qmp unix:/run/a,server=on,wait=off",
            "q -chardev socket,id=b,path=/run/b -chardev socket,id=m,path=/run/a -mon chardev=m,mode=control",
            "q -mon m,mode=control -chardev socket,id=m,path=/run/a",
            "q -chardev socket,id=m,path=/run/a -object monitor-qmp,id=x,chardev=m",
        ] {
            assert_eq!(qmp_socket(&qemu(line)), Some("/run/a"), "{line}");
        }
        assert_eq!(qmp_socket(&qemu("q -mon chardev=m,mode=readline")), None);
    }

    #[test]
    fn the_name_and_the_console_are_found() {
        let line = "/usr/bin/q -name guest=web1,debug-threads=on -serial chardev:c \
                    -chardev stdio,id=c,mux=on,logfile=/run/c";
        let qemu = qemu(line);
        assert_eq!(name(&qemu), Some("web1"));
        assert_eq!(console(&qemu), Some("/run/c"));
        assert!(qemu.is_stopped() && qemu.name() == "q");
        let file = super::tests::qemu("q -name web2 -serial file:/run/d");
        assert_eq!(
            (name(&file), console(&file)),
            (Some("web2"), Some("/run/d"))
        );
    }

    #[test]
    fn a_device_is_found_however_it_is_written() {
        for (value, driver, socket) in [
            ("vgpu-stub", OWN, None),
            ("vgpu-stub,addr=5", OWN, None),
            ("driver=vgpu-stub,id=x", OWN, None),
            (
                "vfio-user-pci,socket.type=unix,socket.path=/a",
                VFIO_USER,
                Some("/a"),
            ),
            (
                r#"{"driver":"vfio-user-pci","socket":{"type":"unix","path":"/run/a,b"}}"#,
                VFIO_USER,
                Some("/run/a,b"),
            ),
        ] {
            let device = device(value).unwrap();
            assert_eq!(device.driver, driver, "{value}");
            assert_eq!(device.socket.as_deref(), socket, "{value}");
        }
    }
}
