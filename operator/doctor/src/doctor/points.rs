//! What is looked at on the host, in the order of the guide's checklist.

mod admitted;
mod bar;
mod class;
mod config_space;
mod configured;
mod daemon;
mod guest_kernel;
mod hypervisor;
mod ids;
mod installed;
mod isolated;
mod log;
mod process;
mod shared_memory;

use vgpu_checklist::Point;

use super::subject::Subject;

/// The points of a host. What has no fault before another point is named in
/// `after` is well enough for it.
pub(super) const POINTS: [Point<Subject>; 14] = [
    Point {
        id: "installed",
        title: "The device, or its emulator, is installed",
        guide: "1, issue 1",
        after: &[],
        look: installed::look,
    },
    Point {
        id: "configured",
        title: "The VM is configured to have it",
        guide: "2, issue 6",
        after: &["installed"],
        look: configured::look,
    },
    Point {
        id: "process",
        title: "The processes run, with the right arguments",
        guide: "3",
        after: &["installed", "configured"],
        look: process::look,
    },
    Point {
        id: "config-space",
        title: "Config space answers",
        guide: "4, issue 2",
        after: &["process"],
        look: config_space::look,
    },
    Point {
        id: "class",
        title: "The class is Processing accelerators",
        guide: "issue 3",
        after: &["config-space"],
        look: class::look,
    },
    Point {
        id: "bar",
        title: "BAR 0 is there and mapped",
        guide: "5, issue 4",
        after: &["config-space"],
        look: bar::look,
    },
    Point {
        id: "guest-kernel",
        title: "The guest runs, and its kernel has not panicked",
        guide: "6, issue 5",
        after: &["process"],
        look: guest_kernel::look,
    },
    Point {
        id: "hypervisor",
        title: "The hypervisor can do it, and has not complained",
        guide: "7",
        after: &[],
        look: hypervisor::look,
    },
    Point {
        id: "ids",
        title: "The ids are the expected ones, and no other device has them",
        guide: "8",
        after: &["config-space"],
        look: ids::look,
    },
    Point {
        id: "shared-memory",
        title: "A device with features can share the guest's memory",
        guide: "",
        after: &["process"],
        look: shared_memory::look,
    },
    Point {
        id: "daemon",
        title: "The daemon of a device with features runs",
        guide: "",
        after: &["process"],
        look: daemon::look,
    },
    Point {
        id: "admitted",
        title: "The daemon lets the machine in, and has room for it",
        guide: "",
        after: &["daemon"],
        look: admitted::look,
    },
    Point {
        id: "log",
        title: "The log has no complaint about the device",
        guide: "3, test 4",
        after: &["process", "shared-memory"],
        look: log::look,
    },
    Point {
        id: "isolated",
        title: "No other VM reaches its socket",
        guide: "",
        after: &["process"],
        look: isolated::look,
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::guest;

    /// The points of a table of the page, with what the guide calls them.
    fn table<'a>(page: &'a str, heading: &str) -> Vec<(&'a str, &'a str)> {
        let (_, section) = page.split_once(heading).unwrap();
        let section = section.split("\n## ").next().unwrap_or_default();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
        rows.map(|row| {
            let (id, rest) = row.split_once("` | ").unwrap();
            (id, rest.split(" | ").next().unwrap_or_default())
        })
        .collect()
    }

    #[test]
    fn the_page_on_troubleshooting_has_all_points_in_order() {
        let page = include_str!("../../../../docs/troubleshooting.md");
        let on_host = POINTS.map(|point| (point.id, point.guide));
        assert_eq!(table(page, "\n## The points on the host\n"), on_host);
        let in_guest = guest::points().map(|point| (point.id, point.guide));
        assert_eq!(table(page, "\n## The points in the guest\n"), in_guest);
    }
}
