//! What is looked at, from the device up.

use vgpu_checklist::{Evidence, Mend, Point, Trouble};
use vgpu_installed::Machine;

use super::kernel;
use super::machine::Guest;
use super::session;

pub(super) const POINTS: [Point<Guest>; 9] = [
    Point {
        id: "device",
        title: "This machine has a virtual GPU",
        guide: "",
        after: &[],
        look: kernel::device,
    },
    Point {
        id: "module",
        title: "Its driver, vgpu.ko, is loaded",
        guide: "",
        after: &["device"],
        look: kernel::module,
    },
    Point {
        id: "bound",
        title: "The driver has the device",
        guide: "",
        after: &["module"],
        look: kernel::bound,
    },
    Point {
        id: "node",
        title: "This user may open the device's node",
        guide: "",
        after: &["bound"],
        look: kernel::node,
    },
    Point {
        id: "abi",
        title: "Device and driver speak one version, and have settled features",
        guide: "",
        after: &["node"],
        look: session::abi,
    },
    Point {
        id: "host",
        title: "The host serves the device",
        guide: "",
        after: &["abi"],
        look: session::host,
    },
    Point {
        id: "session",
        title: "The host opens a session, in the version of this library",
        guide: "",
        after: &["host"],
        look: session::session,
    },
    Point {
        id: "library",
        title: "Programs find vgpu's libcuda.so.1",
        guide: "",
        after: &[],
        look: library,
    },
    Point {
        id: "locked-memory",
        title: "vgpu ping may lock the memory that it shares",
        guide: "",
        after: &["device"],
        look: kernel::locked_memory,
    },
];

fn library(guest: &Guest, seen: &mut Evidence) -> Result<(), Trouble> {
    let machine = Machine::new(guest.root());
    match machine.found() {
        Some(found) if machine.is_ours(&found) => {
            seen.note(found.display());
            Ok(())
        }
        Some(other) => Err(Trouble::fault(
            format!("programs find another driver, {}", other.display()),
            [Mend::guest("sudo vgpu library enable --shadow")],
        )),
        None => Err(Trouble::fault(
            "programs find no libcuda.so.1, but by vgpu run",
            [Mend::guest("sudo vgpu library enable")],
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_on_troubleshooting_has_all_points_in_order() {
        let page = include_str!("../../../docs/troubleshooting.md");
        let (_, section) = page
            .split_once("\n## CUDA programs in the guest\n")
            .unwrap();
        let section = section.split("\n## ").next().unwrap_or_default();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
        let ids = rows.map(|row| row.split_once("` | ").unwrap().0);
        assert_eq!(ids.collect::<Vec<_>>(), POINTS.map(|point| point.id));
    }
}
