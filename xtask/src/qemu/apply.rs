//! Puts the device into a source tree of QEMU, and takes it out again.
//!
//! What goes in is data: the files of `host/qemu/tree`, the static library, and the lines of
//! `host/qemu/glue`, each at the top of one of QEMU's files and between two marker lines. The tree keeps a list
//! of the files that came in, so taking them out needs nothing but the tree.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tempfile::NamedTempFile;
use vgpu_terminal::OrMend;

use super::tree::{BuildSystem, Tree, Version};

const BEGIN: &str = "# vgpu-stub begin\n";
const END: &str = "# vgpu-stub end\n";

/// The static library's place in the tree.
const LIBRARY: &str = "hw/misc/vgpu-stub/libvgpu_qemu.a";
/// The list of the files that came in.
const MANIFEST: &str = "hw/misc/vgpu-stub/files";

/// A file of `glue`, whose lines go into a file of the tree.
struct Edit {
    file: &'static str,
    glue: &'static str,
}

const fn edit(file: &'static str, glue: &'static str) -> Edit {
    Edit { file, glue }
}

const MESON_EDITS: &[Edit] = &[
    edit("hw/misc/meson.build", "meson.build"),
    edit("hw/misc/Kconfig", "Kconfig"),
    edit("hw/misc/trace-events", "trace-events"),
];

const MAKE_EDITS: &[Edit] = &[
    edit("hw/misc/Makefile.objs", "Makefile.objs"),
    edit("hw/misc/Kconfig", "Kconfig"),
    edit("hw/misc/trace-events", "trace-events"),
    // x86_64-softmmu.mak includes it.
    edit("default-configs/i386-softmmu.mak", "default-configs.mak"),
];

/// The device file with the fewest devices, and the first version that knows all that it names.
const DEVICES: (Version, Edit) = (
    Version(7, 1),
    edit("configs/devices/x86_64-softmmu/vgpu.mak", "vgpu.mak"),
);

fn edits(tree: &Tree) -> &'static [Edit] {
    match tree.build_system {
        BuildSystem::Make => MAKE_EDITS,
        BuildSystem::Meson => MESON_EDITS,
    }
}

/// The name of the device file with the fewest devices, where `tree` can have one.
pub(crate) fn device_file(version: Version) -> Option<&'static str> {
    (version >= DEVICES.0).then_some("vgpu")
}

/// Puts the device into `tree`, or brings it up to date. Files that are so already are not touched.
///
/// `attachment` is the folder `host/qemu`, `library` the static library.
pub(crate) fn apply(tree: &Tree, attachment: &Path, library: &Path) -> Result<()> {
    let glue = attachment.join("glue");
    let mut files = Vec::new();
    list_files(&attachment.join("tree"), Path::new(""), &mut files)?;
    files.push((library.to_path_buf(), PathBuf::from(LIBRARY)));
    if device_file(tree.version).is_some() {
        files.push((glue.join(DEVICES.1.glue), PathBuf::from(DEVICES.1.file)));
    }

    let ours = manifest(tree)?;
    let now: Vec<_> = files.iter().map(|(_, place)| place.clone()).collect();
    for place in now.iter().filter(|place| !ours.contains(place)) {
        let path = tree.root.join(place);
        ensure!(
            !path.exists(),
            "{} is in the way: it did not come from here",
            path.display()
        );
    }
    // The list goes first: it may name files that are not there, but must never miss one that is.
    let mut listed = now.clone();
    listed.extend(ours.iter().filter(|place| !now.contains(place)).cloned());
    write_manifest(tree, &listed)?;
    remove_files(tree, ours.iter().filter(|place| !now.contains(place)))?;
    for (from, place) in &files {
        let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        replace(&tree.root.join(place), &content)?;
    }
    write_manifest(tree, &now)?;

    for edit in edits(tree) {
        let path = tree.root.join(edit.file);
        let glue = glue.join(edit.glue);
        let lines =
            fs::read_to_string(&glue).with_context(|| format!("cannot read {}", glue.display()))?;
        let text = without_block(&path)?;
        replace(&path, format!("{BEGIN}{lines}{END}{text}").as_bytes())?;
    }
    Ok(())
}

