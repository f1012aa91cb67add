//! Decoding a batch of sources, one token of every hypothesis at a time.

use super::GenerationConfig;
use super::hypothesis::{Hypothesis, Ranking};
use super::rules::Rules;
use super::sampling::SampleKey;
use super::search::{Search, Successor};
use crate::{ModelError, Seq2Seq, Seq2SeqConfig};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use burnformer_core::{Interrupt, Validate};
use burnformer_nn::{DecoderCache, Mask};
use burnformer_ops as ops;

/// What [`Seq2Seq::generate`] is applied to.
#[derive(Clone, Copy, Debug)]
pub struct GenerationInput<'a> {
    /// The tokens of each source, with what the model has learned to see at their end: the end token.
    pub sources: &'a [Vec<u32>],
    /// A number for each source, which says with the seed what is drawn for it; `None` for 0, 1, 2 and so on. Without
    /// [`GenerationConfig::sampling`] nothing is drawn.
    pub numbers: Option<&'a [u64]>,
    /// Decides what is drawn.
    pub seed: u64,
    /// A request to stop, looked at before every token.
    pub interrupt: Option<&'a Interrupt>,
}

impl<'a> GenerationInput<'a> {
    /// These sources, without more.
    #[must_use]
    pub fn new(sources: &'a [Vec<u32>]) -> Self {
        Self { sources, numbers: None, seed: 0, interrupt: None }
    }
}

impl Seq2Seq {
    /// The best texts for each source, or samples of them, best first: finished ones before those that reached the longest
    /// length, then by score. `config` is what the model was made of.
    ///
    /// **Beam search.** At each step the `2 · n_beams` best of all continuations of a source's hypotheses by one token are its
    /// candidates. Those of the first `n_beams` that are an end token finish a hypothesis, and the first `n_beams` that are
    /// none go on. The search of a source is over when `n_beams` hypotheses have ended (see
    /// [`GenerationConfig::early_stopping`]), or when it has `n_best` of them and none that goes on could still become better
    /// than the worst of these, even if all tokens up to the longest length were certain: then what it answers is what it
    /// would answer after the last step. At the longest length no hypothesis goes on; those that did not finish there are
    /// answered unfinished if there is room, where fairseq forces them to end. With `n_beams = 1` the first end token ends the
    /// search.
    ///
    /// **Sampling** draws each token from what the model says of it, until the end token. A draw depends on the seed, the
    /// source's number, the sample and the position alone.
    ///
    /// Neither padding nor the start token ever comes. What is answered for a source does not depend on the others, except
    /// for rounding; those whose search is over leave the batch.
    ///
    /// ```
    /// use burnformer_models::{GenerationConfig, GenerationInput, Seq2Seq, Seq2SeqConfig, Vocabularies};
    /// use burnformer_ops::DeviceChoice;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let vocabularies = Vocabularies {
    ///     source_size: 50,
    ///     target_size: 50,
    ///     shared: true,
    ///     pad_id: 0,
    ///     eos_id: 1,
    ///     decoder_start_id: 2,
    /// };
    /// let config = Seq2SeqConfig::preset("transformer-tiny", vocabularies).ok_or("no such size")?;
    /// let model = Seq2Seq::init(&config, 42, &DeviceChoice::Auto.open()?);
    /// let sources = [vec![7, 8, 9, 1], vec![10, 11, 1]];
    /// let settings = GenerationConfig { n_beams: 4, n_best: 2, max_length: Some(10), ..GenerationConfig::default() };
    /// let answers = model.generate(&config, &settings, GenerationInput::new(&sources))?;
    /// assert_eq!(answers.len(), 2);
    /// assert!(answers[0][0].tokens.len() <= 10);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If a setting cannot work, a source is empty, too long or has a token that the model does not know, what the model says
    /// is not finite, the device fails, or on request of the interrupt.
    ///
    /// # Panics
    /// If there are not as many numbers as sources.
    ///
    /// Source: Sutskever et al. 2014, section 3.2; Wu et al. 2016, section 7; the candidates as in fairseq (Ott et al. 2019).
    pub fn generate(
        &self,
        config: &Seq2SeqConfig,
        settings: &GenerationConfig,
        input: GenerationInput,
    ) -> Result<Vec<Vec<Hypothesis>>, ModelError> {
        settings.validate()?;
        check_sources(input.sources, config)?;
        let n_sources = input.sources.len();
        let numbers = input.numbers.map_or_else(|| (0..n_sources as u64).collect(), <[u64]>::to_vec);
        assert!(
            numbers.len() == n_sources,
            "generate: {} numbers for {n_sources} sources, expected one for each",
            numbers.len()
        );
        if n_sources == 0 {
            return Ok(Vec::new());
        }
        let device = self.device();
        let (ids, mask) = batch(input.sources, config.pad_id, &device);
        let mut cache = self.cache(self.encode(ids, mask.clone()), mask);
        // Samples of one source end at different times, so each is a search of its own.
        let n_each = if settings.sampling.is_some() { settings.n_best } else { 1 };
        let rules = Rules::new(settings, config);
        let mut searches = Vec::with_capacity(n_sources * n_each);
        for (source, &number) in input.sources.iter().zip(&numbers) {
            let max_length = rules.max_length(source.len());
            searches.extend((0..n_each).map(|sample| match settings.sampling {
                None => Search::beam(settings.n_best, max_length),
                Some(_) => Search::sample(SampleKey::new(input.seed, number, sample), max_length),
            }));
        }
        if n_each > 1 {
            let copies = (0..n_sources).flat_map(|source| std::iter::repeat_n(source, n_each));
            cache.select_memory(&indices(copies, &device));
        }
        let searches = self.run(config, &rules, searches, cache, input.interrupt)?;
        let mut found = searches.into_iter().map(Search::into_hypotheses);
        let best = |_| Ranking::of(settings.n_best, found.by_ref().take(n_each).flatten());
        Ok((0..n_sources).map(best).collect())
    }

