//! The groups of the tree: each folder's README says on which others it may depend, and what cargo knows agrees.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// How a README begins its rule.
const RULE: &str = "May depend on: ";

/// How the list begins of crates that others can use.
const FOR_OTHERS: &str = "Built without the rest of this tree, for others to use: ";

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
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    src_path: PathBuf,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `dev`, `build`, or none for one of the product itself.
    kind: Option<String>,
    /// Where it lies, for one of the workspace.
    path: Option<PathBuf>,
}

impl Package {
    fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap()
    }

    /// Its folder below that of its group.
    fn below_group(&self) -> &str {
        let group = checkout().join(group(self.folder()));
        self.folder().strip_prefix(group).unwrap().to_str().unwrap()
    }

    /// What it is built of, in the workspace. What its tests depend on is free.
    fn built_of(&self) -> impl Iterator<Item = (&str, &Path)> {
        let built_of = self.dependencies.iter();
        let built_of = built_of.filter(|it| it.kind.as_deref() != Some("dev"));
        built_of.filter_map(|it| Some((&*it.name, it.path.as_deref()?)))
    }

    /// Whether no `unsafe` can be in it, its tests apart.
    fn forbids_unsafe(&self) -> bool {
        let tests = ["test", "bench", "example"];
        let mut built = self
            .targets
            .iter()
            .filter(|it| !tests.contains(&&*it.kind[0]));
        built.all(|it| {
            let source = fs::read_to_string(&it.src_path).unwrap();
            source.lines().any(|line| line == "#![forbid(unsafe_code)]")
        })
    }
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

fn readme(group: &str) -> String {
    let path = checkout().join(group).join("README.md");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What the line of a group's README lists that begins so.
fn listed(group: &str, beginning: &str) -> BTreeSet<String> {
    let text = readme(group);
    let mut lines = text.lines();
    let list = lines.find_map(|line| line.strip_prefix(beginning)?.strip_suffix('.'));
    let list = list.unwrap_or_else(|| panic!("{group}/README.md: no line \"{beginning}…\""));
    list.split(", ").map(str::to_owned).collect()
}

/// On which groups one may depend, by its README.
fn rule(group: &str) -> BTreeSet<String> {
    let mut rule = listed(group, RULE);
    rule.remove("no other group");
    rule
}

/// The folders that a cell of a table names, in backquotes.
fn folders(cell: &str) -> BTreeSet<String> {
    let words = cell.split('`').skip(1).step_by(2);
    words.map(|it| it.trim_end_matches('/').into()).collect()
}

/// What the map says of each group: what it is, and the `unsafe` in it.
fn map() -> BTreeMap<String, (String, String)> {
    let map = fs::read_to_string(checkout().join("ARCHITECTURE.md")).unwrap();
    let rows = map
        .lines()
        .filter(|line| line.starts_with("| [`") || line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split('|').collect();
        let group = folders(cells[0]).pop_first().unwrap();
        (group, (cells[1].to_owned(), cells[2].to_owned()))
    })
    .collect()
}

/// The names of this package and of all of the workspace that it is built of.
fn built_of(packages: &[Package], name: &str) -> BTreeSet<String> {
    let mut built = BTreeSet::from([name.to_owned()]);
    let mut left = vec![name.to_owned()];
    while let Some(name) = left.pop() {
        let package = packages.iter().find(|package| package.name == name);
        let names = package.unwrap().built_of().map(|(name, _)| name.to_owned());
        left.extend(names.filter(|name| built.insert(name.clone())));
    }
    built
}

/// The dependencies that no rule allows.
fn wrong(packages: &[Package], rules: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in packages {
        let own = group(package.folder());
        let Some(allowed) = rules.get(&own) else {
            continue;
        };
        for (dependency, path) in package.built_of() {
            let other = group(path);
            if other != own && !allowed.contains(&other) {
                let name = &package.name;
                wrong.push(format!("{own}: {name} depends on {dependency} of {other}"));
            }
        }
    }
    wrong
}

