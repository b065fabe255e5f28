//! Whole kernels that clang made of C++, against the same in Rust.

mod common;

use common::{Device, Random, bytes_of};

const TEXT: &str = include_str!("../../../tests/corpus/clang/kernels.ptx");

fn floats(values: &[f32]) -> Vec<u8> {
    bytes_of(values, |v| v.to_le_bytes())
}

fn pointers(all: &[u64], last: Option<u32>) -> Vec<u8> {
    let mut bytes = bytes_of(all, |v| v.to_le_bytes());
    bytes.extend(last.into_iter().flat_map(u32::to_le_bytes));
    bytes
}

#[test]
fn vectors_are_added() {
    let mut device = Device::new(TEXT);
    let a: Vec<f32> = (0..1000).map(|i| i as f32 * 0.5).collect();
    let b: Vec<f32> = (0..1000).map(|i| 1e6 / (i + 1) as f32).collect();
    let (x, y) = (device.buffer(&floats(&a)), device.buffer(&floats(&b)));
    let z = device.buffer(&[0xff; 4004]);
    let parameters = pointers(&[x, y, z], Some(1000));
    let done = device.launch("vadd", 8, 128, &parameters).expect("runs");
    assert_eq!(done.blocks, 8);
    let mut expected: Vec<u32> = a.iter().zip(&b).map(|(a, b)| (a + b).to_bits()).collect();
    // What lies behind is not touched.
    expected.push(u32::MAX);
    assert_eq!(device.words(z, 1001), expected);
}

/// Shuffles, a barrier, shared memory, and an atomic add for each block.
#[test]
fn a_sum_over_blocks() {
    for threads in [1, 3] {
        let mut device = Device::with(TEXT, threads, u64::MAX);
        // Whole numbers: their sums are exact in any order.
        let a: Vec<f32> = (0..5000).map(|i| (i % 17) as f32).collect();
        let (x, out) = (device.buffer(&floats(&a)), device.buffer(&[0; 4]));
        let parameters = pointers(&[x, out], Some(5000));
        device.launch("reduce", 20, 256, &parameters).expect("runs");
        let sum: f32 = a.iter().sum();
        assert_eq!(device.words(out, 1), [sum.to_bits()], "{threads} threads");
    }
}

#[test]
fn a_histogram_by_atomics() {
    for threads in [1, 4] {
        let mut device = Device::with(TEXT, threads, u64::MAX);
        let mut random = Random(1);
        let bytes: Vec<u8> = (0..10_000).map(|_| random.bits() as u8 & 0x3f).collect();
        let (a, h) = (device.buffer(&bytes), device.buffer(&[0; 1024]));
        let parameters = pointers(&[a, h], Some(10_000));
        device
            .launch("histogram", 5, 256, &parameters)
            .expect("runs");
        let mut expected = vec![0; 256];
        bytes.iter().for_each(|b| expected[usize::from(*b)] += 1);
        assert_eq!(device.words(h, 256), expected, "{threads} threads");
    }
}

/// Blocks that are no whole warps, of which every third thread exits early and
/// every other goes its own way: nobody's work is another's, and what lies around
/// is not touched.
#[test]
fn threads_that_are_not_there_do_nothing() {
    const KERNEL: &str = ".version 7.0\n.target sm_70\n.address_size 64
.visible .entry parts(.param .u64 from, .param .u64 to) {
    .reg .b32 %r<8>; .reg .b64 %rd<6>; .reg .pred %p<3>;
    ld.param.u64 %rd1, [from];
    ld.param.u64 %rd2, [to];
    mov.u32 %r1, %tid.x;
    mul.wide.u32 %rd3, %r1, 4;
    add.s64 %rd4, %rd1, %rd3;
    add.s64 %rd5, %rd2, %rd3;
    ld.global.u32 %r2, [%rd4];
    rem.u32 %r3, %r1, 3;
    setp.eq.u32 %p1, %r3, 2;
    @%p1 exit;
    and.b32 %r4, %r1, 1;
    setp.eq.u32 %p2, %r4, 1;
    mov.u32 %r5, 100;
    @%p2 add.u32 %r5, %r5, %r2;
    @%p2 bra odd;
    mul.lo.u32 %r5, %r2, 7;
odd:
    st.global.u32 [%rd5], %r5;
    ret;
}";
    for threads in [1, 7, 8, 16, 20, 31, 32, 40] {
        let mut device = Device::new(KERNEL);
        let numbers: Vec<u32> = (0..64).map(|n| n * n + 3).collect();
        let from = device.buffer(&bytes_of(&numbers, |n| n.to_le_bytes()));
        let to = device.buffer(&[0xff; 256]);
        let parameters = pointers(&[from, to], None);
        device
            .launch("parts", 1, threads, &parameters)
            .expect("runs");
        let expected: Vec<u32> = (0..64)
            .map(|n| match n {
                n if n >= threads || n % 3 == 2 => u32::MAX,
                n if n % 2 == 1 => 100 + numbers[n as usize],
                n => 7 * numbers[n as usize],
            })
            .collect();
        assert_eq!(device.words(to, 64), expected, "{threads} threads");
    }
}

