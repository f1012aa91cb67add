//! Generation for a batch of sources, one token of every hypothesis at a time.

use super::GenerationConfig;
use super::hypothesis::{Hypothesis, Ranking};
use super::rules::{Limits, Rules};
use super::sampling::SampleKey;
use super::search::{Search, Successor};
use super::step_decoder::{DecoderSpec, StepCache, StepDecoder};
use crate::ModelError;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burnformer_core::{Interrupt, Validate};
use burnformer_ops as ops;

/// A batch is filled up when one in so many of its places is free.
const REFILL: usize = 4;

/// The inputs of [`generate`].
#[derive(Clone, Copy, Debug)]
pub struct GenerationInput<'a> {
    /// The tokens of each source: for an encoder–decoder a text with its end token, for a decoder alone a prompt.
    pub sources: &'a [Vec<u32>],
    /// Number of each source for the random draws of sampling; `None` for 0, 1, 2 and so on. Without
    /// [`GenerationConfig::sampling`] nothing is drawn.
    pub numbers: Option<&'a [u64]>,
    /// Seed of every draw.
    pub seed: u64,
    /// Interrupt, checked before every token.
    pub interrupt: Option<&'a Interrupt>,
    /// Number of sources in a batch, at least one: where some have their answer, others take their places. `None` for all.
    pub at_once: Option<usize>,
}

impl<'a> GenerationInput<'a> {
    /// These sources, with seed 0.
    #[must_use]
    pub fn new(sources: &'a [Vec<u32>]) -> Self {
        Self { sources, numbers: None, seed: 0, interrupt: None, at_once: None }
    }
}

/// The best texts for each source, or samples of them, best first: finished ones before those that reached the longest
/// length, then by score.
///
/// **Beam search.** At each step the `2 · n_beams` best of all continuations of a source's hypotheses by one token are
/// its candidates. Those of the first `n_beams` that are an end token finish a hypothesis, and the first `n_beams` that
/// are none go on. The search of a source is over when `n_beams` hypotheses have ended (see
/// [`GenerationConfig::early_stopping`]), or when it has `n_best` of them and none that goes on could still become
/// better than the worst of these, even if all tokens up to the longest length were certain: then its answer is that of
/// the last step. At the longest length no hypothesis goes on; those that did not finish there are returned unfinished
/// if there is room, where fairseq forces them to end. With `n_beams = 1` the first end token ends the search. What
/// differs under transformers' convention says [`Convention`](crate::Convention).
///
/// **Sampling** draws each token from the model's probabilities, until the end token. A draw depends on the seed, the
/// source's number, the sample and the position alone.
///
/// Tokens that a model never generates (padding, the start token) are excluded. The answer for a source does not depend
/// on the others, except for rounding; those whose search is over leave the batch, and others enter it, see
/// [`GenerationInput::at_once`]. Prompts of different lengths enter one length after the other, so that no prompt is padded.
///
/// # Errors
/// If a setting is invalid, a source is empty, too long or has a token outside of the vocabulary, the logits are not
/// finite, the device fails, or on request of the interrupt.
///
/// # Panics
/// If there are not as many numbers as sources.
///
/// Source: Sutskever et al. 2014, section 3.2; Wu et al. 2016, section 7; the candidates as in fairseq (Ott et al.
/// 2019).
pub fn generate<D: StepDecoder>(
    decoder: &D,
    settings: &GenerationConfig,
    input: GenerationInput,
) -> Result<Vec<Vec<Hypothesis>>, ModelError> {
    let call = Call::new(decoder, settings, input)?;
    let ended = call.run()?;
    Ok(call.answers(ended))
}

/// A call of [`generate`].
struct Call<'a, D> {
    decoder: &'a D,
    spec: DecoderSpec,
    rules: Rules<'a>,
    input: GenerationInput<'a>,
    device: Device,
}

/// A batch: searches with as many rows each, and the tokens that these begin the next step with.
struct Batch<C> {
    searches: Vec<Numbered>,
    tokens: Vec<u32>,
    cache: C,
}

/// A search, and its number among all of the call.
struct Numbered {
    number: usize,
    search: Search,
}

/// The answer of the model to one step.
struct Logits {
    /// `[n_rows, vocab_size]`
    values: Vec<f32>,
    /// Logarithms of their sums of exponentials, `[n_rows]`.
    logsumexp: Vec<f32>,
}

impl<'a, D: StepDecoder> Call<'a, D> {
    fn new(decoder: &'a D, settings: &'a GenerationConfig, input: GenerationInput<'a>) -> Result<Self, ModelError> {
        settings.validate()?;
        let spec = decoder.spec();
        check_sources(input.sources, &spec)?;
        if let Some(numbers) = input.numbers {
            let (found, n_sources) = (numbers.len(), input.sources.len());
            assert!(found == n_sources, "generate: {found} numbers for {n_sources} sources, expected one for each");
        }
        check_tokens(settings, &spec)?;
        let rules = Rules::new(settings, &spec);
        Ok(Self { decoder, spec, rules, input, device: decoder.device() })
    }

