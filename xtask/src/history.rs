//! The project as it was at a commit.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, anyhow, ensure};
use vgpu_bed::cache::Cache;
use vgpu_bed::process;
use vgpu_bed::steps::Steps;
use vgpu_terminal::OrMend;

use crate::checkout;

/// A commit that the checkout's repository has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Commit {
    /// All digits of its name.
    name: String,
    /// When it was made, in seconds since 1970.
    time: u64,
}

impl Commit {
    /// The commit that git knows by this word: a branch, a tag, or digits of a name.
    ///
    /// # Errors
    /// There is no git, the checkout is no repository, or it lacks the commit.
    pub(crate) fn find(word: &str) -> Result<Self> {
        Self::find_in(checkout(), word)
    }

    fn find_in(folder: &Path, word: &str) -> Result<Self> {
        git(folder, &["rev-parse", "--git-dir"])
            .context("this checkout is not a git repository, so it has no older commits")
            .or_mend("Clone the repository, whole: git clone URL")?;
        let asked = format!("{word}^{{commit}}");
        let words = [
            "log",
            "-1",
            "--format=%H %ct",
            "--end-of-options",
            &asked,
            "--",
        ];
        let found = git(folder, &words)
            .with_context(|| format!("the repository has no commit {word:?}"))
            .or_mend("Fetch it, in a shallow clone by: git fetch --unshallow; or name another by --commit.")?;
        let (name, time) = found
            .trim()
            .split_once(' ')
            .with_context(|| format!("git says {found:?} of commit {word:?}"))?;
        Ok(Self {
            name: name.to_owned(),
            time: time.parse().context("git says no time of the commit")?,
        })
    }

    /// All 40 digits.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// As many digits as tell it from all others, for people.
    pub(crate) fn short(&self) -> &str {
        self.name.get(..12).unwrap_or(&self.name)
    }

    /// The folder with its packages, which its own `cargo xtask package` builds when the cache does not hold them.
    ///
    /// # Errors
    /// They do not build.
    pub(crate) fn packages(&self, cache: &Cache, steps: &Steps) -> Result<PathBuf> {
        cache.entry("releases", self.name(), |folder| {
            let build = tempfile::tempdir_in(folder)?;
            self.extract(build.path())?;
            let name = format!("Build the packages of {}", self.short());
            steps.step(&name, |step| {
                let mut cargo = process::cargo();
                cargo
                    .current_dir(build.path())
                    .args(["xtask", "package", "--out"]);
                cargo.arg(folder);
                // What builds this checkout is none of its business.
                cargo.env("CARGO_TARGET_DIR", build.path().join("target"));
                // Its files are in no repository that could tell how old it is.
                cargo.env("SOURCE_DATE_EPOCH", self.time.to_string());
                step.run(&mut cargo)
            })
        })
    }

    /// Writes all of its files to this folder, which exists.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub(crate) fn extract(&self, to: &Path) -> Result<()> {
        let archive = tempfile::NamedTempFile::new()?;
        let output = Command::new("git")
            .current_dir(checkout())
            .args(["archive", "--format=tar"])
            .arg("--output")
            .args([archive.path().as_os_str(), self.name.as_ref()])
            .output();
        said(output, "git archive")?;
        let output = Command::new("tar")
            .arg("--extract")
            .arg("--file")
            .args([archive.path()])
            .arg("--directory")
            .arg(to)
            .output();
        said(output, "tar").map(drop)
    }
}

fn git(folder: &Path, words: &[&str]) -> Result<String> {
    let output = Command::new("git").current_dir(folder).args(words).output();
    said(output, "git")
}

/// What a program has printed that did its work.
fn said(output: std::io::Result<Output>, name: &str) -> Result<String> {
    let output = output
        .with_context(|| format!("cannot run {name}"))
        .or_mend("Install it: apt-get install git tar")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{name} failed: {}",
        complaint.lines().next().unwrap_or_default()
    );
    String::from_utf8(output.stdout).map_err(|_| anyhow!("{name} says what is no text"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use vgpu_terminal::describe;

    fn git_in(folder: &Path, words: &[&str]) {
        let identity = ["-c", "user.name=x", "-c", "user.email=x@localhost"];
        git(folder, &[&identity[..], words].concat()).unwrap();
    }

    #[test]
    fn a_commit_that_is_missing_is_said_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let failed = |word: &str| describe(&Commit::find_in(folder.path(), word).unwrap_err());
        let text = failed("HEAD");
        assert!(text.contains("is not a git repository"), "{text}");
        assert!(text.contains("git clone"), "{text}");

        git_in(folder.path(), &["init", "--quiet"]);
        git_in(
            folder.path(),
            &["commit", "--quiet", "--allow-empty", "--message=x"],
        );
        let commit = Commit::find_in(folder.path(), "HEAD").unwrap();
        assert_eq!(commit.name().len(), 40);
        assert!(commit.time > 1_700_000_000);
        for word in [
            "0123456789abcdef0123456789abcdef01234567",
            "",
            "--all",
            "x y",
        ] {
            let text = failed(word);
            assert!(text.contains(&format!("has no commit {word:?}")), "{text}");
            assert!(text.contains("git fetch --unshallow"), "{text}");
        }
    }
}
