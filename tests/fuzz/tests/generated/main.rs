//! Inputs that have the form of what a target reads, for the most part: they come far without a
//! fuzzer's instruments, and so there are many in a second. `cargo xtask soak cuda-fuzz` has 5,000
//! times as many, and libFuzzer after them.

#[path = "../common/mod.rs"]
mod common;
mod ptx;
mod ring;
mod wire;

use common::hold;
use vgpu_bed::soak::times;

#[test]
fn rings_hold() {
    hold("cuda-ring", 3_000, &mut |_, random, input| {
        ring::input(random, input);
    });
}

#[test]
fn messages_hold() {
    let mut maker = wire::Maker::default();
    hold("cuda-wire", 16_000, &mut |n, random, input| {
        maker.input(n, random, input);
    });
    let (name, fewest) = maker.fewest();
    println!("cuda-wire: each message {fewest} times or more ({name})");
    assert!(fewest >= 200 * u64::from(times()), "{name}: {fewest}");
}

#[test]
fn texts_of_modules_hold() {
    let seeds = ptx::Seeds::read();
    hold("cuda-ptx", 300, &mut |_, random, input| {
        seeds.input(random, input);
    });
}
