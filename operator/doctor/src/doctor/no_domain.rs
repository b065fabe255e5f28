//! A domain that cannot be found.

use vgpu_program::RunError;
use vgpu_terminal::Failure;

pub(super) fn no_domain(what: &str, error: &RunError) -> Failure {
    Failure::new(
        format!("cannot find {what}: {error}"),
        "run it as root in dom0, with a name or number that 'xl list' shows",
    )
}
