//! `burnformer completions`.

use clap::Args;
use clap_complete::Shell;

/// Print a shell completion script
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer completions bash > ~/.local/share/bash-completion/completions/burnformer
  burnformer completions zsh > ~/.zfunc/_burnformer
  burnformer completions fish > ~/.config/fish/completions/burnformer.fish")]
pub(crate) struct CompletionsArgs {
    /// Shell to write the script for
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}
