//! A run has the same bits in any number of stages, each with its part of the model.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use burn::tensor::Device;
use burnformer_core::progress::Interrupt;
use burnformer_data::DataError;
use burnformer_data::batches::{
    ClassificationCollator, Collator, Padding, TextPairCollator, TokenClassificationCollator, WindowCollator,
};
use burnformer_data::datasets::{ClassificationSample, Dataset, Sample, TextPair, TokenClassificationSample, Window};
use burnformer_data::tokenizer::Tokenizer;
use burnformer_models::{
    BertConfig, BertForPreTraining, BertForSequenceClassification, BertForTokenClassification, GenerationConfig,
    GptConfig, GptForCausalLM, GptTokens, Seq2Seq, Seq2SeqConfig, Vocabularies,
};
use burnformer_tasks::metrics::Bleu;
use burnformer_tasks::{
    CausalLmTask, ClassificationLoss, ClassificationTask, Task, TokenClassificationTask, TranslationTask,
    TranslationTokenizers,
};
use burnformer_train::{
    AdamConfig, Collective as _, Data, Event, OnDivergence, OptimizerConfig, Stages, Stop, TrainConfig, TrainError,
    Trainer,
};

use crate::support::{Begin, Fixture, SEED, config, cpus};
use crate::team::{assert_same, on_ranks, with_causes};
use crate::troubled::{Troubled, Wrong};

/// A task with its data and the initial model.
struct Work<'a, T, S, C, I> {
    task: &'a T,
    samples: Arc<S>,
    collator: C,
    init: I,
}

impl<T, S, C, I> Work<'_, T, S, C, I>
where
    T: Task,
    S: Dataset<Sample = C::Sample> + 'static,
    C: Collator<Batch = T::Batch> + Copy + Sync,
    I: Fn(&Device) -> T::Model + Sync,
{
    /// Runs on so many ranks, in so many stages; the last rank is asked to stop after step `stop_at`.
    fn run(
        &self,
        path: &Path,
        begin: Begin,
        config: &TrainConfig,
        (n_ranks, n_stages): (usize, usize),
        stop_at: Option<u64>,
    ) -> Vec<Result<Stop, TrainError>> {
        let (_, device) = cpus().remove(0);
        on_ranks(n_ranks, path, begin, |rank, folder| {
            let stages = (n_stages > 1).then(|| stages_of(self.task, n_stages).unwrap());
            let (interrupt, number) = (Interrupt::new(), rank.rank());
            let trainer = Trainer::new(self.task, config, SEED, device.clone())
                .with_collective(&rank)
                .with_stages(stages.as_ref())
                .with_interrupt(&interrupt);
            let data = Data {
                train: Arc::clone(&self.samples),
                validation: Some(Arc::clone(&self.samples)),
                collator: self.collator,
                fingerprint: "test".to_owned(),
            };
            let mut on_event = |event: Event<'_>| {
                if let Event::Metrics(entry) = event
                    && Some(entry.step) == stop_at
                    && number + 1 == n_ranks
                {
                    interrupt.request();
                }
            };
            let init = || (self.init)(&device.clone().autodiff());
            let outcome = match (begin, &stages) {
                (Begin::Resume, _) => trainer.resume(&data, folder, &mut on_event),
                (Begin::Start, None) => trainer.start(init(), &data, folder, &mut on_event),
                (Begin::Start, Some(stages)) => {
                    let model = stages.parts(number % n_stages).within(init);
                    trainer.start(model, &data, folder, &mut on_event)
                }
            };
            outcome.map(|outcome| outcome.stop)
        })
    }

    /// Holds runs of teams, each of so many ranks in so many stages, against one of one process.
    #[track_caller]
    fn check(&self, config: &TrainConfig, teams: &[(usize, usize)], what: &str) {
        let place = tempfile::tempdir().unwrap();
        let alone = place.path().join("alone");
        self.run(&alone, Begin::Start, config, (1, 1), None).remove(0).unwrap();
        for &team in teams {
            let path = place.path().join(format!("{} ranks in {} stages", team.0, team.1));
            for outcome in self.run(&path, Begin::Start, config, team, None) {
                assert_eq!(outcome.unwrap(), Stop::Finished);
            }
            assert_same(&path, &alone, &format!("{what}: {} ranks in {} stages", team.0, team.1));
        }
    }
}

