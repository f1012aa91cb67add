//! Processes that MPI starts: each test runs itself with `mpirun`, once for each rank.
#![cfg(feature = "mpi")]

use std::env;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use burnformer_core::{Collective, CollectiveError};
use burnformer_mpi::Mpi;

/// Set for a test that is a rank.
const IS_RANK: &str = "BURNFORMER_TEST_RANK";
/// More than any test takes.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Runs `work` on `n` ranks, and returns how they ended; `None` on a rank, and where there is no `mpirun`.
fn on_ranks(test: &str, n: usize, work: impl FnOnce()) -> Option<Output> {
    if env::var_os(IS_RANK).is_some() {
        work();
        return None;
    }
    let mut command = Command::new("mpirun");
    command.args(["--oversubscribe", "-n", &n.to_string()]).arg(env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(IS_RANK, "1");
    // Open MPI refuses to start for the superuser of a container otherwise.
    command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    match command.output() {
        Ok(output) => Some(output),
        Err(error) => {
            println!("`{test}` is left out: `mpirun` cannot be started: {error}");
            None
        }
    }
}

/// Makes sure that all ranks did as they should.
fn succeed(output: Option<Output>) {
    if let Some(output) = output {
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn messages_arrive_in_the_order_of_ranks() {
    succeed(on_ranks("messages_arrive_in_the_order_of_ranks", 4, || {
        let mpi = Mpi::with_longest(TIMEOUT, 1000).unwrap();
        let (rank, size) = (mpi.rank(), mpi.size());
        assert_eq!(size, 4);
        // None, less than a piece, exactly one and two, and what is left over.
        for length in [0, 1, 999, 1000, 2000, 123_456] {
            let text = |from: usize, to: usize| vec![(16 * from + to) as u8; length + from];
            let gathered = mpi.gather(text(rank, 9)).unwrap();
            assert_eq!(gathered, (0..size).map(|from| text(from, 9)).collect::<Vec<_>>());
            let exchanged = mpi.exchange((0..size).map(|to| text(rank, to)).collect()).unwrap();
            assert_eq!(exchanged, (0..size).map(|from| text(from, rank)).collect::<Vec<_>>());
        }
        mpi.finish();
    }));
}

#[test]
fn what_is_sent_waits_for_its_receiver() {
    succeed(on_ranks("what_is_sent_waits_for_its_receiver", 2, || {
        let mpi = Mpi::with_longest(TIMEOUT, 1 << 20).unwrap();
        let other = 1 - mpi.rank();
        // Both send more than MPI takes without a receiver, then gather, then receive.
        for round in 0..20_u8 {
            mpi.send(other, vec![round; 3 << 20]).unwrap();
            mpi.send(other, vec![round + 100]).unwrap();
            assert_eq!(mpi.gather(vec![round]).unwrap(), [[round], [round]]);
        }
        for round in 0..20_u8 {
            assert!(mpi.receive(other).unwrap() == vec![round; 3 << 20]);
            assert_eq!(mpi.receive(other).unwrap(), [round + 100]);
        }
        mpi.finish();
    }));
}

#[test]
fn the_parts_of_a_collective_do_not_meet() {
    succeed(on_ranks("the_parts_of_a_collective_do_not_meet", 5, || {
        let mpi = Mpi::start(TIMEOUT).unwrap();
        let part = mpi.split(mpi.rank() % 2).unwrap();
        if part.rank() + 1 < part.size() {
            part.send(part.rank() + 1, vec![9]).unwrap();
        }
        let gathered = part.gather(vec![mpi.rank() as u8]).unwrap().concat();
        let expected = if mpi.rank().is_multiple_of(2) { vec![0, 2, 4] } else { vec![1, 3] };
        assert_eq!((gathered, part.rank()), (expected, mpi.rank() / 2));
        if part.rank() > 0 {
            assert_eq!(part.receive(part.rank() - 1).unwrap(), [9]);
        }
        assert_eq!(mpi.host().gather(vec![mpi.rank() as u8]).unwrap().concat(), [0, 1, 2, 3, 4]);
        mpi.finish();
    }));
}

#[test]
fn a_rank_that_does_not_answer_is_lost() {
    let start = Instant::now();
    let output = on_ranks("a_rank_that_does_not_answer_is_lost", 2, || {
        let mpi = Mpi::start(Duration::from_millis(300)).unwrap();
        if mpi.rank() == 1 {
            std::thread::sleep(TIMEOUT);
        }
        let error = mpi.receive(1).unwrap_err();
        assert!(matches!(error, CollectiveError::Lost { rank: 0, size: 2, .. }), "{error}");
        // At once, now that it is known.
        assert!(matches!(mpi.gather(Vec::new()), Err(CollectiveError::Lost { .. })));
        mpi.abort(7);
    });
    if let Some(output) = output {
        assert_eq!(output.status.code(), Some(7), "{output:?}");
        assert!(start.elapsed() < TIMEOUT);
    }
}

#[test]
fn a_rank_that_panics_ends_all() {
    let start = Instant::now();
    let output = on_ranks("a_rank_that_panics_ends_all", 3, || {
        let mpi = Mpi::start(TIMEOUT).unwrap();
        assert!(mpi.rank() != 1, "this rank is broken");
        let _ = mpi.gather(Vec::new());
    });
    if let Some(output) = output {
        assert!(!output.status.success() && start.elapsed() < TIMEOUT, "{output:?}");
    }
}
