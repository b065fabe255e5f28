//! What a supervisor has made outside of its own process, written down before
//! it is made: a process that is killed cleans nothing up, and the next one has
//! to know what is whose.

use std::fs;
use std::io;
use std::path::PathBuf;

use vgpu_device::DeviceConfig;
use vgpu_new_file::{NewFile, Permissions, beside};
use vgpu_pci::Slot;
use xen_dm::DomainId;
use xen_dm::device_model::{MAX_SERVERS, ServerId};

use crate::PlacedDevice;
use crate::error::Error;

/// The first word of the file.
const MAGIC: &str = "vgpu-stub-xen-1";

/// The ioreq server of a domain, as its supervisor has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// The devices it is for.
    pub(crate) devices: Devices,
    pub(crate) server: ServerId,
    /// What the server's page is marked with.
    pub(crate) mark: u64,
    pub(crate) stage: Stage,
}

/// What a supervisor is to make a server for.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) domain: DomainId,
    pub(crate) devices: Devices,
    pub(crate) slots: Vec<Slot>,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It is about to be made, and will have this id if nobody else makes one
    /// in the same moment; or it is made, and has not all of its functions.
    /// Nobody has answered for it yet.
    Making,
    /// It has all of its PCI functions; registers are kept from now on.
    Made,
}

/// Devices, to be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Devices(String);

impl Devices {
    /// The text is what it has always been: after an upgrade, a supervisor takes over what one of before has made.
    pub(crate) fn of(devices: &[PlacedDevice]) -> Self {
        let text = |device: &PlacedDevice| {
            let PlacedDevice { slot, config } = device;
            let DeviceConfig {
                vendor_id,
                device_id,
                subsystem_vendor_id,
                subsystem_id,
                revision,
                bar0_size,
                // There are none here.
                features: _,
            } = config;
            format!(
                "DeviceConfig {{ vendor_id: {vendor_id:?}, device_id: {device_id:?}, \
                 subsystem_vendor_id: {subsystem_vendor_id:?}, subsystem_id: {subsystem_id:?}, \
                 revision: {revision}, bar0_size: {bar0_size:?}, slot: {slot:?} }}"
            )
        };
        let texts: Vec<_> = devices.iter().map(text).collect();
        Self(format!("[{}]", texts.join(", ")))
    }
}

impl Stage {
    const ALL: [Self; 2] = [Self::Making, Self::Made];

    fn name(self) -> &'static str {
        match self {
            Self::Making => "making",
            Self::Made => "made",
        }
    }
}

impl Record {
    fn text(&self) -> String {
        let Self {
            devices: Devices(devices),
            server: ServerId(id),
            mark,
            stage,
        } = self;
        format!("{MAGIC} {} {id} {mark}\n{devices}\n", stage.name())
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let mut words = lines.next()?.split(' ');
        words.next().filter(|magic| *magic == MAGIC)?;
        let name = words.next()?;
        let stage = Stage::ALL.into_iter().find(|stage| stage.name() == name)?;
        let server = words.next()?.parse().ok().filter(|id| *id < MAX_SERVERS)?;
        let mark = words.next()?.parse().ok()?;
        Some(Self {
            devices: Devices(lines.next()?.to_owned()),
            server: ServerId(server),
            mark,
            stage,
        })
    }
}

/// The file with a domain's record. Only root may write to it, unlike to the
/// registers that are kept beside it.
#[derive(Debug, Clone)]
pub(crate) struct RecordFile(PathBuf);

impl RecordFile {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// The record, if there is one. What is none was not written by this
    /// program, which puts a whole file in the place of another at once.
    pub(crate) fn read(&self) -> Result<Option<Record>, Error> {
        match fs::read_to_string(&self.0) {
            Ok(text) => Ok(Record::parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.refused(error)),
        }
    }

    /// Replaces it: there is the old one or the new one at each moment.
    pub(crate) fn write(&self, record: &Record) -> Result<(), Error> {
        let new = beside(&self.0, "", ".new");
        let written = NewFile::write(new, &mut record.text().as_bytes(), Permissions::Umask);
        let written = written.and_then(|new| new.rename(&self.0));
        written.map_err(|error| self.refused(error))
    }

    /// Removes it. A missing one is fine.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.refused(error)),
            _ => Ok(()),
        }
    }

    fn refused(&self, source: io::Error) -> Error {
        Error::Record {
            path: self.0.clone(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(stage: Stage) -> Record {
        Record {
            devices: Devices::of(&[PlacedDevice::default(), PlacedDevice::default()]),
            server: ServerId(7),
            mark: u64::MAX,
            stage,
        }
    }

    #[test]
    fn a_record_has_the_text_of_all_versions() {
        let device = "DeviceConfig { vendor_id: PciId(6900), device_id: PciId(4369), \
                      subsystem_vendor_id: PciId(6900), subsystem_id: PciId(4369), revision: 1, \
                      bar0_size: Bar0Size(BarSize(4096)), slot: Slot(24) }";
        let mark = u64::MAX;
        assert_eq!(
            record(Stage::Made).text(),
            format!("vgpu-stub-xen-1 made 7 {mark}\n[{device}, {device}]\n")
        );
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = RecordFile::at(folder.path().join("record"));
        assert_eq!(file.read().unwrap(), None);
        for stage in [Stage::Making, Stage::Made] {
            file.write(&record(stage)).unwrap();
            assert_eq!(file.read().unwrap(), Some(record(stage)));
        }
        file.remove().unwrap();
        file.remove().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn one_that_cannot_take_its_place_is_not_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record");
        fs::create_dir(&path).unwrap();
        let written = RecordFile::at(path).write(&record(Stage::Made));
        assert!(matches!(written, Err(Error::Record { .. })), "{written:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_record_is_none() {
        let text = record(Stage::Made).text();
        for text in [
            "",
            "\n\n\n",
            "vgpu-stub-xen-1 made 8 1\ndevices\n",
            "vgpu-stub-xen-1 mad 1 1\ndevices\n",
            "vgpu-stub-xen-1 made 1 x\ndevices\n",
            "vgpu-stub-xen-1 made 1 1\n",
            &text.replace("xen-1", "xen-2"),
        ] {
            assert_eq!(Record::parse(text), None, "{text}");
        }
    }
}