/// Each lane leaves its loop at another time.
#[test]
fn loops_that_diverge() {
    let mut device = Device::new(TEXT);
    let a: Vec<u32> = (1..=300).collect();
    let (x, out) = (
        device.buffer(&bytes_of(&a, |v| v.to_le_bytes())),
        device.buffer(&[0; 1200]),
    );
    let parameters = pointers(&[x, out], Some(300));
    device.launch("collatz", 3, 100, &parameters).expect("runs");
    let steps = |mut x: u32| {
        let mut steps = 0;
        while x != 1 {
            x = if x & 1 == 1 { 3 * x + 1 } else { x >> 1 };
            steps += 1;
        }
        steps
    };
    assert_eq!(
        device.words(out, 300),
        a.iter().map(|x| steps(*x)).collect::<Vec<u32>>()
    );
}

#[test]
fn recursion_calls_and_pointers_to_functions() {
    let mut device = Device::new(TEXT);
    let out = device.buffer(&[0; 256]);
    device
        .launch("recurse", 1, 64, &pointers(&[out], None))
        .expect("runs");
    let fib = [0u32, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89];
    let expected: Vec<u32> = (0..64).map(|i| fib[i % 12]).collect();
    assert_eq!(device.words(out, 64), expected);

    device
        .launch("indirect", 1, 64, &pointers(&[out], None))
        .expect("runs");
    let expected: Vec<u32> = (0..64)
        .map(|i| if i & 1 == 1 { i * i } else { 2 * i })
        .collect();
    assert_eq!(device.words(out, 64), expected);
}

#[test]
fn structures_local_arrays_and_constants() {
    let mut device = Device::new(TEXT);
    let out = device.buffer(&[0; 512]);
    // struct { int x; double y; short z; }, and a pointer.
    let mut parameters = [0; 32];
    parameters[..4].copy_from_slice(&7i32.to_le_bytes());
    parameters[8..16].copy_from_slice(&1.25f64.to_le_bytes());
    parameters[16..18].copy_from_slice(&(-3i16).to_le_bytes());
    parameters[24..].copy_from_slice(&out.to_le_bytes());
    device.launch("byvalue", 1, 4, &parameters).expect("runs");
    assert_eq!(device.bytes(out, 8), (7.0 * 1.25 - 3.0f64).to_le_bytes());

    let parameters = pointers(&[out], Some(5));
    device
        .launch("localarray", 1, 64, &parameters)
        .expect("runs");
    let expected: Vec<u32> = (0..64u32)
        .map(|thread| {
            let mut a = [0; 32];
            (0..32u32).for_each(|i| a[((i * 7 + 5) & 31) as usize] = i * thread);
            (0..32u32)
                .map(|i| a[((i + thread) & 31) as usize] * i)
                .sum()
        })
        .collect();
    assert_eq!(device.words(out, 64), expected);

    let a: Vec<f32> = (0..64).map(|i| i as f32 / 8.0).collect();
    let x = device.buffer(&floats(&a));
    device
        .launch("poly", 1, 64, &pointers(&[x, out], None))
        .expect("runs");
    let horner = |x: &f32| {
        3f32.mul_add(*x, 0.5)
            .mul_add(*x, -2.0)
            .mul_add(*x, 1.0)
            .to_bits()
    };
    assert_eq!(
        device.words(out, 64),
        a.iter().map(horner).collect::<Vec<_>>()
    );
}
