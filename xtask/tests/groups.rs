//! The groups of the tree: each folder's README says on which others it may depend, and what cargo knows agrees.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// How a README begins its rule.
const RULE: &str = "May depend on: ";

/// The group that builds and tests all others.
const ABOVE_ALL: &str = "xtask";

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `dev`, `build`, or none for one of the product itself.
    kind: Option<String>,
    /// Where it lies, for one of the workspace.
    path: Option<PathBuf>,
}

fn checkout() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    folder.canonicalize().unwrap()
}

/// The folder below the checkout in which a path lies.
fn group(path: &Path) -> String {
    let below = path.strip_prefix(checkout()).unwrap();
    let first = below.components().next().unwrap();
    first.as_os_str().to_str().unwrap().to_owned()
}

fn metadata() -> Metadata {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(checkout())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// On which groups one may depend, by its README.
fn rule(group: &str) -> BTreeSet<String> {
    let readme = checkout().join(group).join("README.md");
    let text =
        fs::read_to_string(&readme).unwrap_or_else(|error| panic!("{}: {error}", readme.display()));
    let rule = text
        .lines()
        .find_map(|line| line.strip_prefix(RULE)?.strip_suffix('.'))
        .unwrap_or_else(|| panic!("{}: no line \"{RULE}…\"", readme.display()));
    match rule {
        "no other group" => BTreeSet::new(),
        others => others.split(", ").map(str::to_owned).collect(),
    }
}

/// The dependencies that no rule allows.
fn wrong(packages: &[Package], rules: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in packages {
        let own = group(&package.manifest_path);
        let Some(allowed) = rules.get(&own) else {
            continue;
        };
        for dependency in &package.dependencies {
            let product = dependency.kind.is_none();
            let Some(other) = dependency.path.as_deref().filter(|_| product).map(group) else {
                continue;
            };
            if other != own && !allowed.contains(&other) {
                wrong.push(format!(
                    "{own}: {} depends on {} of {other}",
                    package.name, dependency.name
                ));
            }
        }
    }
    wrong
}

#[test]
fn no_group_depends_on_another_than_its_readme_says() {
    let packages = metadata().packages;
    let groups: BTreeSet<_> = packages.iter().map(|p| group(&p.manifest_path)).collect();
    let rules: BTreeMap<_, _> = groups
        .iter()
        .filter(|group| *group != ABOVE_ALL)
        .map(|group| (group.clone(), rule(group)))
        .collect();
    let unknown: Vec<_> = rules
        .values()
        .flatten()
        .filter(|g| !groups.contains(*g))
        .collect();
    assert!(unknown.is_empty(), "no such groups: {unknown:?}");
    let wrong = wrong(&packages, &rules);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn groups_do_not_depend_on_each_other_in_a_ring() {
    let groups: BTreeSet<_> = metadata()
        .packages
        .iter()
        .map(|p| group(&p.manifest_path))
        .collect();
    let mut left: BTreeMap<_, _> = groups
        .into_iter()
        .filter(|group| group != ABOVE_ALL)
        .map(|group| (group.clone(), rule(&group)))
        .collect();
    loop {
        let lowest: Vec<_> = left
            .iter()
            .filter(|(_, others)| others.iter().all(|other| !left.contains_key(other)))
            .map(|(group, _)| group.clone())
            .collect();
        if lowest.is_empty() {
            break;
        }
        left.retain(|group, _| !lowest.contains(group));
    }
    assert!(left.is_empty(), "a ring among {:?}", left.keys());
}

/// The first cell of each row of a README's table is a folder in backquotes, the last names those it uses.
#[test]
fn the_operators_parts_use_what_their_readme_says() {
    let readme = fs::read_to_string(checkout().join("operator/README.md")).unwrap();
    let quoted = |cell: &str| -> BTreeSet<String> {
        let words = cell.split('`').skip(1).step_by(2);
        words.map(|it| it.trim_end_matches('/').into()).collect()
    };
    let mut below = BTreeSet::new();
    let mut said = BTreeMap::new();
    for row in readme.lines().rev().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.trim_matches('|').split('|').collect();
        let (folder, uses) = (quoted(cells[0]), cells[cells.len() - 1]);
        let uses = match uses.trim() {
            "all below" => below.clone(),
            _ => quoted(uses),
        };
        assert!(uses.is_subset(&below), "{row}: not below it: {uses:?}");
        below.extend(folder.clone());
        said.insert(folder.first().unwrap().clone(), uses);
    }
    let operator = checkout().join("operator");
    let folder = |path: &Path| Some(path.strip_prefix(&operator).ok()?.to_str()?.to_owned());
    for package in metadata().packages {
        let Some(name) = folder(package.manifest_path.parent().unwrap()) else {
            continue;
        };
        let product = package.dependencies.iter().filter(|it| it.kind.is_none());
        let uses: BTreeSet<_> = product
            .filter_map(|it| folder(it.path.as_deref()?))
            .collect();
        let packaging = BTreeSet::from(["packaging".to_owned()]);
        let said: BTreeSet<_> = said[&name].difference(&packaging).cloned().collect();
        assert_eq!(uses, said, "{name}");
    }
}

/// What `cargo xtask` is built of, and so what `cargo xtask book` waits for: no part of the product but what
/// benchmarks read registers by.
#[test]
fn the_tasks_are_built_without_the_product() {
    let packages = metadata().packages;
    let mut built = BTreeSet::from(["xtask".to_owned()]);
    let mut left = vec!["xtask".to_owned()];
    while let Some(name) = left.pop() {
        let package = packages.iter().find(|package| package.name == name);
        let dependencies = &package.unwrap().dependencies;
        let product = dependencies
            .iter()
            .filter(|it| it.kind.is_none() && it.path.is_some());
        left.extend(
            product
                .map(|it| it.name.clone())
                .filter(|name| built.insert(name.clone())),
        );
    }
    let of = packages
        .iter()
        .filter(|package| built.contains(&package.name));
    let groups: BTreeSet<_> = of.map(|package| group(&package.manifest_path)).collect();
    assert_eq!(
        groups,
        ["abi", "system", "tests", "xtask"]
            .map(str::to_owned)
            .into()
    );
}

#[test]
fn a_dependency_that_no_rule_allows_is_found() {
    let at = |path: &str| checkout().join(path);
    let package = Package {
        name: "a".into(),
        manifest_path: at("device/a/Cargo.toml"),
        dependencies: vec![
            Dependency {
                name: "b".into(),
                kind: None,
                path: Some(at("host/b")),
            },
            Dependency {
                name: "c".into(),
                kind: Some("dev".into()),
                path: Some(at("host/c")),
            },
            Dependency {
                name: "d".into(),
                kind: None,
                path: None,
            },
            Dependency {
                name: "e".into(),
                kind: None,
                path: Some(at("abi")),
            },
        ],
    };
    let rules = BTreeMap::from([("device".to_owned(), BTreeSet::from(["abi".to_owned()]))]);
    assert_eq!(
        wrong(&[package], &rules),
        ["device: a depends on b of host"]
    );
}
