//! Programs that run kernels.

use std::ffi::{c_char, c_void};

use super::library::{executable, in_context, launch, node};

/// Adds `count` floats of two arrays into the first.
pub(crate) const ADD: &std::ffi::CStr = c"
.version 7.8
.target sm_70
.address_size 64
.visible .entry add(.param .u64 into, .param .u64 from, .param .u32 count)
{
    .reg .pred %p<2>;
    .reg .b32 %r<6>;
    .reg .f32 %f<3>;
    .reg .b64 %rd<6>;
    ld.param.u64 %rd1, [into];
    ld.param.u64 %rd2, [from];
    ld.param.u32 %r1, [count];
    mov.u32 %r2, %ctaid.x;
    mov.u32 %r3, %ntid.x;
    mov.u32 %r4, %tid.x;
    mad.lo.s32 %r5, %r2, %r3, %r4;
    setp.ge.u32 %p1, %r5, %r1;
    @%p1 bra DONE;
    mul.wide.u32 %rd3, %r5, 4;
    add.s64 %rd4, %rd1, %rd3;
    add.s64 %rd5, %rd2, %rd3;
    ld.global.f32 %f1, [%rd4];
    ld.global.f32 %f2, [%rd5];
    add.f32 %f1, %f1, %f2;
    st.global.f32 [%rd4], %f1;
DONE:
    ret;
}
";

pub(crate) type Pointers = *mut *mut c_void;

/// Two arrays of 1,000 floats on the device, and the function that adds them.
pub(crate) struct Adder {
    pub(crate) cuda: libloading::Library,
    pub(crate) into: u64,
    pub(crate) from: u64,
    pub(crate) function: *mut c_void,
    pub(crate) module: *mut c_void,
}

pub(crate) const COUNT: u32 = 1000;

impl Adder {
    pub(crate) fn new() -> Self {
        let cuda = in_context();
        let (mut module, mut function) = (std::ptr::null_mut(), std::ptr::null_mut());
        let load = cu!(cuda, cuModuleLoadData(Pointers, *const c_char));
        assert_eq!(
            call!(load, &mut module, c".version 7.8 nonsense".as_ptr()),
            218
        );
        assert_eq!(call!(load, &mut module, ADD.as_ptr()), 0);
        let find = cu!(
            cuda,
            cuModuleGetFunction(Pointers, *mut c_void, *const c_char)
        );
        assert_eq!(call!(find, &mut function, module, c"sub".as_ptr()), 500);
        assert_eq!(call!(find, &mut function, module, c"add".as_ptr()), 0);
        let alloc = cu!(cuda, cuMemAlloc_v2(*mut u64, usize));
        let mut pointers = [0; 2];
        let upload = cu!(cuda, cuMemcpyHtoD_v2(u64, *const f32, usize));
        for (n, pointer) in pointers.iter_mut().enumerate() {
            assert_eq!(call!(alloc, pointer, COUNT as usize * 4), 0);
            let values: Vec<f32> = (0..COUNT).map(|i| i as f32 * [1.0, 0.5][n]).collect();
            assert_eq!(
                call!(upload, *pointer, values.as_ptr(), COUNT as usize * 4),
                0
            );
        }
        let [into, from] = pointers;
        Self {
            cuda,
            into,
            from,
            function,
            module,
        }
    }

    /// The first array, which was `times` added to.
    pub(crate) fn check(&self, times: u32) {
        let cuda = &self.cuda;
        let mut values = vec![0_f32; COUNT as usize];
        let download = cu!(cuda, cuMemcpyDtoH_v2(*mut f32, u64, usize));
        assert_eq!(
            call!(download, values.as_mut_ptr(), self.into, COUNT as usize * 4),
            0
        );
        for (i, value) in values.iter().enumerate() {
            assert_eq!(*value, i as f32 * (1.0 + 0.5 * times as f32), "{i}");
        }
    }

    /// A graph of a kernel whose module is gone: only the worker sees that.
    fn of_an_unloaded_module(&self) -> *mut c_void {
        let cuda = &self.cuda;
        let (mut module, mut function) = (std::ptr::null_mut(), std::ptr::null_mut());
        let load = cu!(cuda, cuModuleLoadData(Pointers, *const c_char));
        let find = cu!(
            cuda,
            cuModuleGetFunction(Pointers, *mut c_void, *const c_char)
        );
        let unload = cu!(cuda, cuModuleUnload(*mut c_void));
        assert_eq!(call!(load, &mut module, ADD.as_ptr()), 0);
        assert_eq!(call!(find, &mut function, module, c"add".as_ptr()), 0);
        let (mut pointer, mut count) = (self.into, 0);
        let mut parameters: [*mut c_void; 3] = [
            (&raw mut pointer).cast(),
            (&raw mut pointer).cast(),
            (&raw mut count).cast::<u32>().cast(),
        ];
        let node = node(function, COUNT.div_ceil(128), parameters.as_mut_ptr());
        let stale = executable(cuda, &[node]);
        assert_eq!(call!(unload, module), 0);
        stale
    }