/// The model in so many stages; the last layer is the longest.
fn stages_of<T: Task>(task: &T, n_stages: usize) -> Result<Stages, TrainError> {
    let staged = task.staged().unwrap();
    let n_layers = staged.n_layers()[1] as u64;
    let time: Vec<_> =
        (0..n_layers).map(|layer| Duration::from_secs(if layer + 1 == n_layers { 2 } else { 1 })).collect();
    Stages::new(Some(staged), n_stages, &time)
}

/// Samples that `make` makes of their numbers.
struct Made<S> {
    make: fn(u64) -> S,
}

impl<S: Sample> Dataset for Made<S> {
    type Sample = S;

    fn per_epoch(&self) -> u64 {
        64
    }

    fn sample(&self, number: u64) -> Result<S, DataError> {
        Ok((self.make)(number % 64))
    }
}

/// Numbers that look random, in `[5, 25)`: tokens of the vocabulary of [`tokenizer`] that are not special.
fn tokens(number: u64, n: u64) -> Vec<u32> {
    (0..n).map(|i| (5 + (number * 7 + i * i * 3 + number * i) % 20) as u32).collect()
}

fn tokenizer() -> Tokenizer {
    let folder = tempfile::tempdir().unwrap();
    let words = (0..20).map(|i| format!("w{i}\n")).collect::<String>();
    let vocabulary = folder.path().join("vocab.txt");
    std::fs::write(&vocabulary, format!("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n{words}")).unwrap();
    Tokenizer::load(vocabulary).unwrap()
}

const PADDING: Padding = Padding { pad_id: 0, multiple_of: 1 };

fn bert() -> BertConfig {
    let size = BertConfig::preset("bert-tiny", 25, 0).unwrap();
    BertConfig { d_model: 12, n_heads: 2, d_ff: 20, n_layers: 4, max_seq_length: 16, ..size }
}

/// As [`config`], with less of everything.
fn short() -> TrainConfig {
    TrainConfig { micro_batch_size: 4, grad_accum_steps: 5, ..config(6) }
}

#[test]
fn pretraining_has_the_bits_of_one_process() {
    for tied in [true, false] {
        let fixture = Fixture::new(60, 32, |model| {
            (model.d_model, model.n_heads, model.d_ff, model.n_layers) = (24, 2, 48, 4);
            model.tied_embeddings = tied;
        });
        let config = fixture.task.config().clone();
        let counts: Vec<u64> = (0..config.vocab_size as u64).collect();
        let collator = fixture.collator();
        let init = |device: &Device| {
            BertForPreTraining::init(&config, SEED, device).with_sinusoidal_positions().with_token_counts(&counts)
        };
        let Fixture { samples, task, .. } = &fixture;
        let work = Work { task, samples: Arc::clone(samples), collator, init };
        let base = short();
        work.check(&base, &[(2, 2), (3, 3), (4, 2), (4, 4)], &format!("tied {tied}"));
        let few = TrainConfig { grad_accum_steps: 1, ..base.clone() };
        work.check(&few, &[(2, 2), (4, 2)], "fewer micro-batches than stages");
        let lamb = OptimizerConfig::Lamb(AdamConfig::default());
        let more =
            TrainConfig { ema_decay: Some(0.9), activation_checkpointing: true, optimizer: lamb, ..base.clone() };
        work.check(&more, &[(4, 2)], "average, checkpointing, LAMB");
        let frozen = TrainConfig { unfreeze_every: Some(2), ..base };
        work.check(&frozen, &[(3, 3)], "unfreezing");
    }
}

#[test]
fn classification_has_the_bits_of_one_process() {
    let labels = ["a", "b", "c"].map(str::to_owned).to_vec();
    let task = ClassificationTask::new(bert(), tokenizer(), labels.clone()).unwrap();
    let init = |device: &Device| BertForSequenceClassification::init(&bert(), &labels, SEED, device);
    let make = |number| ClassificationSample {
        ids: tokens(number, 4 + number % 9),
        first_length: 3,
        label: (number % 3) as u32,
    };
    let collator = ClassificationCollator { padding: PADDING };
    let work = Work { task: &task, samples: Arc::new(Made { make }), collator, init };
    work.check(&short(), &[(2, 2), (3, 3), (4, 2)], "classification");
    let loss = ClassificationLoss { r_drop: 0.5, ..ClassificationLoss::default() };
    let task = ClassificationTask::new(bert(), tokenizer(), labels.clone()).unwrap().with_loss(loss).unwrap();
    Work { task: &task, ..work }.check(&short(), &[(3, 3)], "two passes");
}

