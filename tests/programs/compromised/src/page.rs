//! The list as the book has it.

use std::fmt::Write;

use crate::acts::ACTS;
use crate::{Act, Outcome};

/// The table of the book's page, in Markdown.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "| a process tries to | Xen | vfio-user | with features | CUDA worker |\n|---|---|---|---|---|\n",
    );
    for act in ACTS {
        let Act { what, .. } = act;
        // Writing to a string does not fail.
        let _ = writeln!(
            page,
            "| {what} | {} | {} | {} | {} |",
            word(act.xen),
            word(act.vfio_user),
            word(act.with_features),
            word(act.worker)
        );
    }
    page
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ended => "ended",
        Outcome::OverLimit => "ended, over a limit",
        Outcome::Refused => "refused",
        Outcome::Works => "**works**",
        Outcome::Nothing => "",
    }
}