    /// Samples of one source end at different times, so each is a search of its own.
    fn searches_of_a_source(&self) -> usize {
        let settings = self.rules.settings;
        if settings.sampling.is_some() { settings.n_best } else { 1 }
    }

    /// The answers of all sources, from their searches.
    fn answers(&self, mut ended: Vec<Numbered>) -> Vec<Vec<Hypothesis>> {
        ended.sort_by_key(|it| it.number);
        let mut found = ended.into_iter().map(|it| it.search.into_hypotheses());
        let ranking = || Ranking::new(self.rules.settings.n_best, !self.rules.is_transformers());
        let n_each = self.searches_of_a_source();
        self.input.sources.iter().map(|_| ranking().sorted(found.by_ref().take(n_each).flatten())).collect()
    }

    /// Decodes all sources, and returns their searches.
    fn run(&self) -> Result<Vec<Numbered>, ModelError> {
        // Those with prompts of one length enter together, the shortest first.
        let length = |index: usize| self.decoder.prompt(&self.input.sources[index]).len();
        let mut lengths: Vec<_> = (0..self.input.sources.len()).map(|index| (length(index), index)).collect();
        lengths.sort_unstable();
        let mut waiting = lengths.as_slice();
        let at_once = self.input.at_once.unwrap_or(usize::MAX).max(1);
        let mut ended = Vec::new();
        let mut running: Option<Batch<D::Cache>> = None;
        loop {
            // Some at a time, since few alone would take almost as long.
            while let Some(&(length, _)) = waiting.first() {
                let n_running = running.as_ref().map_or(0, |batch| batch.searches.len() / self.searches_of_a_source());
                let n_free = at_once.saturating_sub(n_running);
                if n_free < (at_once / REFILL).max(1) {
                    break;
                }
                let n_alike = waiting.iter().take(n_free).take_while(|(other, _)| *other == length).count();
                let (entering, rest) = waiting.split_at(n_alike);
                waiting = rest;
                let indices: Vec<usize> = entering.iter().map(|&(_, index)| index).collect();
                let entered = self.begin(&indices, &mut ended)?;
                running = match (running, entered) {
                    (Some(batch), Some(entered)) => Some(batch.with(entered)),
                    (batch, entered) => batch.or(entered),
                };
            }
            let Some(Batch { searches, tokens, mut cache }) = running else { return Ok(ended) };
            let logits = self.logits_behind(&tokens, tokens.len(), &mut cache)?;
            running = self.step(searches, cache, logits, &mut ended);
        }
    }

    /// A batch of the sources with these indices, whose prompts have the same length, behind the first token.
    fn begin(&self, indices: &[usize], ended: &mut Vec<Numbered>) -> Result<Option<Batch<D::Cache>>, ModelError> {
        let n_each = self.searches_of_a_source();
        let sources: Vec<&[u32]> = indices.iter().map(|&index| &*self.input.sources[index]).collect();
        let mut prompts = Vec::new();
        let mut searches = Vec::with_capacity(sources.len() * n_each);
        for (&index, source) in indices.iter().zip(&sources) {
            let prompt = self.decoder.prompt(source);
            let limits = self.limits(index, source.len(), prompt.len())?;
            let number = self.input.numbers.map_or(index as u64, |numbers| numbers[index]);
            searches.extend((0..n_each).map(|sample| {
                let search = match self.rules.settings.sampling {
                    None => Search::beam(&prompt, limits, &self.rules),
                    Some(_) => {
                        let key = SampleKey::new(self.input.seed, number, sample);
                        Search::sample(&prompt, limits, &self.rules, key)
                    }
                };
                Numbered { number: index * n_each + sample, search }
            }));
            prompts.extend_from_slice(&prompt);
        }
        let mut cache = self.decoder.begin(&sources);
        let mut logits = self.logits_behind(&prompts, sources.len(), &mut cache)?;
        if n_each > 1 {
            let copies = repeated(sources.len(), n_each, &self.device);
            cache.select_rows(copies.clone());
            cache.select_sources(&copies);
            logits = logits.repeated(n_each);
        }
        Ok(self.step(searches, cache, logits, ended))
    }

    /// One step of all searches. Those that go on are a batch again, if there are any; the others have `ended`.
    fn step(
        &self,
        mut searches: Vec<Numbered>,
        mut cache: D::Cache,
        mut logits: Logits,
        ended: &mut Vec<Numbered>,
    ) -> Option<Batch<D::Cache>> {
        let n_rows = logits.logsumexp.len() / searches.len();
        let rows = logits.values.chunks_mut(n_rows * self.spec.vocab_size).zip(logits.logsumexp.chunks(n_rows));
        let step =
            |(it, (logits, sums)): (&mut Numbered, (&mut [f32], &[f32]))| it.search.step(logits, sums, &self.rules);
        let steps: Vec<Vec<Successor>> = searches.iter_mut().zip(rows).map(step).collect();
        let mut is_running = steps.iter().map(|step| !step.is_empty());
        ended.extend(searches.extract_if(.., |_| is_running.next() == Some(false)));
        if searches.is_empty() {
            return None;
        }
        let tokens = self.select(&mut cache, &steps, n_rows);
        Some(Batch { searches, tokens, cache })
    }