/// Some batches have no word to classify, and do not pass through the model.
#[test]
fn classification_of_tokens_has_the_bits_of_one_process() {
    let labels = ["O", "B-X", "I-X"].map(str::to_owned).to_vec();
    let task = TokenClassificationTask::new(bert(), tokenizer(), labels.clone()).unwrap();
    let init = |device: &Device| BertForTokenClassification::init(&bert(), &labels, SEED, device);
    let make = |number| {
        let positions = if number % 4 == 0 { Vec::new() } else { vec![1, 3] };
        let labels = positions.iter().map(|position| (number as u32 + position) % 3).collect();
        TokenClassificationSample { ids: tokens(number, 4 + number % 9), positions, labels, further: Vec::new() }
    };
    let collator = TokenClassificationCollator { padding: PADDING };
    let work = Work { task: &task, samples: Arc::new(Made { make }), collator, init };
    let config = TrainConfig { micro_batch_size: 1, ..short() };
    work.check(&config, &[(2, 2), (3, 3)], "words");
}

#[test]
fn a_causal_language_model_has_the_bits_of_one_process() {
    for tied_embeddings in [true, false] {
        let size = GptConfig::preset("gpt-tiny", 25, GptTokens::default()).unwrap();
        let config =
            GptConfig { d_model: 12, n_heads: 2, d_ff: 20, n_layers: 4, max_seq_length: 16, tied_embeddings, ..size };
        let task = CausalLmTask::new(config.clone(), tokenizer()).unwrap();
        let init = |device: &Device| GptForCausalLM::init(&config, SEED, device);
        let samples = Arc::new(Made { make: |number| Window { ids: tokens(number, 4 + number % 9) } });
        let work = Work { task: &task, samples, collator: WindowCollator { padding: PADDING }, init };
        work.check(&short(), &[(2, 2), (3, 3), (4, 2)], &format!("tied {tied_embeddings}"));
    }
}

#[test]
fn translation_has_the_bits_of_one_process() {
    for shared in [true, false] {
        let vocabularies =
            Vocabularies { source_size: 25, target_size: 25, shared, pad_id: 0, eos_id: 3, decoder_start_id: 0 };
        let size = Seq2SeqConfig::preset("transformer-tiny", vocabularies).unwrap();
        let config =
            Seq2SeqConfig { d_model: 12, n_heads: 2, d_ff: 20, n_decoder_layers: 3, max_seq_length: 16, ..size };
        let tokenizers = TranslationTokenizers::new(tokenizer(), (!shared).then(tokenizer));
        let search = GenerationConfig { n_beams: 2, max_length: Some(6), ..GenerationConfig::greedy() };
        let task = TranslationTask::new(config.clone(), tokenizers, 0.1).unwrap().with_bleu(search, Bleu::default());
        let init = |device: &Device| Seq2Seq::init(&config, SEED, device);
        fn ended(number: u64, n: u64) -> Vec<u32> {
            tokens(number, n).into_iter().chain([3]).collect()
        }
        let make =
            |number| TextPair { source: ended(number, 2 + number % 7), target: ended(number + 1, 1 + number % 9) };
        let samples = Arc::new(Made { make });
        let work = Work { task: &task, samples, collator: TextPairCollator { padding: PADDING }, init };
        work.check(&short(), &[(2, 2), (3, 3), (4, 2), (5, 5)], &format!("shared {shared}"));
    }
}