    /// Adds once.
    pub(crate) fn add(&self) -> u32 {
        let (mut into, mut from, mut count) = (self.into, self.from, COUNT);
        let mut parameters: [*mut c_void; 3] = [
            (&raw mut into).cast(),
            (&raw mut from).cast(),
            (&raw mut count).cast(),
        ];
        self.launch(128, parameters.as_mut_ptr(), std::ptr::null_mut())
    }

    fn launch(&self, block: u32, parameters: Pointers, extra: Pointers) -> u32 {
        self.launch_of([COUNT.div_ceil(128), 1, 1], block, 0, parameters, extra)
    }

    fn launch_of(
        &self,
        grid: [u32; 3],
        block: u32,
        shared: u32,
        parameters: Pointers,
        extra: Pointers,
    ) -> u32 {
        launch(
            &self.cuda,
            self.function,
            grid,
            block,
            shared,
            parameters,
            extra,
        )
    }
}

pub(crate) fn kernels() {
    let adder = Adder::new();
    let (mut into, mut from, mut count) = (adder.into, adder.from, COUNT);
    let mut parameters: [*mut c_void; 3] = [
        (&raw mut into).cast(),
        (&raw mut from).cast(),
        (&raw mut count).cast(),
    ];
    let null = std::ptr::null_mut();
    assert_eq!(adder.launch(128, parameters.as_mut_ptr(), null), 0);
    adder.check(1);
    // The block of parameters, as some programs pass it.
    let mut block = [
        into.to_le_bytes(),
        from.to_le_bytes(),
        u64::from(count).to_le_bytes(),
    ]
    .concat();
    let mut size = 20_usize;
    let option = std::ptr::without_provenance_mut;
    let mut extra: [*mut c_void; 5] = [
        option(1),
        block.as_mut_ptr().cast(),
        option(2),
        (&raw mut size).cast(),
        option(0),
    ];
    assert_eq!(adder.launch(128, null, extra.as_mut_ptr()), 0);
    adder.check(2);
    // What is wrong is refused at once, and nothing is broken.
    assert_eq!(adder.launch(0, parameters.as_mut_ptr(), null), 1);
    assert_eq!(adder.launch(2048, parameters.as_mut_ptr(), null), 1);
    assert_eq!(adder.launch(128, null, null), 1);
    // The first handle of each kind is another's number.
    let (cuda, module) = (&adder.cuda, adder.module);
    let attribute = cu!(cuda, cuFuncGetAttribute(*mut i32, i32, *mut c_void));
    let mut value = 0;
    assert_eq!(call!(attribute, &mut value, 0, module), 400);
    let mut launch =
        |grid, shared| adder.launch_of(grid, 128, shared, parameters.as_mut_ptr(), null);
    assert_eq!(launch([1 << 31, 1, 1], 0), 1);
    assert_eq!(launch([1, 1 << 16, 1], 0), 1);
    assert_eq!(launch([8, 1, 1], (48 << 10) + 1), 1);
    adder.check(2);
    // More shared memory is there for those who ask.
    let cuda = &adder.cuda;
    let set = cu!(cuda, cuFuncSetAttribute(*mut c_void, u32, i32));
    assert_eq!(call!(set, adder.function, 8, 228 << 10), 1);
    assert_eq!(call!(set, adder.function, 8, 64 << 10), 0);
    let mut limit = 0;
    let get = cu!(cuda, cuFuncGetAttribute(*mut i32, u32, *mut c_void));
    assert_eq!(call!(get, &mut limit, 8, adder.function), 0);
    assert_eq!(limit, 64 << 10);
    assert_eq!(
        adder.launch_of([8, 1, 1], 128, 64 << 10, parameters.as_mut_ptr(), null),
        0
    );
    adder.check(3);
    // It goes with its module, also where it was launched just now.
    assert_eq!(adder.add(), 0);
    let unload = cu!(cuda, cuModuleUnload(*mut c_void));
    assert_eq!(call!(unload, adder.module), 0);
    assert_eq!(adder.add(), 400);
    adder.check(4);
}

