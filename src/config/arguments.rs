//! A command line, split into options and settings.

use crate::names;

use super::Problem;

/// The options, as they are written and explained; each with the name of its value, if it takes one.
pub(super) const OPTIONS: [(&str, &str, &str); 4] = [
    ("--help", "", "Print this help (also -h)."),
    ("--config", "FILE", "Start from the values in FILE, the params.json of a run."),
    ("--print-config", "", "Print the resulting values as JSON, do nothing else."),
    ("--explain", "", "Print each value and where it comes from, do nothing else."),
];

/// What a command line asks for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Arguments {
    pub help: bool,
    pub print_config: bool,
    pub explain: bool,
    pub config: Option<String>,
    pub settings: Vec<Argument>,
    pub problems: Vec<Problem>,
}

/// One `key=value`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Argument {
    /// Its place on the command line, from 1.
    pub number: usize,
    pub key: String,
    /// What stands after `=`; none if there is no `=`.
    pub text: Option<String>,
}

impl Arguments {
    /// Splits `args`, which begin after the name of the program; `keys` are those that exist, for messages.
    pub fn split(args: impl IntoIterator<Item = String>, keys: &[&str]) -> Self {
        let mut split = Self::default();
        let mut args = (1..).zip(args);
        while let Some((number, arg)) = args.next() {
            match arg.as_str() {
                "--help" | "-h" => split.help = true,
                "--print-config" => split.print_config = true,
                "--explain" => split.explain = true,
                "--config" => split.config_file(args.next().map(|(_, file)| file)),
                _ => match arg.strip_prefix("--config=") {
                    Some(file) => split.config_file(Some(file.into())),
                    None if arg.starts_with('-') => split.problems.push(unknown_option(&arg, keys)),
                    None => split.settings.push(Argument::new(number, &arg)),
                },
            }
        }
        split
    }

    fn config_file(&mut self, file: Option<String>) {
        match (file, &self.config) {
            (None, _) => self.problems.push(Problem::general("--config needs a FILE after it")),
            (Some(file), None) if file.is_empty() => {
                self.problems.push(Problem::general("--config needs a FILE, found an empty name"));
            }
            (Some(file), None) => self.config = Some(file),
            (Some(file), Some(first)) => {
                let message = format!("--config is given twice, with '{first}' and '{file}'");
                self.problems.push(Problem::general(message));
            }
        }
    }
}

impl Argument {
    fn new(number: usize, arg: &str) -> Self {
        let (key, text) = arg.split_once('=').map_or((arg, None), |(key, text)| (key, Some(text.into())));
        Self { number, key: key.into(), text }
    }
}

fn unknown_option(arg: &str, keys: &[&str]) -> Problem {
    let name = arg.split('=').next().unwrap_or(arg);
    let options = OPTIONS.map(|(option, _, _)| option);
    let bare = name.trim_start_matches('-');
    let hint = match names::nearest(bare, keys.iter().copied()) {
        Some(key) if names::nearest(name, options).is_none() => {
            format!("; settings are written without dashes: {key}=VALUE")
        }
        _ => names::hint(name, options),
    };
    Problem::general(format!("no option '{name}'{hint}"))
}
