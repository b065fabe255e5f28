//! What QEMU's arguments say: devices, monitors, logs.

use serde_json::json;
use vgpu_terminal::shell::quoted;
use vgpu_xl::DeviceOption;

use super::process::Process;

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
    /// Whether QEMU's own device has features,
    pub(super) features: bool,
    /// where its daemon listens,
    pub(super) link: Option<String>,
    /// and which machine it says it is there.
    pub(super) machine: Option<String>,
}

/// The values of an option of QEMU, in order. It takes each with one dash and
/// with two.
pub(super) fn values<'a>(qemu: &'a Process, name: &'a str) -> impl Iterator<Item = &'a str> {
    let words = qemu.words.iter().skip(1);
    let pairs = words.clone().zip(words.skip(1));
    pairs.filter_map(move |(option, value)| {
        let option = option.strip_prefix('-')?;
        let option = option.strip_prefix('-').unwrap_or(option);
        (option == name).then_some(value.as_str())
    })
}

/// The devices that may be the project's, in order.
pub(super) fn devices(qemu: &Process) -> Vec<DeviceArgument> {
    let devices = values(qemu, "device").filter_map(device);
    devices
        .filter(|device| [OWN, VFIO_USER].contains(&device.driver.as_str()))
        .collect()
}

/// A device as properties with commas, or as a JSON object.
fn device(value: &str) -> Option<DeviceArgument> {
    let option = DeviceOption::parse(value)?;
    Some(DeviceArgument {
        driver: option.driver()?.to_owned(),
        socket: option.text("socket.path").map(str::to_owned),
        features: option.properties().any(|(name, value)| {
            name == "features" && (*value == json!("on") || *value == json!(true))
        }),
        link: option.text("link").map(str::to_owned),
        machine: option.text("machine").map(str::to_owned),
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

/// The VM's name, as `-name NAME` or `-name guest=NAME,…`; the last one counts.
pub(super) fn name(qemu: &Process) -> Option<&str> {
    let value = values(qemu, "name").last()?;
    property(value, "guest").or_else(|| value.split(',').next())
}

/// The QEMU of the VM with this name. Other programs have names of something
/// too, such as a container's, and are QEMUs by another name at best.
pub(super) fn qemu_of<'a>(processes: &'a [Process], wanted: &str) -> Option<&'a Process> {
    let is_named = |it: &&Process| name(it) == Some(wanted);
    let is_qemu = |it: &&Process| ["qemu", "kvm"].iter().any(|word| it.name().contains(word));
    let mut named = processes.iter().filter(is_named);
    named
        .clone()
        .find(is_qemu)
        .or_else(|| named.find(|it| it.words.iter().any(|word| word == "-name")))
}

/// The same, where libvirt has started QEMU.
pub(super) fn libvirts_name(qemu: &Process) -> Option<&str> {
    let is_guest = |value: &str| property(value, "guest").is_some();
    let is_libvirts = |word: &String| LIBVIRTS.iter().any(|folder| word.contains(folder));
    let started = values(qemu, "name").any(is_guest) || qemu.words.iter().any(is_libvirts);
    name(qemu).filter(|_| started)
}

/// The UNIX sockets on which QEMU takes commands of QMP.
pub(super) fn qmp_sockets(qemu: &Process) -> Vec<&str> {
    let direct = ["qmp", "qmp-pretty"]
        .into_iter()
        .flat_map(|name| values(qemu, name));
    let direct = direct.filter_map(|value| match value.strip_prefix("chardev:") {
        Some(id) => chardev_path(qemu, id),
        None => value.strip_prefix("unix:")?.split(',').next(),
    });
    let is_qmp = |value: &&str| property(value, "mode") == Some("control");
    // QEMU 11.1 has objects in place of -mon.
    let is_object = |value: &&str| value.starts_with("monitor-qmp");
    let monitors = values(qemu, "mon").filter(is_qmp);
    let monitors = monitors.chain(values(qemu, "object").filter(is_object));
    let of_chardevs = monitors.filter_map(|monitor| {
        let id = property(monitor, "chardev").or_else(|| monitor.split(',').next())?;
        chardev_path(qemu, id)
    });
    direct.chain(of_chardevs).collect()
}

fn chardev<'a>(qemu: &'a Process, id: &str) -> Option<&'a str> {
    values(qemu, "chardev").find(|value| property(value, "id") == Some(id))
}

fn chardev_path<'a>(qemu: &'a Process, id: &str) -> Option<&'a str> {
    property(chardev(qemu, id)?, "path")
}

/// The file that records what the guest prints to its first serial port.
pub(super) fn console(qemu: &Process) -> Option<&str> {
    let serial = values(qemu, "serial").next()?;
    if let Some(path) = serial.strip_prefix("file:") {
        return path.split(',').next();
    }
    let chardev = chardev(qemu, serial.strip_prefix("chardev:")?)?;
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
    fn all_monitors_are_found_however_they_are_written() {
        for line in [
            "q -qmp unix:/run/a,server=on,wait=off",
            "q --qmp unix:/run/a,server=on,wait=off",
            "q -qmp stdio -qmp-pretty unix:/run/a,server",
            "q -chardev socket,id=b,path=/run/b -chardev socket,id=m,path=/run/a -mon chardev=m,mode=control",
            "q -mon m,mode=control --chardev socket,id=m,path=/run/a",
            "q -chardev socket,id=m,path=/run/a -object monitor-qmp,id=x,chardev=m",
            "q -chardev socket,id=m,path=/run/a -qmp chardev:m",
        ] {
            assert_eq!(qmp_sockets(&qemu(line)), ["/run/a"], "{line}");
        }
        assert!(qmp_sockets(&qemu("q -mon chardev=m,mode=readline")).is_empty());
        let several = "q -mon m,mode=control -chardev socket,id=m,path=/c \
                       -qmp tcp:1:2 -qmp unix:/a -qmp unix:/b";
        assert_eq!(qmp_sockets(&qemu(several)), ["/a", "/b", "/c"]);
    }

    #[test]
    fn a_qemu_is_found_by_its_name_among_others() {
        let processes = [
            "docker run --name web1 x",
            "find / -name web1",
            "qemu-system-x86_64 --name web1",
            "vm --name web2",
            "new -name web3",
        ];
        let processes = processes.map(qemu);
        let found = |name| Some(qemu_of(&processes, name)?.name().to_owned());
        assert_eq!(found("web1").as_deref(), Some("qemu-system-x86_64"));
        assert_eq!(found("web2"), None);
        assert_eq!(found("web3").as_deref(), Some("new"));
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
            ("id=x,driver=vgpu-stub", OWN, None),
            (
                "vfio-user-pci,socket.type=unix,socket.path=/a,,b",
                VFIO_USER,
                Some("/a,b"),
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
