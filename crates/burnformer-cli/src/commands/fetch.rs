//! `burnformer fetch`: models of the Hugging Face hub.

use anyhow::{Context as _, Result};
use burnformer::core::files::NewFolder;
use burnformer::hub::{Hub, HubError};

use super::Outcome;
use crate::args::FetchArgs;
use crate::context::Context;

pub(super) fn run(args: &FetchArgs, Context { terminal, interrupt, .. }: &Context) -> Result<Outcome> {
    let out = args.out.as_deref().map(NewFolder::create).transpose()?;
    let fetch = || -> Result<_, HubError> {
        let repository = Hub::from_env()?.repository(&args.name, &args.revision, interrupt)?;
        let names = repository.fetch_model(terminal, interrupt)?;
        repository.name_revision(&args.revision)?;
        Ok((repository, names))
    };
    let (repository, names) = fetch().with_context(|| format!("cannot fetch `{}`", args.name))?;
    terminal.note(format_args!("{} files of `{}` at commit {}", names.len(), args.name, repository.commit()));
    let folder = match (&args.out, out) {
        (Some(path), Some(out)) => {
            repository.copy(&names, out.path(), interrupt)?;
            out.commit()?;
            path.clone()
        }
        _ => repository.folder(),
    };
    terminal.print_lines(&[folder.display().to_string()])?;
    Ok(Outcome::Done)
}
