//! Progress of long work on a terminal: as [`Bars`], or as [`Lines`] for logs.
//!
//! Nothing is printed here: bars are drawn by `indicatif`, lines are handed over.

mod amount;
mod bars;
mod lines;
mod patient;

pub use bars::Bars;
pub use lines::Lines;
