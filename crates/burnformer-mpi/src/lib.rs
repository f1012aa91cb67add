//! Processes that work together through MPI.
