//! The processes that a program is one of: from their start to their end.

use std::io;
use std::time::Duration;

use burnformer_core::{Collective, Local};

use crate::launch::Launch;

/// How long a process that fails waits for the others to end too, as they do after a failure that was agreed upon.
#[cfg(feature = "mpi")]
const GRACE: Duration = Duration::from_secs(10);

/// The processes that a program is one of: itself alone, or all that MPI has started.
pub struct Ranks(Kind);

enum Kind {
    Alone,
    #[cfg(feature = "mpi")]
    Together {
        mpi: crate::Mpi,
        threads: usize,
    },
}

/// Several processes that cannot work together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The program was built without MPI.
    #[error(
        "`{launcher}` has started {size} processes, but this program was built without MPI, so that each would do all the work: \
         build it with `--features mpi`, or start it without `{launcher}`"
    )]
    NotBuilt {
        /// The command that has started them.
        launcher: &'static str,
        /// Their number.
        size: usize,
    },
    /// The MPI that the program was built with does not know the launcher.
    #[error(
        "`{launcher}` has started {size} processes, but MPI finds {found}: start them with the `mpirun` of the MPI that the \
         program was built with, or with `srun --mpi=pmix` (or `--mpi=pmi2`)"
    )]
    Apart {
        /// The command that has started them.
        launcher: &'static str,
        /// Their number.
        size: usize,
        /// The number that MPI knows.
        found: usize,
    },
    /// MPI cannot be started.
    #[error("cannot start MPI")]
    Io(#[from] io::Error),
}

/// How the work of a process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With this exit status.
    Status(u8),
    /// With an error of its own, and this exit status.
    Failed(u8),
    /// With the failure of another process, which says why itself.
    FailedElsewhere,
}

impl Ranks {
    /// Finds the other processes, if there are any. Waiting for one of them is given up after `timeout`.
    ///
    /// # Errors
    /// If this program was started several times, but cannot find the others.
    pub fn start(timeout: Duration) -> Result<Self, StartError> {
        match Launch::find() {
            None => Ok(Self(Kind::Alone)),
            Some(launch) => Self::together(launch, timeout),
        }
    }

    #[cfg(not(feature = "mpi"))]
    fn together(launch: Launch, _timeout: Duration) -> Result<Self, StartError> {
        Err(StartError::NotBuilt { launcher: launch.launcher, size: launch.size })
    }

    #[cfg(feature = "mpi")]
    fn together(launch: Launch, timeout: Duration) -> Result<Self, StartError> {
        let mpi = crate::Mpi::start(timeout)?;
        let found = mpi.size();
        if found == launch.size {
            let own = crate::cpus::allowed();
            let all = burnformer_core::collective::gather(&mpi.host(), own.clone());
            // Without the others there is nothing to compute either.
            let threads = all.map_or(1, |all| crate::cpus::threads(own.as_ref(), &all));
            return Ok(Self(Kind::Together { mpi, threads }));
        }
        mpi.finish();
        Err(StartError::Apart { launcher: launch.launcher, size: launch.size, found })
    }

    /// The number of this process; `None` if it is alone.
    #[must_use]
    pub fn rank(&self) -> Option<usize> {
        match &self.0 {
            Kind::Alone => None,
            #[cfg(feature = "mpi")]
            Kind::Together { mpi, .. } => Some(mpi.rank()),
        }
    }

    /// The processes that work together.
    #[must_use]
    pub fn collective(&self) -> Box<dyn Collective> {
        match &self.0 {
            Kind::Alone => Box::new(Local),
            #[cfg(feature = "mpi")]
            Kind::Together { mpi, .. } => Box::new(mpi.clone()),
        }
    }

    /// The number of this process among those of its host.
    #[must_use]
    pub fn host_rank(&self) -> usize {
        match &self.0 {
            Kind::Alone => 0,
            #[cfg(feature = "mpi")]
            Kind::Together { mpi, .. } => mpi.host().rank(),
        }
    }

    /// The number of threads that this process should compute with, so that those of a host share its processors: `None` for
    /// all there are.
    #[must_use]
    pub fn threads(&self) -> Option<usize> {
        match &self.0 {
            Kind::Alone => None,
            #[cfg(feature = "mpi")]
            Kind::Together { threads, .. } => Some(*threads),
        }
    }

    /// Ends all processes together. `say` tells why this one has failed, if nobody else does: it is given the number of this
    /// process, if others have done better. Returns the exit status of all, which is that of one process with the same work.
    ///
    /// A process that fails where the others did not expect it, so that they wait for it, ends them all.
    #[must_use]
    pub fn end(self, ending: Ending, say: impl FnOnce(Option<usize>)) -> u8 {
        match self.0 {
            Kind::Alone => {
                if let Ending::Failed(_) = ending {
                    say(None);
                }
                status_of(&[ending])
            }
            #[cfg(feature = "mpi")]
            Kind::Together { mpi, .. } => {
                let is_failure = matches!(ending, Ending::Failed(_) | Ending::FailedElsewhere);
                let wait = if is_failure { GRACE } else { Duration::MAX };
                let Some(all) = mpi.endings(ending.to_bytes(), wait) else {
                    say(Some(mpi.rank()));
                    mpi.abort(status_of(&[ending]));
                    return status_of(&[ending]);
                };
                let all: Vec<Ending> = all.iter().map(|message| Ending::from_bytes(message)).collect();
                let failed = |ending: &Ending| matches!(ending, Ending::Failed(_));
                if all.iter().position(failed) == Some(mpi.rank()) {
                    say((!all.iter().all(failed)).then_some(mpi.rank()));
                }
                mpi.finish();
                status_of(&all)
            }
        }
    }
}

#[cfg(feature = "mpi")]
impl Ending {
    fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Status(status) => vec![0, status],
            Self::Failed(status) => vec![1, status],
            Self::FailedElsewhere => vec![2],
        }
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        match bytes {
            [0, status] => Self::Status(*status),
            [1, status] => Self::Failed(*status),
            _ => Self::FailedElsewhere,
        }
    }
}

/// The exit status of processes that ended so: that of a failure, else the highest, which tells a signal.
fn status_of(endings: &[Ending]) -> u8 {
    let failed = endings.iter().find_map(|ending| match ending {
        Ending::Failed(status) => Some(*status),
        _ => None,
    });
    let highest = endings.iter().filter_map(|ending| match ending {
        Ending::Status(status) => Some(*status),
        _ => None,
    });
    // Nobody has failed elsewhere: then this process has.
    failed.or_else(|| highest.max()).unwrap_or(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_status_is_that_of_one_process() {
        use Ending::{Failed, FailedElsewhere, Status};
        for (endings, expected) in [
            (&[Status(0), Status(0)][..], 0),
            (&[Status(1), Status(0)], 1),
            (&[Status(0), Failed(2)], 2),
            (&[Status(128), Status(143)], 143),
            (&[FailedElsewhere, Status(143)], 143),
            (&[FailedElsewhere, Failed(2), Status(143)], 2),
            (&[FailedElsewhere], 2),
        ] {
            assert_eq!(status_of(endings), expected, "{endings:?}");
        }
    }

    #[test]
    fn one_process_says_itself_why_it_failed() {
        let mut said = Vec::new();
        let status = Ranks(Kind::Alone).end(Ending::Failed(2), |rank| said.push(rank));
        assert_eq!((status, said), (2, vec![None]));
        let status = Ranks(Kind::Alone).end(Ending::Status(1), |_| unreachable!("nothing has failed"));
        assert_eq!(status, 1);
    }
}
