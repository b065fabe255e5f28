//! Programs that link.

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;

use super::kernels::Pointers;
use super::library::{in_context, launch};

const HEAD: &str = ".version 7.8\n.target sm_70\n.address_size 64\n";

/// Writes what a function and a variable of another module say.
const CALLER: &str = "
    .extern .func (.param .b32 r) twice(.param .b32 x);
    .extern .global .align 4 .u32 shared;
    .global .align 4 .u32 own = 1000;
    .visible .entry k(.param .u64 into)
    {
        .reg .b32 %r<4>; .reg .b64 %rd<2>;
        ld.param.u64 %rd1, [into];
        ld.global.u32 %r1, [shared];
        { .param .b32 x; .param .b32 r;
          st.param.b32 [x], %r1;
          call (r), twice, (x);
          ld.param.b32 %r2, [r]; }
        ld.global.u32 %r3, [own];
        add.u32 %r2, %r2, %r3;
        st.global.u32 [%rd1], %r2;
        ret;
    }";
/// A variable `own` of its own as well.
const CALLED: &str = "
    .global .align 4 .u32 own = 5;
    .visible .global .align 4 .u32 shared = 18;
    .visible .func (.param .b32 r) twice(.param .b32 x)
    {
        .reg .b32 %r<3>;
        ld.param.b32 %r1, [x];
        ld.global.u32 %r2, [own];
        add.u32 %r1, %r1, %r1;
        add.u32 %r1, %r1, %r2;
        st.param.b32 [r], %r1;
        ret;
    }";

fn ptx(body: &str) -> CString {
    CString::new(format!("{HEAD}{body}\n")).unwrap()
}

/// A link of a program.
struct Link<'a> {
    cuda: &'a libloading::Library,
    state: *mut c_void,
}

impl<'a> Link<'a> {
    fn new(cuda: &'a libloading::Library, options: &[u32], values: Pointers) -> Self {
        let create = cu!(cuda, cuLinkCreate_v2(u32, *const u32, Pointers, Pointers));
        let mut state = ptr::null_mut();
        let count = options.len() as u32;
        assert_eq!(
            call!(create, count, options.as_ptr(), values, &mut state),
            0
        );
        Self { cuda, state }
    }

    fn add(&self, kind: u32, data: &[u8], name: Option<&CStr>) -> u32 {
        let cuda = self.cuda;
        let add = cu!(
            cuda,
            cuLinkAddData_v2(
                *mut c_void,
                u32,
                *const u8,
                usize,
                *const c_char,
                u32,
                *const u32,
                Pointers,
            )
        );
        let name = name.map_or(ptr::null(), CStr::as_ptr);
        let (options, values) = (ptr::null(), ptr::null_mut());
        let (data, size) = (data.as_ptr(), data.len());
        call!(add, self.state, kind, data, size, name, 0, options, values)
    }

    fn add_file(&self, path: &CStr) -> u32 {
        let cuda = self.cuda;
        let add = cu!(
            cuda,
            cuLinkAddFile_v2(*mut c_void, u32, *const c_char, u32, *const u32, Pointers)
        );
        let (options, values) = (ptr::null(), ptr::null_mut());
        call!(add, self.state, 1, path.as_ptr(), 0, options, values)
    }

    fn complete(&self) -> Result<(*mut c_void, usize), u32> {
        let cuda = self.cuda;
        let complete = cu!(cuda, cuLinkComplete(*mut c_void, Pointers, *mut usize));
        let (mut image, mut size) = (ptr::null_mut(), 0);
        match call!(complete, self.state, &mut image, &mut size) {
            0 => Ok((image, size)),
            error => Err(error),
        }
    }

    fn destroy(&self) -> u32 {
        let cuda = self.cuda;
        call!(cu!(cuda, cuLinkDestroy(*mut c_void)), self.state)
    }
}

