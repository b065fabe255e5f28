//! Programs with streams and events.

use std::ffi::{c_int, c_void};
use std::ptr;

use super::kernels::Pointers;
use super::library::in_context;

pub(crate) fn streams() {
    let cuda = in_context();
    let null = ptr::null_mut::<c_void>();
    let (mut context, mut stream) = (null, null);
    assert_eq!(call!(cu!(cuda, cuCtxGetCurrent(Pointers)), &mut context), 0);
    let create = cu!(cuda, cuStreamCreateWithPriority(Pointers, u32, c_int));
    assert_eq!(call!(create, &mut stream, 2, 0), 1);
    // A priority that is out of the range is brought into it.
    assert_eq!(call!(create, &mut stream, 1, -5), 0);
    let flags = cu!(cuda, cuStreamGetFlags(*mut c_void, *mut u32));
    let priority = cu!(cuda, cuStreamGetPriority(*mut c_void, *mut c_int));
    let owner = cu!(cuda, cuStreamGetCtx(*mut c_void, Pointers));
    for (stream, expected) in [(stream, 1), (null, 0)] {
        let (mut found, mut level, mut of) = (9, 9, null);
        assert_eq!(call!(flags, stream, &mut found), 0);
        assert_eq!(call!(priority, stream, &mut level), 0);
        assert_eq!(call!(owner, stream, &mut of), 0);
        assert_eq!((found, level, of), (expected, 0, context));
    }
    assert_eq!(call!(cu!(cuda, cuStreamQuery(*mut c_void)), stream), 0);
    assert_eq!(call!(cu!(cuda, cuStreamDestroy_v2(*mut c_void)), stream), 0);
    assert_eq!(call!(flags, stream, &mut 0), 400);
    assert_eq!(call!(owner, stream, &mut context), 400);
    assert_eq!(
        call!(cu!(cuda, cuStreamDestroy_v2(*mut c_void)), stream),
        400
    );
}

pub(crate) fn events() {
    let cuda = in_context();
    let null = ptr::null_mut::<c_void>();
    let create = cu!(cuda, cuEventCreate(Pointers, u32));
    let record = cu!(cuda, cuEventRecord(*mut c_void, *mut c_void));
    let with_flags = cu!(cuda, cuEventRecordWithFlags(*mut c_void, *mut c_void, u32));
    let elapsed = cu!(cuda, cuEventElapsedTime(*mut f32, *mut c_void, *mut c_void));
    let wait = cu!(cuda, cuStreamWaitEvent(*mut c_void, *mut c_void, u32));
    let mut events = [null; 3];
    for (event, flags) in events.iter_mut().zip([0, 1, 2]) {
        assert_eq!(call!(create, event, flags), 0);
    }
    let [start, end, untimed] = events;
    let mut stray = null;
    assert_eq!(call!(create, &mut stray, 8), 1);
    assert_eq!(call!(create, &mut stray, 4), 1, "without time alone");
    assert_eq!(call!(create, &mut stray, 6), 801);
    let mut time = -1.0;
    assert_eq!(call!(elapsed, &mut time, start, end), 400, "not recorded");
    assert_eq!(call!(record, start, null), 0);
    // The worker is there now: it might else come to both records after the sleep.
    let synchronize = cu!(cuda, cuEventSynchronize(*mut c_void));
    assert_eq!(call!(synchronize, start), 0);
    std::thread::sleep(std::time::Duration::from_millis(5));
    assert_eq!(call!(with_flags, end, null, 0), 0);
    assert_eq!(call!(with_flags, end, null, 2), 1);
    assert_eq!(call!(record, untimed, null), 0);
    assert_eq!(call!(wait, null, untimed, 0), 0);
    assert_eq!(call!(wait, null, untimed, 2), 1);
    assert_eq!(call!(synchronize, untimed), 0);
    assert_eq!(call!(cu!(cuda, cuEventQuery(*mut c_void)), end), 0);
    // The worker sees the second record no later than it is answered.
    assert_eq!(call!(elapsed, &mut time, start, end), 0);
    assert!((1.0..10_000.0).contains(&time), "{time} ms");
    assert_eq!(call!(elapsed, &mut time, start, untimed), 400);
    let destroy = cu!(cuda, cuEventDestroy_v2(*mut c_void));
    for event in events {
        assert_eq!(call!(destroy, event), 0);
        assert_eq!(call!(destroy, event), 400);
        assert_eq!(call!(record, event, null), 400);
    }
}

/// More events than there may be: the last one is refused, and breaks nothing.
pub(crate) fn many_events() {
    let cuda = &in_context();
    let make = cu!(cuda, cuEventCreate(*mut *mut c_void, u32));
    let mut event = ptr::null_mut();
    for n in 0..vgpu_cuda_wire::limits::EVENTS {
        assert_eq!(call!(make, &mut event, 2), 0, "{n}");
    }
    let last = event;
    assert_eq!(call!(make, &mut event, 2), 2);
    assert_eq!(event, last, "there is no event, and yet a handle");
    assert_eq!(call!(cu!(cuda, cuEventDestroy_v2(*mut c_void)), event), 0);
    assert_eq!(call!(make, &mut event, 2), 0);
    assert_eq!(call!(cu!(cuda, cuCtxSynchronize())), 0);
}
