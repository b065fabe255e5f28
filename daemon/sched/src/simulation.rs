//! Shares on a clock of its own: machines whose sessions send kernels of known lengths, under the scheduler that serves
//! real ones.

mod report;
mod scenario;
mod world;

pub use report::{Machine, Report};
pub use scenario::{Engine, Lengths, Scenario, VmScenario};

/// Runs a scenario; the same one gives the same report.
///
/// # Errors
/// What is wrong with the scenario, in one line.
pub fn run(scenario: &Scenario) -> Result<Report, String> {
    scenario.check()?;
    Ok(world::World::new(scenario).run())
}