#[test]
fn any_number_of_stages_goes_on() {
    let fixture = Fixture::new(60, 32, |model| {
        (model.d_model, model.n_heads, model.d_ff, model.n_layers) = (24, 2, 48, 4);
    });
    let config = fixture.task.config().clone();
    let init = |device: &Device| BertForPreTraining::init(&config, SEED, device);
    let samples = Arc::clone(&fixture.samples);
    let work = Work { task: &fixture.task, samples, collator: fixture.collator(), init };
    let place = tempfile::tempdir().unwrap();
    let settings = TrainConfig { ema_decay: Some(0.9), ..short() };
    let alone = place.path().join("alone");
    work.run(&alone, Begin::Start, &settings, (1, 1), None).remove(0).unwrap();
    for (number, (before, then)) in [((4, 2), (3, 3)), ((2, 2), (2, 1)), ((1, 1), (4, 4))].into_iter().enumerate() {
        let path = place.path().join(number.to_string());
        for stop in work.run(&path, Begin::Start, &settings, before, Some(3)) {
            assert_eq!(stop.unwrap(), Stop::Interrupted);
        }
        for stop in work.run(&path, Begin::Resume, &settings, then, None) {
            assert_eq!(stop.unwrap(), Stop::Finished);
        }
        assert_same(&path, &alone, &format!("{before:?}, then {then:?}"));
    }
}

#[test]
fn stages_skip_steps_and_go_back_together() {
    let fixture = Fixture::small();
    let config = TrainConfig {
        grad_accum_steps: 2,
        on_divergence: OnDivergence::RollBack,
        max_skipped_steps: 2,
        checkpoint_every: 4,
        ..config(8)
    };
    let (samples, collator) = (Arc::clone(&fixture.samples), fixture.collator());
    for wrong in [Wrong::Gradient, Wrong::Loss] {
        let task = Troubled::at(&fixture, &config, &[2, 6, 7], wrong);
        let init = |device: &Device| BertForPreTraining::init(fixture.task.config(), SEED, device);
        let work = Work { task: &task, samples: Arc::clone(&samples), collator, init };
        work.check(&config, &[(2, 2), (4, 2)], &format!("{wrong:?}"));
    }
}

#[test]
fn a_disk_without_room_stops_all_stages() {
    let fixture = Fixture::small();
    let task = Troubled::with_room(&fixture, 1);
    let init = |device: &Device| BertForPreTraining::init(fixture.task.config(), SEED, device);
    let work = Work { task: &task, samples: Arc::clone(&fixture.samples), collator: fixture.collator(), init };
    let config = TrainConfig { checkpoint_every: 2, ..short() };
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("run");
    let errors = work.run(&path, Begin::Start, &config, (2, 2), None).into_iter().map(Result::unwrap_err);
    for (rank, error) in errors.enumerate() {
        assert_eq!(matches!(error, TrainError::Collective(_)), rank == 1, "{rank}: {error}");
        assert!(with_causes(&error).contains("model.safetensors"), "{rank}: {}", with_causes(&error));
    }
    // What was written before is resumed from, in one stage.
    let alone = place.path().join("alone");
    let whole = Work { task: &fixture.task, samples: work.samples, collator: work.collator, init };
    whole.run(&alone, Begin::Start, &config, (1, 1), None).remove(0).unwrap();
    whole.run(&path, Begin::Resume, &config, (1, 1), None).remove(0).unwrap();
    assert_same(&path, &alone, "resumed");
}

#[test]
fn ranks_and_stages_that_do_not_fit_are_refused() {
    let task = ClassificationTask::new(bert(), tokenizer(), vec!["a".to_owned(), "b".to_owned()]).unwrap();
    let error = stages_of(&task, 5).map(drop).unwrap_err();
    assert_eq!(error.to_string(), "5 stages cannot share 4 layers, expected at least one stage and at most 4");
    assert!(matches!(Stages::new(None, 2, &[]), Err(TrainError::NotStaged)));
    let labels = ["a", "b"].map(str::to_owned).to_vec();
    let init = |device: &Device| BertForSequenceClassification::init(&bert(), &labels, SEED, device);
    let make = |number| ClassificationSample { ids: tokens(number, 5), first_length: 5, label: 0 };
    let collator = ClassificationCollator { padding: PADDING };
    let work = Work { task: &task, samples: Arc::new(Made { make }), collator, init };
    let place = tempfile::tempdir().unwrap();
    for outcome in work.run(&place.path().join("run"), Begin::Start, &short(), (3, 2), None) {
        let error = outcome.unwrap_err();
        assert!(matches!(error, TrainError::Ranks { ranks: 3, stages: 2, .. }), "{error}");
        assert_eq!(error.to_string(), "2 stages need a multiple of 2 processes, found 3");
    }
}
