//! Tensors that rank 0 writes to a file one at a time, while other ranks hold them.

use crate::{Collective, CollectiveError, TrainError};

/// What the last byte of an answer says.
const FOUND: u8 = 0;
const FAILED: u8 = 1;

/// Asks the rank `owner`, which [serves](serve), for the bytes of the tensor `name`.
///
/// # Errors
/// If the rank has failed or cannot be reached.
pub(crate) fn ask(collective: &dyn Collective, owner: usize, name: &str) -> Result<Vec<u8>, CollectiveError> {
    collective.send(owner, name.as_bytes().to_vec())?;
    let mut answer = collective.receive(owner)?;
    match answer.pop() {
        Some(FOUND) => Ok(answer),
        _ => Err(CollectiveError::Failed { rank: owner, message: String::from_utf8_lossy(&answer).into_owned() }),
    }
}

/// Ends the service of all other ranks.
///
/// # Errors
/// If a rank cannot be reached.
pub(crate) fn dismiss(collective: &dyn Collective) -> Result<(), CollectiveError> {
    (1..collective.size()).try_for_each(|rank| collective.send(rank, Vec::new()))
}

/// Answers the questions of rank 0 with what `find` finds, until it is dismissed.
///
/// # Errors
/// The first one of `find`, of which rank 0 is told; or if rank 0 cannot be reached.
pub(crate) fn serve(
    collective: &dyn Collective,
    find: &mut dyn FnMut(&str) -> Result<Vec<u8>, TrainError>,
) -> Result<(), TrainError> {
    let mut first = Ok(());
    loop {
        let name = collective.receive(0)?;
        if name.is_empty() {
            return first;
        }
        let answer = match find(&String::from_utf8_lossy(&name)) {
            Ok(mut bytes) => {
                bytes.push(FOUND);
                bytes
            }
            Err(error) => {
                let mut text = error.to_string().into_bytes();
                text.push(FAILED);
                first = first.and(Err(error));
                text
            }
        };
        collective.send(0, answer)?;
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use burnformer_core::collective::thread_ranks;

    use super::*;

    #[test]
    fn what_is_asked_for_is_answered_until_the_end_also_after_an_error() {
        let ranks = thread_ranks(3);
        let find = |rank: usize, name: &str| match name {
            "bad" => Err(TrainError::NoEvaluations),
            _ => Ok(format!("{name} of {rank}").into_bytes()),
        };
        thread::scope(|scope| {
            let others =
                ranks[1..].iter().map(|rank| scope.spawn(move || serve(rank, &mut |name| find(rank.rank(), name))));
            let others: Vec<_> = others.collect();
            assert_eq!(ask(&ranks[0], 2, "a").unwrap(), b"a of 2");
            let error = ask(&ranks[0], 1, "bad").unwrap_err();
            assert!(matches!(&error, CollectiveError::Failed { rank: 1, .. }), "{error}");
            assert!(error.to_string().contains("train.patience"), "{error}");
            assert_eq!(ask(&ranks[0], 1, "b").unwrap(), b"b of 1");
            dismiss(&ranks[0]).unwrap();
            let ended: Vec<_> = others.into_iter().map(|rank| rank.join().unwrap().is_ok()).collect();
            assert_eq!(ended, [false, true]);
        });
    }
}
