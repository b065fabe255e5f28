//! A small CUDA program, for tests of what is installed: it adds two arrays, and says on which device. By its argument it does
//! so many times, or for ever with 0; with another one it keeps the device then, and does nothing.

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
    let twice: Vec<f32> = numbers.iter().map(|number| 2.0 * number).collect();
    let times = std::env::args().nth(1).map(|times| times.parse().unwrap());
    let times: u64 = times.unwrap_or(1);
    let mut done = 0;
    while times == 0 || done < times {
        let mut launch = stream.launch_builder(&add);
        launch.arg(&mut sum).arg(&a).arg(&b).arg(&count);
        let shape = LaunchConfig::for_num_elems(count);
        // SAFETY: the arguments are those of the kernel, which stays within `count`.
        #[allow(unsafe_code)]
        unsafe { launch.launch(shape) }.unwrap();
        assert_eq!(stream.clone_dtoh(&sum).unwrap(), twice);
        stream.memset_zeros(&mut sum).unwrap();
        done += 1;
    }
    println!("{COUNT} sums are right on {}", context.name().unwrap());
    if std::env::args().len() > 2 {
        loop {
            std::thread::park();
        }
    }
}
