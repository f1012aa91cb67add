//! `burnformer export`: model folders for other programs.

use anyhow::Result;
use burnformer::core::files::NewFolder;
use burnformer::tasks::{ExportLayout, export};

use super::Outcome;
use crate::args::{ExportArgs, Layout};
use crate::context::Context;
use crate::errors::Advised;

pub(super) fn run(args: &ExportArgs, context: &Context) -> Result<Outcome> {
    let layout = match args.layout {
        Layout::SentenceTransformers => {
            ExportLayout::SentenceTransformers { pooling: args.pooling, normalized: args.normalize }
        }
        Layout::Transformers if args.pooling.is_some() || args.normalize.is_some() => {
            let hint = "add `--layout sentence-transformers`, or remove `--pooling` and `--normalize`";
            return Err(Advised::new("`--layout transformers` has no pooling", hint).into());
        }
        Layout::Transformers => ExportLayout::Transformers,
    };
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
