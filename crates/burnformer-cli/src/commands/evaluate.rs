//! `burnformer evaluate`: how good a model is.

use std::path::Path;

use anyhow::Result;
use burnformer::data::split::Subset;
use burnformer::models::{GenerationConfig, GenerationFile, Head, ModelClass};
use burnformer::ops::WeightFormat;
use burnformer::recipes;
use burnformer::recipes::reports::Evaluation;
use burnformer::recipes::{
    RecipeError, TranslationMetrics, TranslatorEvaluation, TranslatorScores, evaluate_labelled, evaluate_on_corpus,
    evaluate_questions, in_stages, write_pictures,
};
use burnformer::tasks::{EmbeddingModules, makes_embeddings};
use clap::ValueEnum;

use super::Outcome;
use crate::args::{EvaluateArgs, Part};
use crate::context::Context;
use crate::errors::Advised;
use crate::input;

pub(super) fn run(args: &EvaluateArgs, context: &Context) -> Result<Outcome> {
    let folder = args.folder.clone();
    let embeds = makes_embeddings(&folder)?;
    let head = ModelClass::of(&EmbeddingModules::transformer_in(&folder)?)?.head();
    if let Some((kind, hint)) = refusal(head, embeds, args) {
        return Err(Advised::new(format!("`{}` holds a {kind}", folder.display()), hint).into());
    }
    if context.collective.size() > 1
        && args.input.iter().chain(&args.translation.values.pair_input).any(|path| path == "-")
    {
        let message = "several processes cannot evaluate on standard input, which the first alone is given";
        return Err(Advised::new(message, "write it to a file, and name that").into());
    }
    let n_stages = args.stages.pipeline_stages;
    if n_stages > 1 && (head == Head::Seq2Seq || embeds || args.predictions.is_some()) {
        let message = "translations, embeddings and answers for `--predictions` are made by whole models";
        return Err(Advised::new(message, "leave out `--pipeline-stages`").into());
    }
    args.stages.check_weights(args.weights.dtype)?;
    let watched = recipes::Context {
        pipeline_stages: n_stages,
        weights: context.weights(&args.weights),
        ..context.watched(&args.device)
    };
    in_stages(&folder, &watched, |watched| evaluate(args, context, head, watched))?;
    Ok(Outcome::Done)
}

fn evaluate(args: &EvaluateArgs, context: &Context, head: Head, watched: &recipes::Context<'_>) -> Result<()> {
    let (format, batch_size, folder) = (args.report.format, args.batch_size as usize, args.folder.clone());
    if let Some(corpus) = &args.corpus {
        let scores = evaluate_on_corpus(&folder, corpus, subset(args.part), batch_size, watched)?;
        let part = args.part.to_possible_value().map_or_else(String::new, |part| part.get_name().to_owned());
        let data = format!("{} ({part})", corpus.display());
        context.terminal.report(&Evaluation { folder, data, scores }, format)?;
    } else if head == Head::Seq2Seq {
        context.terminal.report(&on_pairs(args, context, watched.weights)?, format)?;
    } else {
        let data = args.input.join(", ");
        let source = match head {
            Head::QuestionAnswering => input::resolve_questions(&args.input, &args.format, true)?.open()?,
            _ => input::resolve(&args.input, &args.format, args.negative_column.as_ref())?.open()?,
        };
        if let Some(file) = &args.predictions {
            let scores = evaluate_questions(&folder, &source, args.format.on_bad_row, batch_size, file, watched)?;
            context.terminal.report(&Evaluation { folder, data, scores }, format)?;
            return Ok(());
        }
        let report = evaluate_labelled(&folder, (&source, &data), args.format.on_bad_row, batch_size, watched)?;
        if let Some(pictures) = &args.pictures
            && context.first(|| Ok(write_pictures(report.as_ref(), pictures)?))? == 0
        {
            context.terminal.warn("there are no pictures of these scores, so `--pictures` wrote nothing");
        }
        context.terminal.report(report.as_ref(), format)?;
    }
    Ok(())
}

/// What a model with this head is, and what to do, if the flags are for other models.
fn refusal(head: Head, embeds: bool, args: &EvaluateArgs) -> Option<(&'static str, String)> {
    if let Some(flag) = args.translation.flags.first().filter(|_| head != Head::Seq2Seq) {
        return Some(("model that is not a translation model", format!("leave out `{flag}`")));
    }
    if args.predictions.is_some() && head != Head::QuestionAnswering {
        return Some(("model that does not answer questions", "leave out `--predictions`".to_owned()));
    }
    if args.negative_column.is_some() && !embeds {
        return Some(("model that does not embed texts", "leave out `--negative-column`".to_owned()));
    }
    if embeds && args.corpus.is_none() {
        return None;
    }
    let (kind, hint) = match (head, args.corpus.is_some()) {
        (Head::Seq2Seq, _) if args.format.label_column.is_some() => {
            ("translation model, which cannot be evaluated on labels", "leave out `--label-column`")
        }
        (Head::Seq2Seq, _) if !args.format.label_columns.is_empty() => {
            ("translation model, which cannot be evaluated on labels", "leave out `--label-columns`")
        }
        (Head::Seq2Seq, _) if args.pictures.is_some() => {
            ("translation model, whose scores have no pictures", "leave out `--pictures`")
        }
        (Head::Seq2Seq, true) => (
            "translation model, which cannot be evaluated on a corpus",
            "name texts with `--input`, and their references with `--pair-input` or `--pair-column`",
        ),
        (Head::SequenceClassification, true) => {
            ("classifier, which cannot be evaluated on a corpus", "name labelled texts with `--input`")
        }
        (Head::TokenClassification, true) => (
            "token classifier, which cannot be evaluated on a corpus",
            "name sentences in CoNLL columns with `--input`",
        ),
        (Head::QuestionAnswering, true) => (
            "model for question answering, which cannot be evaluated on a corpus",
            "name questions with contexts and answers with `--input`",
        ),
        (Head::Seq2Seq | Head::SequenceClassification | Head::TokenClassification | Head::QuestionAnswering, false)
        | (_, true) => return None,
        (Head::Body | Head::PreTraining | Head::MaskedLm, false) if args.format.pair_column.is_some() => (
            "pretrained model, which cannot be evaluated on pairs of texts as it is",
            "to evaluate its embeddings, write them as a model of their own: `burnformer export --layout sentence-transformers`",
        ),
        (_, false) => ("pretrained model, which cannot be evaluated on labels", "name a corpus with `--corpus`"),
    };
    Some((kind, hint.to_owned()))
}

fn subset(part: Part) -> Option<Subset> {
    match part {
        Part::All => None,
        Part::Train => Some(Subset::Train),
        Part::Validation => Some(Subset::Validation),
        Part::Test => Some(Subset::Test),
    }
}

fn on_pairs(args: &EvaluateArgs, context: &Context, weights: WeightFormat) -> Result<Evaluation<TranslatorScores>> {
    let flags = &args.translation.values;
    let generation =
        flags.generation.settings(&GenerationFile::of(&args.folder)?, GenerationConfig::default(), 1, context)?;
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
    let watched = recipes::Context { weights, ..context.watched(&args.device) };
    let scores = evaluation.run(&args.folder, &source, &watched)?;
    let data = args.input.iter().chain(&flags.pair_input).cloned().collect::<Vec<_>>().join(", ");
    Ok(Evaluation { folder: args.folder.clone(), data, scores })
}
