//! Programs that PyPI has, each in a virtual environment of the cache.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use vgpu_bed::cache::Cache;
use vgpu_bed::steps::Step;
use vgpu_terminal::OrMend;

/// The Python that environments are made with.
pub(crate) const PYTHON: &str = "/usr/bin/python3";

/// The virtual environment `name` with `packages`, such as `meson==1.9.0`. The
/// program `probe` of the last one says by `--version` whether it is complete.
pub(crate) fn environment(
    cache: &Cache,
    name: &str,
    packages: &[String],
    probe: &str,
    step: &Step,
) -> Result<PathBuf> {
    let venv = cache.path().join(name);
    let _lock = cache.lock(name)?;
    // pip makes programs last, and a Python that has gone since does not run them.
    let works = Command::new(venv.join("bin").join(probe))
        .arg("--version")
        .output();
    if !works.is_ok_and(|output| output.status.success()) {
        step.run(
            Command::new(PYTHON)
                .args(["-m", "venv", "--clear"])
                .arg(&venv),
        )?;
        let mut pip = Command::new(venv.join("bin/pip"));
        step.run(pip.arg("install").args(packages))
            .or_mend("Check that PyPI can be reached.")?;
    }
    Ok(venv)
}
