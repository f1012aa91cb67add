//! The passes of a step in one stage.

use std::collections::{BTreeMap, VecDeque};

use burn::backend::ops::FloatTensorOps;
use burn::backend::{Dispatch, DispatchTensor};
use burn::tensor::{Gradients, Tensor, TensorData};
use burnformer_data::batches::{Batch, Step};
use burnformer_nn::pipeline::{StageLayers, run_stage};
use burnformer_nn::{DropoutRng, with_activation_checkpointing, with_tensor_parallel};
use burnformer_ops::{backward_from_all, with_matmul_precision};
use burnformer_tasks::{Forward, Scores, Task};

use super::Stages;
use super::packet::Packet;
use super::schedule::{Pass, passes};
use super::ties::{Tie, Ties};
use crate::ranks::Ranks;
use crate::run::Run;
use crate::step::Passed;
use crate::tree::TreeSum;
use crate::{Collective, GradientSums, TrainError, Trainer};

/// The run, which a pass is handed, and what the pass has given.
type HandedOn<'r, T, V> = (Run<'r, T>, Result<V, TrainError>);

/// A micro-batch between its forward and its backward pass.
struct Open<B> {
    batch: B,
    /// What the stage before has sent.
    incoming: Vec<Tensor<3>>,
    /// What the stage behind was sent.
    outgoing: Vec<Tensor<3>>,
    /// The loss and the scores, in the last stage.
    forward: Option<Forward>,
}

