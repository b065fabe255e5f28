//! Criterion 6: the kernel log, free of complaints about the device (Linux:
//! Documentation/ABI/testing/dev-kmsg).

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, Result};
use rustix::{fs::OFlags, io::Errno};
use vgpu_checklist::Evidence;
use vgpu_terminal::Failure;

use super::address::PciAddress;

/// Warnings have this level; lower ones are worse.
const WARNING: u8 = 4;

/// The kernel itself; other facilities are programs that write to the log.
const KERNEL: u32 = 0;

/// What the PCI subsystem says when something is wrong, in lower case. Much of
/// it has the level of a notice or less.
const COMPLAINTS: [&str; 13] = [
    "[firmware bug]",
    "broken",
    "can't",
    "cannot",
    "conflict",
    "doesn't match",
    "error",
    "fail",
    "invalid",
    "no space",
    "not ready",
    "unable to",
    "unknown header type",
];

/// A record is read as a whole or not at all; none is larger.
const LARGEST_RECORD: usize = 8 << 10;

/// All records of the kernel that are still there.
pub(crate) struct KernelLog {
    records: Vec<Record>,
}

impl KernelLog {
    /// Reads the log, up to its newest record.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text =
            read_to_newest(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        Self {
            records: text.lines().filter_map(Record::parse).collect(),
        }
    }
}

fn read_to_newest(path: &Path) -> io::Result<String> {
    // The log has no end: without this flag a read waits for the next record.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let mut log: File = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    let mut bytes = Vec::new();
    let mut record = [0; LARGEST_RECORD];
    loop {
        match log.read(&mut record) {
            Ok(0) => break,
            Ok(length) => bytes.extend_from_slice(&record[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The oldest record was overwritten just now; the next read goes on.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::PIPE) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

struct Record {
    sequence: u64,
    facility: u32,
    level: u8,
    microseconds: u64,
    message: String,
}

impl Record {
    /// Parses "priority,sequence,time,flags;message". The lines with further
    /// keys that may follow a record, each after a space, are none.
    fn parse(line: &str) -> Option<Self> {
        let (head, message) = line.split_once(';')?;
        let mut fields = head.split(',');
        let priority: u32 = fields.next()?.parse().ok()?;
        Some(Self {
            sequence: fields.next()?.parse().ok()?,
            facility: priority >> 3,
            level: (priority & 7) as u8,
            microseconds: fields.next()?.parse().ok()?,
            message: message.to_owned(),
        })
    }

    fn is_about(&self, address: &PciAddress) -> bool {
        self.facility == KERNEL && self.message.contains(&address.to_string())
    }

    fn is_complaint(&self) -> bool {
        let message = self.message.to_lowercase();
        self.level <= WARNING
            || COMPLAINTS
                .iter()
                .any(|complaint| message.contains(complaint))
    }
}

impl fmt::Display for Record {
    /// Writes the record as dmesg does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, rest) = (self.microseconds / 1_000_000, self.microseconds % 1_000_000);
        write!(f, "[{seconds:5}.{rest:06}] {}", self.message)
    }
}

/// Looks for complaints about the function in the log.
pub(crate) fn check(
    log: &KernelLog,
    address: &PciAddress,
    evidence: &mut Evidence,
) -> Result<(), Failure> {
    let records = || log.records.iter().filter(|record| record.is_about(address));
    evidence.note(format!(
        "kernel log: {} records, {} of them about {address}",
        log.records.len(),
        records().count()
    ));
    if let Some(lost @ 1..) = log.records.first().map(|record| record.sequence) {
        evidence.note(format!("the oldest {lost} records are lost"));
    }

    let mut complaints = records().filter(|record| record.is_complaint());
    let Some(first) = complaints.next() else {
        evidence.note("no warning among them, nor a known complaint of the PCI subsystem");
        return Ok(());
    };
    let more = match complaints.count() {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    Err(Failure::new(
        format!("{first}{more}"),
        format!("read all of them, the first is the cause: dmesg | grep {address}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Linux 6.1 wrote them, but for the last three.
    const LOG: &str = "\
6,210,311000,-;pci 0000:00:05.0: [1af4:1111] type 00 class 0x120000
 SUBSYSTEM=pci
 DEVICE=+pci:0000:00:05.0
6,211,312000,-;pci 0000:00:05.0: reg 0x10: [mem 0xfebf1000-0xfebf1fff]
6,300,1512000,-;pci 0000:00:05.0: enabling device (0000 -> 0002)
6,301,1513000,-;pci-stub 0000:00:05.0: claimed by stub
12,302,1514000,-;a program: 0000:00:05.0 failed
4,303,1515000,-;pci 0000:00:06.0: BAR 0: failed to assign [mem size 0x00001000]
";

    fn complaint(line: &str) -> Option<String> {
        let log = KernelLog::parse(&format!("{LOG}{line}\n"));
        let address = "0000:00:05.0".parse().unwrap();
        let failure = check(&log, &address, &mut Evidence::default()).err();
        failure.map(|failure| failure.cause)
    }

    #[test]
    fn takes_a_quiet_log() {
        assert_eq!(complaint(""), None);
    }

    #[test]
    fn finds_a_warning_whatever_it_says() {
        let cause = complaint("4,304,1600001,-;pci 0000:00:05.0: hm").unwrap();
        assert_eq!(cause, "[    1.600001] pci 0000:00:05.0: hm");
        assert_eq!(complaint("5,304,1600001,-;pci 0000:00:05.0: hm"), None);
    }

    #[test]
    fn finds_a_complaint_of_any_level() {
        for message in [
            "BAR 0: no space for [mem size 0x00001000]",
            "BAR 0: failed to assign [mem size 0x00001000]",
            "can't claim BAR 0 [mem 0xfebf1000-0xfebf1fff]",
            "[Firmware Bug]: reg 0x10: invalid BAR (can't size)",
            "unknown header type 7f, ignoring device",
            "Unable to change power state from D3cold to D0, device inaccessible",
        ] {
            let line = format!("6,304,1600001,-;pci 0000:00:05.0: {message}");
            assert!(complaint(&line).is_some(), "{message}");
        }
    }
}
