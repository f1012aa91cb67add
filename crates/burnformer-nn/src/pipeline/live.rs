//! Stages that wait for one another within a forward pass, without gradients: in evaluation and generation.

use super::{Neighbours, Stage, StageLayers, within};
use burn::tensor::{Device, Tensor, TensorData};
use burnformer_core::collective::{Collective, CollectiveError};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

/// Number of messages that a stage sends ahead of the stage behind.
const AHEAD: usize = 4;

/// What a message has.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    States = 0,
    /// That states were received.
    Received = 1,
    /// Values of the last stage.
    Last = 2,
}

/// Calls `body`, in which models on this thread run these layers alone, without gradients; the other ranks of `pipeline` run the
/// others, each at the same calls. What only the last stage can compute, it sends to all.
///
/// # Errors
/// If a rank cannot be reached any more; what `body` has computed is worthless then.
pub fn with_stage<R>(
    pipeline: &Arc<dyn Collective>,
    layers: StageLayers,
    body: impl FnOnce() -> R,
) -> Result<R, CollectiveError> {
    let live = Live { pipeline: Arc::clone(pipeline), n_ahead: 0, lost: None };
    let live = Rc::new(RefCell::new(live));
    let result = within(Some(Stage { layers, neighbours: Rc::clone(&live) as _ }), body);
    let mut live = live.borrow_mut();
    // So that nothing is left for what follows.
    let settled = live.settle(0);
    live.lost.take().map_or(Ok(()), Err).and(settled)?;
    Ok(result)
}

struct Live {
    pipeline: Arc<dyn Collective>,
    /// Number of states that were sent and not yet received.
    n_ahead: usize,
    /// Why the stages no longer work together. From then on there are zeros in place of what would come.
    lost: Option<CollectiveError>,
}

impl Live {
    fn post(&self, to: usize, kind: Kind, data: Option<&TensorData>) -> Result<(), CollectiveError> {
        let bytes = data.map_or(&[][..], TensorData::as_bytes);
        let mut message = Vec::with_capacity(bytes.len() + 1);
        message.extend_from_slice(bytes);
        message.push(kind as u8);
        self.pipeline.send(to, message)
    }

    /// The next message of this kind.
    fn wait(&mut self, from: usize, kind: Kind) -> Result<Vec<u8>, CollectiveError> {
        loop {
            let mut message = self.pipeline.receive(from)?;
            match message.pop() {
                Some(found) if found == kind as u8 => return Ok(message),
                Some(found) if found == Kind::Received as u8 => self.n_ahead = self.n_ahead.saturating_sub(1),
                _ => return Err(unexpected()),
            }
        }
    }

    /// Waits until at most `n` of the states that were sent are not yet received.
    fn settle(&mut self, n: usize) -> Result<(), CollectiveError> {
        while self.n_ahead > n {
            self.wait(self.pipeline.rank() + 1, Kind::Received)?;
            self.n_ahead -= 1;
        }
        Ok(())
    }

    /// What `work` gives, unless the stages no longer work together.
    fn attempt<R>(&mut self, work: impl FnOnce(&mut Self) -> Result<R, CollectiveError>) -> Option<R> {
        if self.lost.is_some() {
            return None;
        }
        work(self).map_err(|error| self.lost = Some(error)).ok()
    }
}

impl Neighbours for Live {
    fn receive(&mut self, like: Tensor<3>) -> Tensor<3> {
        let before = self.pipeline.rank() - 1;
        let received = self.attempt(|live| {
            let message = live.wait(before, Kind::States)?;
            live.post(before, Kind::Received, None)?;
            floats(&message, like.shape().num_elements())
        });
        received
            .map_or_else(|| like.clone(), |data| Tensor::from_data(TensorData::new(data, like.shape()), &like.device()))
    }

    fn send(&mut self, x: Tensor<3>) {
        let behind = self.pipeline.rank() + 1;
        self.attempt(|live| {
            let data = read(x)?;
            live.post(behind, Kind::States, Some(&data))?;
            live.n_ahead += 1;
            live.settle(AHEAD)
        });
    }

    fn of_last(&mut self, here: Option<Tensor<1>>, n: usize, device: &Device) -> Tensor<1> {
        let last = self.pipeline.size() - 1;
        let found = self.attempt(|live| match here {
            Some(x) => {
                let data = read(x)?;
                (0..last).try_for_each(|to| live.post(to, Kind::Last, Some(&data)))?;
                Ok(data)
            }
            None => Ok(TensorData::new(floats(&live.wait(last, Kind::Last)?, n)?, [n])),
        });
        found.map_or_else(|| Tensor::zeros([n], device), |data| Tensor::from_data(data, device))
    }
}

/// The values of `x`. Waits for the device.
fn read<const D: usize>(x: Tensor<D>) -> Result<TensorData, CollectiveError> {
    x.try_into_data().map(|data| data.convert::<f32>()).map_err(CollectiveError::message)
}

fn floats(message: &[u8], n: usize) -> Result<Vec<f32>, CollectiveError> {
    let (words, rest) = message.as_chunks();
    if words.len() != n || !rest.is_empty() {
        return Err(unexpected());
    }
    Ok(words.iter().map(|&word| f32::from_ne_bytes(word)).collect())
}

fn unexpected() -> CollectiveError {
    CollectiveError::message(io::Error::new(
        io::ErrorKind::InvalidData,
        "the stages of the pipeline are at different calls",
    ))
}
