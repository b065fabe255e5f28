//! `vgpu library` in root folders of their own, with the real ldconfig.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use common::{refused, text};
use serde_json::{Value, json};
use tempfile::TempDir;

const FOLDERS: [&str; 6] = [
    "etc/ld.so.conf.d",
    "usr/bin",
    "usr/lib/vgpu",
    "usr/lib/x86_64-linux-gnu",
    "usr/lib64",
    "var/cache",
];
const SETTING: &str = "etc/ld.so.conf.d/00-vgpu.conf";
const LINK: &str = "usr/lib/x86_64-linux-gnu/libcuda.so.1";
const GENUINE: &str = "/usr/lib/x86_64-linux-gnu/libcuda.so.1";

/// A Debian with the package's library.
fn system() -> TempDir {
    let root = TempDir::new().unwrap();
    for folder in FOLDERS {
        fs::create_dir_all(root.path().join(folder)).unwrap();
    }
    let at = |path: &str| root.path().join(path);
    fs::write(at("etc/ld.so.conf"), "include /etc/ld.so.conf.d/*.conf\n").unwrap();
    let multiarch = "/usr/lib/x86_64-linux-gnu\n";
    fs::write(at("etc/ld.so.conf.d/x86_64-linux-gnu.conf"), multiarch).unwrap();
    plant(&root, "usr/lib/vgpu/libcuda.so.1");
    symlink("libcuda.so.1", at("usr/lib/vgpu/libcuda.so")).unwrap();
    root
}

/// A library of this name, which ldconfig takes for one: this test's own, as built.
fn plant(root: &TempDir, path: &str) {
    let library = std::env::current_exe()
        .unwrap()
        .with_file_name("libcuda.so");
    fs::copy(&library, root.path().join(path)).unwrap();
}

/// `vgpu library` as root of that system: ldconfig makes it its own root folder.
fn library(root: &TempDir, words: &[&str]) -> Output {
    let vgpu = env!("CARGO_BIN_EXE_vgpu");
    let mut command = match rustix::process::geteuid().is_root() {
        true => Command::new(vgpu),
        false => {
            let mut unshare = Command::new("unshare");
            unshare.args(["--map-root-user", vgpu]);
            unshare
        }
    };
    command.arg("library").args(words).arg("--root");
    command.arg(root.path()).output().unwrap()
}

fn does(root: &TempDir, words: &[&str]) -> String {
    let output = library(root, words);
    assert!(output.status.success(), "{words:?}: {output:?}");
    assert_eq!(text(&output.stderr), "", "{words:?}");
    text(&output.stdout)
}

/// What `status` says, whose exit code is `code`.
fn status(root: &TempDir, code: i32) -> Value {
    let output = library(root, &["status", "--json"]);
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// All but the linker's cache, which comes and goes with what it lists.
fn tree(root: &TempDir) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.path().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path
                .strip_prefix(root.path())
                .unwrap()
                .display()
                .to_string();
            let about = path.symlink_metadata().unwrap();
            if about.is_dir() {
                folders.push(path);
            } else if !name.contains("cache") {
                let target = fs::read_link(&path).unwrap_or_default();
                found.insert(name, format!("{} {}", target.display(), about.len()));
            }
        }
    }
    found
}

fn is_link(root: &TempDir) -> bool {
    let target = fs::read_link(root.path().join(LINK)).unwrap_or_default();
    target == Path::new("/usr/lib/vgpu/libcuda.so.1")
}

#[test]
fn enabled_it_is_found_and_disabled_nothing_is_left() {
    let root = system();
    let before = tree(&root);
    let nothing =
        json!({"found": null, "ours": false, "enabled": null, "disabled": false, "others": []});
    assert_eq!(status(&root, 1), nothing);
    for words in [&["enable"][..], &["enable", "--package"], &["enable"]] {
        assert_eq!(does(&root, words), "");
        let enabled = json!({"found": GENUINE, "ours": true, "enabled": "link", "disabled": false, "others": []});
        assert_eq!(status(&root, 0), enabled, "{words:?}");
        assert!(is_link(&root));
    }
    let said = does(&root, &["status"]);
    assert!(said.contains(&format!("{GENUINE} (vgpu's)\n")), "{said}");
    assert!(said.contains("yes, by a link\n"), "{said}");
    does(&root, &["disable", "--package"]);
    assert_eq!(status(&root, 1), nothing);
    assert_eq!(tree(&root), before);
}