impl<T: Task> Trainer<'_, T> {
    /// The passes of this stage on the micro-batches of its replica, which all stages read: the gradients of its
    /// parameters, and in the last stage the scores.
    pub(crate) fn gradients_in_stages<'r>(
        &self,
        run: Run<'r, T>,
        step: Step<T::Batch>,
        totals: &T::Counts,
        stages: &Stages,
    ) -> Result<Passed<'r, T>, TrainError> {
        let link: &dyn Collective = run.ranks.pipeline.as_ref();
        let (stage, n_stages) = (link.rank(), link.size());
        let ties = Ties::new(stages, stage, &run.model);
        let (mut run, mut sums, mut scores) = (run, TreeSum::new(GradientSums::merge), Vec::new());
        let Step { first, micro_batches, .. } = step;
        let n = micro_batches.len();
        let (mut waiting, mut open) = (micro_batches.into_iter(), VecDeque::with_capacity(n_stages - stage));
        for pass in passes(stage, n_stages, n) {
            match pass {
                Pass::Forward(_) => {
                    let batch = waiting.next().expect("a pass for each micro-batch");
                    let incoming = if stage == 0 { Packet::default() } else { Packet::receive(link, stage - 1)? };
                    let passed;
                    (run, passed) =
                        self.on_pool(|| self.forward_here(run, batch, incoming, totals, stages.layers(stage).clone()));
                    let (passed, outgoing) = passed?;
                    if stage + 1 < n_stages {
                        outgoing.send(link, stage + 1)?;
                    }
                    open.push_back(passed);
                }
                Pass::Backward(number) => {
                    let passed: Open<T::Batch> = open.pop_front().expect("its forward pass was before");
                    let given =
                        if stage + 1 == n_stages { Packet::default() } else { Packet::receive(link, stage + 1)? };
                    let mut of_ties = Vec::new();
                    for (path, tie) in ties.iter() {
                        if let Some(behind) = tie.behind {
                            let gradient = Packet::receive(link, behind)?.0.pop().flatten();
                            of_ties.extend(gradient.map(|gradient| (path.to_owned(), gradient)));
                        }
                    }
                    let found;
                    (run, found) = self.on_pool(|| self.backward_here(run, passed, given, of_ties, &ties));
                    let Found { own, shared, of_incoming, scored } = found?;
                    if stage > 0 {
                        of_incoming.send(link, stage - 1)?;
                    }
                    for (before, gradient) in shared {
                        gradient.send(link, before)?;
                    }
                    sums.push(first + number, own);
                    scores.extend(scored);
                }
            }
        }
        Ok((run, sums, scores))
    }

    /// The forward pass of `batch`, with what the stage before has sent, and what the stage behind gets. The run is handed
    /// through.
    fn forward_here<'r>(
        &self,
        run: Run<'r, T>,
        batch: T::Batch,
        incoming: Packet,
        totals: &T::Counts,
        layers: StageLayers,
    ) -> HandedOn<'r, T, (Open<T::Batch>, Packet)> {
        let device = self.device.clone().autodiff();
        let incoming: Vec<_> = incoming.on(&device).flatten().map(Tensor::require_grad).collect();
        let rng = DropoutRng::training(self.seed, batch.numbers());
        let is_last = layers.is_last();
        let pass = || match is_last {
            true => Some(self.task.forward(&run.model, &batch, totals, rng, &device)),
            false => {
                self.task.body(&run.model, &batch, rng, &device);
                None
            }
        };
        let passed = self.in_precision(run.ranks, || run_stage(layers, incoming.clone(), pass));
        let passed = passed.and_then(|(forward, outgoing)| {
            let packet = Packet::of(outgoing.iter().map(|x| Some(x.clone().inner())))?;
            Ok((Open { batch, incoming, outgoing, forward }, packet))
        });
        (run, passed)
    }

    /// The backward pass of a micro-batch: `given` are the gradients of what the stage behind was sent, `of_ties` those of
    /// shared parameters by the stages behind.
    fn backward_here<'r>(
        &self,
        run: Run<'r, T>,
        passed: Open<T::Batch>,
        given: Packet,
        of_ties: Vec<(String, TensorData)>,
        ties: &Ties,
    ) -> HandedOn<'r, T, Found<T::Batch>> {
        let Open { batch, incoming, outgoing, forward } = passed;
        let (loss, scores) = forward.map(|Forward { loss, scores }| (loss, scores)).unzip();
        let tied = ties.tensors(&run.model);
        let of_ties = of_ties.into_iter().filter_map(|(path, gradient)| {
            let gradient = Dispatch::float_from_data(gradient, self.device.as_dispatch());
            Some((tied.get(&path)?.clone(), gradient))
        });
        let of_outgoing = outgoing.into_iter().zip(given.on::<3>(&self.device)).filter_map(|(out, gradient)| {
            let is_tracked = out.is_tracked();
            Some((out.into_dispatch(), gradient?.into_dispatch())).filter(|_| is_tracked)
        });
        let seeds: Vec<(DispatchTensor, DispatchTensor)> = of_ties.chain(of_outgoing).collect();
        let found = self.in_precision(run.ranks, || match loss {
            Some(loss) => loss.is_tracked().then(|| loss.backward()),
            None if seeds.is_empty() => None,
            None => Some(backward_from_all(seeds)),
        });
        let found = found.and_then(|gradients| {
            let mut gradients: Option<Gradients> = gradients;
            let mut of = |x: &Tensor<3>| gradients.as_mut().and_then(|gradients| x.grad_remove(gradients));
            let of_incoming = Packet::of(incoming.iter().map(&mut of).collect::<Vec<_>>())?;
            let mut sums = GradientSums::new();
            if let Some(gradients) = gradients {
                sums.add(&run.model, gradients);
            }
            let (own, shared) = sums.partition(|path| !ties.is_trained_before(path));
            let mut shared: BTreeMap<String, TensorData> = shared.into_data()?.into_iter().collect();
            let before = |(path, tie): (&str, &Tie)| Some((tie.before?, Packet(vec![shared.remove(path)])));
            let shared = ties.iter().filter_map(before).collect();
            Ok(Found { own, shared, of_incoming, scored: scores.map(|scores| (batch, scores)) })
        });
        (run, found)
    }

    /// Runs `work` as the settings say that passes are made.
    fn in_precision<R>(&self, ranks: &Ranks<'_>, work: impl FnOnce() -> R) -> Result<R, TrainError> {
        let config = self.config;
        Ok(with_matmul_precision(config.dtype, &self.device, || {
            with_activation_checkpointing(config.activation_checkpointing, || with_tensor_parallel(&ranks.tensor, work))
        })??)
    }
}

/// What a backward pass has given.
struct Found<B> {
    /// The gradients of what this stage trains.
    own: GradientSums,
    /// Those of what stages in front of it train, each with the stage that it goes to.
    shared: Vec<(usize, Packet)>,
    /// Those of what the stage before has sent.
    of_incoming: Packet,
    /// The scores, in the last stage.
    scored: Option<(B, Scores)>,
}
