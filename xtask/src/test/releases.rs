//! What is tested on which QEMU with the device.

/// The releases of Debian whose QEMU the device is tested on, and what the other's is enough for: whole boots that differ in
/// where the device sits. Ends and attacks in the middle of a stream are tested by vfio-user. `--suite` and `cargo xtask soak`
/// do all.
pub(super) const SUITES: [(&str, &str); 2] = [
    (
        "bookworm",
        "--skip unplug::from_a_root_port --skip criteria::a_guest_finds_the_device_below_a_bridge_of_q35 \
         --skip hostile::of_two_processors_behind_a_root_port --skip shares_its_memory_on_q35 \
         --skip features::ends:: --skip features::kills:: --skip features::hostile::",
    ),
    (
        "trixie",
        "--skip unplug::of_pc --skip criteria::a_guest_finds_the_device_below_a_bridge_of_pc \
         --skip hostile::of_one_processor_on_pc --skip hostile::of_two_processors_on_q35 --skip shares_its_memory_on_pc \
         --skip features::ends:: --skip features::kills:: --skip features::hostile::",
    ),
];
