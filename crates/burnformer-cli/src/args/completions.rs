//! `burnformer completions`.

use clap::Args;
use clap_complete::Shell;

/// Print a script that lets a shell complete commands and flags
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer completions bash > ~/.local/share/bash-completion/completions/burnformer
  burnformer completions zsh > ~/.zfunc/_burnformer
  burnformer completions fish > ~/.config/fish/completions/burnformer.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}
