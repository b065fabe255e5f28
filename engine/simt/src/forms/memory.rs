//! Loads, stores, and what orders them. Source: PTX ISA 9.7.9.8 to 9.7.9.15, 9.7.13.4.
//!
//! Words that only choose a cache or a scope change nothing here: what a
//! thread has written, the next thread sees.

use crate::code::{Action, Flow};
use crate::form::Form;

pub(super) const FORMS: &[Form] = &[
    form!(
        "ld{~[weak volatile relaxed acquire]}{~[cta cluster gpu sys]}{.[global const local shared shared::cta param param::entry param::func]}{~nc}{~[ca cg cs lu cv]}{~[L1::evict_normal L1::evict_unchanged L1::evict_first L1::evict_last L1::no_allocate]}{~[L2::64B L2::128B L2::256B]}{.[v2 v4 v8]}.[b8 b16 b32 b64 u8 u16 u32 u64 s8 s16 s32 s64 f32 f64] {d}, [a]",
        "9.7.9.8",
        |_| Some(Action::Load)
    ),
    form!(
        "ldu{.global}{.[v2 v4]}.[b8 b16 b32 b64 u8 u16 u32 u64 s8 s16 s32 s64 f32 f64] {d}, [a]",
        "9.7.9.10",
        |_| Some(Action::Load)
    ),
    form!(
        "st{~[weak volatile relaxed release]}{~[cta cluster gpu sys]}{.[global local shared shared::cta param param::func]}{~[wb cg cs wt]}{~[L1::evict_normal L1::evict_unchanged L1::evict_first L1::evict_last L1::no_allocate]}{.[v2 v4 v8]}.[b8 b16 b32 b64 u8 u16 u32 u64 s8 s16 s32 s64 f32 f64] [a], {b}",
        "9.7.9.11",
        |_| Some(Action::Store)
    ),
    // With a policy for a cache.
    form!(
        "ld{~[weak volatile relaxed acquire]}{~[cta cluster gpu sys]}{.global}{~nc}{~[L1::evict_normal L1::evict_unchanged L1::evict_first L1::evict_last L1::no_allocate]}.L2::cache_hint{~[L2::64B L2::128B L2::256B]}{.[v2 v4 v8]}.[b8 b16 b32 b64 u8 u16 u32 u64 s8 s16 s32 s64 f32 f64] {d}, [a], e:u64",
        "9.7.9.8",
        |_| Some(Action::Load)
    ),
    form!(
        "st{~[weak volatile relaxed release]}{~[cta cluster gpu sys]}{.global}{~[L1::evict_normal L1::evict_unchanged L1::evict_first L1::evict_last L1::no_allocate]}.L2::cache_hint{.[v2 v4 v8]}.[b8 b16 b32 b64 u8 u16 u32 u64 s8 s16 s32 s64 f32 f64] [a], {b}, e:u64",
        "9.7.9.11",
        |_| Some(Action::Store)
    ),
    form!("prefetch{.[global local]}.[L1 L2] [a]", "9.7.9.15", |_| {
        Some(Action::Flow(Flow::Nothing))
    }),
    form!(
        "prefetch.global.[L2::evict_last L2::evict_normal] [a]",
        "9.7.9.15",
        |_| Some(Action::Flow(Flow::Nothing))
    ),
    form!("prefetchu.L1 [a]", "9.7.9.15", |_| Some(Action::Flow(
        Flow::Nothing
    ))),
    form!("membar.[cta gl sys]", "9.7.13.4", |_| Some(Action::Flow(
        Flow::Nothing
    ))),
    form!(
        "fence{.[sc acq_rel acquire release]}.[cta cluster gpu sys]",
        "9.7.13.4",
        |_| Some(Action::Flow(Flow::Nothing))
    ),
];
