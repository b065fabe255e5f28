//! What a look at a point brings: a verdict, what was seen, a mend.

use std::fmt::Display;

use serde::Serialize;
use vgpu_terminal::Failure;

use crate::Evidence;

/// How a point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is well.
    Ok,
    /// It is not, and why.
    Fault,
    /// Nobody could look, or it makes no sense before another fault is mended.
    NotSeen,
}

/// Where a mend is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// A shell of the host.
    Host,
    /// A shell of the guest.
    Guest,
    /// The end of QEMU's command line, with which the VM is started again.
    QemuArguments,
}

/// What to type, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mend {
    /// Where.
    pub on: Place,
    /// The line.
    #[serde(rename = "type")]
    pub line: String,
}

impl Mend {
    /// For a shell of the host.
    pub fn host(line: impl Into<String>) -> Self {
        Self::on(Place::Host, line)
    }

    /// For a shell of the guest.
    pub fn guest(line: impl Into<String>) -> Self {
        Self::on(Place::Guest, line)
    }

    /// For there.
    pub fn on(on: Place, line: impl Into<String>) -> Self {
        let line = line.into();
        Self { on, line }
    }
}

/// Why a point is not well.
#[derive(Debug)]
pub struct Trouble {
    verdict: Verdict,
    cause: String,
    mends: Vec<Mend>,
}

impl Trouble {
    /// It is at fault; the mends are typed in this order.
    pub fn fault(cause: impl Display, mends: impl IntoIterator<Item = Mend>) -> Self {
        Self::new(Verdict::Fault, cause, mends)
    }

    /// It could not be seen. The mend lets it be seen.
    pub fn not_seen(why: impl Display, mends: impl IntoIterator<Item = Mend>) -> Self {
        Self::new(Verdict::NotSeen, why, mends)
    }

    fn new(verdict: Verdict, cause: impl Display, mends: impl IntoIterator<Item = Mend>) -> Self {
        Self {
            verdict,
            cause: cause.to_string(),
            mends: mends.into_iter().collect(),
        }
    }
}

/// Gives a failure of the check, whose mend is prose, one to type.
pub trait OrType<T> {
    /// The failure's cause, with this mend.
    ///
    /// # Errors
    /// Where there was a failure.
    fn or_type(self, mend: impl FnOnce() -> Mend) -> Result<T, Trouble>;
}

impl<T> OrType<T> for Result<T, Failure> {
    fn or_type(self, mend: impl FnOnce() -> Mend) -> Result<T, Trouble> {
        self.map_err(|failure| Trouble::fault(failure.cause, [mend()]))
    }
}

/// One thing that has to be well.
#[derive(Debug)]
pub struct Point<S> {
    /// A word for programs; it does not change.
    pub id: &'static str,
    /// What has to be so, in words.
    pub title: &'static str,
    /// Items of the guide's checklist, and its common issues, as "2, issue 6".
    pub guide: &'static str,
    /// Points that come first: while one of them has a fault, this one says
    /// nothing.
    pub after: &'static [&'static str],
    /// Looks at it.
    pub look: fn(&S, &mut Evidence) -> Result<(), Trouble>,
}

/// How a point was found; its words are the point's.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// See [`Point::id`].
    pub id: &'static str,
    /// See [`Point::title`].
    pub title: &'static str,
    /// See [`Point::guide`].
    pub guide: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was looked at, and how it is.
    pub seen: Evidence,
    /// Why it is a fault, or was not seen.
    pub cause: Option<String>,
    /// What to type, in order.
    pub mend: Vec<Mend>,
}

/// Looks at every point, in order.
pub fn examine<S>(points: &[Point<S>], subject: &S) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    // Points with a fault, and those that come after one.
    let mut held_up: Vec<&str> = Vec::new();
    for point in points {
        let mut seen = Evidence::default();
        let first = point.after.iter().find(|id| held_up.contains(id));
        let result = match first {
            Some(first) => {
                held_up.push(point.id);
                let why = format!("nothing to see before '{first}' is mended");
                Err(Trouble::not_seen(why, []))
            }
            None => (point.look)(subject, &mut seen),
        };
        let (verdict, cause, mend) = match result {
            Ok(()) => (Verdict::Ok, None, Vec::new()),
            Err(trouble) => (trouble.verdict, Some(trouble.cause), trouble.mends),
        };
        if verdict == Verdict::Fault {
            held_up.push(point.id);
        }
        findings.push(Finding {
            id: point.id,
            title: point.title,
            guide: point.guide,
            verdict,
            seen,
            cause,
            mend,
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(id: &'static str, after: &'static [&'static str]) -> Point<&'static str> {
        Point {
            id,
            title: id,
            guide: "",
            after,
            look: |broken, _| match *broken {
                "" => Ok(()),
                broken => Err(Trouble::fault(broken, [])),
            },
        }
    }

    #[test]
    fn what_comes_after_a_fault_says_nothing() {
        let points = [point("a", &[]), point("b", &["a"]), point("c", &["b"])];
        let verdicts = |broken| {
            let findings = examine(&points, &broken);
            findings.iter().map(|f| f.verdict).collect::<Vec<_>>()
        };
        assert_eq!(verdicts(""), [Verdict::Ok; 3]);
        let after = [Verdict::Fault, Verdict::NotSeen, Verdict::NotSeen];
        assert_eq!(verdicts("broken"), after);
    }
}
