//! Generation in stages, each of which holds its part of the model, has the answers and the scores of a whole one.

use burnformer_core::collective::{Collective, CollectiveError, ThreadRank, thread_ranks};
use burnformer_models::{
    GenerationConfig, GenerationInput, GptConfig, GptForCausalLM, GptTokens, Seq2Seq, Seq2SeqConfig, Staged, Use,
    Vocabularies, generate,
};
use burnformer_nn::parts::{Part, Parts};
use burnformer_nn::pipeline::{StageLayers, with_stage};
use burnformer_ops::DeviceChoice;
use std::ops::Range;
use std::sync::Arc;
use std::thread;

/// The layers of each stage, if they begin at the numbers in `starts`.
fn stages(config: &impl Staged, starts: &[usize]) -> Vec<StageLayers> {
    let [n_before_memory, n_layers] = config.n_layers();
    let ends = starts[1..].iter().copied().chain([n_layers]);
    let ranges = starts.iter().copied().zip(ends).map(|(start, end)| Range { start, end });
    ranges.map(|range| StageLayers { range, n_before_memory, n_layers }).collect()
}

fn parts(config: &(impl Staged + Clone + 'static), layers: &StageLayers) -> Parts {
    let (config, layers) = (config.clone(), layers.clone());
    Parts::new(move |path| {
        let is_here = |place: Use| match place {
            Use::Embeddings => layers.range.start == 0,
            Use::TargetEmbeddings => layers.range.contains(&layers.n_before_memory),
            Use::Layer(layer) => layers.range.contains(&layer),
            Use::Head => layers.is_last(),
        };
        if config.uses(path).into_iter().any(is_here) { Part::All } else { Part::None }
    })
}

/// What `work` gives with the model of each stage.
fn in_stages<M, C, R>(
    config: &C,
    starts: &[usize],
    init: impl Fn() -> M + Sync,
    work: impl Fn(&M) -> R + Sync,
) -> Vec<R>
where
    C: Staged + Clone + 'static,
    R: Send,
{
    let stages = stages(config, starts);
    let run = |(rank, layers): (ThreadRank, &StageLayers)| {
        let model = parts(config, layers).within(&init);
        let rank: Arc<dyn Collective> = Arc::new(rank);
        with_stage(&rank, layers.clone(), || work(&model)).unwrap()
    };
    let run = &run;
    thread::scope(|scope| {
        let ranks = thread_ranks(stages.len()).into_iter().zip(&stages);
        let ranks: Vec<_> = ranks.map(|stage| scope.spawn(move || run(stage))).collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}

fn settings() -> [GenerationConfig; 2] {
    let greedy = GenerationConfig { max_length: Some(7), ..GenerationConfig::greedy() };
    [greedy.clone(), GenerationConfig { n_beams: 3, ..greedy }]
}

#[test]
fn a_causal_language_model_generates_the_same() {
    let device = DeviceChoice::Auto.open().unwrap();
    for tied_embeddings in [true, false] {
        let size = GptConfig::preset("gpt-tiny", 30, GptTokens::default()).unwrap();
        let config =
            GptConfig { d_model: 12, n_heads: 3, d_ff: 20, max_seq_length: 20, n_layers: 3, tied_embeddings, ..size };
        let init = || GptForCausalLM::init(&config, 7, &device);
        let prompts = [vec![7, 8, 9], vec![10], vec![3, 4]];
        for settings in settings() {
            let answers = |model: &GptForCausalLM| {
                format!("{:?}", generate(model, &settings, GenerationInput::new(&prompts)).unwrap())
            };
            let expected = answers(&init());
            for starts in [&[0, 1][..], &[0, 2], &[0, 1, 2]] {
                for found in in_stages(&config, starts, init, answers) {
                    assert_eq!(found, expected, "{starts:?}");
                }
            }
        }
    }
}

#[test]
fn an_encoder_decoder_generates_the_same() {
    let device = DeviceChoice::Auto.open().unwrap();
    let vocabularies =
        Vocabularies { source_size: 30, target_size: 30, shared: true, pad_id: 0, eos_id: 1, decoder_start_id: 0 };
    let size = Seq2SeqConfig::preset("transformer-tiny", vocabularies).unwrap();
    let config = Seq2SeqConfig { d_model: 12, n_heads: 3, d_ff: 20, max_seq_length: 20, n_decoder_layers: 3, ..size };
    let init = || Seq2Seq::init(&config, 7, &device);
    let sources = [vec![7, 8, 9, 1], vec![10, 1], vec![3, 4, 1]];
    for settings in settings() {
        let answers =
            |model: &Seq2Seq| format!("{:?}", generate(model, &settings, GenerationInput::new(&sources)).unwrap());
        let expected = answers(&init());
        for starts in [&[0, 1][..], &[0, 2], &[0, 3], &[0, 1, 3], &[0, 3, 4], &[0, 1, 2, 3, 4]] {
            for found in in_stages(&config, starts, init, answers) {
                assert_eq!(found, expected, "{starts:?}");
            }
        }
    }
}

#[test]
fn a_stage_that_is_gone_is_an_error() {
    let device = DeviceChoice::Auto.open().unwrap();
    let size = GptConfig::preset("gpt-tiny", 30, GptTokens::default()).unwrap();
    let config = GptConfig { d_model: 12, n_heads: 3, d_ff: 20, max_seq_length: 20, ..size };
    let stages = stages(&config, &[0, 1]);
    let mut ranks = thread_ranks(2).into_iter();
    let first: Arc<dyn Collective> = Arc::new(ranks.next().unwrap());
    drop(ranks);
    let model = parts(&config, &stages[0]).within(|| GptForCausalLM::init(&config, 7, &device));
    let prompts = [vec![7, 8, 9]];
    let found = with_stage(&first, stages[0].clone(), || {
        generate(&model, &settings()[0], GenerationInput::new(&prompts)).unwrap();
    });
    assert!(matches!(found, Err(CollectiveError::Lost { rank: 0, size: 2, .. })), "{found:?}");
}
