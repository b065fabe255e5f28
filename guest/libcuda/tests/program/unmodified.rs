//! A program that knows nothing of us.

use cudarc::driver::CudaContext;

pub(crate) fn with_cudarc() {
    let context = CudaContext::new(0).unwrap();
    assert_eq!(context.name().unwrap(), "vgpu CPU engine");
    assert_eq!(context.compute_capability().unwrap(), (7, 0));
    let stream = context.new_stream().unwrap();
    let sent: Vec<f32> = (0..300_000).map(|n| n as f32).collect();
    let device = stream.clone_htod(&sent).unwrap();
    let copy = stream.clone_dtod(&device).unwrap();
    assert_eq!(stream.clone_dtoh(&copy).unwrap(), sent);
    let zeros = stream.alloc_zeros::<u32>(1000).unwrap();
    assert_eq!(stream.clone_dtoh(&zeros).unwrap(), vec![0; 1000]);
    stream.synchronize().unwrap();
    let start = context.new_event(None).unwrap();
    let end = context.new_event(None).unwrap();
    start.record(&stream).unwrap();
    end.record(&stream).unwrap();
    end.synchronize().unwrap();
    assert!(end.is_complete());
    let free = cudarc::driver::result::mem_get_info().unwrap().0;
    drop((device, copy, zeros));
    stream.synchronize().unwrap();
    assert!(cudarc::driver::result::mem_get_info().unwrap().0 > free);
}
