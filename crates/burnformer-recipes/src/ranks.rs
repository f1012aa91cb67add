//! What the processes of a run agree upon, and what the first does for all.

use std::error::Error;

use burnformer_core::collective::{Collective, CollectiveError, agree, gather};
use burnformer_train::RunFolder;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::changes::keys;
use crate::{Context, RecipeError, RunSettings};

/// The setting that processes may have of their own.
const OWN: &str = "train.workers";

/// The own result, if no other process has failed.
///
/// # Errors
/// That of `result`; if another process has failed.
pub(crate) fn agreed<T, E: Error + From<CollectiveError>>(
    collective: &dyn Collective,
    result: Result<T, E>,
) -> Result<T, E> {
    let mut own = None;
    agree(collective, result.map(|value| drop(own.replace(value))))?;
    Ok(own.expect("a process without a result has failed"))
}

/// What `work` returns on rank 0, where alone it is done, to all.
///
/// # Errors
/// If it fails.
pub(crate) fn first<T: Serialize + DeserializeOwned, E: Error + From<CollectiveError>>(
    collective: &dyn Collective,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    // A list, as JSON has no other nothing within nothing.
    let done = if collective.rank() == 0 { work().map(|value| vec![value]) } else { Ok(Vec::new()) };
    let mut values = agree(collective, done)?.into_iter().flatten();
    Ok(values.next().expect("rank 0 has done the work"))
}

/// Makes sure that all processes have the same settings, and share models in the same way: otherwise they would train something
/// that nobody has asked for.
///
/// # Errors
/// [`RecipeError::OtherSettings`] on all of them, with the first setting that differs.
pub(crate) fn check_same<S: RunSettings>(settings: &S, context: &Context<'_>) -> Result<(), RecipeError> {
    if context.collective.size() == 1 {
        return Ok(());
    }
    let mut found = keys(settings)?;
    found.remove(OWN);
    found.insert("recipe".to_owned(), S::RECIPE.into());
    found.insert("pipeline stages".to_owned(), context.pipeline_stages.into());
    found.insert("tensor-parallel parts".to_owned(), context.tensor_parallel.into());
    // As texts, since numbers lose bits on their way.
    let found: Vec<(String, String)> = found.into_iter().map(|(key, value)| (key, value.to_string())).collect();
    let all = gather(context.collective, found)?;
    let (first, others) = all.split_first().expect("there is a first process");
    for (rank, other) in (1..).zip(others) {
        let of = |list: &[(String, String)], key: &str| {
            list.iter()
                .find(|(name, _)| name == key)
                .map_or_else(|| Value::Null.to_string(), |(_, value)| value.clone())
        };
        let mut names = first.iter().chain(other).map(|(key, _)| key);
        if let Some(key) = names.find(|key| of(first, key) != of(other, key)) {
            let (expected, found) = (of(first, key), of(other, key));
            return Err(RecipeError::OtherSettings(Box::new(OtherSettings {
                rank,
                key: key.clone(),
                expected,
                found,
            })));
        }
    }
    Ok(())
}

/// A setting of one process that differs from that of the first.
#[derive(Debug)]
pub struct OtherSettings {
    /// The number of the process.
    pub rank: usize,
    /// The setting.
    pub key: String,
    /// Its value in the first process, as JSON.
    pub expected: String,
    /// Its value in that process.
    pub found: String,
}

/// The run folder that rank 0 makes with `make`, and the others join.
///
/// # Errors
/// If it cannot be made or joined.
pub(crate) fn shared_folder(
    collective: &dyn Collective,
    path: &std::path::Path,
    make: impl FnOnce() -> Result<RunFolder, RecipeError>,
) -> Result<RunFolder, RecipeError> {
    let made = agreed(collective, if collective.rank() == 0 { make().map(Some) } else { Ok(None) })?;
    let join = || RunFolder::join(path).map_err(|_| RecipeError::NotShared { folder: path.to_owned() });
    agreed(collective, made.map_or_else(join, Ok))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use burnformer_core::collective::{is_failed_elsewhere, thread_ranks};
    use burnformer_core::progress::Interrupted;

    use super::*;

    /// What `work` returns on each of three ranks.
    fn on_ranks<R: Send>(work: impl Fn(&dyn Collective) -> R + Sync) -> Vec<R> {
        let work = &work;
        thread::scope(|scope| {
            let ranks: Vec<_> = thread_ranks(3).into_iter().map(|rank| scope.spawn(move || work(&rank))).collect();
            ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
        })
    }

    #[test]
    fn what_the_first_returns_reaches_all() {
        assert_eq!(on_ranks(|ranks| first::<_, RecipeError>(ranks, || Ok(ranks.rank() + 7)).unwrap()), [7; 3]);
        assert_eq!(on_ranks(|ranks| first::<(), RecipeError>(ranks, || Ok(())).unwrap()), [(); 3]);
        assert_eq!(on_ranks(|ranks| first::<_, RecipeError>(ranks, || Ok(None::<u8>)).unwrap()), [None; 3]);
    }

    #[test]
    fn a_failure_of_one_ends_all() {
        let failing = |ranks: &dyn Collective| match ranks.rank() {
            1 => Err(RecipeError::from(Interrupted)),
            rank => Ok(rank),
        };
        let found = on_ranks(|ranks| agreed(ranks, failing(ranks)).unwrap_err());
        assert!(matches!(found[1], RecipeError::Interrupted(_)) && !is_failed_elsewhere(&found[1]), "{found:?}");
        assert!(is_failed_elsewhere(&found[0]) && is_failed_elsewhere(&found[2]), "{found:?}");
    }
}
