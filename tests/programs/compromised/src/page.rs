//! The list as the book has it.

use std::fmt::Write;

use rustix::process::Resource;
use vgpu_sandbox::Policy;

use crate::acts::ACTS;
use crate::{Act, Outcome, Process};

/// The table of the book's page that has the acts, in Markdown.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "| a process tries to | Xen | vfio-user | with features | CUDA worker | VM's worker |\n|---|---|---|---|---|---|\n",
    );
    for act in ACTS {
        let Act { what, .. } = act;
        // Writing to a string does not fail.
        let _ = writeln!(
            page,
            "| {what} | {} | {} | {} | {} | {} |",
            word(act.xen),
            word(act.vfio_user),
            word(act.with_features),
            word(act.worker),
            word(act.of_machine)
        );
    }
    page
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ended => "ended",
        Outcome::OverLimit => "ended, over a limit",
        Outcome::Refused => "refused",
        Outcome::Works => "**works**",
        Outcome::Nothing => "",
    }
}

/// What the kernel calls a resource, and what it is counted in.
const RESOURCES: [(Resource, &str, Unit); 7] = [
    (Resource::Data, "memory of its own", Unit::Bytes),
    (Resource::As, "addresses", Unit::Bytes),
    (Resource::Fsize, "a file's length", Unit::Bytes),
    (Resource::Nofile, "descriptors", Unit::Number),
    (Resource::Nproc, "threads and processes", Unit::Number),
    (Resource::Core, "core file", Unit::Bytes),
    (Resource::Memlock, "locked memory", Unit::Bytes),
];

#[derive(Clone, Copy)]
enum Unit {
    Bytes,
    Number,
}

impl Unit {
    fn of(self, value: u64) -> String {
        match self {
            _ if value == 0 => "none".to_owned(),
            Self::Bytes if value >= 1 << 30 => format!("{} GiB", value >> 30),
            Self::Bytes if value >= 1 << 20 => format!("{} MiB", value >> 20),
            Self::Bytes => format!("{value} bytes"),
            Self::Number => value.to_string(),
        }
    }
}

/// The table of the book's page that has what policies say, in Markdown.
#[must_use]
pub fn policies() -> String {
    let all = [
        ("Xen", Process::Xen),
        ("vfio-user", Process::VfioUser),
        ("with features", Process::VfioUserFeatures),
        ("CUDA worker", Process::Worker),
        ("VM's worker", Process::OfMachine),
    ];
    let policies = all.map(|(_, process)| process.policy());
    let row = |name: &str, value: &dyn Fn(&Policy) -> String| {
        let values = policies.iter().flatten().map(|policy| value(policy));
        format!("| {name} | {} |\n", values.collect::<Vec<_>>().join(" | "))
    };
    let names = all.map(|(name, _)| name).join(" | ");
    let mut page = format!("| at most | {names} |\n|---|---|---|---|---|---|\n");
    page += &row("system calls", &|policy| policy.count().to_string());
    for (resource, name, unit) in RESOURCES {
        let limit = |policy: &Policy| {
            let mut limits = policy.limits.iter();
            let limit = limits.find(|(its, _)| *its == resource);
            limit.map_or(String::new(), |(_, most)| unit.of(*most))
        };
        if policies
            .iter()
            .flatten()
            .any(|policy| !limit(policy).is_empty())
        {
            page += &row(name, &limit);
        }
    }
    page
}
