//! The ABI as a header of C, for the guest's driver.

use alloc::string::String;
use core::fmt::Write;

use crate::tables::{Constant, Structure};
use crate::{bar0, features, ids, ioctl, mailbox, segment};

/// All constants, by what they are about.
const CONSTANTS: &[(&str, &[Constant])] = &[
    ("The device.", ids::CONSTANTS),
    ("Offsets in BAR0.", bar0::CONSTANTS),
    ("Values and sizes.", bar0::VALUES),
    ("Bits of FEATURES and ACK.", features::CONSTANTS),
    ("Values of DRIVER.", features::driver::CONSTANTS),
    ("Values of STATE.", features::state::CONSTANTS),
    ("Bits of EVENTS.", features::event::CONSTANTS),
    ("Commands of the mailbox.", mailbox::CONSTANTS),
    ("Bits of Status.", mailbox::status::CONSTANTS),
    ("How a command failed.", mailbox::code::CONSTANTS),
    ("Segments.", segment::CONSTANTS),
    ("What programs ask of the driver.", ioctl::CONSTANTS),
];

/// All structures in memory that is shared.
const STRUCTURES: &[&[Structure]] = &[mailbox::STRUCTURES, segment::STRUCTURES];

const BEGINNING: &str = "\
/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * What a guest's driver and the virtual GPU share. Made of the crate vgpu-abi,
 * which explains it: do not edit.
 */
#ifndef VGPU_UAPI_H
#define VGPU_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>
";

/// The text of `vgpu_uapi.h`.
#[must_use]
pub fn uapi() -> String {
    let mut text = String::from(BEGINNING);
    // Nothing that is written to a string fails.
    for (title, constants) in CONSTANTS {
        let _ = writeln!(text, "\n/* {title} */");
        for Constant { name, value } in *constants {
            let long = if *value > u64::from(u32::MAX) {
                "ULL"
            } else {
                ""
            };
            let _ = writeln!(text, "#define {name} {value:#x}{long}");
        }
    }
    for structure in STRUCTURES.iter().copied().flatten() {
        write_structure(&mut text, structure, little_endian);
    }
    for structure in ioctl::STRUCTURES {
        write_structure(&mut text, structure, native);
    }
    text.push('\n');
    for call in ioctl::CALLS {
        let (name, kind, number) = (call.name, call.kind, call.number);
        let _ = match call.structure {
            Some(structure) => writeln!(
                text,
                "#define {name} {kind}(VGPU_IOCTL_GROUP, {number}, struct {structure})"
            ),
            None => writeln!(text, "#define {name} {kind}(VGPU_IOCTL_GROUP, {number})"),
        };
    }
    text.push_str("\n#endif\n");
    text
}

fn write_structure(text: &mut String, structure: &Structure, type_of: fn(&str) -> &'static str) {
    let Structure { name, fields } = structure;
    let _ = writeln!(text, "\nstruct {name} {{");
    for (type_, field) in *fields {
        let _ = writeln!(text, "\t{} {field};", type_of(type_));
    }
    text.push_str("};\n");
}

/// The kernel's name of a type of Rust's, in this machine's order of bytes.
fn native(type_: &str) -> &'static str {
    match type_ {
        "u64" => "__u64",
        "u32" => "__u32",
        "u16" => "__u16",
        _ => "__u8",
    }
}

/// The same, little-endian.
fn little_endian(type_: &str) -> &'static str {
    match type_ {
        "u64" => "__le64",
        "u32" => "__le32",
        "u16" => "__le16",
        _ => "__u8",
    }
}