#[test]
fn no_group_depends_on_another_than_its_readme_says() {
    let packages = metadata().packages;
    let groups: BTreeSet<_> = packages.iter().map(|p| group(p.folder())).collect();
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
        .map(|p| group(p.folder()))
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
    let readme = readme("operator");
    let mut below = BTreeSet::new();
    let mut said = BTreeMap::new();
    for row in readme.lines().rev().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.trim_matches('|').split('|').collect();
        let (folder, uses) = (folders(cells[0]), cells[cells.len() - 1]);
        let uses = match uses.trim() {
            "all below" => below.clone(),
            _ => folders(uses),
        };
        assert!(uses.is_subset(&below), "{row}: not below it: {uses:?}");
        below.extend(folder.clone());
        said.insert(folder.first().unwrap().clone(), uses);
    }
    let operator = checkout().join("operator");
    let folder = |path: &Path| Some(path.strip_prefix(&operator).ok()?.to_str()?.to_owned());
    for package in metadata().packages {
        let Some(name) = folder(package.folder()) else {
            continue;
        };
        let uses = package.built_of().filter_map(|(_, path)| folder(path));
        let uses: BTreeSet<_> = uses.collect();
        let packaging = BTreeSet::from(["packaging".to_owned()]);
        let said: BTreeSet<_> = said[&name].difference(&packaging).cloned().collect();
        assert_eq!(uses, said, "{name}");
    }
}

/// By its name, and by its folder where it has one of its own.
#[test]
fn each_groups_readme_lists_its_crates() {
    for package in metadata().packages {
        let group = group(package.folder());
        if group == ABOVE_ALL {
            continue;
        }
        let readme = readme(&group);
        let word = |c: char| c.is_alphanumeric() || "-_".contains(c);
        let named = readme.split(|c| !word(c)).any(|it| it == package.name);
        let folder = package.below_group();
        let found = folder.is_empty() || readme.contains(&format!("`{folder}/`"));
        let name = &package.name;
        assert!(
            named && found,
            "{group}/README.md says nothing of `{folder}/` ({name})"
        );
    }
}

#[test]
fn an_attachment_knows_no_other_attachment() {
    let packages = metadata().packages;
    let attachments = folders(&map()["host"].0);
    assert!(attachments.len() > 1, "{attachments:?}");
    let in_host = |folder: &String| {
        let folder = checkout().join("host").join(folder);
        let package = packages.iter().find(|it| it.folder() == folder);
        package.unwrap().name.clone()
    };
    let attachments: BTreeSet<_> = attachments.iter().map(in_host).collect();
    for name in &attachments {
        let built = built_of(&packages, name);
        let known: Vec<_> = built.intersection(&attachments).collect();
        assert_eq!(known, [name]);
    }
}

#[test]
fn what_is_for_others_is_built_without_the_rest() {
    let packages = metadata().packages;
    for name in listed("host", FOR_OTHERS) {
        assert_eq!(built_of(&packages, &name), BTreeSet::from([name]));
    }
}

/// A folder that the map names stands for those below it.
#[test]
fn unsafe_code_is_where_the_map_says() {
    let packages = metadata().packages;
    let map = map();
    let groups: BTreeSet<_> = packages.iter().map(|it| group(it.folder())).collect();
    assert_eq!(map.keys().cloned().collect::<BTreeSet<_>>(), groups);
    for (name, (_, cell)) in map {
        let said = folders(&cell);
        let of_group = packages.iter().filter(|it| group(it.folder()) == name);
        let found = of_group.filter(|it| !it.forbids_unsafe()).map(|package| {
            let folder = Path::new(package.below_group());
            let named = said.iter().find(|said| folder.starts_with(said));
            named.map_or(package.below_group(), |it| it).to_owned()
        });
        assert_eq!(found.collect::<BTreeSet<_>>(), said, "{name}");
    }
}

/// What `cargo xtask` is built of, and so what `cargo xtask book` waits for: no part of the product but what
/// benchmarks read registers by.
#[test]
fn the_tasks_are_built_without_the_product() {
    let packages = metadata().packages;
    let built = built_of(&packages, "xtask");
    let of = packages.iter().filter(|it| built.contains(&it.name));
    let groups: BTreeSet<_> = of.map(|package| group(package.folder())).collect();
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
        targets: vec![],
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
                kind: Some("build".into()),
                path: Some(at("ring")),
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
        [
            "device: a depends on b of host",
            "device: a depends on d of ring"
        ]
    );
}
