//! Items that rank 0 deals out, and whose results it takes in order.

use std::collections::VecDeque;
use std::error::Error;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Collective, CollectiveError, agree, with_causes};

/// Number of items that each rank has at a time: one to work on, and the next.
const AHEAD: usize = 2;

/// First byte of what rank 0 sends: an item follows, or no more come.
const ITEM: u8 = 1;
const END: u8 = 0;
/// First byte of an answer: the result follows, or why there is none.
const RESULT: u8 = 1;
const FAILURE: u8 = 0;

/// What one rank sends to another.
pub trait Message: Sized {
    /// Appends its bytes.
    ///
    /// # Errors
    /// If it cannot be written.
    fn write(&self, bytes: &mut Vec<u8>) -> Result<(), CollectiveError>;

    /// Reads what [`Self::write`] has written.
    ///
    /// # Errors
    /// If these are not such bytes.
    fn read(bytes: &[u8]) -> Result<Self, CollectiveError>;
}

/// A value that is sent as JSON. Floats lose bits there, unless their type says how they keep them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json<V>(pub V);

impl<V: Serialize + DeserializeOwned> Message for Json<V> {
    fn write(&self, bytes: &mut Vec<u8>) -> Result<(), CollectiveError> {
        serde_json::to_writer(bytes, &self.0).map_err(CollectiveError::message)
    }

    fn read(bytes: &[u8]) -> Result<Self, CollectiveError> {
        serde_json::from_slice(bytes).map(Self).map_err(CollectiveError::message)
    }
}

/// All ranks `work` on the `items` of rank 0, in turn, which hands the results to `take` in the order of items. An item has a
/// part that rank 0 keeps for `take`. Of the other ranks only `work` is used.
///
/// Rank 0 holds two items for each rank, whatever their number: those that it has sent, and whose results it has not taken. One
/// process alone takes each result before the next item.
///
/// # Errors
/// The first error of `items` or `take`, or of `work` on any rank: then all ranks stop, and those that have not failed themselves
/// have [`CollectiveError::Failed`].
pub fn deal<K, I, V, E>(
    collective: &dyn Collective,
    mut items: impl Iterator<Item = Result<(K, I), E>>,
    mut work: impl FnMut(I) -> Result<V, E>,
    mut take: impl FnMut(K, V) -> Result<(), E>,
) -> Result<(), E>
where
    I: Message,
    V: Message,
    E: Error + From<CollectiveError>,
{
    if collective.size() == 1 {
        return items.try_for_each(|item| {
            let (kept, item) = item?;
            take(kept, work(item)?)
        });
    }
    let done = match collective.rank() {
        0 => lead(collective, items, work, take),
        _ => follow(collective, &mut work),
    };
    // Who cannot reach the others any more cannot agree with them either.
    match done {
        Ok(outcome) => agree(collective, outcome).map(drop),
        Err(lost) => Err(lost.into()),
    }
}

