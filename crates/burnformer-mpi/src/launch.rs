//! Who has started the program, and how often: read from the environment, so that a program without MPI finds out too.

use std::env;

/// A program that a launcher has started several times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The command that has started it.
    pub launcher: &'static str,
    /// The number of this process, from 0.
    pub rank: usize,
    /// The number of processes, at least 2.
    pub size: usize,
}

/// The launchers with their variables: the number of processes, and that of this one. The first that is there counts: `mpirun`
/// below `srun` sets its own.
const LAUNCHERS: [(&str, &str, &str); 4] = [
    // Open MPI.
    ("mpirun", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    ("mpirun", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK"),
    // MPICH and Intel MPI; `srun --mpi=pmi2` sets them too.
    ("mpirun", "PMI_SIZE", "PMI_RANK"),
    // Of a step alone: `SLURM_NTASKS` is set in a batch script too, which one process runs.
    ("srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),
];

impl Launch {
    /// What has started this program several times; `None` if it runs alone.
    #[must_use]
    pub fn find() -> Option<Self> {
        Self::find_in(|name| env::var(name).ok())
    }

    fn find_in(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let number = |name| variable(name)?.trim().parse::<usize>().ok();
        let mut found = LAUNCHERS
            .into_iter()
            .filter_map(|(launcher, size, rank)| Some(Self { launcher, size: number(size)?, rank: number(rank)? }));
        found.next().filter(|launch| launch.size > 1 && launch.rank < launch.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> Option<(&'static str, usize, usize)> {
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Launch::find_in(variable).map(|launch| (launch.launcher, launch.rank, launch.size))
    }

    #[test]
    fn launchers_are_known_by_their_variables() {
        assert_eq!(found(&[]), None);
        assert_eq!(found(&[("OMPI_COMM_WORLD_SIZE", "4"), ("OMPI_COMM_WORLD_RANK", "3")]), Some(("mpirun", 3, 4)));
        assert_eq!(found(&[("PMI_SIZE", "2"), ("PMI_RANK", "0")]), Some(("mpirun", 0, 2)));
        assert_eq!(found(&[("SLURM_STEP_NUM_TASKS", "8"), ("SLURM_PROCID", "7")]), Some(("srun", 7, 8)));
    }

    #[test]
    fn one_process_is_alone_however_it_was_started() {
        // A batch script of Slurm.
        assert_eq!(found(&[("SLURM_NTASKS", "8"), ("SLURM_PROCID", "0")]), None);
        assert_eq!(found(&[("OMPI_COMM_WORLD_SIZE", "1"), ("OMPI_COMM_WORLD_RANK", "0")]), None);
        // `mpirun -n 1` in a step of two tasks.
        let inner = [("OMPI_COMM_WORLD_SIZE", "1"), ("OMPI_COMM_WORLD_RANK", "0")];
        let outer = [("SLURM_STEP_NUM_TASKS", "2"), ("SLURM_PROCID", "0")];
        assert_eq!(found(&[inner, outer].concat()), None);
        assert_eq!(found(&[("PMI_SIZE", "two"), ("PMI_RANK", "0")]), None);
    }
}
