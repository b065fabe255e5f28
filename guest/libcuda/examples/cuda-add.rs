//! A small CUDA program, for tests of what is installed: it adds two arrays, and says on which device.

use cudarc::driver::{CudaContext, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::Ptx;

const PTX: &str = include_str!("../../../command/tests/program/add.ptx");
const COUNT: u16 = 1000;

fn main() {
    let context = CudaContext::new(0).unwrap();
    let stream = context.default_stream();
    let numbers: Vec<f32> = (0..COUNT).map(f32::from).collect();
    let [a, b] = [(); 2].map(|()| stream.clone_htod(&numbers).unwrap());
    let mut sum = stream.alloc_zeros::<f32>(COUNT.into()).unwrap();
    let module = context.load_module(Ptx::from_src(PTX)).unwrap();
    let add = module.load_function("add").unwrap();
    let count = u32::from(COUNT);
    let mut launch = stream.launch_builder(&add);
    launch.arg(&mut sum).arg(&a).arg(&b).arg(&count);
    let shape = LaunchConfig::for_num_elems(count);
    // SAFETY: the arguments are those of the kernel, which stays within `count`.
    #[allow(unsafe_code)]
    unsafe { launch.launch(shape) }.unwrap();
    let twice: Vec<f32> = numbers.iter().map(|number| 2.0 * number).collect();
    assert_eq!(stream.clone_dtoh(&sum).unwrap(), twice);
    println!("{COUNT} sums are right on {}", context.name().unwrap());
}
