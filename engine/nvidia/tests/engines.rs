//! What every engine has to do, held against each: the one on processors, the
//! one whose kernels do nothing, and the one on a driver, which here is the
//! stand-in.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use vgpu_engine::{Engine, ErrorKind, Launch, Pattern, halves};
use vgpu_engine_cpu::{Config as CpuConfig, CpuEngine};
use vgpu_engine_null::NullEngine;
use vgpu_engine_nvidia::{Config, Device, NvidiaEngine, OpenError};

const KERNELS: &str = include_str!("../../../tests/corpus/clang/kernels.ptx");
const ADDRESSES: (u64, u64) = (0x0200_0000_0000, 0x0300_0000_0000);

/// The stand-in is one for the process.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn config() -> Config {
    let test = std::env::current_exe().unwrap();
    let library = test.with_file_name("libstandin_driver.so");
    assert!(library.is_file(), "{}", library.display());
    Config {
        library,
        // A node that is there on every machine.
        control: "/dev/null".into(),
        device: 0,
    }
}

fn nvidia() -> NvidiaEngine {
    let device = Device::open(&config()).unwrap();
    device.engine(ADDRESSES).unwrap()
}

/// Whether kernels run, and the engine.
fn engines() -> Vec<(bool, Box<dyn Engine>)> {
    let (first, last) = ADDRESSES;
    let memory = 256 << 20;
    vec![
        (
            true,
            Box::new(CpuEngine::new(&CpuConfig {
                memory,
                addresses: ADDRESSES,
                ..CpuConfig::default()
            })),
        ),
        (false, Box::new(NullEngine::new(memory, first, last))),
        (true, Box::new(nvidia())),
    ]
}

