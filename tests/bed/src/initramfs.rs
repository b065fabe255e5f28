//! An initramfs that is the same, byte for byte, wherever it is made from the same files.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::{Context, Result};
use cpio::newc::{Builder, ModeFileType, trailer};

/// The files of an initramfs, by their paths without a leading slash.
#[derive(Debug, Default)]
pub struct Initramfs {
    // In order of paths, which puts a folder before what is in it.
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    Folder,
    File { contents: Vec<u8>, executable: bool },
    Link { target: String },
}

impl Initramfs {
    /// Adds an empty folder; those above a file are added with it.
    pub fn folder(&mut self, path: &str) {
        self.insert(path, Entry::Folder);
    }

    /// Adds a file.
    pub fn file(&mut self, path: &str, contents: Vec<u8>) {
        self.insert(
            path,
            Entry::File {
                contents,
                executable: false,
            },
        );
    }

    /// Adds a file that can be executed.
    pub fn program(&mut self, path: &str, contents: Vec<u8>) {
        self.insert(
            path,
            Entry::File {
                contents,
                executable: true,
            },
        );
    }

    /// Adds a symbolic link to `target`, which is relative to the link unless it starts with a slash.
    pub fn link(&mut self, path: &str, target: &str) {
        self.insert(
            path,
            Entry::Link {
                target: target.to_string(),
            },
        );
    }

    /// Adds `entry`, and the folders above it.
    fn insert(&mut self, path: &str, entry: Entry) {
        let path = path.trim_start_matches('/');
        for (slash, _) in path.match_indices('/') {
            self.entries
                .entry(path[..slash].to_string())
                .or_insert(Entry::Folder);
        }
        self.entries.insert(path.to_string(), entry);
    }

    /// Writes the archive in the format newc, which is the kernel's, and returns `output`.
    ///
    /// # Errors
    /// When `output` fails, or a file has 4 GiB or more.
    pub fn write<W: Write>(&self, mut output: W) -> Result<W> {
        for (number, (path, entry)) in (1..).zip(&self.entries) {
            let (file_type, permissions, contents) = match entry {
                Entry::Folder => (ModeFileType::Directory, 0o755, &[][..]),
                Entry::File {
                    contents,
                    executable: false,
                } => (ModeFileType::Regular, 0o644, &contents[..]),
                Entry::File {
                    contents,
                    executable: true,
                } => (ModeFileType::Regular, 0o755, &contents[..]),
                Entry::Link { target } => (ModeFileType::Symlink, 0o777, target.as_bytes()),
            };
            let size = contents
                .len()
                .try_into()
                .with_context(|| format!("{path} is too large"))?;
            let builder = Builder::new(path)
                .ino(number)
                .mode(permissions)
                .set_mode_file_type(file_type);
            let mut entry = builder.write(output, size);
            entry.write_all(contents)?;
            output = entry.finish()?;
        }
        Ok(trailer(output)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cpio::newc::Reader;
    use std::io::Read;

    /// Each entry as its path, its mode in octal, and its contents.
    fn listed(initramfs: &Initramfs) -> Vec<String> {
        let bytes = initramfs.write(Vec::new()).unwrap();
        let mut left = &bytes[..];
        let mut list = Vec::new();
        loop {
            let mut reader = Reader::new(left).unwrap();
            let entry = reader.entry().clone();
            if entry.is_trailer() {
                return list;
            }
            assert_eq!((entry.uid(), entry.gid(), entry.mtime()), (0, 0, 0));
            let mut contents = String::new();
            reader.read_to_string(&mut contents).unwrap();
            list.push(format!("{} {:o} {contents}", entry.name(), entry.mode()));
            left = reader.finish().unwrap();
        }
    }

    #[test]
    fn files_come_after_their_folders() {
        let mut initramfs = Initramfs::default();
        initramfs.program("/bin/tool", b"code".to_vec());
        initramfs.file("a/b/c.txt", b"text".to_vec());
        initramfs.link("bin/alias", "tool");
        initramfs.folder("a/b");
        let expected = [
            "a 40755 ",
            "a/b 40755 ",
            "a/b/c.txt 100644 text",
            "bin 40755 ",
            "bin/alias 120777 tool",
            "bin/tool 100755 code",
        ];
        assert_eq!(listed(&initramfs), expected);
    }

    #[test]
    fn the_order_of_making_does_not_matter() {
        let (mut one, mut other) = (Initramfs::default(), Initramfs::default());
        one.file("x", vec![1]);
        one.file("y/z", vec![2; 5]);
        other.file("y/z", vec![2; 5]);
        other.file("x", vec![1]);
        assert_eq!(
            one.write(Vec::new()).unwrap(),
            other.write(Vec::new()).unwrap()
        );
    }
}