/// Takes the device out of `tree`, which is then as it was, byte for byte.
pub(crate) fn revert(tree: &Tree) -> Result<()> {
    for edit in edits(tree) {
        let path = tree.root.join(edit.file);
        let text = without_block(&path)?;
        replace(&path, text.as_bytes())?;
    }
    let mut ours = manifest(tree)?;
    ours.push(PathBuf::from(MANIFEST));
    remove_files(tree, &ours)
}

/// The text of the file at `path`, less the block that `apply` put at its top.
fn without_block(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read {}", path.display()))
        .or_mend("Name an unpacked QEMU source with no file missing.")?;
    let Some(block) = text.strip_prefix(BEGIN) else {
        return Ok(text);
    };
    let (_, rest) = block
        .split_once(END)
        .with_context(|| format!("{} has lost the line {END:?}", path.display()))
        .or_mend("Restore that file from QEMU's source.")?;
    Ok(rest.to_string())
}

fn manifest(tree: &Tree) -> Result<Vec<PathBuf>> {
    let path = tree.root.join(MANIFEST);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let files: Vec<_> = text.lines().map(PathBuf::from).collect();
            let inside = |file: &PathBuf| {
                file.components()
                    .all(|part| matches!(part, Component::Normal(_)))
            };
            ensure!(
                files.iter().all(inside),
                "{} names files outside the tree",
                path.display()
            );
            Ok(files)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn write_manifest(tree: &Tree, files: &[PathBuf]) -> Result<()> {
    let lines: String = files
        .iter()
        .map(|file| format!("{}\n", file.display()))
        .collect();
    replace(&tree.root.join(MANIFEST), lines.as_bytes())
}

/// Adds each file below `root` to `files`, with its path from there.
fn list_files(root: &Path, below: &Path, files: &mut Vec<(PathBuf, PathBuf)>) -> Result<()> {
    let dir = root.join(below);
    let entries = fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))?;
    for entry in entries {
        let entry = entry?;
        let place = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            list_files(root, &place, files)?;
        } else {
            files.push((entry.path(), place));
        }
    }
    files.sort();
    Ok(())
}

