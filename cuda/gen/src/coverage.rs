//! The book's page of what is covered.

use std::fmt::Write;

use crate::idl::{Class, Function, Idl};

/// Each class, as the page calls it, and what a call of it costs.
const CLASSES: [(Class, &str, &str); 4] = [
    (Class::Local, "local", "sends nothing"),
    (
        Class::Asynchronous,
        "asynchronous",
        "sends a message, and does not wait",
    ),
    (
        Class::Shadow,
        "shadow",
        "makes a handle in the program, sends a message, and does not wait",
    ),
    (Class::Sync, "sync", "waits for the answer"),
];

const HEAD: &str = "\
# Functions of the CUDA driver

What `libcuda.so.1` [of this project](cuda.md) exports. This page is generated from the description of the interface, `cuda/idl/`: a
test holds it against that, and `UPDATE=1 cargo nextest run -p vgpu-cuda-gen` writes it anew. What an engine makes of a call is
[its own affair](cuda.md#the-engines).
";

const UNSUPPORTED: &str = "\
## Not supported

These names resolve; a call gives `CUDA_ERROR_NOT_SUPPORTED`, and is named once on standard error.
";

/// The page, in Markdown.
#[must_use]
pub fn coverage(idl: &Idl) -> String {
    let mut page = format!("{HEAD}\n");
    // Written to a String, which takes all.
    let _ = writeln!(page, "| class | a call | functions |\n|---|---|---|");
    let of = |class: Class| {
        idl.functions
            .iter()
            .filter(move |function| function.class == class)
    };
    for (class, name, about) in CLASSES {
        let _ = writeln!(page, "| {name} | {about} | {} |", of(class).count());
    }
    let refused = idl.unsupported.len();
    let _ = writeln!(page, "| not supported | says so | {refused} |\n");
    let _ = writeln!(
        page,
        "## Supported\n\nFor functions with a variant per thread, both are there. *Needed by*: **bold** where a \
         program was seen to call it, else where its sources name it; *measured* are eight programs together.",
    );
    for (group, about) in &idl.groups {
        let about = about.trim_end_matches('.');
        let _ = writeln!(
            page,
            "\n### {about}\n\n| function | class | CUDA since | per thread | needed by |\n|---|---|---|---|---|"
        );
        let mut functions: Vec<_> = idl.functions.iter().collect();
        functions.retain(|function| function.group == *group);
        functions.sort_by_key(|function| &function.name);
        for function in functions {
            let _ = writeln!(page, "{}", row(idl, function));
        }
    }
    let mut names: Vec<_> = idl.unsupported.iter().map(|(name, _)| name).collect();
    names.sort();
    let _ = writeln!(page, "\n{UNSUPPORTED}");
    for name in names {
        let needed = match needed(idl, name) {
            needed if needed.is_empty() => needed,
            needed => format!(": {needed}"),
        };
        let _ = writeln!(page, "- `{name}`{needed}");
    }
    page
}

/// The programs that need a function.
fn needed(idl: &Idl, name: &str) -> String {
    let needs = idl.needs.iter();
    let needs = needs.filter(|needs| needs.names.iter().any(|other| other == name));
    let mut programs: Vec<(&str, bool)> = Vec::new();
    for needs in needs {
        // What was seen comes first in the file.
        if programs.iter().all(|(other, _)| *other != needs.program) {
            programs.push((&needs.program, needs.called));
        }
    }
    let programs = programs.into_iter().map(|(program, called)| match called {
        true => format!("**{program}**"),
        false => program.to_owned(),
    });
    programs.collect::<Vec<_>>().join(", ")
}

fn row(idl: &Idl, function: &Function) -> String {
    let class = CLASSES.iter().find(|(class, ..)| *class == function.class);
    let class = class.map_or("", |(_, name, _)| name);
    let (major, minor) = (function.since / 1000, function.since % 1000 / 10);
    let suffix = function.per_thread.iter();
    let suffix: String = suffix.map(|suffix| format!("`_{suffix}`")).collect();
    let needed = needed(idl, &function.name);
    format!(
        "| `{}` | {class} | {major}.{minor} | {suffix} | {needed} |",
        function.name
    )
}
