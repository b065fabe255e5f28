//! What kernels print is the output of the program, and not of `vgpu run`.

mod common;

use common::{Library, text, with_program};
use cudarc::driver::{CudaContext, LaunchConfig};
use cudarc::nvrtc::Ptx;

const HELLO: &str = r"
.version 7.0
.target sm_70
.address_size 64
.extern .func (.param .b32 count) vprintf(.param .b64 format, .param .b64 arguments);
.global .align 1 .b8 format[7] = {104, 101, 108, 108, 111, 10, 0};
.visible .entry hello()
{
    .reg .b64 %rd<3>;
    mov.u64 %rd1, format;
    cvta.global.u64 %rd1, %rd1;
    mov.u64 %rd2, 0;
    {
    .param .b64 a;
    st.param.b64 [a], %rd1;
    .param .b64 b;
    st.param.b64 [b], %rd2;
    .param .b32 c;
    call.uni (c), vprintf, (a, b);
    }
    ret;
}
";

/// Not a test: the program.
#[test]
fn program() {
    if std::env::var("PROGRAM").as_deref() != Ok("hello") {
        return;
    }
    let context = CudaContext::new(0).unwrap();
    let stream = context.default_stream();
    let module = context.load_module(Ptx::from_src(HELLO)).unwrap();
    let function = module.load_function("hello").unwrap();
    let one = LaunchConfig::for_num_elems(1);
    println!("\nlaunched");
    // SAFETY: the kernel takes no parameters, and writes no memory.
    #[allow(unsafe_code)]
    unsafe {
        stream.launch_builder(&function).launch(LaunchConfig {
            block_dim: (2, 1, 1),
            ..one
        })
    }
    .unwrap();
    stream.synchronize().unwrap();
    println!("synchronised");
}

#[test]
fn a_kernel_s_printf_is_the_programs_output() {
    let library = Library::new();
    let output = with_program(&["run"], &library, "hello").output().unwrap();
    let (said, logged) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{said} {logged}");
    let expected = "\nlaunched\nhello\nhello\nsynchronised\n";
    assert!(said.contains(expected), "{said}");
    assert!(!logged.contains("hello"), "{logged}");
}
