/// What a profiler would be told.
pub trait Profiler {
    #[local]
    #[since(4000)]
    fn cuProfilerStart();
    #[local]
    #[since(4000)]
    fn cuProfilerStop();
}