/// Does the same to each engine.
fn each(act: impl Fn(bool, &mut dyn Engine)) {
    let _alone = alone();
    for (computes, mut engine) in engines() {
        println!("{}", engine.properties().name);
        act(computes, &mut *engine);
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(done: vgpu_engine::Result<T>, kind: ErrorKind) {
    let error = done.expect_err("it is refused");
    assert_eq!(error.kind, kind, "{error}");
}

#[test]
fn a_program_from_its_module_to_its_result() {
    each(|computes, engine| {
        let module = engine.module_load(KERNELS.as_bytes()).unwrap();
        let vadd = module.functions.iter().find(|f| f.name == "vadd").unwrap();
        let places: Vec<_> = vadd.parameters.iter().map(|p| (p.offset, p.size)).collect();
        assert_eq!(places, [(0, 8), (8, 8), (16, 8), (24, 4)]);
        assert_eq!((vadd.parameter_size, vadd.ptx_version), (28, 70));
        let [a, b, c] = [0; 3].map(|_| engine.alloc(400).unwrap());
        engine
            .fill(a, Pattern::Word(1.5f32.to_bits()), 100)
            .unwrap();
        engine
            .fill(b, Pattern::Word(2.25f32.to_bits()), 100)
            .unwrap();
        engine.fill(c, Pattern::Byte(0), 400).unwrap();
        let mut parameters = [a, b, c].map(u64::to_le_bytes).concat();
        parameters.extend(100u32.to_le_bytes());
        // What lies behind the parameters is not read.
        parameters.extend([0xff; 9]);
        let launch = Launch {
            module: module.id,
            function: "vadd",
            grid: [4, 1, 1],
            block: [32, 1, 1],
            shared: 0,
            parameters: &parameters,
        };
        engine.launch(&launch).unwrap();
        let mut result = [0; 400];
        engine.read(c, &mut result).unwrap();
        let expected = if computes { 3.75f32 } else { 0. };
        assert!(
            result
                .chunks_exact(4)
                .all(|word| word == expected.to_le_bytes())
        );

        let wrong: [(Launch<'_>, ErrorKind); 6] = [
            (
                Launch {
                    function: "no",
                    ..launch
                },
                ErrorKind::NotFound,
            ),
            (
                Launch {
                    grid: [1, 0, 1],
                    ..launch
                },
                ErrorKind::InvalidValue,
            ),
            (
                Launch {
                    block: [0, 1, 1],
                    ..launch
                },
                ErrorKind::InvalidValue,
            ),
            (
                Launch {
                    block: [1024, 2, 1],
                    ..launch
                },
                ErrorKind::InvalidValue,
            ),
            (
                Launch {
                    block: [1 << 31, 1 << 31, 4],
                    ..launch
                },
                ErrorKind::InvalidValue,
            ),
            (
                Launch {
                    parameters: &parameters[..27],
                    ..launch
                },
                ErrorKind::InvalidValue,
            ),
        ];
        for (launch, kind) in wrong {
            refused(engine.launch(&launch), kind);
        }

        // A variable is memory, and not the program's to free.
        let table = module
            .globals
            .iter()
            .find(|global| global.name == "coef")
            .unwrap();
        let (address, size) = (table.address, table.size);
        engine.write(address, &[9; 4]).unwrap();
        refused(
            engine.write(address + size - 3, &[9; 4]),
            ErrorKind::InvalidValue,
        );
        refused(engine.free(address), ErrorKind::InvalidValue);
        engine.module_unload(module.id).unwrap();
        refused(engine.module_unload(module.id), ErrorKind::InvalidHandle);
        refused(engine.launch(&launch), ErrorKind::InvalidHandle);
        refused(engine.write(address, &[9; 4]), ErrorKind::InvalidValue);
        assert_eq!(engine.counters().modules, 1);
    });
}

#[test]
fn memory_is_the_sessions_own_and_no_byte_more() {
    each(|_, engine| {
        let [a, b] = [1000, 3 << 20].map(|size| engine.alloc(size).unwrap());
        assert_eq!((a % 512, b % 512), (0, 0));
        assert_eq!(engine.allocation(a + 999).unwrap(), (a, 1000));
        refused(engine.allocation(a + 1000), ErrorKind::InvalidValue);
        refused(engine.allocation(b - 1), ErrorKind::InvalidValue);
        engine.write(a, &[1; 1000]).unwrap();
        engine.write(b + (3 << 20) - 4, &[1; 4]).unwrap();
        engine.write(a + 1000, &[]).unwrap();
        let outside = [
            (a + 1, 1000),
            (a + 1000, 1),
            (b - 1, 2),
            (b + (3 << 20) - 1, 2),
            (0, 1),
            (u64::MAX, 1),
            (u64::MAX, 0),
            // The range of addresses itself is nobody's.
            (ADDRESSES.1 - 4096, 16),
        ];
        for (address, length) in outside {
            let mut bytes = vec![0; length];
            refused(engine.write(address, &bytes), ErrorKind::InvalidValue);
            refused(engine.read(address, &mut bytes), ErrorKind::InvalidValue);
            refused(
                engine.copy(address, a, length as u64),
                ErrorKind::InvalidValue,
            );
            refused(
                engine.copy(a, address, length as u64),
                ErrorKind::InvalidValue,
            );
            let pattern = Pattern::Byte(0);
            refused(
                engine.fill(address, pattern, length as u64),
                ErrorKind::InvalidValue,
            );
        }
        refused(engine.copy(b, b + 8, u64::MAX), ErrorKind::InvalidValue);
        for pattern in [Pattern::Byte(0), Pattern::Half(0), Pattern::Word(0)] {
            refused(engine.fill(b, pattern, u64::MAX), ErrorKind::InvalidValue);
            refused(
                engine.fill(b, pattern, (1 << 62) + 1),
                ErrorKind::InvalidValue,
            );
        }
        refused(
            engine.fill(a + 2, Pattern::Word(0), 1),
            ErrorKind::InvalidValue,
        );
        refused(
            engine.fill(a + 1, Pattern::Half(0), 1),
            ErrorKind::InvalidValue,
        );
        for wrong in [a + 1, a + 512, b + 4096, 0, u64::MAX] {
            refused(engine.free(wrong), ErrorKind::InvalidValue);
        }
        refused(engine.alloc(0), ErrorKind::InvalidValue);
        for size in [512 << 20, u64::MAX, u64::MAX - 511, 1 << 63] {
            refused(engine.alloc(size), ErrorKind::OutOfMemory);
        }
        engine.free(a).unwrap();
        refused(engine.free(a), ErrorKind::InvalidValue);
        refused(engine.read(a, &mut [0]), ErrorKind::InvalidValue);
        engine.free(b).unwrap();
    });
}

#[test]
fn memory_is_mapped_where_the_caller_says() {
    const SIZE: u64 = 2 << 20;
    each(|_, engine| {
        let [(low, _), (start, end)] = halves(ADDRESSES);
        let free = engine.memory_info().free;
        let invalid = ErrorKind::InvalidValue;
        refused(engine.memory_create(0), invalid);
        refused(engine.memory_create(1 << 40), ErrorKind::OutOfMemory);
        let [first, second] = [0; 2].map(|_| engine.memory_create(SIZE).unwrap());
        assert_eq!(engine.memory_info().free, free - 2 * SIZE);
        for wrong in [low, start - SIZE, end, u64::MAX - SIZE + 1] {
            refused(engine.memory_map(first, wrong), invalid);
        }
        engine.memory_map(first, start).unwrap();
        refused(engine.memory_map(first, start + SIZE), invalid);
        refused(engine.memory_map(second, start), invalid);
        refused(engine.memory_destroy(first), invalid);
        refused(engine.free(start), invalid);
        engine.memory_map(second, end - SIZE).unwrap();
        engine.write(start + 5, &[1, 2, 3]).unwrap();
        engine.fill(end - SIZE, Pattern::Byte(9), SIZE).unwrap();
        assert_eq!(engine.allocation(start + 7).unwrap(), (start, SIZE));
        refused(engine.write(start + SIZE - 1, &[0; 2]), invalid);
        // What is in it stays while it has no address; the stand-in's is with the address.
        engine.memory_unmap(start).unwrap();
        refused(engine.memory_unmap(start), invalid);
        refused(engine.read(start + 5, &mut [0]), invalid);
        engine.memory_map(first, start).unwrap();
        let mut back = [0; 4];
        engine.read(start + 4, &mut back).unwrap();
        if engine.properties().name.starts_with("vgpu") {
            assert_eq!(back, [0, 1, 2, 3]);
        }
        for (memory, address) in [(first, start), (second, end - SIZE)] {
            engine.memory_unmap(address).unwrap();
            engine.memory_destroy(memory).unwrap();
            refused(engine.memory_destroy(memory), invalid);
        }
        assert_eq!(engine.memory_info().free, free);
    });
}

#[test]
fn copies_that_overlap_are_those_of_memmove() {
    each(|_, engine| {
        let base = engine.alloc(20_000).unwrap();
        let bytes: Vec<u8> = (0..10_000u32).map(|i| (i % 251) as u8).collect();
        for (from, to) in [
            (0, 4097),
            (4097, 0),
            (5, 5),
            (0, 1),
            (1, 0),
            (0, 9_999),
            (0, 10_000),
        ] {
            engine.write(base + from, &bytes).unwrap();
            engine.copy(base + to, base + from, 10_000).unwrap();
            let mut back = vec![0; 10_000];
            engine.read(base + to, &mut back).unwrap();
            assert_eq!(back, bytes, "{from} {to}");
        }
    });
}

#[test]
fn images_that_are_none_leave_nothing() {
    each(|_, engine| {
        let free = engine.memory_info().free;
        let cut = vgpu_ptx_image(KERNELS);
        for image in [
            b"".as_slice(),
            b"\0",
            b"hello",
            b"\xff\xfe",
            b"\x7fELF",
            b"\x7fELF\x02\x01",
            b".version 7.0\n.target sm_70\n.address_size 64\n.visible .entry k() { ret",
            &cut[..cut.len() - 9],
        ] {
            engine.module_load(image).expect_err("refused");
        }
        assert_eq!(engine.memory_info().free, free);
        assert_eq!(engine.counters().modules, 0);
        engine.module_load(&cut).unwrap();
    });
}

/// The text in the container of `vgpu-ptxas`.
fn vgpu_ptx_image(text: &str) -> Vec<u8> {
    vgpu_ptx::image::pack(text)
}

fn held() -> [usize; 4] {
    // SAFETY: the stand-in is our own.
    #[allow(unsafe_code)]
    let library = unsafe { libloading::Library::new(config().library) }.unwrap();
    let mut held = [0; 4];
    #[allow(unsafe_code)]
    // SAFETY: the stand-in's own signature.
    let get =
        unsafe { library.get::<unsafe extern "C" fn(*mut [usize; 4]) -> u32>(b"standin_held\0") };
    let get = get.unwrap();
    #[allow(unsafe_code)]
    // SAFETY: the pointer is to a variable.
    let code = unsafe { get(&raw mut held) };
    assert_eq!(code, 0);
    held
}

/// The first and the last bytes of so many: where they begin, and how many.
fn edges(size: usize) -> [(u64, u64); 2] {
    let length = size.min(64) as u64;
    [(0, length), (size as u64 - length, length)]
}

#[test]
fn small_allocations_share_memory_and_all_of_it_comes_back() {
    let _alone = alone();
    let mut engine = nvidia();
    assert_eq!(held(), [1, 0, 0, 0], "what was tried at the start is gone");
    let mut state = 1_u32;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let mut live: Vec<(u64, usize, u8)> = Vec::new();
    for round in 0..4000 {
        if live.len() < 200 && random(3) > 0 {
            let size = [1, 512, 513, 4000, 100_000, 600_000, 2 << 20][random(7)] + random(500);
            if let Ok(address) = engine.alloc(size as u64) {
                let mark = (round % 251) as u8;
                for (at, length) in edges(size) {
                    engine
                        .fill(address + at, Pattern::Byte(mark), length)
                        .unwrap();
                }
                live.push((address, size, mark));
            }
        } else if !live.is_empty() {
            let (address, size, mark) = live.swap_remove(random(live.len()));
            for (at, length) in edges(size) {
                let mut bytes = vec![0; length as usize];
                engine.read(address + at, &mut bytes).unwrap();
                assert!(bytes.iter().all(|byte| *byte == mark), "another's bytes");
            }
            engine.free(address).unwrap();
        }
    }
    let in_use: usize = live.iter().map(|(_, size, _)| size).sum();
    assert!(in_use > 10 << 20, "{in_use}: the device was in use");
    for (address, ..) in live {
        engine.free(address).unwrap();
    }
    // One slab stays.
    assert_eq!(held(), [1, 1, 1, 0]);
    for _ in 0..5000 {
        engine.alloc(512).unwrap();
    }
    assert_eq!(held(), [1, 2, 2, 0], "5000 small ones need two slabs");
    let module = engine.module_load(KERNELS.as_bytes()).unwrap();
    assert_eq!(held(), [1, 2, 2, 1]);
    engine.module_unload(module.id).unwrap();
    engine.module_load(KERNELS.as_bytes()).unwrap();
    let _device = engine.close();
    assert_eq!(held(), [0; 4]);
}

#[test]
fn memory_that_is_full_has_room_again() {
    let _alone = alone();
    let mut engine = nvidia();
    let mut all = Vec::new();
    while let Ok(address) = engine.alloc(3 << 20) {
        all.push(address);
    }
    assert_eq!(all.len(), 64, "256 MiB, in pieces of 4 MiB");
    refused(engine.alloc(1), ErrorKind::OutOfMemory);
    engine.free(all[7]).unwrap();
    engine.alloc(1).unwrap();
    engine.alloc(2 << 20).unwrap();
    refused(engine.alloc(513 << 10), ErrorKind::OutOfMemory);
}

#[test]
fn a_fault_stays_and_says_what_it_is() {
    let _alone = alone();
    let mut engine = nvidia();
    let text = ".version 7.0\n.target sm_70\n.address_size 64\n\
        .visible .entry k() { st.global.u32 [16], 1; ret; }";
    let module = engine.module_load(text.as_bytes()).unwrap();
    let address = engine.alloc(64).unwrap();
    let launch = Launch {
        module: module.id,
        function: "k",
        grid: [1; 3],
        block: [1; 3],
        shared: 0,
        parameters: &[],
    };
    // It is the launch that says it, as a launch is waited for.
    refused(engine.launch(&launch), ErrorKind::IllegalAddress);
    refused(engine.read(address, &mut [0]), ErrorKind::IllegalAddress);
    refused(engine.alloc(64 << 20), ErrorKind::IllegalAddress);
    // Nothing panics on the way out.
    let _ = engine.close();
}

#[test]
fn what_a_compiler_refuses_is_in_the_text() {
    let _alone = alone();
    let mut engine = nvidia();
    let error = engine.module_load(b"hello").unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidPtx);
    assert!(error.text.contains("expected `.version` first"), "{error}");
}

#[test]
fn addresses_are_those_that_the_program_keeps_free() {
    let _alone = alone();
    let mut engine = nvidia();
    let address = engine.alloc(1).unwrap();
    assert!(
        (ADDRESSES.0..ADDRESSES.1).contains(&address),
        "{address:#x}"
    );
    assert!(engine.remarks().is_empty());
    let device = engine.close();
    assert_eq!(device.version(), (12, 4));
    // A driver that gives others is used, and it is said.
    #[allow(unsafe_code)]
    // SAFETY: no other thread of this process reads or writes it meanwhile, as
    // tests of this file take turns.
    unsafe {
        std::env::set_var("STANDIN_HINT", "ignored");
    }
    let mut engine = device.engine(ADDRESSES).unwrap();
    let address = engine.alloc(1).unwrap();
    assert!(!(ADDRESSES.0..ADDRESSES.1).contains(&address));
    assert!(engine.remarks()[0].contains("no addresses from 0x20000000000"));
    engine.write(address, &[1]).unwrap();
}

#[test]
fn addresses_that_are_none_are_refused() {
    let _alone = alone();
    for addresses in [
        (0, 0),
        (5, 3),
        (u64::MAX, u64::MAX),
        (4096, 8192),
        (1 << 41, (1 << 41) + (3 << 20)),
        (u64::MAX - (1 << 40), u64::MAX),
    ] {
        let device = Device::open(&config()).unwrap();
        if let Ok(mut engine) = device.engine(addresses) {
            let address = engine.alloc(1).unwrap();
            engine.write(address, &[1]).unwrap();
        }
    }
}

#[test]
fn a_machine_without_a_driver_says_so_in_two_lines() {
    let missing = PathBuf::from("/nonexistent/nvidiactl");
    let none = Config {
        control: missing.clone(),
        ..config()
    };
    let error = Device::open(&none).unwrap_err();
    assert_eq!(error, OpenError::NoControl(missing));
    let library = Config {
        library: "/nonexistent/libcuda.so.1".into(),
        ..config()
    };
    // A library that is none of CUDA, and a device that there is not.
    let other = Config {
        library: "libc.so.6".into(),
        ..config()
    };
    let second = Config {
        device: 1,
        ..config()
    };
    let _alone = alone();
    let table = [
        (
            none,
            "no /nonexistent/nvidiactl: NVIDIA's kernel driver is not loaded",
        ),
        (
            library,
            "cannot load NVIDIA's driver library /nonexistent/libcuda.so.1",
        ),
        (
            other,
            "no function `cuInit`: it is no driver of CUDA 12.4 or later",
        ),
        (
            second,
            "no device: CUDA_ERROR_UNKNOWN: cuDeviceGet: the driver gives CUresult 101",
        ),
    ];
    for (config, cause) in table {
        let text = Device::open(&config).unwrap_err().to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].contains(cause), "{text}");
    }
    assert_eq!(Config::default().library, PathBuf::from("libcuda.so.1"));
}
