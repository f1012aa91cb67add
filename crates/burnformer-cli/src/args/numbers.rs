//! Flags with numbers.

use std::any::TypeId;
use std::ops::{Bound, RangeBounds};

use clap::builder::TypedValueParser;
use clap::{Arg, Command};

/// Parses a whole number in `range`.
pub(super) fn whole<N>(range: impl RangeBounds<u64>) -> impl TypedValueParser<Value = N>
where
    N: TryFrom<i128> + Clone + Send + Sync + 'static,
{
    let start = match range.start_bound() {
        Bound::Included(&start) => i128::from(start),
        Bound::Excluded(&start) => i128::from(start) + 1,
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(&end) => Some(i128::from(end)),
        Bound::Excluded(&end) => Some(i128::from(end) - 1),
        Bound::Unbounded => None,
    };
    let shown = end.map_or_else(|| format!("{start}.."), |end| format!("{start}..={end}"));
    move |text: &str| {
        let number: i128 = text.parse().map_err(|_| format!("expected a whole number in {shown}"))?;
        if number < start || end.is_some_and(|end| number > end) {
            return Err(format!("{number} is not in {shown}"));
        }
        N::try_from(number).map_err(|_| format!("{number} is too large"))
    }
}

/// Lets every flag with a number take negative ones, so that they reach the check of its range: by default `-1` is read as
/// another flag.
pub(super) fn accept_negative(command: Command) -> Command {
    let command = command.mut_args(|arg| if is_number(&arg) { arg.allow_negative_numbers(true) } else { arg });
    command.mut_subcommands(accept_negative)
}

fn is_number(arg: &Arg) -> bool {
    is_whole(arg) || is_of::<f64>(arg)
}

fn is_whole(arg: &Arg) -> bool {
    is_of::<u32>(arg) || is_of::<u64>(arg) || is_of::<usize>(arg)
}

/// `true` if the value of `arg` is a `T`.
fn is_of<T: 'static>(arg: &Arg) -> bool {
    arg.get_action().takes_values() && arg.get_value_parser().type_id() == TypeId::of::<T>()
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;
    use crate::args::Cli;

    /// Every flag below `command` with a number, behind the names of the commands that lead to it.
    fn numbers(command: &Command, above: &[String]) -> Vec<(Vec<String>, Arg)> {
        let path = [above, &[command.get_name().to_owned()]].concat();
        let own = command.get_arguments().filter(|arg| is_number(arg)).map(|arg| (path.clone(), arg.clone()));
        let below = command.get_subcommands().flat_map(|below| numbers(below, &path));
        own.chain(below).collect()
    }

    #[test]
    fn every_flag_with_a_number_is_told_its_range() {
        let definition = Cli::definition();
        let numbers = numbers(&definition, &[]);
        let names: Vec<_> = numbers.iter().filter_map(|(_, arg)| arg.get_long()).collect();
        for expected in ["epochs", "length-penalty", "min-length", "validation", "learning-rate", "seed", "batch-size"]
        {
            assert!(names.contains(&expected), "`--{expected}` is not among {names:?}");
        }
        for (path, arg) in numbers {
            let flag = format!("--{}", arg.get_long().unwrap());
            let parse = |value: &str| {
                let line = path.iter().map(String::as_str).chain([flag.as_str(), value]);
                definition.clone().try_get_matches_from(line)
            };
            // What else the command needs is not there, which is found out once the values are parsed.
            let error = parse("-1").map_or_else(|error| error, |matches| panic!("{path:?} {flag} -1: {matches:?}"));
            if is_whole(&arg) {
                assert_eq!(error.kind(), ErrorKind::ValueValidation, "{path:?} {flag} -1: {error}");
                let said = error.to_string();
                assert!(said.contains("-1 is not in ") && said.contains(&flag), "{path:?} {flag}: {said}");
                let said = parse("many").unwrap_err().to_string();
                assert!(said.contains("expected a whole number in "), "{path:?} {flag}: {said}");
            } else {
                // The range is that of a setting, which is checked with the others.
                assert_eq!(error.kind(), ErrorKind::MissingRequiredArgument, "{path:?} {flag} -1: {error}");
            }
        }
    }

    #[test]
    fn ranges_end_where_they_say() {
        let parse = |text: &str| {
            let arg = Arg::new("n").value_parser(whole::<u32>(1..=3));
            let parsed = Command::new("test").no_binary_name(true).arg(arg).try_get_matches_from([text]);
            parsed.map(|matches| *matches.get_one::<u32>("n").unwrap()).ok()
        };
        assert_eq!(["0", "1", "3", "4", "1.5", ""].map(parse), [None, Some(1), Some(3), None, None, None]);
        let arg = Arg::new("n").value_parser(whole::<u32>(..));
        let parsed = Command::new("test").no_binary_name(true).arg(arg).try_get_matches_from(["4294967296"]);
        assert!(parsed.unwrap_err().to_string().contains("4294967296 is too large"));
    }
}
