//! `burnformer export`: model folders for other programs.

use anyhow::Result;
use burnformer::core::files::NewFolder;
use burnformer::tasks::{ExportLayout, export};

use super::Outcome;
use crate::args::{ExportArgs, Layout};
use crate::context::Context;
use crate::errors::Advised;

pub(super) fn run(args: &ExportArgs, context: &Context) -> Result<Outcome> {
    let found = ExportLayout::of(&args.folder);
    let is_plain = match args.layout {
        None => found == ExportLayout::Transformers,
        Some(layout) => layout == Layout::Transformers,
    };
    let layout = match is_plain {
        false => ExportLayout::SentenceTransformers { pooling: args.pooling, normalized: args.normalize },
        true if args.pooling.is_some() || args.normalize.is_some() => {
            let hint = "add `--layout sentence-transformers`, or remove `--pooling` and `--normalize`";
            return Err(Advised::new("`--layout transformers` has no pooling", hint).into());
        }
        true => ExportLayout::Transformers,
    };
    if is_plain && found != ExportLayout::Transformers {
        context
            .terminal
            .warn("left out             the modules and prompts of sentence-transformers, which this layout has not");
    }
    let device = args.device.device.open()?;
    let out = NewFolder::create(&args.out)?;
    export(&args.folder, out.path(), layout, args.dtype, &device)?;
    out.commit()?;
    context.terminal.note(format_args!(
        "written              `{}`, weights in {}",
        args.out.display(),
        args.dtype.name()
    ));
    Ok(Outcome::Done)
}
