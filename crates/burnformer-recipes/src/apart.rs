//! Work that every process does alone, while requests to stop and failures reach all.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Builder};
use std::time::Duration;

use burnformer_core::CollectiveError;
use burnformer_core::collective::gather;
use burnformer_core::progress::{Interrupt, Interrupted};
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use crate::{Context, RecipeError};

/// How often processes tell each other how they are.
const PERIOD: Duration = Duration::from_millis(100);

/// How the work of a process is.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
enum State {
    Working,
    Done,
    /// It has ended with an error, or a panic.
    Failed,
}

/// How the work of a process ended: its results, with the bits of their floats, or why there are none.
#[derive(Serialize, Deserialize)]
enum Ended {
    Done(Vec<Value>, Vec<u64>),
    /// It was asked to stop.
    Stopped,
    Failed(String),
}

/// Does `work` on every process at the same time, each alone, and returns what it returns on each. A request to stop one of
/// them, or its failure, stops all.
///
/// # Errors
/// If it fails; if another process fails.
pub(crate) fn apart<E: From<RecipeError> + Display>(
    context: &Context<'_>,
    work: impl FnOnce(&Context<'_>) -> Result<Vec<Value>, E>,
) -> Result<Vec<Vec<Value>>, E> {
    let collective = context.collective;
    if collective.size() == 1 {
        return Ok(vec![work(context)?]);
    }
    let lost = |error: CollectiveError| E::from(RecipeError::from(error));
    let (interrupt, state) = (Interrupt::new(), Mutex::new(State::Working));
    let (result, is_stopped) = thread::scope(|scope| -> Result<_, E> {
        let beside = Builder::new().name("ranks".to_owned());
        let beside = beside.spawn_scoped(scope, || attend(context, &interrupt, &state));
        let beside = beside.map_err(|error| E::from(RecipeError::Thread(error)))?;
        let at_work = AtWork(&state);
        let result = work(&Context { interrupt: Some(&interrupt), ..context.alone() });
        // Its own failure asks it to stop too.
        let is_stopped = interrupt.requested();
        at_work.end(result.is_ok());
        beside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).map_err(lost)?;
        Ok((result, is_stopped))
    })?;
    let ended = match &result {
        Ok(values) => with_floats(values.clone()),
        Err(_) if is_stopped => Ended::Stopped,
        Err(error) => Ended::Failed(format!("{error:#}")),
    };
    let all = gather(collective, ended).map_err(lost)?;
    let failed = all.iter().enumerate().find_map(|(rank, ended)| match ended {
        Ended::Failed(message) => Some(CollectiveError::Failed { rank, message: message.clone() }),
        _ => None,
    });
    match (result, failed) {
        (Err(error), _) if !is_stopped => return Err(error),
        (_, Some(failed)) => return Err(lost(failed)),
        _ => {}
    }
    let values = all.into_iter().map(|ended| match ended {
        Ended::Done(values, floats) => Ok(of_floats(values, floats)),
        Ended::Stopped | Ended::Failed(_) => Err(RecipeError::from(Interrupted)),
    });
    Ok(values.collect::<Result<_, RecipeError>>()?)
}

/// Tells the other processes how this one is, until all have ended, and asks its work to stop if one of them was asked to or
/// has failed.
fn attend(context: &Context<'_>, interrupt: &Interrupt, state: &Mutex<State>) -> Result<(), CollectiveError> {
    let asked = context.interrupt();
    loop {
        let state = *state.lock().unwrap_or_else(PoisonError::into_inner);
        let all = gather(context.collective, (state, asked.requested(), asked.take_checkpoint_request()));
        // Alone, it has nobody to work for.
        let all = all.inspect_err(|_| interrupt.request())?;
        if all.iter().any(|(state, stop, _)| *stop || *state == State::Failed) {
            interrupt.request();
        }
        if all.iter().any(|(_, _, checkpoint)| *checkpoint) {
            interrupt.request_checkpoint();
        }
        if all.iter().all(|(state, _, _)| *state != State::Working) {
            return Ok(());
        }
        thread::sleep(PERIOD);
    }
}

