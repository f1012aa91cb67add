//! Search for settings: a [`Space`] of parameters, [samplers](Sampler) that propose values, [asynchronous successive
//! halving](AshaConfig), and a [`Study`] whose journal Optuna and its dashboard open.
//!
//! Nothing here trains: whoever runs trials asks [`Study::next`] what to do, and tells the study what was measured. All that a
//! search knows stands in its journal, so one that was killed goes on from it. A proposal is a function of the seed, the number
//! of the trial and the trials before it.

mod asha;
mod error;
mod importance;
mod journal;
mod pictures;
mod sampler;
mod space;
mod study;
mod time;
mod tpe;

pub use asha::{AshaConfig, Next};
pub use error::SearchError;
pub use importance::importance;
pub use pictures::{PictureError, history_picture, importance_picture, parallel_picture};
pub use sampler::Sampler;
pub use space::{Domain, Parameter, Space};
pub use study::{Direction, Failure, Objective, Observation, Study, Trial, TrialState};
