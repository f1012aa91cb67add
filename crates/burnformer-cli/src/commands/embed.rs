//! `burnformer embed`: texts as vectors.

use anyhow::{Context as _, Result};
use burnformer::core::AtomicFile;
use burnformer::tasks::{TextEmbedding, write_npy};
use serde::Serialize;

use super::Outcome;
use crate::args::EmbedArgs;
use crate::context::Context;

/// An answer.
#[derive(Serialize)]
struct Line<'a> {
    text: &'a str,
    embedding: Vec<f32>,
}

pub(super) fn run(args: &EmbedArgs, context: &Context) -> Result<Outcome> {
    let out = args.out.as_deref().map(AtomicFile::create).transpose()?;
    let model = args.embedding.load()?;
    let mut rows = Vec::new();
    args.texts.in_groups("embed", context, |texts| {
        let asked: Vec<&str> = texts.iter().map(|(text, _)| text.as_str()).collect();
        let embeddings = model.embed(&asked)?;
        if out.is_some() {
            rows.extend(embeddings);
            return Ok(());
        }
        let line = |(text, embedding)| serde_json::to_string(&Line { text, embedding });
        let lines = asked.into_iter().zip(embeddings).map(line).collect::<Result<Vec<_>, _>>()?;
        context.terminal.print(&lines.join("\n"))
    })?;
    if let (Some(mut out), Some(path)) = (out, &args.out) {
        write_npy(&rows, model.n_dimensions(), &mut out)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        out.commit()?;
        let (n, width) = (rows.len(), model.n_dimensions());
        context.terminal.note(format_args!("{n} vectors of {width} numbers in `{}`", path.display()));
    }
    Ok(Outcome::Done)
}

impl crate::args::EmbeddingArgs {
    /// The model that the flags ask for.
    pub(super) fn load(&self) -> Result<TextEmbedding> {
        let device = self.device.device.open()?;
        let model = TextEmbedding::load(&self.folder, &device)?;
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