/// Work under way, which fails if it does not come to its end.
struct AtWork<'a>(&'a Mutex<State>);

impl AtWork<'_> {
    fn end(self, is_done: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = if is_done { State::Done } else { State::Failed };
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *state == State::Working {
            *state = State::Failed;
        }
    }
}

/// Values that are sent as JSON, where floats may lose their last bit.
fn with_floats(mut values: Vec<Value>) -> Ended {
    let mut floats = Vec::new();
    values.iter_mut().for_each(|value| each_float(value, &mut |float| floats.push(float.to_bits())));
    Ended::Done(values, floats)
}

/// Values that were sent, with all bits.
fn of_floats(mut values: Vec<Value>, floats: Vec<u64>) -> Vec<Value> {
    let mut floats = floats.into_iter();
    let mut restore = |float: &mut f64| *float = floats.next().map_or(*float, f64::from_bits);
    values.iter_mut().for_each(|value| each_float(value, &mut restore));
    values
}

/// Visits each float of a value, always in the same order.
fn each_float(value: &mut Value, visit: &mut dyn FnMut(&mut f64)) {
    match value {
        Value::Number(number) if number.is_f64() => {
            if let Some(mut float) = number.as_f64() {
                visit(&mut float);
                *number = Number::from_f64(float).unwrap_or_else(|| number.clone());
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| each_float(value, visit)),
        Value::Object(values) => values.values_mut().for_each(|value| each_float(value, visit)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use burnformer_core::collective::{is_failed_elsewhere, thread_ranks};
    use burnformer_core::progress::is_interrupted;
    use serde_json::json;

    use super::*;

    /// How `work` ends on each of three ranks, all of which `interrupts` may stop.
    fn on_ranks(
        interrupts: &[Interrupt; 3],
        work: impl Fn(usize, &Context<'_>) -> Result<Vec<Value>, RecipeError> + Sync,
    ) -> Vec<Result<Vec<Vec<Value>>, RecipeError>> {
        let work = &work;
        thread::scope(|scope| {
            let run = |(rank, interrupt)| {
                scope.spawn(move || {
                    let context = Context { collective: &rank, interrupt: Some(interrupt), ..Context::default() };
                    apart(&context, |alone| {
                        assert_eq!(alone.place(), (0, 1));
                        work(context.place().0, alone)
                    })
                })
            };
            let ranks: Vec<_> = thread_ranks(3).into_iter().zip(interrupts).map(run).collect();
            ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
        })
    }

    /// Work that only a request ends.
    fn until_stopped(context: &Context<'_>) -> Result<Vec<Value>, RecipeError> {
        loop {
            context.interrupt().check()?;
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn results_reach_all_with_their_bits() {
        let value = |rank: usize| json!({"loss": 0.1 + 0.2 * rank as f64 / 3.0, "steps": rank, "all": [1.0, null]});
        for found in on_ranks(&Default::default(), |rank, _| Ok(vec![value(rank); rank])) {
            assert_eq!(found.unwrap(), [vec![], vec![value(1)], vec![value(2); 2]]);
        }
    }

    #[test]
    fn a_failure_of_one_stops_all() {
        let found = on_ranks(&Default::default(), |rank, context| match rank {
            1 => Err(RecipeError::NoPreset { name: "x".to_owned(), known: &[] }),
            _ => until_stopped(context),
        });
        let errors: Vec<_> = found.into_iter().map(Result::unwrap_err).collect();
        assert!(matches!(errors[1], RecipeError::NoPreset { .. }), "{errors:?}");
        assert!(is_failed_elsewhere(&errors[0]) && is_failed_elsewhere(&errors[2]), "{errors:?}");
    }

    #[test]
    fn a_request_to_one_stops_all() {
        let interrupts: [Interrupt; 3] = Default::default();
        interrupts[2].request();
        let found = on_ranks(&interrupts, |_, context| until_stopped(context));
        assert!(found.iter().all(|ended| is_interrupted(ended.as_ref().unwrap_err())), "{found:?}");
    }
}
