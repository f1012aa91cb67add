//! A training step copies no input of a kernel: activations, gradients, weights and moments are used where they lie.
//!
//! The count is one for the whole program, so this test has a program to itself.
#![cfg(any(feature = "ndarray", feature = "flex"))]

#[allow(dead_code)] // Shared with the tests of the loop.
#[path = "train/support.rs"]
mod support;

use burnformer_ops::copied_inputs;
use support::{Fixture, config, cpus, history};

#[test]
fn a_training_step_copies_nothing() {
    let fixture = Fixture::small();
    for (name, device) in cpus() {
        let copies = |steps| {
            let before = copied_inputs();
            history(&fixture, &device, &config(steps));
            copied_inputs() - before
        };
        let (three, nine) = (copies(3), copies(9));
        assert_eq!(nine, three, "{name}: {three} copies in three steps, {nine} in nine");
    }
}
