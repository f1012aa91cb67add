//! `burnformer embed`: texts as vectors.

use anyhow::Result;
use burnformer::core::files::atomic_write;
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
    let model = args.embedding.load()?;
    let mut rows = Vec::new();
    args.texts.in_groups("embed", context, |texts| {
        let asked: Vec<&str> = texts.iter().map(|(text, _)| text.as_str()).collect();
        let embeddings = model.embed(&asked)?;
        if args.out.is_some() {
            rows.extend(embeddings);
            return Ok(());
        }
        let line = |(text, embedding)| serde_json::to_string(&Line { text, embedding });
        let lines = asked.into_iter().zip(embeddings).map(line).collect::<Result<Vec<_>, _>>()?;
        context.terminal.print(&lines.join("\n"))
    })?;
    if let Some(out) = &args.out {
        atomic_write(out, |file| write_npy(&rows, model.d_model(), file))?;
        let written = format!("{} vectors of {} numbers in `{}`", rows.len(), model.d_model(), out.display());
        context.terminal.note(format_args!("{written}"));
    }
    Ok(Outcome::Done)
}

impl crate::args::EmbeddingArgs {
    /// The model that the flags ask for.
    pub(super) fn load(&self) -> Result<TextEmbedding> {
        let device = self.device.device.open()?;
        let model = TextEmbedding::load(&self.folder, &device)?;
        Ok(match self.pooling {
            None => model,
            Some(pooling) => model.with_pooling(pooling),
        })
    }
}