/// Makes `content` that of the file at `path`, at once. A file that has it already keeps its time stamp, so nothing
/// is compiled again because of it.
fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let write = || -> io::Result<()> {
        match fs::read(path) {
            Ok(old) if old == content => return Ok(()),
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let dir = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(dir)?;
        let mut file = NamedTempFile::new_in(dir)?;
        file.write_all(content)?;
        let permissions = match fs::metadata(path) {
            Ok(metadata) => metadata.permissions(),
            Err(_) => fs::Permissions::from_mode(0o644),
        };
        file.as_file().set_permissions(permissions)?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Removes files, and the folders that are empty then.
fn remove_files<'a>(tree: &Tree, files: impl IntoIterator<Item = &'a PathBuf>) -> Result<()> {
    for file in files {
        let path = tree.root.join(file);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", path.display()));
            }
            _ => {}
        }
        for dir in path.ancestors().skip(1).take_while(|dir| *dir != tree.root) {
            if fs::remove_dir(dir).is_err() {
                break;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use tempfile::TempDir;

    /// All files below a folder, empty folders too.
    fn snapshot(root: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let mut all = BTreeMap::new();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let content = path.is_file().then(|| fs::read(&path).unwrap());
                if content.is_none() {
                    folders.push(path.clone());
                }
                all.insert(path, content);
            }
        }
        all
    }

    /// A folder with these files, each with a line of its own that does not end.
    fn tree(version: &str, files: &[&str]) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("# {file}")).unwrap();
        }
        fs::write(dir.path().join("VERSION"), format!("{version}\n")).unwrap();
        dir
    }

    fn meson_tree(version: &str) -> TempDir {
        let files = [
            "hw/misc/meson.build",
            "hw/misc/Kconfig",
            "hw/misc/trace-events",
            "hw/misc/edu.c",
            "configs/devices/x86_64-softmmu/default.mak",
        ];
        tree(version, &files)
    }

    fn make_tree() -> TempDir {
        let files = [
            "hw/misc/Makefile.objs",
            "hw/misc/Kconfig",
            "hw/misc/trace-events",
            "default-configs/i386-softmmu.mak",
            "default-configs/x86_64-softmmu.mak",
        ];
        tree("4.2.1", &files)
    }

    /// The real glue, with a shim and a library of a few bytes.
    fn attachment() -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        let glue = crate::checkout().join("host/qemu/glue");
        fs::create_dir_all(dir.path().join("tree/hw/misc")).unwrap();
        fs::create_dir(dir.path().join("glue")).unwrap();
        for entry in fs::read_dir(glue).unwrap() {
            let entry = entry.unwrap();
            fs::copy(
                entry.path(),
                dir.path().join("glue").join(entry.file_name()),
            )
            .unwrap();
        }
        fs::write(dir.path().join("tree/hw/misc/vgpu-stub.c"), "int shim;").unwrap();
        fs::write(dir.path().join("library.a"), b"!<arch>\n").unwrap();
        dir
    }

    fn apply_to(dir: &TempDir, attachment: &TempDir) -> Result<()> {
        let tree = Tree::open(dir.path()).unwrap();
        apply(
            &tree,
            attachment.path(),
            &attachment.path().join("library.a"),
        )
    }

    fn revert_in(dir: &TempDir) {
        revert(&Tree::open(dir.path()).unwrap()).unwrap();
    }

    fn text(dir: &TempDir, file: &str) -> String {
        fs::read_to_string(dir.path().join(file)).unwrap()
    }

    #[test]
    fn every_layout_is_as_before_once_reverted() {
        let attachment = attachment();
        for dir in [
            make_tree(),
            meson_tree("5.2.0"),
            meson_tree("7.2.22"),
            meson_tree("11.0.50"),
        ] {
            let before = snapshot(dir.path());
            apply_to(&dir, &attachment).unwrap();
            let applied = snapshot(dir.path());
            assert_ne!(applied, before);
            apply_to(&dir, &attachment).unwrap();
            assert_eq!(
                snapshot(dir.path()),
                applied,
                "applying twice changes something"
            );
            revert_in(&dir);
            assert_eq!(snapshot(dir.path()), before);
            revert_in(&dir);
            assert_eq!(
                snapshot(dir.path()),
                before,
                "reverting twice changes something"
            );
        }
    }

    #[test]
    fn meson_trees_get_the_device() {
        let (dir, attachment) = (meson_tree("7.2.22"), attachment());
        apply_to(&dir, &attachment).unwrap();
        assert_eq!(text(&dir, "hw/misc/vgpu-stub.c"), "int shim;");
        assert_eq!(text(&dir, LIBRARY), "!<arch>\n");
        let build = text(&dir, "hw/misc/meson.build");
        assert!(
            build.contains("input: 'vgpu-stub/libvgpu_qemu.a'"),
            "{build}"
        );
        assert!(build.ends_with("# hw/misc/meson.build"), "{build}");
        assert!(text(&dir, "hw/misc/Kconfig").contains("config VGPU_STUB\n"));
        assert!(text(&dir, "hw/misc/trace-events").contains("vgpu_stub_bar0_read("));
        assert!(text(&dir, DEVICES.1.file).contains("CONFIG_VGPU_STUB=y\n"));

        let old = meson_tree("7.0.0");
        apply_to(&old, &attachment).unwrap();
        assert!(
            !old.path().join(DEVICES.1.file).exists(),
            "7.0 has no CONFIG_CXL"
        );
    }

    #[test]
    fn make_trees_get_the_device() {
        let (dir, attachment) = (make_tree(), attachment());
        apply_to(&dir, &attachment).unwrap();
        let objects = text(&dir, "hw/misc/Makefile.objs");
        assert!(
            objects.contains("common-obj-$(CONFIG_VGPU_STUB) += vgpu-stub.o vgpu-stub-sharing.o vgpu-stub-values.o\n"),
            "{objects}"
        );
        assert!(objects.contains(LIBRARY), "{objects}");
        assert!(text(&dir, "hw/misc/Kconfig").contains("config VGPU_STUB\n"));
        assert!(text(&dir, "hw/misc/trace-events").contains("vgpu_stub_reset("));
        assert!(text(&dir, "default-configs/i386-softmmu.mak").contains("CONFIG_VGPU_STUB=y\n"));
        assert!(!dir.path().join("configs").exists());
    }

    #[test]
    fn a_changed_attachment_replaces_the_old_one() {
        let (dir, attachment) = (meson_tree("10.0.13"), attachment());
        let before = snapshot(dir.path());
        fs::write(attachment.path().join("tree/hw/misc/old.h"), "old").unwrap();
        apply_to(&dir, &attachment).unwrap();
        let build = dir.path().join("hw/misc/meson.build");
        let time = fs::metadata(&build).unwrap().modified().unwrap();

        fs::remove_file(attachment.path().join("tree/hw/misc/old.h")).unwrap();
        fs::write(attachment.path().join("library.a"), "new library").unwrap();
        fs::write(
            attachment.path().join("glue/trace-events"),
            "new_event(void) \"\"\n",
        )
        .unwrap();
        apply_to(&dir, &attachment).unwrap();
        assert!(!dir.path().join("hw/misc/old.h").exists());
        assert_eq!(text(&dir, LIBRARY), "new library");
        let events =
            "# vgpu-stub begin\nnew_event(void) \"\"\n# vgpu-stub end\n# hw/misc/trace-events";
        assert_eq!(text(&dir, "hw/misc/trace-events"), events);
        assert_eq!(
            fs::metadata(&build).unwrap().modified().unwrap(),
            time,
            "meson would run again"
        );
        revert_in(&dir);
        assert_eq!(snapshot(dir.path()), before);
    }

    #[test]
    fn what_others_put_there_stays() {
        let (dir, attachment) = (meson_tree("7.2.22"), attachment());
        fs::write(dir.path().join("hw/misc/vgpu-stub.c"), "another device").unwrap();
        let before = snapshot(dir.path());
        let error = apply_to(&dir, &attachment).unwrap_err().to_string();
        assert!(error.contains("vgpu-stub.c is in the way"), "{error}");
        revert_in(&dir);
        assert_eq!(snapshot(dir.path()), before);

        let dir = meson_tree("7.2.22");
        let before = snapshot(dir.path());
        fs::create_dir(dir.path().join("hw/misc/vgpu-stub")).unwrap();
        fs::write(dir.path().join(MANIFEST), "../outside\n").unwrap();
        assert!(revert(&Tree::open(dir.path()).unwrap()).is_err());
        fs::remove_dir_all(dir.path().join("hw/misc/vgpu-stub")).unwrap();
        assert_eq!(snapshot(dir.path()), before);
    }

    #[test]
    fn unknown_trees_are_refused_with_what_was_looked_for() {
        let error = |dir: &TempDir| Tree::open(dir.path()).unwrap_err().to_string();
        let empty = tempfile::tempdir().unwrap();
        assert!(error(&empty).contains("looked for") && error(&empty).contains("/VERSION"));
        for version in ["4.1.0", "12.0.0"] {
            let error = error(&meson_tree(version));
            assert!(error.contains(&format!(
                "QEMU {version} is not supported: looked for 4.2 to 11 in "
            )));
        }
        assert!(error(&meson_tree("unknown")).contains("holds \"unknown\", not a version"));
        assert!(error(&tree("7.2.0", &[])).contains("looked for"));
        assert!(error(&tree("7.2.0", &[])).contains("hw/misc/meson.build"));
        assert!(error(&tree("4.2.1", &[])).contains("hw/misc/Makefile.objs"));
    }
}
