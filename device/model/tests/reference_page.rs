//! The register tables of `docs/device.md` are what the model does: each
//! value, writable bit and access size in them comes from an access.

use std::path::Path;

use vgpu_abi::bar0::{DATA, DEFAULT_SIZE, REGISTERS};
use vgpu_device::{Device, DeviceConfig, Register};
use vgpu_pci::capability::PortType;

/// The fields of config space that are not 0 throughout: byte offset, bytes,
/// name (PCI 3.0 figure 6-1, PCIe 4.0 section 7.5.3).
const FIELDS: [(u16, usize, &str); 22] = [
    (0x00, 2, "Vendor ID"),
    (0x02, 2, "Device ID"),
    (0x04, 2, "Command"),
    (0x06, 2, "Status"),
    (0x08, 1, "Revision ID"),
    (0x09, 1, "Programming Interface"),
    (0x0a, 1, "Subclass"),
    (0x0b, 1, "Base Class"),
    (0x0c, 1, "Cache Line Size"),
    (0x10, 4, "BAR0"),
    (0x2c, 2, "Subsystem Vendor ID"),
    (0x2e, 2, "Subsystem ID"),
    (0x34, 1, "Capabilities Pointer"),
    (0x3c, 1, "Interrupt Line"),
    (0x40, 1, "Capability ID: PCI Express"),
    (0x42, 2, "PCI Express Capabilities"),
    (0x44, 4, "Device Capabilities"),
    (0x48, 2, "Device Control"),
    (0x4c, 4, "Link Capabilities"),
    (0x50, 2, "Link Control"),
    (0x52, 2, "Link Status"),
    (0x6c, 4, "Link Capabilities 2"),
];

/// `UPDATE=1 cargo test -p vgpu-device --test reference_page` writes the
/// tables anew.
#[test]
fn the_tables_are_those_of_the_model() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/device.md");
    let mut text = std::fs::read_to_string(&page).expect("the page can be read");
    let committed = text.clone();
    for (name, table) in [
        ("config space", config_space()),
        ("behind a port", behind_a_port()),
        ("BAR0", bar0()),
    ] {
        let start = format!("<!-- {name}: made by device/model/tests/reference_page.rs -->\n");
        let (before, rest) = text.split_once(&start).expect("the table's start");
        let (_, after) = rest.split_once("<!-- end -->").expect("the table's end");
        text = format!("{before}{start}\n{table}\n<!-- end -->{after}");
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&page, text).expect("the page can be written");
        return;
    }
    assert!(
        committed == text,
        "docs/device.md is out of date; write its tables anew with UPDATE=1. They are:\n{text}"
    );
}

fn device(port_type: impl Into<Option<PortType>>) -> Device {
    Device::new(&DeviceConfig::default(), port_type)
}

/// Rows of offset, field, power-on value and writable bits.
fn rows(device: &Device) -> Vec<String> {
    let (mut values, mut masks) = ([0; 256], [0; 256]);
    device.config_read(0, &mut values);
    device.config_write_mask(0, &mut masks);
    let mut rows = Vec::new();
    for (offset, size, name) in FIELDS {
        let own = usize::from(offset)..usize::from(offset) + size;
        let hex = |bytes: &[u8]| -> String { bytes.iter().rev().map(hex_byte).collect() };
        let (value, mask) = (hex(&values[own.clone()]), hex(&masks[own.clone()]));
        // What is left at the end has no name here.
        values[own.clone()].fill(0);
        masks[own].fill(0);
        let zero = |digits: &str| digits.bytes().all(|digit| digit == b'0');
        // A register of the link, where there is none.
        if zero(&value) && zero(&mask) && size > 1 {
            continue;
        }
        let writable = match zero(&mask) {
            true => "none".into(),
            false => format!("0x{mask}"),
        };
        rows.push(format!(
            "| 0x{offset:02x} | {name} | {} | 0x{value} | {writable} |",
            size * 8
        ));
    }
    assert_eq!(values, [0; 256], "FIELDS lacks a field");
    assert_eq!(masks, [0; 256], "FIELDS lacks a writable field");
    rows
}

