//! Processes that work together through MPI: who has started them, how they talk to each other, and how they end together.
//!
//! A program asks [`Ranks::start`] for the processes it is one of, works with their
//! [`Collective`](burnformer_core::Collective), and hands its result to [`Ranks::end`].

#[cfg(feature = "mpi")]
mod collective;
#[cfg(feature = "mpi")]
mod cpus;
mod launch;
#[cfg(feature = "mpi")]
mod outbox;
#[cfg(feature = "mpi")]
mod pause;
mod ranks;
#[cfg(feature = "mpi")]
mod server;

#[cfg(feature = "mpi")]
pub use collective::{LostReason, Mpi};
pub use launch::Launch;
pub use ranks::{Ending, Ranks, StartError};
