//! Updated parameters that several stages use.

use std::collections::{BTreeMap, BTreeSet};

use burn::backend::ops::FloatTensorOps;
use burn::backend::{Dispatch, DispatchTensor};
use burn::tensor::read_sync;
use burnformer_tasks::Task;

use super::Stages;
use super::packet::Packet;
use super::ties::Ties;
use crate::ranks::Ranks;
use crate::values::{replace, values};
use crate::{TrainError, Trainer};

impl<T: Task> Trainer<'_, T> {
    /// The model with the shared parameters at `paths` as the stage that trains them has updated them.
    pub(crate) fn spread_ties(
        &self,
        model: T::Model,
        paths: &BTreeSet<String>,
        ranks: &Ranks<'_>,
        stages: &Stages,
    ) -> Result<T::Model, TrainError> {
        let link = ranks.pipeline.as_ref();
        let ties = Ties::new(stages, ranks.stage(), &model);
        let mut updated: BTreeMap<String, DispatchTensor> = BTreeMap::new();
        for (path, tie) in ties.iter().filter(|(path, _)| paths.contains(*path)) {
            let packet = match tie.before {
                Some(before) => Packet::receive(link, before)?,
                None => {
                    let value = values(&model, &|it| it == path).into_values().next();
                    let data = value.map(|value| read_sync(Dispatch::float_into_data(value))).transpose()?;
                    Packet(vec![data.map(|data| data.convert::<f32>())])
                }
            };
            if let Some(behind) = tie.behind {
                packet.send(link, behind)?;
            }
            let data = packet.0.into_iter().flatten().next().filter(|_| tie.before.is_some());
            let on_device = |data| Dispatch::float_from_data(data, self.device.as_dispatch());
            updated.extend(data.map(|data| (path.to_owned(), on_device(data))));
        }
        Ok(replace(model, &mut |path| updated.remove(path)))
    }
}
