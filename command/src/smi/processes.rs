//! Who has a device open.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::Serialize;

/// A process with a session, or about to have one.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Process {
    pub(super) process: u32,
    /// Its user, by number.
    pub(super) user: u32,
    /// What it was started by, cut.
    pub(super) command: String,
}

/// The longest command that is shown, in characters.
const LONGEST: usize = 60;

/// The processes that have a file open, but for this one; and whether those are all, as none of another user's is looked into
/// without being root.
pub(super) fn with(file: &Path) -> (Vec<Process>, bool) {
    let (mut found, mut all) = (Vec::new(), true);
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|it| it.file_name().to_str()?.parse::<u32>().ok());
    for process in numbers.filter(|it| *it != std::process::id()) {
        let folder = Path::new("/proc").join(process.to_string());
        match fs::read_dir(folder.join("fd")) {
            Ok(mut open) => {
                if open.any(|it| {
                    it.is_ok_and(|it| fs::read_link(it.path()).is_ok_and(|to| to == file))
                }) {
                    found.push(describe(process, &folder));
                }
            }
            // One that has ended since has nothing open.
            Err(error) => all &= error.kind() != std::io::ErrorKind::PermissionDenied,
        }
    }
    found.sort_by_key(|it| it.process);
    (found, all)
}

fn describe(process: u32, folder: &Path) -> Process {
    let words = fs::read(folder.join("cmdline")).unwrap_or_default();
    let words = String::from_utf8_lossy(&words);
    let shown = words
        .chars()
        .map(|it| if it.is_control() { ' ' } else { it });
    Process {
        process,
        user: fs::metadata(folder).map_or(0, |it| it.uid()),
        command: shown
            .take(LONGEST)
            .collect::<String>()
            .trim_end()
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_with_the_file_is_found_and_this_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("file");
        let file = fs::File::create(&path).unwrap();
        assert_eq!(with(&path).0, []);
        let mut child = Command::new("sleep");
        let mut child = child.arg("60").stdout(Stdio::from(file)).spawn().unwrap();
        let (found, _) = with(&path);
        child.kill().unwrap();
        child.wait().unwrap();
        let [process] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(
            (process.process, &*process.command),
            (child.id(), "sleep 60")
        );
        assert_eq!(with(&path).0, []);
    }
}