/// `CUlaunchConfig`.
#[repr(C)]
struct Config {
    sizes: [u32; 7],
    stream: *mut c_void,
    attributes: *const Attribute,
    count: u32,
}

/// `CUlaunchAttribute`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Attribute {
    id: u32,
    pad: u32,
    value: [u32; 16],
}

pub(crate) fn attributes() {
    let adder = Adder::new();
    let cuda = &adder.cuda;
    let (mut into, mut from, mut count) = (adder.into, adder.from, COUNT);
    let mut parameters: [*mut c_void; 3] = [
        (&raw mut into).cast(),
        (&raw mut from).cast(),
        (&raw mut count).cast(),
    ];
    let null = std::ptr::null_mut();
    let launch = cu!(
        cuda,
        cuLaunchKernelEx(*const Config, *mut c_void, Pointers, Pointers)
    );
    let with = |attributes: &[Attribute]| Config {
        sizes: [COUNT.div_ceil(128), 1, 1, 128, 1, 1, 0],
        stream: null,
        attributes: attributes.as_ptr(),
        count: attributes.len() as u32,
    };
    let of = |id, first, second| {
        let mut value = [0; 16];
        (value[0], value[1]) = (first, second);
        Attribute { id, pad: 0, value }
    };
    let mut run = |config: &Config| {
        let parameters = parameters.as_mut_ptr();
        call!(launch, config, adder.function, parameters, null.cast())
    };
    // What Triton says: no cluster, no cooperation; and advice.
    let harmless = [
        of(4, 1, 1),
        of(2, 0, 0),
        of(6, 1, 0),
        of(8, 5, 0),
        of(0, 9, 9),
    ];
    assert_eq!(run(&with(&[])), 0);
    assert_eq!(run(&with(&harmless)), 0);
    adder.check(2);
    for (attribute, result) in [
        (of(2, 1, 0), 801),
        (of(4, 2, 1), 801),
        (of(4, 1, 2), 801),
        (of(7, 1, 0), 801),
        (of(12, 1, 0), 801),
        (of(13, 1, 0), 801),
        (of(99, 0, 0), 1),
    ] {
        assert_eq!(
            run(&with(&[harmless[0], attribute])),
            result,
            "{}",
            attribute.id
        );
    }
    let lost = Config {
        attributes: std::ptr::null(),
        count: 1,
        ..with(&[])
    };
    assert_eq!(run(&lost), 1);
    adder.check(2);
}

pub(crate) fn fault() {
    let adder = Adder::new();
    let empty = executable(&adder.cuda, &[]);
    let (mut into, mut from, mut count) = (adder.into, 0x10_u64, COUNT);
    let mut parameters: [*mut c_void; 3] = [
        (&raw mut into).cast(),
        (&raw mut from).cast(),
        (&raw mut count).cast(),
    ];
    assert_eq!(
        adder.launch(128, parameters.as_mut_ptr(), std::ptr::null_mut()),
        0
    );
    let cuda = &adder.cuda;
    for _ in 0..3 {
        assert_eq!(call!(cu!(cuda, cuCtxSynchronize())), 700, "illegal address");
    }
    // Every call of work gives it from then on, whether it waits or not, in any
    // context; only a new process has a device.
    assert_eq!(
        adder.launch(128, parameters.as_mut_ptr(), std::ptr::null_mut()),
        700
    );
    let mut pointer = 0_u64;
    let alloc = cu!(cuda, cuMemAlloc_v2(*mut u64, usize));
    assert_eq!(call!(alloc, &mut pointer, 4), 700);
    let fill = cu!(cuda, cuMemsetD8_v2(u64, u8, usize));
    assert_eq!(call!(fill, adder.into, 0, 4), 700);
    let mut pinned = std::ptr::null_mut();
    let pin = cu!(cuda, cuMemAllocHost_v2(Pointers, usize));
    assert_eq!(call!(pin, &mut pinned, 4096), 700);
    let launch = cu!(cuda, cuGraphLaunch(*mut c_void, *mut c_void));
    assert_eq!(call!(launch, empty, std::ptr::null_mut()), 700);
    let mut context = std::ptr::null_mut::<c_void>();
    let create = cu!(cuda, cuCtxCreate_v2(*mut *mut c_void, u32, i32));
    assert_eq!(call!(create, &mut context, 0, 0), 0);
    assert_eq!(call!(cu!(cuda, cuCtxSynchronize())), 700);
    // What needs no device still answers.
    let mut count = 0;
    assert_eq!(call!(cu!(cuda, cuDeviceGetCount(*mut i32)), &mut count), 0);
}

