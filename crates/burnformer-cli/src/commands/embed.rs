//! `burnformer embed`: texts as vectors.

use anyhow::{Context as _, Error, Result};
use burnformer::core::AtomicFile;
use burnformer::tasks::{TextEmbedding, write_npy};
use serde::Serialize;

use super::Outcome;
use super::texts::{Row, TOGETHER};
use crate::args::EmbedArgs;
use crate::context::Context;

/// An answer.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    row: &'a Row,
    embedding: Vec<f32>,
}

pub(super) fn run(args: &EmbedArgs, context: &Context) -> Result<Outcome> {
    let path = args.out.as_deref().filter(|_| context.is_first());
    let out = context.agreed(path.map(AtomicFile::create).transpose().map_err(Error::from))?;
    let model = args.embedding.load(context)?;
    let mut vectors = Vec::new();
    let answer = |rows: &[Row]| {
        let asked: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
        // As bits, which the first process reads as they are.
        let bits = |vector: Vec<f32>| vector.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        Ok(model.embed(&asked)?.into_iter().map(bits).collect::<Vec<_>>())
    };
    args.texts.in_groups("embed", TOGETHER, context, answer, |rows, embeddings| {
        let embeddings = embeddings.into_iter().map(|bits| bits.into_iter().map(f32::from_bits).collect());
        if out.is_some() {
            vectors.extend(embeddings);
            return Ok(());
        }
        let line = |(row, embedding)| serde_json::to_string(&Line { row, embedding });
        let lines = rows.iter().zip(embeddings).map(line).collect::<Result<Vec<_>, _>>()?;
        context.terminal.print(&lines.join("\n"))
    })?;
    context.tell_cut(model.n_cut(), model.max_length())?;
    if let (Some(mut out), Some(path)) = (out, path) {
        write_npy(&vectors, model.n_dimensions(), &mut out)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        out.commit()?;
        let (n, width) = (vectors.len(), model.n_dimensions());
        context.terminal.note(format_args!("{n} vectors of {width} numbers in `{}`", path.display()));
    }
    Ok(Outcome::Done)
}

impl crate::args::EmbeddingArgs {
    /// The model that the flags ask for.
    pub(super) fn load(&self, context: &Context) -> Result<TextEmbedding> {
        let device = context.open(&self.device)?;
        let mut model = TextEmbedding::load(&self.folder, &device)?.prepared(context.weights(&self.weights))?;
        if self.special_tokens.split_special_tokens {
            model = model.with_split_special_tokens(true);
        }
        let model = match self.pooling {
            None => model,
            Some(pooling) => model.with_pooling(pooling)?,
        };
        let model = match (&self.prompt, &self.prompt_name) {
            (Some(prompt), _) => model.with_prompt(prompt),
            (None, Some(name)) => {
                let prompt = model.prompts().named(name)?.to_owned();
                model.with_prompt(prompt)
            }
            (None, None) => model,
        };
        Ok(match self.dimensions {
            None => model,
            Some(n) => model.with_dimensions(n as usize)?,
        })
    }
}
