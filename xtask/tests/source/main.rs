//! The source as a whole: no cycle among the modules of a crate, and no long file.

mod modules;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use syn::spanned::Spanned;

use modules::{Crate, attributes, cycles, is_test, parse};

/// The most lines of a file, without its tests.
const LONGEST: usize = 500;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    src_path: PathBuf,
}

fn checkout() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    folder.canonicalize().unwrap()
}

fn below_checkout(file: &Path) -> String {
    file.strip_prefix(checkout()).unwrap().display().to_string()
}

fn output(command: &mut Command) -> Vec<u8> {
    let output = command.current_dir(checkout()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// The root files of all crates: libraries, programs, tests, examples.
fn roots() -> Vec<PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "metadata",
        "--no-deps",
        "--offline",
        "--format-version",
        "1",
    ]);
    let all: Metadata = serde_json::from_slice(&output(&mut cargo)).unwrap();
    let targets = all.packages.into_iter().flat_map(|package| package.targets);
    targets.map(|target| target.src_path).collect()
}

/// The cycles of a crate: the names of the modules, and the uses that make it.
fn cyclic(root: &Path) -> Vec<(String, String)> {
    let all = Crate::read(root);
    let uses = all.uses();
    let name = |module: usize| all.0[module].name.as_str();
    let cycles = cycles(all.0.len(), &uses);
    let named = cycles.iter().map(|cycle| {
        let mut names: Vec<_> = cycle.iter().map(|module| name(*module)).collect();
        names.sort_unstable();
        let inside = uses
            .iter()
            .filter(|it| cycle.contains(&it.from) && cycle.contains(&it.to));
        let lines = inside.map(|it| {
            let file = all.0[it.from].file.display();
            let (from, to) = (name(it.from), name(it.to));
            format!("  {from} names {} of {to} ({file}:{})\n", it.path, it.line)
        });
        (names.join(" "), lines.collect())
    });
    named.collect()
}

#[test]
fn no_module_uses_another_that_uses_it() {
    let mut wrong = String::new();
    for root in roots() {
        for (modules, uses) in cyclic(&root) {
            wrong += &format!("{}: {modules}\n{uses}", below_checkout(&root));
        }
    }
    assert!(
        wrong.is_empty(),
        "Modules that use each other; what two of them share belongs into a third:\n{wrong}"
    );
}

/// How many lines a file has without its tests.
fn length(file: &Path) -> usize {
    let lines = fs::read_to_string(file).unwrap().lines().count();
    let tests = parse(file)
        .items
        .into_iter()
        .filter(|item| is_test(attributes(item)));
    let tests = tests.map(|item| item.span().end().line + 1 - item.span().start().line);
    lines - tests.sum::<usize>()
}

#[test]
fn no_file_is_long() {
    let listed = output(Command::new("git").args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "*.rs",
    ]));
    let files = String::from_utf8(listed).unwrap();
    // `tests/` at the top has crates, `suites/` with nothing but tests; elsewhere such a folder has tests, and `fuzz/` what
    // only a fuzzer runs.
    let of_tests = ["tests/suites/", "/tests/", "/src/fuzz/"];
    let files = files
        .lines()
        .filter(|file| !of_tests.iter().any(|folder| file.contains(folder)));
    let long: Vec<_> = files
        .filter(|file| checkout().join(file).is_file())
        .map(|file| (file, length(&checkout().join(file))))
        .filter(|(_, length)| *length > LONGEST)
        .collect();
    assert!(
        long.is_empty(),
        "above {LONGEST} lines without tests: {long:?}"
    );
}

/// A crate of two modules besides the root, in a folder of its own.
fn sample(root: &str, a: &str, b: &str) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("lib.rs", root), ("a.rs", a), ("b.rs", b)] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let mut found = cyclic(&folder.path().join("lib.rs"));
    for (_, uses) in &mut found {
        *uses = uses.replace(folder.path().to_str().unwrap(), "");
    }
    found
}

#[test]
fn a_cycle_is_found_however_it_is_named() {
    const A: &str = "use crate::b::B; pub struct A;";
    let root = "mod a; mod b; pub use a::A; mod inner { pub use crate::a::A as Other; }";
    let found = sample(root, A, "pub struct B;\nfn b() -> crate::A { loop {} }");
    let uses = "  a names crate::b::B of b (/a.rs:1)\n  b names crate::A of a (/b.rs:2)\n";
    assert_eq!(found, [("a b".to_owned(), uses.to_owned())]);
    for b in [
        "pub struct B; use super::a::{self}; fn b() { a::A; }",
        "pub struct B; use super::inner::*; fn b(_: Other) {}",
        "pub struct B; fn b() { use super::a::*; }",
        "pub struct B; fn b() { println!(\"{:?}\", crate::a::A); }",
        "pub struct B; macro_rules! m { () => { $crate::a::A } }",
        "pub struct B; #[derive(X)] #[x(y = crate::a::A)] struct C;",
        "m! { pub struct B } impl From<super::a::A> for B {}",
    ] {
        let found = sample(root, A, b);
        let modules: Vec<_> = found.iter().map(|(modules, _)| modules.as_str()).collect();
        assert!(
            matches!(modules[..], ["a b" | "a b inner"]),
            "{b}: {modules:?}"
        );
    }
}

#[test]
fn what_is_no_cycle_is_not_found() {
    for (root, a, b) in [
        (
            "mod a; mod b;",
            "use crate::b::B; pub struct A;",
            "pub struct B; #[cfg(test)] mod tests { use crate::a::A; }",
        ),
        (
            "mod a; mod b;",
            "use crate::b::B; pub struct A;",
            "pub(in crate) struct B; pub(in crate::a) fn b() {}",
        ),
        (
            "mod a; mod b; pub use a::A; pub use b::B;",
            "use crate::B; pub struct A;",
            "pub struct B; use a::c;",
        ),
        (
            "pub mod a; pub mod b;",
            "pub fn b() { crate::b::c() }",
            "use std::a::A; pub fn c() {} ",
        ),
    ] {
        assert_eq!(sample(root, a, b), [], "{root} {a} {b}");
    }
}
