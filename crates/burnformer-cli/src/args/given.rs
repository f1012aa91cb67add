//! Groups of flags that know which of them were given.

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, Error, FromArgMatches, Id};

/// A group of flags, and which of them stand on the command line rather than have their defaults.
#[derive(Debug)]
pub(crate) struct Given<T> {
    /// The values of the flags.
    pub(crate) values: T,
    /// The flags on the command line, in the order of their definition.
    pub(crate) flags: Vec<String>,
}

impl<T: Args> Given<T> {
    /// The flags of the group that `matches` has from the command line.
    fn flags(matches: &ArgMatches) -> Vec<String> {
        let is_given = |id: &Id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
        let group = T::augment_args(Command::new("group"));
        let given = group.get_arguments().filter(|arg| is_given(arg.get_id()));
        given.map(|arg| arg.get_long().map_or_else(|| arg.to_string(), |long| format!("--{long}"))).collect()
    }
}

impl<T: Args> Args for Given<T> {
    fn group_id() -> Option<Id> {
        T::group_id()
    }

    fn augment_args(command: Command) -> Command {
        T::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        T::augment_args_for_update(command)
    }
}

impl<T: Args> FromArgMatches for Given<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Self::from_arg_matches_mut(&mut matches.clone())
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, Error> {
        // Reading the values takes them out of `matches`.
        let flags = Self::flags(matches);
        Ok(Self { values: T::from_arg_matches_mut(matches)?, flags })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.flags.extend(Self::flags(matches));
        self.values.update_from_arg_matches(matches)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{GenerationArgs, MetricArgs};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        metrics: Given<MetricArgs>,

        #[command(flatten)]
        generation: Given<GenerationArgs>,
    }

    #[test]
    fn flags_are_told_from_defaults() {
        let line = Line::parse_from(["test", "--beam", "2", "--length-penalty", "1.0", "--lowercase"]);
        assert_eq!(line.metrics.flags, ["--lowercase"]);
        assert_eq!(line.generation.flags, ["--beam", "--length-penalty"]);
        assert_eq!(line.generation.values.beam, Some(2));
        assert!(line.metrics.values.lowercase);
        let line = Line::parse_from(["test"]);
        assert!(line.metrics.flags.is_empty() && line.generation.flags.is_empty());
    }
}