    /// Least and largest number of generated tokens of the source with this index.
    fn limits(&self, index: usize, source_length: usize, prompt_length: usize) -> Result<Limits, ModelError> {
        let GenerationConfig { min_length, min_total_length, max_length, max_total_length, .. } = *self.rules.settings;
        let longest = match (max_length, max_total_length) {
            (Some(max), _) => max,
            (None, Some(max)) if max > prompt_length => max - prompt_length,
            (None, Some(max)) => return Err(ModelError::PromptFillsLength { index, found: prompt_length, max }),
            (None, None) => self.decoder.default_max_length(source_length),
        };
        Ok(Limits {
            min: min_length.max(min_total_length.saturating_sub(prompt_length)),
            max: longest.min(self.spec.max_seq_length.saturating_sub(prompt_length)),
        })
    }

    /// Continues the cache with the rows that go on, `n_rows` of each search before, and returns their new tokens.
    fn select(&self, cache: &mut D::Cache, steps: &[Vec<Successor>], n_rows: usize) -> Vec<u32> {
        let kept: Vec<usize> = (0..steps.len()).filter(|&place| !steps[place].is_empty()).collect();
        if kept.len() < steps.len() {
            cache.select_sources(&indices(kept, &self.device));
        }
        let firsts = (0_usize..).step_by(n_rows);
        let rows: Vec<usize> =
            firsts.zip(steps).flat_map(|(first, step)| step.iter().map(move |it| first + it.row)).collect();
        if !rows.iter().copied().eq(0..steps.len() * n_rows) {
            cache.select_rows(indices(rows, &self.device));
        }
        steps.iter().flatten().map(|it| it.token).collect()
    }

    /// Logits behind more tokens of each of `n_rows` rows, as many for each.
    fn logits_behind(&self, tokens: &[u32], n_rows: usize, cache: &mut D::Cache) -> Result<Logits, ModelError> {
        self.input.interrupt.map_or(Ok(()), Interrupt::check)?;
        let ids: Vec<i64> = tokens.iter().map(|&token| i64::from(token)).collect();
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [n_rows, tokens.len() / n_rows]), &self.device);
        let logits = self.decoder.step(ids, cache);
        let logsumexp = ops::logsumexp(logits.clone());
        let values = |data: TensorData| data.convert::<f32>().try_into_vec::<f32>().expect("it was converted");
        let logsumexp = values(logsumexp.try_into_data()?);
        if !logsumexp.iter().all(|sum| sum.is_finite()) {
            return Err(ModelError::NotFinite);
        }
        Ok(Logits { values: values(logits.try_into_data()?), logsumexp })
    }
}

impl<C: StepCache> Batch<C> {
    /// These searches, with those of `other` behind them.
    fn with(mut self, other: Self) -> Self {
        self.searches.extend(other.searches);
        self.tokens.extend(other.tokens);
        self.cache.join(other.cache);
        self
    }
}

impl Logits {
    /// Repeats each row `n` times.
    fn repeated(&self, n: usize) -> Self {
        let width = self.values.len() / self.logsumexp.len();
        let values = self.values.chunks(width).flat_map(|row| std::iter::repeat_n(row, n)).flatten().copied().collect();
        let logsumexp = self.logsumexp.iter().flat_map(|&sum| std::iter::repeat_n(sum, n)).collect();
        Self { values, logsumexp }
    }
}

fn check_sources(sources: &[Vec<u32>], spec: &DecoderSpec) -> Result<(), ModelError> {
    for (index, source) in sources.iter().enumerate() {
        let (found, max) = (source.len(), spec.max_source_length);
        if !(1..=max).contains(&found) {
            return Err(ModelError::SourceLength { index, found, max });
        }
        if let Some(&token) = source.iter().find(|&&token| token as usize >= spec.source_vocab_size) {
            return Err(ModelError::SourceToken { index, token, vocab_size: spec.source_vocab_size });
        }
    }
    Ok(())
}

/// Refuses rules for tokens that the model does not have. An end token that no text can have ends none.
fn check_tokens(settings: &GenerationConfig, spec: &DecoderSpec) -> Result<(), ModelError> {
    let (rules, vocab_size) = (&settings.token_rules, spec.vocab_size);
    let ends = &rules.eos_ids;
    let unknown = rules.tokens().find(|token| *token as usize >= vocab_size && !ends.contains(token));
    unknown.map_or(Ok(()), |token| Err(ModelError::RuleToken { token, vocab_size }))
}

/// The indices 0 to `n`, each repeated.
fn repeated(n: usize, times: usize, device: &Device) -> Tensor<1, Int> {
    indices((0..n).flat_map(|place| std::iter::repeat_n(place, times)), device)
}

fn indices(places: impl IntoIterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let places: Vec<i64> = places.into_iter().map(|place| place as i64).collect();
    let n = places.len();
    Tensor::from_data(TensorData::new(places, [n]), device)
}