/// The part of rank 0.
fn lead<K, I: Message, V: Message, E: From<CollectiveError>>(
    collective: &dyn Collective,
    mut items: impl Iterator<Item = Result<(K, I), E>>,
    mut work: impl FnMut(I) -> Result<V, E>,
    mut take: impl FnMut(K, V) -> Result<(), E>,
) -> Result<Result<(), E>, CollectiveError> {
    let size = collective.size();
    // Items whose results are not taken: their owners, what is kept, and those of this rank.
    let mut under_way: VecDeque<(usize, K, Option<I>)> = VecDeque::new();
    let mut owners = (0..size).cycle();
    let mut step = || -> Result<Result<bool, E>, CollectiveError> {
        while under_way.len() < AHEAD * size {
            let (kept, item) = match items.next() {
                Some(Ok(item)) => item,
                Some(Err(error)) => return Ok(Err(error)),
                None => break,
            };
            let owner = owners.next().unwrap_or(0);
            if owner == 0 {
                under_way.push_back((owner, kept, Some(item)));
                continue;
            }
            let mut message = vec![ITEM];
            item.write(&mut message)?;
            collective.send(owner, message)?;
            under_way.push_back((owner, kept, None));
        }
        let Some((owner, kept, own)) = under_way.pop_front() else { return Ok(Ok(false)) };
        let result = match own {
            Some(item) => work(item),
            None => match collective.receive(owner)?.split_first() {
                Some((&RESULT, result)) => Ok(V::read(result)?),
                // The rank has its error itself.
                _ => return Ok(Ok(false)),
            },
        };
        Ok(result.and_then(|result| take(kept, result)).map(|()| true))
    };
    let outcome = loop {
        match step()? {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    // What was sent is answered.
    for (owner, _, own) in under_way {
        if own.is_none() {
            collective.receive(owner)?;
        }
    }
    (1..size).try_for_each(|rank| collective.send(rank, vec![END]))?;
    Ok(outcome)
}

/// The part of another rank.
fn follow<I: Message, V: Message, E: Error + From<CollectiveError>>(
    collective: &dyn Collective,
    work: &mut impl FnMut(I) -> Result<V, E>,
) -> Result<Result<(), E>, CollectiveError> {
    let mut outcome = Ok(());
    loop {
        let message = collective.receive(0)?;
        let Some((&ITEM, item)) = message.split_first() else { return Ok(outcome) };
        let mut answer = vec![RESULT];
        if outcome.is_ok() {
            outcome = I::read(item)
                .map_err(E::from)
                .and_then(&mut *work)
                .and_then(|result| result.write(&mut answer).map_err(E::from));
        }
        if let Err(error) = &outcome {
            answer = vec![FAILURE];
            answer.extend(with_causes(error).bytes());
        }
        collective.send(0, answer)?;
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::super::{Local, ThreadRank, thread_ranks};
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum WorkError {
        #[error("item {0} is bad")]
        Item(u64),
        #[error("apart")]
        Collective(#[from] CollectiveError),
    }

    /// Whether an item fails on a rank, at a place.
    type Fails = fn(usize, &str, u64) -> bool;

    /// How a rank has ended, and what it has taken.
    type Ended = (Result<(), WorkError>, Vec<(u64, u64)>);

    /// What happens on `n` ranks that square numbers up to `end`, where `fails` tells which item fails, and where.
    fn squares(n: usize, end: u64, fails: Fails) -> Vec<Ended> {
        let on = |collective: &dyn Collective| {
            let rank = collective.rank();
            let check = |place: &str, number| match fails(rank, place, number) {
                true => Err(WorkError::Item(number)),
                false => Ok(()),
            };
            let mut taken = Vec::new();
            // Other ranks have other items, which nobody asks for.
            let numbers =
                (rank as u64 * 1000..end).map(|number| check("items", number).map(|()| (number, Json(number))));
            let work = |Json(number)| check("work", number).map(|()| Json(number * number));
            let done = deal(collective, numbers, work, |kept, Json(square): Json<u64>| {
                check("take", kept)?;
                taken.push((kept, square));
                Ok(())
            });
            (done, taken)
        };
        if n == 0 {
            return vec![on(&Local)];
        }
        thread::scope(|scope| {
            let run = |rank: ThreadRank| scope.spawn(move || on(&rank));
            let ranks: Vec<_> = thread_ranks(n).into_iter().map(run).collect();
            ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
        })
    }

    #[test]
    fn results_come_in_order_whatever_the_number_of_ranks() {
        for end in [0, 1, 5, 40] {
            let expected: Vec<_> = (0..end).map(|number| (number, number * number)).collect();
            for n in [0, 1, 2, 3, 7] {
                for (rank, (done, taken)) in squares(n, end, |_, _, _| false).into_iter().enumerate() {
                    done.unwrap();
                    assert_eq!(taken, if rank == 0 { expected.clone() } else { Vec::new() }, "{end} on {n} ranks");
                }
            }
        }
    }

    #[test]
    fn a_failure_anywhere_stops_all() {
        let places: [(Fails, usize, u64); 4] = [
            (|_, place, number| place == "items" && number == 8, 0, 8),
            (|_, place, number| place == "take" && number == 4, 0, 4),
            // The second of three ranks has every third item from 1 on.
            (|rank, place, number| rank == 1 && place == "work" && number > 5, 1, 7),
            (|rank, place, number| rank == 0 && place == "work" && number == 6, 0, 6),
        ];
        for (fails, failing, item) in places {
            let found = squares(3, 40, fails);
            for (rank, (done, taken)) in found.iter().enumerate() {
                match done.as_ref().unwrap_err() {
                    WorkError::Item(number) => assert_eq!((rank, *number), (failing, item)),
                    WorkError::Collective(error) => {
                        let CollectiveError::Failed { rank: of, message } = error else { panic!("{error}") };
                        assert_ne!(rank, failing);
                        assert_eq!((*of, message.as_str()), (failing, format!("item {item} is bad").as_str()));
                    }
                }
                assert!(taken.len() as u64 <= item, "{taken:?}");
            }
        }
    }
}
