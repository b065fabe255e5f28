//! One step of each half from any state, for random values near the ends of what there
//! can be: the rules of `steps/harness.rs`.

#[path = "steps/harness.rs"]
mod harness;
#[path = "steps/random.rs"]
mod random;

#[test]
fn each_step_keeps_the_rules() {
    const TIMES: u32 = if cfg!(miri) { 200 } else { 200_000 };
    for (name, proof) in harness::ALL {
        for n in 0..TIMES {
            random::near([0, u64::MAX - 255, 1 << 63, 0x1230][n as usize % 4] & !15);
            proof();
        }
        let (reached, all) = random::taken();
        assert!(cfg!(miri) || reached == all, "{name}: {reached:?}");
    }
}
