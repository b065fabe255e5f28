//! What the program is to do, and the words that say so.

use std::ffi::{OsStr, OsString};

use uuid::Uuid;
use vgpu_device::DeviceConfig;
use vgpu_pci::Slot;
use vgpu_vfio_user::{Guarding, LinkOptions};
use xen_dm::DomainId;

use crate::DeviceProperties;

/// The subcommands, and those of their options that are read elsewhere too.
pub(crate) const VFIO_USER: &str = "vfio-user";
pub(crate) const GUARD: &str = "vfio-user-guard";
pub(crate) const XEN: &str = "xen";

/// The first word of a guard, with the path of the daemon's socket or none: those that follow may be any.
pub(crate) const GUARD_LINK: &str = "--link=";

/// The word that has the version of a call.
pub(crate) const CALL: &str = "--call=";

/// What the program is to do.
#[derive(Debug, Clone)]
pub enum Call {
    /// Serve the device to stock QEMU or Cloud Hypervisor.
    VfioUser(vgpu_vfio_user::Options),
    /// Guard such a server, which has started this process.
    Guard(Guarding),
    /// Emulate the devices of a domain of Xen.
    Xen(XenCall),
}

/// How the devices of a domain are emulated, and by whom.
#[derive(Debug, Clone)]
pub struct XenCall {
    /// What to emulate.
    pub options: vgpu_xen::Options,
    /// Whether to be the process that answers the guest, which the other one starts.
    pub serving: bool,
    /// Whether to run in a session of its own, and to say on stdout why it cannot.
    pub detached: bool,
    /// Words of no meaning, for who looks at the list of processes.
    pub shown: Vec<OsString>,
}

impl Call {
    /// The version of the words. Where others are asked for, or the same mean something else, it is another: the program
    /// serves nobody who calls it in another than its own.
    pub const VERSION: u32 = 2;

    /// The word that tells the version, in which each call is made.
    #[must_use]
    pub fn version_word() -> OsString {
        format!("{CALL}{}", Self::VERSION).into()
    }

    /// The arguments that ask the program for it: those that operators give `vgpu-stub`, in one form, and the
    /// [version](Self::version_word) behind them: who looks for `vgpu-stub xen --domid 5` in the list of processes finds it.
    #[must_use]
    pub fn words(&self) -> Vec<OsString> {
        let mut words = Words(Vec::new());
        match self {
            Self::VfioUser(options) => {
                let vgpu_vfio_user::Options {
                    socket,
                    socket_mode,
                    control,
                    device,
                    trace,
                    link,
                } = options;
                words.add(VFIO_USER);
                words.option("--socket", socket);
                words.option("--socket-mode", format!("{socket_mode:04o}"));
                words.options("--control", control.as_deref());
                if let Some(LinkOptions { socket, machine }) = link {
                    words.option("--link", socket);
                    words.option("--machine", Uuid::from_bytes(*machine).to_string());
                }
                // The client chooses the slot.
                words.device(*device, None);
                words.trace(*trace);
                words.add(Self::version_word());
            }
            Self::Guard(Guarding { sockets, link }) => {
                words.add(GUARD);
                let mut word = OsString::from(GUARD_LINK);
                link.iter().for_each(|path| word.push(path));
                words.add(word);
                sockets.iter().for_each(|socket| words.add(socket));
                words.add(Self::version_word());
            }
            Self::Xen(call) => {
                let XenCall {
                    options,
                    serving,
                    detached,
                    shown,
                } = call;
                let vgpu_xen::Options {
                    domain,
                    backend,
                    devices,
                    control,
                    trace,
                    uid_base,
                } = options;
                words.add(XEN);
                words.flag("--serving", *serving);
                words.flag("--detached", *detached);
                words.option("--domid", domain.to_string());
                let elsewhere = Some(backend).filter(|backend| **backend != DomainId::DOM0);
                words.options("--backend", elsewhere.map(ToString::to_string));
                words.option("--control", control);
                words.option("--uid-base", uid_base.to_string());
                for device in devices {
                    words.device(device.config, Some(device.slot));
                }
                words.trace(*trace);
                words.add(Self::version_word());
                if !shown.is_empty() {
                    words.add("--");
                    shown.iter().for_each(|word| words.add(word));
                }
            }
        }
        words.0
    }
}

struct Words(Vec<OsString>);

impl Words {
    fn add(&mut self, word: impl AsRef<OsStr>) {
        self.0.push(word.as_ref().to_owned());
    }

    fn option(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.add(name);
        self.add(value);
    }

    fn options(&mut self, name: &str, values: impl IntoIterator<Item = impl AsRef<OsStr>>) {
        values
            .into_iter()
            .for_each(|value| self.option(name, value));
    }

