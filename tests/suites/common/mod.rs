//! What the tests of all attachments share.
// Each uses a part of it.
#![allow(dead_code, unused_imports, unused_macros)]

mod attack;
pub(crate) mod features;
mod guest;
mod place;
mod qtest_target;
mod unplug;

pub(crate) use attack::{ATTACKED, LOG_LIMIT, attack, memory_kib, processor_time};
pub(crate) use guest::{
    CUDA, conforms, environment, image, image_with_cuda, image_with_driver, image_with_driver_on,
    image_with_driver_sanitized, lists_as_golden, run,
};
pub(crate) use place::Place;
pub(crate) use qtest_target::{HOME, QtestTarget, SPARE};
pub(crate) use unplug::{UnderLoad, plug, under_load, with_timers};
