//! One update of one parameter, in place: parameter, gradient and moments are read once, and written once.

use super::math::sum_of;
use super::parallel;
use super::{for_overwrite, vectorized};
use crate::{AdamOptions, AdamVariant};

/// Elements that one task handles.
const BLOCK: usize = 1 << 14;

/// A parameter with what its update needs.
pub(crate) struct Update<'a> {
    pub(crate) param: &'a mut [f32],
    pub(crate) grad: &'a [f32],
    pub(crate) first: &'a mut [f32],
    pub(crate) second: &'a mut [f32],
    /// Multiplies the gradient.
    pub(crate) scale: f32,
}

impl Update<'_> {
    fn len(&self) -> usize {
        self.param.len()
    }

    fn blocks(self) -> Vec<Self> {
        let (mut grad, mut first, mut second) =
            (self.grad.chunks(BLOCK), self.first.chunks_mut(BLOCK), self.second.chunks_mut(BLOCK));
        let block = |param| {
            let (grad, first, second) = (grad.next()?, first.next()?, second.next()?);
            Some(Self { param, grad, first, second, scale: self.scale })
        };
        self.param.chunks_mut(BLOCK).map_while(block).collect()
    }
}

/// Adam's numbers, in the type of the tensors.
#[derive(Clone, Copy)]
struct Adam {
    beta_1: f32,
    beta_2: f32,
    // What is close to 1 is subtracted from it in double precision.
    one_minus_beta_1: f32,
    one_minus_beta_2: f32,
    correction_1: f32,
    root_correction_2: f32,
    eps: f32,
}

impl Adam {
    fn new(options: &AdamOptions) -> Self {
        let [correction_1, correction_2] = options.bias_corrections();
        Self {
            beta_1: options.beta_1 as f32,
            beta_2: options.beta_2 as f32,
            one_minus_beta_1: (1.0 - options.beta_1) as f32,
            one_minus_beta_2: (1.0 - options.beta_2) as f32,
            correction_1: correction_1.recip() as f32,
            root_correction_2: correction_2.sqrt().recip() as f32,
            eps: options.eps as f32,
        }
    }

    /// Updates both moments and returns the direction.
    #[inline(always)]
    fn direction(self, grad: f32, first: &mut f32, second: &mut f32) -> f32 {
        *first = self.beta_1 * *first + self.one_minus_beta_1 * grad;
        *second = self.beta_2 * *second + self.one_minus_beta_2 * (grad * grad);
        *first * self.correction_1 / (second.sqrt() * self.root_correction_2 + self.eps)
    }
}

/// One update of a parameter by Adam, AdamW or LAMB.
pub(crate) fn adam(update: Update, options: &AdamOptions) {
    match options.variant {
        AdamVariant::Adam => coupled(update, options),
        AdamVariant::AdamW => decoupled(update, options),
        AdamVariant::Lamb { trust_ratio } => lamb(update, options, trust_ratio),
    }
}

fn coupled(update: Update, options: &AdamOptions) {
    let (decay, rate) = (options.weight_decay as f32, options.learning_rate as f32);
    let adam = Adam::new(options);
    each(
        update,
        #[inline(always)]
        |param, grad, first, second| {
            let direction = adam.direction(grad + decay * *param, first, second);
            *param -= rate * direction;
        },
    );
}

fn decoupled(update: Update, options: &AdamOptions) {
    let rate = options.learning_rate as f32;
    let keep = (1.0 - options.learning_rate * options.weight_decay) as f32;
    let adam = Adam::new(options);
    each(
        update,
        #[inline(always)]
        |param, grad, first, second| *param = keep * *param - rate * adam.direction(grad, first, second),
    );
}

#[inline(always)]
fn each(update: Update, step: impl Fn(&mut f32, f32, &mut f32, &mut f32) + Copy + Sync) {
    let len = update.len();
    parallel::map(update.blocks(), len, |_, update: Update| {
        let Update { param, grad, first, second, scale } = update;
        vectorized(
            // By value: behind a reference the numbers of `step` could be among those that are written, for all that the
            // compiler knows, and there would be no vectors.
            #[inline(always)]
            move || {
                for (((param, grad), first), second) in param.iter_mut().zip(grad).zip(first).zip(second) {
                    step(param, scale * grad, first, second);
                }
            },
        );
    });
}

fn lamb(update: Update, options: &AdamOptions, trust_ratio: bool) {
    let adam = Adam::new(options);
    let decay = options.weight_decay as f32;
    let len = update.len();
    let mut direction = for_overwrite(len);
    let Update { param, grad, first, second, scale } = update;
    let whole = Update { param: &mut *param, grad, first, second, scale };
    let tasks: Vec<_> = whole.blocks().into_iter().zip(direction.chunks_mut(BLOCK)).collect();
    let norms = parallel::map(tasks, len, |_, (update, direction): (Update, &mut [f32])| {
        let Update { param, grad, first, second, scale } = update;
        let (adam, decay) = (adam, decay);
        vectorized(
            #[inline(always)]
            || {
                let (grad, first, second) =
                    (&grad[..param.len()], &mut first[..param.len()], &mut second[..param.len()]);
                let direction = &mut direction[..param.len()];
                for i in 0..param.len() {
                    direction[i] = adam.direction(scale * grad[i], &mut first[i], &mut second[i]) + decay * param[i];
                }
            },
        );
        [squares(param), squares(direction)]
    });
    let [param_norm, update_norm] = [0, 1].map(|i| norms.iter().map(|norm| norm[i]).sum::<f64>().sqrt());
    let usable = trust_ratio && param_norm != 0.0 && update_norm != 0.0;
    let trust = if usable { param_norm / update_norm } else { 1.0 };
    let rate = (options.learning_rate * trust) as f32;
    let tasks: Vec<_> = param.chunks_mut(BLOCK).zip(direction.chunks(BLOCK)).collect();
    parallel::map(tasks, len, |_, (param, direction): (&mut [f32], &[f32])| {
        vectorized(
            #[inline(always)]
            || {
                for (param, direction) in param.iter_mut().zip(direction) {
                    *param -= rate * direction;
                }
            },
        );
    });
}

/// Sum of the squares, added up in blocks of which each is short enough for single precision.
pub(crate) fn sum_of_squares(x: &[f32]) -> f64 {
    let tasks: Vec<_> = x.chunks(BLOCK).collect();
    parallel::map(tasks, x.len(), |_, block: &[f32]| squares(block)).into_iter().sum()
}

fn squares(x: &[f32]) -> f64 {
    let sum = |block: &[f32]| {
        vectorized(
            #[inline(always)]
            || sum_of(block, |x| x * x),
        )
    };
    x.chunks(1 << 10).map(|block| f64::from(sum(block))).sum()
}
