//! `burnformer fetch`: models of the Hugging Face hub.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context as _, Result};
use burnformer::core::files::NewFolder;

use super::{Context, Outcome};
use crate::args::FetchArgs;
use crate::hub::Hub;

pub(super) fn run(args: &FetchArgs, context: &Context) -> Result<Outcome> {
    let out = args.out.as_deref().map(NewFolder::create).transpose()?;
    let fetch = || -> Result<_> {
        let repository = Hub::from_env()?.repository(&args.name, &args.revision, context)?;
        let names = repository.fetch_model(context)?;
        repository.name_revision(&args.revision)?;
        Ok((repository, names))
    };
    let (repository, names) = fetch().with_context(|| format!("cannot fetch `{}`", args.name))?;
    let what = format!("{} files of `{}` at commit {}", names.len(), args.name, repository.commit());
    context.terminal.note(what);
    let folder = match (&args.out, out) {
        (Some(path), Some(out)) => {
            copy(&repository.folder(), &names, out.path(), context)?;
            out.commit()?;
            path.clone()
        }
        _ => repository.folder(),
    };
    context.terminal.print(&folder.display().to_string())?;
    Ok(Outcome::Done)
}

/// Copies files, and the folders around them.
fn copy(from: &Path, names: &BTreeSet<String>, to: &Path, context: &Context) -> Result<()> {
    for name in names {
        context.interrupt.check()?;
        let target = to.join(name);
        let around = target.parent().map_or(Ok(()), fs::create_dir_all);
        let copied: io::Result<u64> = around.and_then(|()| fs::copy(from.join(name), &target));
        copied.with_context(|| format!("cannot write `{name}`"))?;
    }
    Ok(())
}
