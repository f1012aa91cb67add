//! Everything that is measured runs, on small shapes.

use burnformer_benches::cases::Case;
use burnformer_benches::{Size, devices, operators};
use burnformer_ops::WeightFormat;
use clap::ValueEnum;

#[test]
fn everything_that_is_measured_runs_twice_on_every_device() {
    for bench in devices() {
        let cases = Case::value_variants().iter().flat_map(|case| case.works(Size::Small, WeightFormat::F32));
        for work in operators(Size::Small).into_iter().chain(cases) {
            // Told only if the test fails.
            println!("{}/{} on {:?}", work.name, work.shape, bench.device);
            let mut run = work.start(&bench.device);
            for _ in 0..2 {
                run();
                bench.device.sync().expect("the device finishes its work");
            }
        }
    }
}

#[test]
fn no_two_identifiers_are_equal() {
    for size in [Size::Small, Size::Large] {
        let cases = Case::value_variants().iter().flat_map(|case| case.works(size, WeightFormat::F32));
        let mut names: Vec<String> =
            operators(size).into_iter().chain(cases).map(|work| format!("{}/{}", work.name, work.shape)).collect();
        let n_names = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), n_names);
    }
}
