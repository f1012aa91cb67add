//! `burnformer evaluate`: how good a model is.

use std::path::Path;

use anyhow::Result;
use burnformer::data::split::Subset;
use burnformer::models::{Head, ModelClass};
use burnformer::recipes::reports::{ClassificationScores, Evaluation, TokenClassificationScores};
use burnformer::recipes::{
    self, RecipeError, TranslationMetrics, TranslatorEvaluation, TranslatorScores, evaluate_causal_lm,
    evaluate_classifier, evaluate_pretraining, evaluate_token_classifier,
};
use clap::ValueEnum;

use super::Outcome;
use crate::args::{EvaluateArgs, Part};
use crate::context::Context;
use crate::errors::Advised;
use crate::input;

pub(super) fn run(args: &EvaluateArgs, context: &Context) -> Result<Outcome> {
    let format = args.report.format;
    let other = |kind: &str, hint: &str| {
        Advised::new(format!("`{}` holds a {kind}", args.folder.display()), hint.to_owned()).into()
    };
    let head = ModelClass::of(&args.folder)?.head();
    if head != Head::Seq2Seq
        && let Some(flag) = args.translation.flags.first()
    {
        return Err(other("model that is not a translation model", &format!("leave out `{flag}`")));
    }
    if head == Head::Seq2Seq && args.format.label_column.is_some() {
        return Err(other("translation model, which cannot be evaluated on labels", "leave out `--label-column`"));
    }
    match (head, &args.corpus) {
        (Head::SequenceClassification, None) => {
            context.terminal.report(&on_texts(args, context)?, format)?;
        }
        (Head::SequenceClassification, Some(_)) => {
            return Err(other(
                "classifier, which cannot be evaluated on a corpus",
                "name labelled texts with `--input`",
            ));
        }
        (Head::TokenClassification, None) => {
            context.terminal.report(&on_sentences(args, context)?, format)?;
        }
        (Head::TokenClassification, Some(_)) => {
            let hint = "name sentences in CoNLL columns with `--input`";
            return Err(other("token classifier, which cannot be evaluated on a corpus", hint));
        }
        (Head::Seq2Seq, None) => {
            context.terminal.report(&on_pairs(args, context)?, format)?;
        }
        (Head::Seq2Seq, Some(_)) => {
            let hint = "name texts with `--input`, and their references with `--pair-input` or `--pair-column`";
            return Err(other("translation model, which cannot be evaluated on a corpus", hint));
        }
        (Head::CausalLm, Some(_)) => {
            context.terminal.report(&on_corpus(args, context, evaluate_causal_lm)?, format)?;
        }
        (_, Some(_)) => context.terminal.report(&on_corpus(args, context, evaluate_pretraining)?, format)?,
        (_, None) => {
            return Err(other(
                "pretrained model, which cannot be evaluated on labels",
                "name a corpus with `--corpus`",
            ));
        }
    }
    Ok(Outcome::Done)
}

fn on_texts(args: &EvaluateArgs, context: &Context) -> Result<Evaluation<ClassificationScores>> {
    let source = input::open(&args.input, &args.format)?;
    let (policy, watched) = (args.format.on_bad_row, context.watched(&args.device));
    let scores = evaluate_classifier(&args.folder, &source, policy, args.batch_size as usize, &watched)?;
    Ok(Evaluation { folder: args.folder.clone(), data: args.input.join(", "), scores })
}

fn on_sentences(args: &EvaluateArgs, context: &Context) -> Result<Evaluation<TokenClassificationScores>> {
    let source = input::open(&args.input, &args.format)?;
    let (policy, watched) = (args.format.on_bad_row, context.watched(&args.device));
    let scores = evaluate_token_classifier(&args.folder, &source, policy, args.batch_size as usize, &watched)?;
    Ok(Evaluation { folder: args.folder.clone(), data: args.input.join(", "), scores })
}

fn on_corpus<S>(
    args: &EvaluateArgs,
    context: &Context,
    evaluate: impl FnOnce(&Path, &Path, Option<Subset>, usize, &recipes::Context<'_>) -> Result<S, RecipeError>,
) -> Result<Evaluation<S>> {
    let path = args.corpus.clone().unwrap_or_default();
    let part = match args.part {
        Part::All => None,
        Part::Train => Some(Subset::Train),
        Part::Validation => Some(Subset::Validation),
        Part::Test => Some(Subset::Test),
    };
    let watched = context.watched(&args.device);
    let scores = evaluate(&args.folder, &path, part, args.batch_size as usize, &watched)?;
    let part = args.part.to_possible_value().map_or_else(String::new, |part| part.get_name().to_owned());
    Ok(Evaluation { folder: args.folder.clone(), data: format!("{} ({part})", path.display()), scores })
}

fn on_pairs(args: &EvaluateArgs, context: &Context) -> Result<Evaluation<TranslatorScores>> {
    let flags = &args.translation.values;
    let generation = flags.generation.config(1)?;
    if !input::names_pairs(&flags.pair_input, &args.format) {
        return Err(RecipeError::NoReferences.into());
    }
    if let Some(folder) =
        flags.out.as_deref().and_then(Path::parent).filter(|it| !it.as_os_str().is_empty() && !it.is_dir())
    {
        let message = format!("the folder `{}` of `--out` does not exist", folder.display());
        return Err(Advised::new(message, "create the folder, or choose another file").into());
    }
    let source = input::open_pairs(&args.input, &flags.pair_input, &args.format)?;
    let evaluation = TranslatorEvaluation {
        generation,
        metrics: TranslationMetrics::new(flags.metrics.bleu_tokenizer, flags.metrics.lowercase),
        batch_size: args.batch_size as usize,
        on_bad_row: args.format.on_bad_row,
        out: flags.out.as_deref(),
    };
    let scores = evaluation.run(&args.folder, &source, &context.watched(&args.device))?;
    let data = args.input.iter().chain(&flags.pair_input).cloned().collect::<Vec<_>>().join(", ");
    Ok(Evaluation { folder: args.folder.clone(), data, scores })
}
