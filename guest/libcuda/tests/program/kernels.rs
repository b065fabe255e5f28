//! Programs that run kernels.

use std::ffi::{c_char, c_int, c_void};

use super::open;

/// Adds `count` floats of two arrays into the first.
const ADD: &std::ffi::CStr = c"
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

type Pointers = *mut *mut c_void;

/// Two arrays of 1,000 floats on the device, and the function that adds them.
struct Adder {
    cuda: libloading::Library,
    into: u64,
    from: u64,
    function: *mut c_void,
}

const COUNT: u32 = 1000;

impl Adder {
    fn new() -> Self {
        let cuda = open("libcuda.so.1");
        assert_eq!(call!(cu!(cuda, cuInit(u32)), 0), 0);
        let mut context = std::ptr::null_mut();
        let create = cu!(cuda, cuCtxCreate_v2(Pointers, u32, c_int));
        assert_eq!(call!(create, &mut context, 0, 0), 0);
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
        }
    }

    /// The first array, which was `times` added to.
    fn check(&self, times: u32) {
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

    fn launch(&self, block: u32, parameters: Pointers, extra: Pointers) -> u32 {
        let cuda = &self.cuda;
        let launch = cu!(
            cuda,
            cuLaunchKernel(
                *mut c_void,
                u32,
                u32,
                u32,
                u32,
                u32,
                u32,
                u32,
                *mut c_void,
                Pointers,
                Pointers,
            )
        );
        let null = std::ptr::null_mut();
        call!(
            launch,
            self.function,
            COUNT.div_ceil(128),
            1,
            1,
            block,
            1,
            1,
            0,
            null,
            parameters,
            extra
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
    adder.check(2);
}

pub(crate) fn fault() {
    let adder = Adder::new();
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
}

/// `CUDA_KERNEL_NODE_PARAMS` of its first version.
#[repr(C)]
struct Node {
    function: *mut c_void,
    sizes: [u32; 7],
    parameters: Pointers,
    extra: Pointers,
}

pub(crate) fn graph() {
    let adder = Adder::new();
    let cuda = &adder.cuda;
    let mut graph = std::ptr::null_mut();
    assert_eq!(
        call!(cu!(cuda, cuGraphCreate(Pointers, u32)), &mut graph, 0),
        0
    );
    let (mut into, mut from, mut count) = (adder.into, adder.from, COUNT);
    let mut parameters: [*mut c_void; 3] = [
        (&raw mut into).cast(),
        (&raw mut from).cast(),
        (&raw mut count).cast(),
    ];
    let null = std::ptr::null_mut();
    let node_of = |parameters| Node {
        function: adder.function,
        sizes: [COUNT.div_ceil(128), 1, 1, 128, 1, 1, 0],
        parameters,
        extra: null,
    };
    let node = node_of(parameters.as_mut_ptr());
    let add = cu!(
        cuda,
        cuGraphAddKernelNode(Pointers, *mut c_void, *const c_void, usize, *const Node)
    );
    let (mut first, mut second) = (null.cast(), null.cast());
    assert_eq!(call!(add, &mut first, graph, std::ptr::null(), 0, &node), 0);
    assert_eq!(
        call!(add, &mut second, graph, std::ptr::null(), 0, &node),
        0
    );
    let mut executable = std::ptr::null_mut();
    let make = cu!(
        cuda,
        cuGraphInstantiate_v2(Pointers, *mut c_void, Pointers, *mut c_char, usize)
    );
    assert_eq!(call!(make, &mut executable, graph, null, null.cast(), 0), 0);
    let launch = cu!(cuda, cuGraphLaunch(*mut c_void, *mut c_void));
    assert_eq!(call!(launch, executable, null.cast()), 0);
    adder.check(2);
    // One of the nodes does nothing from now on.
    count = 0;
    parameters[2] = (&raw mut count).cast();
    let node = node_of(parameters.as_mut_ptr());
    let set = cu!(
        cuda,
        cuGraphExecKernelNodeSetParams(*mut c_void, *mut c_void, *const Node)
    );
    assert_eq!(call!(set, executable, second, &node), 0);
    assert_eq!(call!(launch, executable, null.cast()), 0);
    adder.check(3);
    assert_eq!(
        call!(cu!(cuda, cuGraphExecDestroy(*mut c_void)), executable),
        0
    );
    assert_eq!(call!(launch, executable, null.cast()), 400);
    assert_eq!(call!(cu!(cuda, cuGraphDestroy(*mut c_void)), graph), 0);
}