fn hex_byte(byte: &u8) -> String {
    format!("{byte:02x}")
}

const CONFIG_HEAD: &str =
    "| offset | register | bits | power-on | writable bits |\n|---|---|---|---|---|\n";

fn config_space() -> String {
    let rows = rows(&device(PortType::RootComplexIntegratedEndpoint));
    format!("{CONFIG_HEAD}{}\n", rows.join("\n"))
}

/// What differs from [`config_space`].
fn behind_a_port() -> String {
    let on_root_bus = rows(&device(PortType::RootComplexIntegratedEndpoint));
    let mut rows = rows(&device(PortType::Endpoint));
    rows.retain(|row| !on_root_bus.contains(row));
    format!("{CONFIG_HEAD}{}\n", rows.join("\n"))
}

fn bar0() -> String {
    let mut places: Vec<(String, std::ops::Range<u64>)> = Vec::new();
    for register in Register::ALL {
        // Their names in the code, a word each.
        let mut name = String::new();
        for letter in format!("{register:?}").chars() {
            if letter.is_uppercase() && !name.is_empty() {
                name.push(' ');
            }
            name.push(letter);
        }
        let offset = register.offset();
        places.push((name, offset..offset + 4));
    }
    let reserved = places.last().map_or(0, |(_, range)| range.end);
    places.push(("reserved registers".into(), reserved..REGISTERS.end));
    places.push(("data region".into(), DATA));
    places.push(("reserved".into(), DATA.end..u64::from(DEFAULT_SIZE)));

    let mut table = "| offset | name | access sizes | guest |\n|---|---|---|---|\n".to_owned();
    let mut device = device(PortType::RootComplexIntegratedEndpoint);
    for (name, range) in places {
        let sizes = sizes(&mut device, &range);
        let listed: Vec<String> = sizes.iter().map(ToString::to_string).collect();
        let listed = match listed.is_empty() {
            true => "none".into(),
            false => listed.join(", "),
        };
        let guest = guest(&mut device, &range, &sizes);
        let (start, last) = (range.start, range.end - 1);
        table += &format!("| 0x{start:03x} to 0x{last:03x} | {name} | {listed} | {guest} |\n");
    }
    table
}

/// The sizes of aligned accesses that are taken everywhere in the range.
fn sizes(device: &mut Device, range: &std::ops::Range<u64>) -> Vec<usize> {
    let mut taken = Vec::new();
    for size in [1, 2, 4, 8] {
        let (mut tried, mut refused) = (0, 0);
        let mut at = range.start.next_multiple_of(size);
        while at + size <= range.end {
            refused += u64::from(device.bar0_read(at, size as usize).is_err());
            (tried, at) = (tried + 1, at + size);
        }
        match refused {
            0 if tried > 0 => taken.push(size as usize),
            refused => assert_eq!(refused, tried, "{range:#x?} takes some of size {size}"),
        }
    }
    taken
}

/// What comes of writing ones into all of the range.
fn guest(device: &mut Device, range: &std::ops::Range<u64>, sizes: &[usize]) -> &'static str {
    let size = sizes.last().copied().unwrap_or(4);
    let ones = u64::MAX >> (64 - 8 * size);
    let mut kept = Vec::new();
    for at in range.clone().step_by(size) {
        let _ = device.bar0_write(at, size, u64::MAX);
        kept.push(device.bar0_read(at, size).unwrap_or(0));
    }
    if kept.iter().all(|value| *value == ones) {
        return "read-write";
    }
    assert!(kept.iter().all(|value| *value == 0), "{range:#x?}");
    let _ = device.set_status(u32::MAX);
    match device.bar0_read(range.start, size) {
        Ok(0) | Err(_) => "reads 0, ignores writes",
        _ => "read; the host writes it",
    }
}