    /// Runs searches until all are over; `cache` has a sequence of the memory for each of them.
    fn run(
        &self,
        config: &Seq2SeqConfig,
        rules: &Rules,
        mut searches: Vec<Search>,
        mut cache: DecoderCache,
        interrupt: Option<&Interrupt>,
    ) -> Result<Vec<Search>, ModelError> {
        let device = self.device();
        let mut running: Vec<&mut Search> = searches.iter_mut().collect();
        let mut tokens = vec![config.decoder_start_id; running.len()];
        while !running.is_empty() {
            interrupt.map_or(Ok(()), Interrupt::check)?;
            let (mut logits, logsumexp) = self.logits_behind(&tokens, &mut cache, &device)?;
            let n_rows = tokens.len() / running.len();
            let n_logits = n_rows * config.target_vocab_size;
            let rows = logits.chunks_mut(n_logits).zip(logsumexp.chunks(n_rows));
            let steps: Vec<Vec<Successor>> =
                running.iter_mut().zip(rows).map(|(search, (logits, sums))| search.step(logits, sums, rules)).collect();
            let goes_on = |place: &usize| !steps[*place].is_empty();
            let kept: Vec<usize> = (0..running.len()).filter(goes_on).collect();
            if kept.len() < running.len() {
                cache.select_memory(&indices(kept.iter().copied(), &device));
            }
            let mut is_kept = steps.iter().map(|step| !step.is_empty());
            running.retain(|_| is_kept.next() == Some(true));
            let firsts = (0_usize..).step_by(n_rows);
            let old: Vec<usize> =
                firsts.zip(&steps).flat_map(|(first, step)| step.iter().map(move |it| first + it.row)).collect();
            if old.len() < tokens.len() || !old.iter().copied().eq(0..old.len()) {
                cache.select(indices(old, &device));
            }
            tokens = steps.iter().flatten().map(|it| it.token).collect();
        }
        Ok(searches)
    }

    /// Logits behind one more token of each row, `[n_rows, vocab_size]`, and the logarithms of their sums of exponentials.
    fn logits_behind(
        &self,
        tokens: &[u32],
        cache: &mut DecoderCache,
        device: &Device,
    ) -> Result<(Vec<f32>, Vec<f32>), ModelError> {
        let ids = tokens.iter().map(|&token| i64::from(token)).collect::<Vec<_>>();
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [tokens.len(), 1]), device);
        let logits = self.decode(ids, cache).squeeze_dim::<2>(1); // [n_rows, vocab_size]
        let logsumexp = ops::logsumexp(logits.clone());
        let values = |data: TensorData| data.convert::<f32>().try_into_vec::<f32>().expect("it was converted");
        let logsumexp = values(logsumexp.try_into_data()?);
        if !logsumexp.iter().all(|sum| sum.is_finite()) {
            return Err(ModelError::NotFinite);
        }
        Ok((values(logits.try_into_data()?), logsumexp))
    }
}

fn check_sources(sources: &[Vec<u32>], config: &Seq2SeqConfig) -> Result<(), ModelError> {
    for (index, source) in sources.iter().enumerate() {
        let (found, max) = (source.len(), config.max_seq_length);
        if !(1..=max).contains(&found) {
            return Err(ModelError::SourceLength { index, found, max });
        }
        if let Some(&token) = source.iter().find(|&&token| token as usize >= config.source_vocab_size) {
            return Err(ModelError::SourceToken { index, token, vocab_size: config.source_vocab_size });
        }
    }
    Ok(())
}

/// Sources filled up with padding to one length, and where it stands.
fn batch(sources: &[Vec<u32>], pad_id: u32, device: &Device) -> (Tensor<2, Int>, Mask) {
    let length = sources.iter().map(Vec::len).max().unwrap_or(0);
    let place = |source: &[u32], t: usize| i64::from(source.get(t).copied().unwrap_or(pad_id));
    let ids: Vec<i64> = sources.iter().flat_map(|source| (0..length).map(move |t| place(source, t))).collect();
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [sources.len(), length]), device);
    if sources.iter().all(|source| source.len() == length) {
        return (ids, Mask::None);
    }
    let is_pad: Vec<bool> = sources.iter().flat_map(|source| (0..length).map(move |t| t >= source.len())).collect();
    let is_pad = TensorData::new(is_pad, [sources.len(), length]);
    (ids, Mask::Keys(Tensor::<2, Bool>::from_data(is_pad, device)))
}

fn indices(places: impl IntoIterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let places: Vec<i64> = places.into_iter().map(|place| place as i64).collect();
    let n = places.len();
    Tensor::from_data(TensorData::new(places, [n]), device)
}
