//! Whether the machines have learned what they should, and got what they were to get.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// By how much losses may differ, relative: the nets go their own ways. As in the demonstration without machines.
const APART: f64 = 1e-3;

/// By how much a share may differ from what is due, of the engine's time.
const BESIDE: f64 = 0.05;

/// What a training tells.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Step {
    /// How many steps were made.
    pub(super) step: u64,
    pub(super) loss: f64,
}

/// What a machine got of the engine's time, and what is due to it, of 1.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) name: &'static str,
    pub(super) got: f64,
    pub(super) due: f64,
}

/// What a training printed.
pub(super) fn parse(printed: &str) -> Result<Vec<Step>> {
    let steps = printed.lines().map(serde_json::from_str);
    steps
        .collect::<Result<_, _>>()
        .context("a line that is no step")
}

/// The losses, side by side.
pub(super) fn losses(right: &[f64], trained: &[(&str, Vec<f64>); 2]) -> String {
    let [(a, on_a), (b, on_b)] = trained;
    let mut text = format!(
        "\ntinygrad, as pip installs it, trains the same small net. Its loss:\n\n  \
         step   in machine {a}   in machine {b}   on this machine's CPU backend\n"
    );
    for (number, ((right, on_a), on_b)) in right.iter().zip(on_a).zip(on_b).enumerate() {
        let number = number + 1;
        text += &format!("  {number:4}   {on_a:.6}       {on_b:.6}       {right:.6}\n");
    }
    text
}

/// Says what holds.
///
/// # Errors
///
/// Something does not.
pub(super) fn check(
    right: &[f64],
    trained: &[(&str, Vec<f64>); 2],
    shares: &[Share],
) -> Result<()> {
    for (name, losses) in trained {
        ensure!(losses.len() >= right.len(), "machine {name} ended early");
        let apart = losses.iter().zip(right);
        let apart = apart.map(|(loss, right)| (loss - right).abs() / right.abs());
        let apart = apart.fold(0.0, |most: f64, it| match it.is_nan() {
            true => f64::INFINITY,
            false => most.max(it),
        });
        ensure!(
            apart < APART,
            "the losses of machine {name} are {apart:.1e} apart from the CPU backend's"
        );
        println!(
            "machine {name}: the losses are those of the CPU backend, to {apart:.0e} (bound {APART:.0e})"
        );
    }
    let learned = right.first().zip(right.last());
    ensure!(
        learned.is_some_and(|(first, last)| *last < first / 2.0),
        "the loss does not fall"
    );
    for share in shares {
        let Share { name, got, due } = share;
        ensure!(
            (got - due).abs() <= BESIDE,
            "machine {name} got {:.1} % of the engine, and {:.1} % are due to it",
            got * 100.0,
            due * 100.0
        );
        println!(
            "machine {name}: {:.1} % of the engine's time, {:.1} % by its weight (bound {:.0} points)",
            got * 100.0,
            due * 100.0,
            BESIDE * 100.0
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(got: f64) -> [Share; 2] {
        let share = |name, got, due| Share { name, got, due };
        [share("A", got, 0.75), share("B", 1.0 - got, 0.25)]
    }

    #[test]
    fn what_does_not_hold_is_an_error() {
        let right = [1.4, 0.9, 0.3];
        let with = |b: &[f64]| [("A", right.to_vec()), ("B", b.to_vec())];
        let said = |b: &[f64], got| {
            let error = check(&right, &with(b), &shares(got));
            error.unwrap_err().to_string()
        };
        check(&right, &with(&[1.4, 0.9001, 0.3, 0.1]), &shares(0.72)).unwrap();
        assert!(said(&[1.4, 0.91, 0.3], 0.75).contains("machine B are 1.1e-2 apart"));
        assert!(said(&[1.4, f64::NAN, 0.3], 0.75).contains("machine B are inf apart"));
        assert!(said(&[1.4, 0.9], 0.75).contains("machine B ended early"));
        assert!(said(&right, 0.5).contains("A got 50.0 % of the engine, and 75.0 %"));
        let flat = [1.4, 1.4];
        let trained = [("A", flat.to_vec()), ("B", flat.to_vec())];
        let error = check(&flat, &trained, &shares(0.75)).unwrap_err();
        assert!(error.to_string().contains("does not fall"));
    }
}
