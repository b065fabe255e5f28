//! What `vfio-user` and `xen` both say of a device.

use vgpu_emulator::{Kind, PROPERTIES, Property};

/// What the log shows.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Trace {
    /// Each access to config space and BAR0, and each reset
    Access,
}

/// The lines of a help that say what `--device` takes, where its slot is another's.
pub(crate) fn of_device() -> String {
    help(|kind| kind != Kind::Slot)
}

/// The same on Xen, where its slot is chosen too, and there are no features.
pub(crate) fn of_placed_device() -> String {
    let slot = help(|kind| kind == Kind::Slot);
    let others = help(|kind| !matches!(kind, Kind::Slot | Kind::Switch));
    format!("{slot}\n{others}")
}

fn help(these: impl Fn(Kind) -> bool) -> String {
    let lines = PROPERTIES
        .iter()
        .filter(|it| these(it.kind))
        .map(Property::help);
    lines.collect::<Vec<_>>().join("\n")
}