    fn flag(&mut self, name: &str, is_set: bool) {
        if is_set {
            self.add(name);
        }
    }

    fn device(&mut self, config: DeviceConfig, slot: Option<Slot>) {
        self.options("--device", DeviceProperties { config, slot }.text());
    }

    fn trace(&mut self, all: bool) {
        self.options("--trace", all.then_some("access"));
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;
    use vgpu_device::{Bar0Size, FeaturesConfig};
    use vgpu_pci::PciId;
    use vgpu_xen::PlacedDevice;

    use super::*;

    fn device() -> impl Strategy<Value = DeviceConfig> {
        let id = || (1u16..0xffff).prop_map(|id| PciId::try_from(id).unwrap());
        let ids = (id(), id(), id(), id());
        (ids, any::<u8>(), 12u32..25).prop_map(|(ids, revision, bits)| DeviceConfig {
            vendor_id: ids.0,
            device_id: ids.1,
            subsystem_vendor_id: ids.2,
            subsystem_id: ids.3,
            revision,
            bar0_size: Bar0Size::try_from(1u64 << bits).unwrap(),
            features: None,
        })
    }

    fn placed() -> impl Strategy<Value = PlacedDevice> {
        (device(), 0u8..32).prop_map(|(config, slot)| PlacedDevice {
            slot: Slot::try_from(slot).unwrap(),
            config,
        })
    }

    /// Also what begins as an option does.
    fn path() -> impl Strategy<Value = PathBuf> {
        "(-{0,2}|/)[a-z= é]{1,12}".prop_map(PathBuf::from)
    }

    fn vfio_user() -> impl Strategy<Value = Call> {
        let control = proptest::option::of(path());
        let link = proptest::option::of((path(), any::<[u8; 16]>()));
        let mode = (0u32..=0o777).prop_map(|mode| mode | 0o200);
        (path(), mode, control, device(), any::<bool>(), link).prop_map(
            |(socket, socket_mode, control, mut device, trace, link)| {
                device.features = link.as_ref().map(|_| FeaturesConfig::default());
                Call::VfioUser(vgpu_vfio_user::Options {
                    socket,
                    socket_mode,
                    control,
                    device,
                    trace,
                    link: link.map(|(socket, machine)| LinkOptions { socket, machine }),
                })
            },
        )
    }

    fn guard() -> impl Strategy<Value = Call> {
        let path = || "/[a-z]{1,8}".prop_map(PathBuf::from);
        let link = proptest::option::of(path());
        (proptest::collection::vec(path(), 0..3), link)
            .prop_map(|(sockets, link)| Call::Guard(Guarding { sockets, link }))
    }

    fn xen() -> impl Strategy<Value = Call> {
        let devices = proptest::collection::vec(placed(), 1..4);
        let shown = proptest::collection::vec("-{0,2}[a-z]{1,8}".prop_map(OsString::from), 0..3);
        let flags = any::<(bool, bool, bool)>();
        let numbers = (1u16..0x7ff0, 0u16..0x7ff0, 0x1_0000u32..);
        (numbers, path(), devices, flags, shown).prop_map(
            |((domain, backend, uid_base), control, devices, (trace, serving, detached), shown)| {
                let options = vgpu_xen::Options {
                    domain: DomainId(domain),
                    backend: DomainId(backend),
                    devices,
                    control,
                    trace,
                    uid_base,
                };
                Call::Xen(XenCall {
                    options,
                    serving,
                    detached,
                    shown,
                })
            },
        )
    }

    proptest! {
        /// The two programs understand each other, whatever a user gives.
        #[test]
        fn what_is_written_is_read(call in prop_oneof![vfio_user(), guard(), xen()]) {
            let read = Call::parse(call.words()).unwrap();
            prop_assert_eq!(format!("{read:?}"), format!("{call:?}"));
        }
    }

    /// Where this has to change, [`Call::VERSION`] has too.
    #[test]
    fn the_words_are_those_that_operators_type() {
        let words = |call: Call| {
            let words = call.words();
            let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
            words.join(" ")
        };
        let options = vgpu_xen::Options {
            domain: DomainId(5),
            backend: DomainId::DOM0,
            devices: vec![PlacedDevice::default()],
            control: "/run/c".into(),
            trace: false,
            uid_base: 70_000,
        };
        let xen = XenCall {
            options,
            serving: true,
            detached: false,
            shown: vec!["-device".into(), "vgpu-stub".into()],
        };
        assert_eq!(
            words(Call::Xen(xen)),
            "xen --serving --domid 5 --control /run/c --uid-base 70000 --device slot=0x18 --call=2 \
             -- -device vgpu-stub"
        );
        let mut options = vgpu_vfio_user::Options {
            socket: "/run/s".into(),
            socket_mode: 0o600,
            control: Some("/run/c".into()),
            device: DeviceConfig::default(),
            trace: true,
            link: None,
        };
        assert_eq!(
            words(Call::VfioUser(options.clone())),
            "vfio-user --socket /run/s --socket-mode 0600 --control /run/c --trace access --call=2"
        );
        options.device.revision = 7;
        options.trace = false;
        options.control = None;
        assert_eq!(
            words(Call::VfioUser(options)),
            "vfio-user --socket /run/s --socket-mode 0600 --device revision=7 --call=2"
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (words, cause) in [
            ("", "it is not told what to do"),
            ("doctor --vm x", "\"doctor\" is none of its subcommands"),
            ("vfio-user", "--socket is not given"),
            (
                "vfio-user --socket",
                "missing argument for option '--socket'",
            ),
            ("vfio-user --call=2 --socket /s", "invalid option '--call'"),
            (
                "vfio-user --socket /s --domid 5",
                "invalid option '--domid'",
            ),
            ("vfio-user --socket /s --socket-mode 9", "--socket-mode 9: "),
            (
                "vfio-user --socket /s --socket-mode +660",
                "an octal number",
            ),
            (
                "vfio-user --socket /s --socket-mode 0060",
                "the owner write",
            ),
            (
                "vfio-user --socket /s --socket-mode 1666",
                "an octal number",
            ),
            (
                "vfio-user --socket /s --device revision=256",
                "from 0 to 255",
            ),
            ("vfio-user --socket /s --trace all", "--trace all: "),
            ("vfio-user --socket /s more", "unexpected argument \"more\""),
            (
                "xen --control /c --uid-base 70000 --device slot=1",
                "--domid is not given",
            ),
            ("xen --domid 0x5", "--domid 0x5: "),
            ("xen --domid 5 --uid-base 0", "--uid-base 0: "),
            (
                "xen --domid 5 --uid-base 70000 --device slot=1",
                "--control is not given",
            ),
            (
                "xen --domid 5 --control /c --uid-base 70000",
                "--device is not given",
            ),
        ] {
            let words = words.split_whitespace().map(OsString::from);
            let words = words.chain([Call::version_word()]);
            let failure = Call::parse(words.collect::<Vec<_>>()).unwrap_err();
            assert!(failure.cause.contains(cause), "{cause}: {}", failure.cause);
            assert!(failure.mend.contains("vgpu-stub"), "{}", failure.mend);
        }
    }

    /// As after half an upgrade. It comes before all that another release may say in other words.
    #[test]
    fn a_call_of_another_release_is_refused() {
        let options = vgpu_vfio_user::Options {
            link: None,
            socket: "/s".into(),
            socket_mode: 0o600,
            control: None,
            device: DeviceConfig::default(),
            trace: false,
        };
        let own = Call::VfioUser(options).words();
        let said_version = |word: Option<&str>| {
            let others = own.iter().filter(|it| **it != Call::version_word());
            let words = others.cloned().chain(word.map(OsString::from));
            words.chain(["--later".into()]).collect::<Vec<_>>()
        };
        for (word, cause) in [
            (
                None,
                "vgpu-emulator: its caller names no version of the call",
            ),
            (
                Some("--call=1"),
                "vgpu-emulator: it is called in version \"1\", and understands version 2",
            ),
            (
                Some("--call="),
                "vgpu-emulator: it is called in version \"\", and understands version 2",
            ),
            (
                Some("--call=2\n1"),
                "vgpu-emulator: it is called in version \"2\\n1\", and understands version 2",
            ),
        ] {
            let failure = Call::parse(said_version(word)).unwrap_err();
            assert_eq!(failure.cause, cause);
            assert!(failure.mend.contains("install the package again"));
        }
        let failure = Call::parse(said_version(Some("--call=2"))).unwrap_err();
        assert!(failure.cause.contains("'--later'"), "{}", failure.cause);
    }

    #[test]
    fn a_path_need_not_be_text() {
        use std::os::unix::ffi::OsStrExt;
        use std::path::Path;
        let socket = Path::new(OsStr::from_bytes(b"/run/\xff")).to_owned();
        let guarding = Guarding {
            sockets: vec![socket.clone()],
            link: Some(socket),
        };
        let Call::Guard(read) = Call::parse(Call::Guard(guarding.clone()).words()).unwrap() else {
            panic!("no guard");
        };
        assert_eq!(read, guarding);
    }
}