#[test]
fn another_driver_is_not_shadowed_unless_told() {
    let root = system();
    plant(&root, LINK);
    let before = tree(&root);
    let (cause, mend) = refused(&library(&root, &["enable"]), 1);
    assert!(cause.ends_with(GENUINE), "{cause}");
    assert!(mend.contains("vgpu library enable --shadow"), "{mend}");
    assert_eq!(tree(&root), before, "refused");

    // The package goes on, in one line.
    let said = does(&root, &["enable", "--package"]);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.contains(GENUINE) && said.contains("--shadow"),
        "{said}"
    );
    assert_eq!(tree(&root), before);
    assert_eq!(status(&root, 1)["found"], GENUINE);

    does(&root, &["enable", "--shadow"]);
    let shadowed = json!({
        "found": "/usr/lib/vgpu/libcuda.so.1", "ours": true, "enabled": "shadow", "disabled": false, "others": [GENUINE]
    });
    assert_eq!(status(&root, 0), shadowed);
    // An upgrade keeps it so, and has nothing to say.
    assert_eq!(does(&root, &["enable", "--package"]), "");
    assert_eq!(status(&root, 0), shadowed);
    assert!(!is_link(&root), "the driver is as it was");

    does(&root, &["disable", "--package"]);
    assert_eq!(status(&root, 1)["found"], GENUINE);
    assert_eq!(tree(&root), before);
}

#[test]
fn what_was_disabled_by_hand_stays_so_through_upgrades() {
    let root = system();
    let before = tree(&root);
    does(&root, &["enable", "--package"]);
    does(&root, &["disable"]);
    for words in [&["enable", "--package"][..], &["disable"]] {
        does(&root, words);
        let disabled =
            json!({"found": null, "ours": false, "enabled": null, "disabled": true, "others": []});
        assert_eq!(status(&root, 1), disabled, "{words:?}");
    }
    // Until somebody enables it again.
    does(&root, &["enable"]);
    assert_eq!(status(&root, 0)["enabled"], "link");
    assert!(!root.path().join(SETTING).exists());
    does(&root, &["disable"]);
    does(&root, &["disable", "--package"]);
    assert_eq!(tree(&root), before);
}

/// dpkg and rpm put a driver's file in place of the link.
#[test]
fn a_driver_that_is_installed_later_is_found() {
    let root = system();
    does(&root, &["enable", "--package"]);
    fs::remove_file(root.path().join(LINK)).unwrap();
    plant(&root, LINK);
    assert_eq!(status(&root, 1)["others"], json!([GENUINE]));
    // Or elsewhere; then the link goes with the next upgrade.
    fs::remove_file(root.path().join(LINK)).unwrap();
    does(&root, &["enable"]);
    plant(&root, "usr/lib64/libcuda.so.1");
    assert!(does(&root, &["enable", "--package"]).contains("/usr/lib64/libcuda.so.1"));
    assert!(!is_link(&root));
    assert_eq!(status(&root, 1)["enabled"], Value::Null);
}

#[test]
fn what_is_in_the_way_is_named_and_left() {
    let root = system();
    let path = root.path().join(LINK);
    fs::write(&path, "somebody's").unwrap();
    let (cause, _) = refused(&library(&root, &["enable"]), 2);
    assert!(cause.contains(GENUINE), "{cause}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "somebody's");
    fs::remove_file(&path).unwrap();
    // The other name is no program's only one.
    let other = path.with_file_name("libcuda.so");
    fs::write(&other, "somebody's").unwrap();
    does(&root, &["enable"]);
    assert_eq!(status(&root, 0)["enabled"], "link");
    does(&root, &["disable", "--package"]);
    assert_eq!(fs::read_to_string(&other).unwrap(), "somebody's");
}

#[test]
fn what_cannot_be_written_is_named() {
    let root = system();
    fs::remove_dir_all(root.path().join("etc/ld.so.conf.d")).unwrap();
    fs::write(root.path().join("etc/ld.so.conf.d"), "").unwrap();
    let (cause, _) = refused(&library(&root, &["enable", "--shadow"]), 2);
    assert!(
        cause.starts_with("cannot write ") && cause.contains(SETTING),
        "{cause}"
    );
}
