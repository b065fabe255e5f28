//! The commands of the guide's tests, and what their output must and must not have.

/// The titles of appendix A's tests.
pub(super) const TESTS: [&str; 4] = [
    "Verify device compilation",
    "Verify device attachment",
    "Verify device enumeration",
    "Verify no errors",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The machine that runs the VM: dom0 on Xen.
    Host,
    Guest,
}

/// A command of a test.
#[derive(Debug)]
pub(super) struct Check {
    /// 1 to 4.
    pub(super) test: usize,
    pub(super) side: Side,
    pub(super) command: String,
    /// What the output has.
    has: &'static [&'static str],
    /// What no line of it has, in lower case.
    has_not: &'static [&'static str],
}

/// The commands that differ from attachment to attachment.
pub(super) struct OnHost {
    /// Lists the devices of QEMU, and what the list has.
    pub(super) devices: (String, &'static [&'static str]),
    /// Shows the process that has the device, and what its arguments have.
    pub(super) process: (String, &'static [&'static str]),
    /// Prints what the log has of the device.
    pub(super) log: String,
    /// Runs the doctor.
    pub(super) doctor: String,
}

impl Check {
    /// The tests of a VM whose host is asked by these commands.
    pub(super) fn all(on_host: OnHost) -> Vec<Self> {
        let host = |test, command, has| Self {
            test,
            side: Side::Host,
            command,
            has,
            has_not: &[],
        };
        let guest = |test, command: &str, has, has_not| Self {
            test,
            side: Side::Guest,
            command: command.into(),
            has,
            has_not,
        };
        // The guide's "VGA compatible controller" contradicts its own section 3: docs/differences-from-the-guide.md.
        const LISTED: &[&str] = &["Processing accelerators", "Memory at", "[size=4K]"];
        const WELL: &[&str] = &[" 0 at fault"];
        vec![
            host(1, on_host.devices.0, on_host.devices.1),
            host(2, on_host.process.0, on_host.process.1),
            guest(3, "lspci -nn", &["[1af4:1111]"], &[]),
            guest(3, "lspci -v -d 1af4:1111", LISTED, &[]),
            guest(4, "dmesg | grep -i error", &[], &["pci", "vgpu"]),
            Self {
                has_not: &["error:", "error -"],
                ..host(4, on_host.log, &[])
            },
            guest(4, "vgpu-stub doctor --guest", WELL, &[]),
            host(4, on_host.doctor, WELL),
        ]
    }

    /// What is wrong with the output.
    pub(super) fn complaints(&self, output: &str) -> Vec<String> {
        let missing = self.has.iter().filter(|text| !output.contains(**text));
        let mut complaints: Vec<String> = missing
            .map(|text| format!("there is no {text:?} in what it prints"))
            .collect();
        for line in output.lines() {
            let lower = line.to_lowercase();
            if self.has_not.iter().any(|text| lower.contains(text)) {
                complaints.push(format!("an error: {line}"));
            }
        }
        complaints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_judged_by_what_it_has_and_has_not() {
        let check = Check {
            test: 4,
            side: Side::Guest,
            command: String::new(),
            has: &["one", "two"],
            has_not: &["pci"],
        };
        assert!(check.complaints("one two\nACPI error").is_empty());
        assert_eq!(
            check.complaints("one\nPCI: error"),
            [
                "there is no \"two\" in what it prints",
                "an error: PCI: error"
            ]
        );
    }
}
