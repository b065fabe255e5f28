//! Control flow and barriers of a block. Source: PTX ISA 9.7.12, 9.7.13.1.

use crate::code::{Action, Flow, Reduction};
use crate::form::Form;

pub(super) const FORMS: &[Form] = &[
    form!("bra{.uni} label", "9.7.12.3", |_| Some(Action::Flow(
        Flow::Branch
    ))),
    form!("brx.idx{.uni} a:u32, labels", "9.7.12.4", |_| Some(
        Action::Flow(Flow::Choose)
    )),
    form!("call{.uni} call", "9.7.12.5", |_| Some(Action::Flow(
        Flow::Call
    ))),
    form!("ret{.uni}", "9.7.12.6", |_| Some(Action::Flow(
        Flow::Return
    ))),
    form!("exit", "9.7.12.7", |_| Some(Action::Flow(Flow::Exit))),
    form!("trap", "9.7.19.4", |_| Some(Action::Flow(Flow::Trap))),
    form!("brkpt", "9.7.19.1", |_| Some(Action::Flow(Flow::Nothing))),
    form!("bar{.cta}.sync -, a:u32, b:u32?", "9.7.13.1", |_| Some(
        Action::Flow(Flow::Barrier(Reduction::None))
    )),
    form!(
        "barrier{.cta}.sync{.aligned} -, a:u32, b:u32?",
        "9.7.13.1",
        |_| Some(Action::Flow(Flow::Barrier(Reduction::None)))
    ),
    form!("bar{.cta}.arrive -, a:u32, b:u32", "9.7.13.1", |_| Some(
        Action::Flow(Flow::Arrive)
    )),
    form!(
        "barrier{.cta}.arrive{.aligned} -, a:u32, b:u32",
        "9.7.13.1",
        |_| Some(Action::Flow(Flow::Arrive))
    ),
    form!("bar{.cta}.red.popc.u32 d, a:u32, !c", "9.7.13.1", |_| Some(
        Action::Flow(Flow::Barrier(Reduction::Count))
    )),
    form!(
        "bar{.cta}.red.popc.u32 d, a:u32, b:u32, !c",
        "9.7.13.1",
        |_| Some(Action::Flow(Flow::Barrier(Reduction::Count)))
    ),
    form!("bar{.cta}.red.and.pred p, a:u32, !c", "9.7.13.1", |_| Some(
        Action::Flow(Flow::Barrier(Reduction::And))
    )),
    form!(
        "bar{.cta}.red.and.pred p, a:u32, b:u32, !c",
        "9.7.13.1",
        |_| Some(Action::Flow(Flow::Barrier(Reduction::And)))
    ),
    form!("bar{.cta}.red.or.pred p, a:u32, !c", "9.7.13.1", |_| Some(
        Action::Flow(Flow::Barrier(Reduction::Or))
    )),
    form!(
        "bar{.cta}.red.or.pred p, a:u32, b:u32, !c",
        "9.7.13.1",
        |_| Some(Action::Flow(Flow::Barrier(Reduction::Or)))
    ),
    form!(
        "barrier{.cta}.red.popc{.aligned}.u32 d, a:u32, !c",
        "9.7.13.1",
        |_| Some(Action::Flow(Flow::Barrier(Reduction::Count)))
    ),
    form!(
        "barrier{.cta}.red.and{.aligned}.pred p, a:u32, !c",
        "9.7.13.1",
        |_| Some(Action::Flow(Flow::Barrier(Reduction::And)))
    ),
    form!(
        "barrier{.cta}.red.or{.aligned}.pred p, a:u32, !c",
        "9.7.13.1",
        |_| Some(Action::Flow(Flow::Barrier(Reduction::Or)))
    ),
    form!(
        "barrier{.cta}.red.popc{.aligned}.u32 d, a:u32, b:u32, !c",
        "9.7.13.1",
        |_| Some(Action::Flow(Flow::Barrier(Reduction::Count)))
    ),
    form!(
        "barrier{.cta}.red.and{.aligned}.pred p, a:u32, b:u32, !c",
        "9.7.13.1",
        |_| Some(Action::Flow(Flow::Barrier(Reduction::And)))
    ),
    form!(
        "barrier{.cta}.red.or{.aligned}.pred p, a:u32, b:u32, !c",
        "9.7.13.1",
        |_| Some(Action::Flow(Flow::Barrier(Reduction::Or)))
    ),
];
