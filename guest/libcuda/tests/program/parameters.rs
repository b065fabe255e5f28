//! Programs whose kernels take parameters of all sizes.

use std::ffi::{c_char, c_void};

use super::kernels::Pointers;
use super::library::{in_context, launch, pattern};

/// Two kernels that write their parameters to memory: one has few bytes of them, the
/// other many.
const SIZES: &std::ffi::CStr = c"
.version 7.8
.target sm_70
.address_size 64
.visible .entry few(.param .u64 into, .param .u8 a, .param .u16 b, .param .u32 c,
    .param .align 4 .b8 d[12])
{
    .reg .b16 %h<3>;
    .reg .b32 %r<5>;
    .reg .b64 %rd<2>;
    ld.param.u64 %rd1, [into];
    ld.param.u8 %h1, [a];
    ld.param.u16 %h2, [b];
    ld.param.u32 %r1, [c];
    ld.param.u32 %r2, [d];
    ld.param.u32 %r3, [d+4];
    ld.param.u32 %r4, [d+8];
    st.global.u8 [%rd1], %h1;
    st.global.u16 [%rd1+2], %h2;
    st.global.u32 [%rd1+4], %r1;
    st.global.u32 [%rd1+8], %r2;
    st.global.u32 [%rd1+12], %r3;
    st.global.u32 [%rd1+16], %r4;
    ret;
}
.visible .entry many(.param .u64 into, .param .u8 a, .param .align 8 .b8 b[200])
{
    .reg .b16 %h<2>;
    .reg .b64 %rd<4>;
    ld.param.u64 %rd1, [into];
    ld.param.u8 %h1, [a];
    ld.param.u64 %rd2, [b];
    ld.param.u64 %rd3, [b+192];
    st.global.u8 [%rd1], %h1;
    st.global.u64 [%rd1+8], %rd2;
    st.global.u64 [%rd1+16], %rd3;
    ret;
}
";

pub(crate) fn sizes() {
    let cuda = in_context();
    let load = cu!(cuda, cuModuleLoadData(Pointers, *const c_char));
    let find = cu!(
        cuda,
        cuModuleGetFunction(Pointers, *mut c_void, *const c_char)
    );
    let download = cu!(cuda, cuMemcpyDtoH_v2(*mut u8, u64, usize));
    let (mut module, mut into) = (std::ptr::null_mut(), 0_u64);
    assert_eq!(call!(load, &mut module, SIZES.as_ptr()), 0);
    let alloc = cu!(cuda, cuMemAlloc_v2(*mut u64, usize));
    assert_eq!(call!(alloc, &mut into, 24), 0);

    // What a kernel with these arguments, behind the pointer, has written.
    let written = |name: &std::ffi::CStr, arguments: &mut [&mut [u8]]| {
        let (mut function, null) = (std::ptr::null_mut(), std::ptr::null_mut());
        assert_eq!(call!(find, &mut function, module, name.as_ptr()), 0);
        let mut pointer = into;
        let mut list: Vec<*mut c_void> = vec![(&raw mut pointer).cast()];
        list.extend(arguments.iter_mut().map(|bytes| bytes.as_mut_ptr().cast()));
        let list = list.as_mut_ptr();
        let clear = cu!(cuda, cuMemsetD8_v2(u64, u8, usize));
        assert_eq!(call!(clear, into, 0, 24), 0);
        assert_eq!(launch(&cuda, function, [1; 3], 1, 0, list, null), 0);
        let mut bytes = vec![0; 24];
        assert_eq!(call!(download, bytes.as_mut_ptr(), into, 24), 0);
        bytes
    };

    let mut sent = pattern(255);
    let [a, b, c, d, e] = sent
        .get_disjoint_mut([1..2, 3..5, 11..15, 17..29, 50..250])
        .unwrap();
    let few = written(c"few", &mut [&mut *a, &mut *b, &mut *c, &mut *d]);
    let none = &[0][..];
    let expected = [&*a, none, &*b, &*c, &*d, &[0; 4]].concat();
    assert_eq!(few, expected);
    let many = written(c"many", &mut [&mut *a, &mut *e]);
    let expected = [&*a, &[0; 7], &e[..8], &e[192..]].concat();
    assert_eq!(many, expected);
}