pub(crate) fn links() {
    let cuda = &in_context();
    let path = std::env::temp_dir().join(format!("vgpu-links-{}.ptx", std::process::id()));
    std::fs::write(&path, ptx(CALLED).to_bytes()).unwrap();
    let name = CString::new(path.to_str().unwrap()).unwrap();
    let link = Link::new(cuda, &[], ptr::null_mut());
    // With the 0 at its end, or without; a name, or none.
    assert_eq!(link.add(1, ptx(CALLER).to_bytes_with_nul(), None), 0);
    assert_eq!(link.add_file(&name), 0);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(link.add_file(&name), 301);
    let (image, size) = link.complete().unwrap();
    assert_eq!(link.complete(), Ok((image, size)));
    // SAFETY: the image is there until the link's end.
    let text = unsafe { std::slice::from_raw_parts(image.cast::<u8>(), size) };
    assert_eq!(text.last(), Some(&0));
    assert_eq!(
        link.add(1, ptx(CALLED).to_bytes(), None),
        1,
        "it is complete"
    );

    let (mut module, mut kernel) = (ptr::null_mut(), ptr::null_mut());
    let load = cu!(cuda, cuModuleLoadData(Pointers, *const c_void));
    assert_eq!(call!(load, &mut module, image), 0);
    assert_eq!(link.destroy(), 0);
    assert_eq!(link.destroy(), 400);
    assert_eq!(link.complete(), Err(400));
    let find = cu!(
        cuda,
        cuModuleGetFunction(Pointers, *mut c_void, *const c_char)
    );
    assert_eq!(call!(find, &mut kernel, module, c"k".as_ptr()), 0);
    let mut result = 0_u64;
    let alloc = cu!(cuda, cuMemAlloc_v2(*mut u64, usize));
    assert_eq!(call!(alloc, &mut result, 4), 0);
    let mut parameters = [(&raw mut result).cast()];
    let (parameters, null) = (parameters.as_mut_ptr(), ptr::null_mut());
    let launched = launch(cuda, kernel, [1; 3], 1, 0, parameters, null);
    assert_eq!(launched, 0);
    let mut value = 0_u32;
    let download = cu!(cuda, cuMemcpyDtoH_v2(*mut u32, u64, usize));
    assert_eq!(call!(download, &mut value, result, 4), 0);
    assert_eq!(value, 2 * 18 + 5 + 1000);
    // All goes with the module, also of those of one name.
    let free = |cuda: &libloading::Library| {
        let mut free = 0;
        let info = cu!(cuda, cuMemGetInfo_v2(*mut usize, *mut usize));
        assert_eq!(call!(info, &mut free, ptr::null_mut()), 0);
        free
    };
    let before = free(cuda);
    assert_eq!(call!(cu!(cuda, cuModuleUnload(*mut c_void)), module), 0);
    assert_eq!(free(cuda) - before, 3 * 512);
}

pub(crate) fn refusals() {
    let cuda = &in_context();
    let mut errors = [b'x'; 256];
    let mut values: [*mut c_void; 2] = [
        errors.as_mut_ptr().cast(),
        ptr::without_provenance_mut(errors.len()),
    ];
    let log = values.as_mut_ptr();
    let link = Link::new(cuda, &[5, 6], log);
    let (caller, called) = (ptx(CALLER), ptx(CALLED));
    let signed = c"//\n// Generated by NVIDIA NVVM Compiler\n//\n.version 8.0\n";
    // A machine code, a library and LLVM's form for NVVM are not PTX.
    for (kind, data, result) in [
        (1, &b"nonsense"[..], 218),
        (1, &[], 1),
        (0, b"\x7fELF", 209),
        (3, b"\x7fELF", 209),
        (4, b"!<arch>", 209),
        (5, b"BC", 209),
        (6, caller.to_bytes(), 1),
        (1, signed.to_bytes(), 209),
    ] {
        let added = link.add(kind, data, Some(c"this.one"));
        assert_eq!(added, result, "{kind}");
    }
    assert_eq!(link.complete(), Err(218), "nothing is linked");
    // The log of the link says why, and whose fault it was.
    assert_eq!(link.add(1, b"nonsense", Some(c"this.one")), 218);
    // SAFETY: the library wrote a text that ends with 0.
    let text = unsafe { CStr::from_ptr(errors.as_ptr().cast()) };
    let text = text.to_str().unwrap();
    assert!(text.starts_with("`this.one`: line 1"), "{text}");
    assert_eq!(values[1].addr(), text.len());
    // What nobody defines, and what two define.
    assert_eq!(link.add(1, caller.to_bytes(), None), 0);
    assert_eq!(link.complete(), Err(218), "undefined");
    assert_eq!(link.add(1, called.to_bytes(), None), 0);
    assert!(link.complete().is_ok());
    assert_eq!(link.destroy(), 0);
    let twice = Link::new(cuda, &[], ptr::null_mut());
    for _ in 0..2 {
        assert_eq!(twice.add(1, called.to_bytes(), None), 0);
    }
    assert_eq!(twice.complete(), Err(218));
    assert_eq!(twice.destroy(), 0);
    // Nothing was broken.
    assert_eq!(call!(cu!(cuda, cuCtxSynchronize())), 0);
}

/// More links than there may be: the last one is refused, and breaks nothing.
pub(crate) fn many() {
    let cuda = &in_context();
    let create = cu!(cuda, cuLinkCreate_v2(u32, *const u32, Pointers, Pointers));
    let mut links = Vec::new();
    let refused = loop {
        let mut state = ptr::null_mut();
        match call!(create, 0, ptr::null(), ptr::null_mut(), &mut state) {
            0 => links.push(Link { cuda, state }),
            refused => {
                assert!(state.is_null(), "there is no link, and yet a handle");
                break refused;
            }
        }
    };
    assert_eq!((refused, links.len()), (2, vgpu_cuda_wire::limits::LINKS));
    assert_eq!(call!(cu!(cuda, cuCtxSynchronize())), 0);
    // There is room again after one has ended.
    assert_eq!(links.pop().unwrap().destroy(), 0);
    links.push(Link::new(cuda, &[], ptr::null_mut()));
    for link in links {
        assert_eq!(link.destroy(), 0);
    }
    assert_eq!(call!(cu!(cuda, cuCtxSynchronize())), 0);
}
