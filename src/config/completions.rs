//! The text of `--completions`: keys, choices, files and options, for three shells.

use std::fmt::Write;

use super::arguments::options;
use super::kind::Kind;
use super::schema::{Keyed, Schema};

/// The shells that `--completions` writes for.
pub(super) const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// What follows the `=` of a setting.
enum Values {
    /// One of these.
    Words(Vec<String>),
    Files,
    /// Nothing that could be proposed.
    Free,
}

/// The script for `shell`, one of [`SHELLS`], of a program that makes sweeps or not.
pub(super) fn completions(shell: &str, program: &str, schema: &Schema, sweeps: bool) -> String {
    match shell {
        "zsh" => zsh(program, schema, sweeps),
        "fish" => fish(program, schema, sweeps),
        _ => bash(program, schema, sweeps),
    }
}

impl Values {
    fn of(kind: &Kind) -> Self {
        let words = |words: &[&str]| Self::Words(words.iter().map(|word| (*word).into()).collect());
        match kind {
            Kind::Bool => words(&["true", "false"]),
            Kind::Choice(choices) => {
                Self::Words(choices.iter().map(|choice| quoted_for_shell(choice.name)).collect())
            }
            Kind::Path => Self::Files,
            Kind::Optional(inner) => match Self::of(inner) {
                Self::Words(mut words) => {
                    words.push("null".into());
                    Self::Words(words)
                }
                Self::Free => words(&["null"]),
                Self::Files => Self::Files,
            },
            Kind::Integer { .. } | Kind::Float { .. } | Kind::Text | Kind::List(_) => Self::Free,
        }
    }
}

/// A name as one word of a shell; names of choices are letters, digits, `_` and `-`, which need no quotes.
fn quoted_for_shell(name: &str) -> String {
    name.replace(['\'', '"', ' ', '$', '`', '\\'], "")
}

/// A name that a shell takes as that of a function.
fn function(program: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    format!("_complete_{}", program.chars().map(plain).collect::<String>())
}

fn option_names(sweeps: bool) -> String {
    let mut names: Vec<&str> = options(sweeps).map(|option| option.name).collect();
    names.push("-h");
    names.join(" ")
}

fn keys(settings: &[Keyed<'_>]) -> String {
    settings.iter().map(|keyed| format!("{}=", keyed.key)).collect::<Vec<_>>().join(" ")
}

/// Bash breaks words at `=`, so the word under the cursor is read from the line, and what is proposed stands after the `=`.
fn bash(program: &str, schema: &Schema, sweeps: bool) -> String {
    let (function, settings) = (function(program), schema.settings());
    let mut cases = String::new();
    for Keyed { key, setting } in &settings {
        let reply = match Values::of(&setting.kind) {
            Values::Words(words) => format!("compgen -W '{}' -- \"$value\"", words.join(" ")),
            Values::Files => "compgen -f -- \"$value\"".into(),
            Values::Free => continue,
        };
        let _ = writeln!(cases, "            {key}) reply=$({reply}) ;;");
    }
    format!(
        "# Completions of {program} for bash: source this file, or put it where bash-completion looks for it.
{function}() {{
    local line=${{COMP_LINE:0:COMP_POINT}} word key value reply=''
    word=${{line##*[[:space:]]}}
    word=${{word#[\\'\\\"]}}
    COMPREPLY=()
    if [[ $word == -* ]]; then
        reply=$(compgen -W '{options}' -- \"$word\")
    elif [[ $word == *=* ]]; then
        key=${{word%%=*}} value=${{word#*=}}
        case $key in
{cases}        esac
        [[ $COMP_WORDBREAKS == *=* ]] || reply=${{reply:+$(sed \"s|^|$key=|\" <<<\"$reply\")}}
    elif [[ ${{COMP_WORDS[COMP_CWORD-1]}} == --completions ]]; then
        reply=$(compgen -W '{shells}' -- \"$word\")
    elif [[ ${{COMP_WORDS[COMP_CWORD-1]}} == --emit ]]; then
        reply=$(compgen -W 'commands parallel slurm' -- \"$word\")
    elif [[ ${{COMP_WORDS[COMP_CWORD-1]}} == --config ]]; then
        reply=$(compgen -f -- \"$word\")
    else
        reply=$(compgen -W '{keys}' -- \"$word\")
        compopt -o nospace 2>/dev/null
    fi
    [[ -z $reply ]] || mapfile -t COMPREPLY <<<\"$reply\"
}}
complete -F {function} {program}
",
        options = option_names(sweeps),
        shells = SHELLS.join(" "),
        keys = keys(&settings),
    )
}

fn zsh(program: &str, schema: &Schema, sweeps: bool) -> String {
    let (function, settings) = (function(program), schema.settings());
    let mut cases = String::new();
    for Keyed { key, setting } in &settings {
        let reply = match Values::of(&setting.kind) {
            Values::Words(words) => format!("compadd -- {}", words.join(" ")),
            Values::Files => "_files".into(),
            Values::Free => continue,
        };
        let _ = writeln!(cases, "            {key}) {reply} ;;");
    }
    format!(
        "#compdef {program}
# Completions of {program} for zsh: put this file as _{program} into a folder of $fpath, or source it after compinit.
{function}() {{
    local key
    if [[ $PREFIX == -* ]]; then
        compadd -- {options}
    elif compset -P 1 '*='; then
        key=${{${{words[CURRENT]}}%%=*}}
        case $key in
{cases}        esac
    elif [[ ${{words[CURRENT-1]}} == --completions ]]; then
        compadd -- {shells}
    elif [[ ${{words[CURRENT-1]}} == --emit ]]; then
        compadd -- commands parallel slurm
    elif [[ ${{words[CURRENT-1]}} == --config ]]; then
        _files
    else
        compadd -S '' -- {keys}
    fi
}}
compdef {function} {program}
",
        options = option_names(sweeps),
        shells = SHELLS.join(" "),
        keys = keys(&settings),
    )
}

fn fish(program: &str, schema: &Schema, sweeps: bool) -> String {
    let mut text = format!(
        "# Completions of {program} for fish: put this file as {program}.fish into ~/.config/fish/completions.\n\
         complete -c {program} -f\n"
    );
    for option in options(sweeps) {
        let name = option.name.trim_start_matches('-');
        let value = match option.name {
            "--config" => " -r -F",
            "--completions" => " -x -a 'bash zsh fish'",
            "--emit" => " -x -a 'commands parallel slurm'",
            _ if option.value.is_empty() => "",
            _ => " -x",
        };
        let _ = writeln!(text, "complete -c {program} -l {name}{value} -d '{}'", fish_quoted(option.help));
    }
    for Keyed { key, setting } in schema.settings() {
        let help = fish_quoted(first_line(setting.help));
        let _ = writeln!(text, "complete -c {program} -a '{key}=' -d '{help}'");
        let values = match Values::of(&setting.kind) {
            Values::Words(words) => {
                words.iter().map(|word| format!("{key}={word}")).collect::<Vec<_>>().join(" ")
            }
            Values::Files => format!(
                "(__fish_complete_path (string replace -r \"^{key}=\" \"\" -- (commandline -ct)) | string replace -r \"^\" \"{key}=\")"
            ),
            Values::Free => continue,
        };
        let condition = format!("string match -q -- \"{key}=*\" (commandline -ct)");
        let _ = writeln!(text, "complete -c {program} -n '{condition}' -a '{values}'");
    }
    text
}

fn first_line(help: &str) -> &str {
    help.lines().next().unwrap_or_default()
}

fn fish_quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}