/// What a program gets of an error that only the engine finds, of a command that
/// nobody waits for.
pub(crate) fn arguments() {
    let adder = Adder::new();
    let cuda = &adder.cuda;
    let stale = adder.of_an_unloaded_module();
    let wrong = || {
        let launch = cu!(cuda, cuGraphLaunch(*mut c_void, *mut c_void));
        call!(launch, stale, std::ptr::null_mut())
    };
    let synchronize = || call!(cu!(cuda, cuCtxSynchronize()));
    // With the next call that waits; and once.
    assert_eq!(wrong(), 0);
    assert_eq!(synchronize(), 400);
    assert_eq!(synchronize(), 0);
    assert_eq!(adder.add(), 0);
    adder.check(1);
    // A call that gets it has done nothing itself.
    let mut pointer = 0_u64;
    let alloc = cu!(cuda, cuMemAlloc_v2(*mut u64, usize));
    let free = || {
        let mut free = 0_usize;
        let info = cu!(cuda, cuMemGetInfo_v2(*mut usize, *mut usize));
        (call!(info, &mut free, std::ptr::null_mut()) == 0).then_some(free)
    };
    assert_eq!(wrong(), 0);
    assert_eq!(call!(alloc, &mut pointer, 1 << 20), 400);
    let before = free();
    assert_eq!(call!(alloc, &mut pointer, 1 << 20), 0);
    assert!(before > free());
    // Pinned memory goes all the same.
    let mut pinned = std::ptr::null_mut();
    let pin = cu!(cuda, cuMemAllocHost_v2(Pointers, usize));
    let unpin = cu!(cuda, cuMemFreeHost(*mut c_void));
    assert_eq!(call!(pin, &mut pinned, 4096), 0);
    assert_eq!(wrong(), 0);
    assert_eq!(call!(unpin, pinned), 400);
    assert!(!mapped(pinned), "it is shared no more");
    // The first of several.
    for _ in 0..3 {
        assert_eq!(wrong(), 0);
    }
    assert_eq!(synchronize(), 400);
    assert_eq!(synchronize(), 0);
    // What is wrong for all to see is refused at once.
    let halves = cu!(cuda, cuMemsetD16_v2(u64, u16, usize));
    let words = cu!(cuda, cuMemsetD32_v2(u64, u32, usize));
    assert_eq!(call!(halves, adder.into + 1, 7, 1), 1);
    assert_eq!(call!(words, adder.into + 2, 7, 1), 1);
    assert_eq!(synchronize(), 0);
    adder.check(1);
}

/// Whether there is memory of this process at an address.
fn mapped(address: *mut c_void) -> bool {
    let start = format!("{:x}-", address.addr());
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().any(|line| line.starts_with(&start))
}

/// A kernel that says how many threads its blocks have.
pub(crate) fn required() {
    let cuda = in_context();
    let text = c".version 7.8\n.target sm_70\n.address_size 64\n\
        .visible .entry k(.param .u64 a) .reqntid 32, 1, 1 { ret; }";
    let (mut module, mut function) = (std::ptr::null_mut(), std::ptr::null_mut());
    let load = cu!(cuda, cuModuleLoadData(Pointers, *const c_char));
    assert_eq!(call!(load, &mut module, text.as_ptr()), 0);
    let find = cu!(
        cuda,
        cuModuleGetFunction(Pointers, *mut c_void, *const c_char)
    );
    assert_eq!(call!(find, &mut function, module, c"k".as_ptr()), 0);
    let mut argument = 0_u64;
    let mut parameters: [*mut c_void; 1] = [(&raw mut argument).cast()];
    let parameters = parameters.as_mut_ptr();
    let null = std::ptr::null_mut();
    for (block, result) in [(32, 0), (16, 1), (64, 1)] {
        let launched = launch(&cuda, function, [1; 3], block, 0, parameters, null);
        assert_eq!(launched, result, "{block} threads");
    }
    // A block of parameters that is too short, and one that is longer than any may be.
    let mut block = vec![0_u8; 100_000];
    let option = std::ptr::without_provenance_mut;
    for (mut size, result) in [(8_usize, 0), (7, 1), (0, 1), (100_000, 0)] {
        let mut extra: [*mut c_void; 5] = [
            option(1),
            block.as_mut_ptr().cast(),
            option(2),
            (&raw mut size).cast(),
            option(0),
        ];
        let launched = launch(&cuda, function, [1; 3], 32, 0, null, extra.as_mut_ptr());
        assert_eq!(launched, result, "{size} bytes");
    }
    assert_eq!(call!(cu!(cuda, cuCtxSynchronize())), 0);
}
