//! The text of `--help`, and that of `--explain`.

use std::fmt::Write;

use super::Problem;
use super::arguments::{OPTIONS, OptionHelp, SWEEPS};
use super::derived::Derived;
use super::kind::Kind;
use super::resolve::Entry;
use super::schema::{Item, Schema, Setting};

/// Columns of the help's text.
const WIDTH: usize = 100;

/// The help of a program called `program`, which makes sweeps or not.
pub(super) fn help(program: &str, schema: &Schema, sweeps: bool) -> String {
    let mut text = String::new();
    if !schema.help.is_empty() {
        text += &wrap(schema.help, 0);
        text.push('\n');
    }
    let _ = writeln!(text, "Usage: {program} [OPTION]... [KEY=VALUE]...");
    section(&mut text, "Settings:", "", schema);
    options(&mut text, "Options:", &OPTIONS);
    if sweeps {
        options(&mut text, "Sweeps:", &SWEEPS);
    }
    text
}

fn options(text: &mut String, title: &str, options: &[OptionHelp]) {
    const COLUMN: usize = 22;
    let _ = writeln!(text, "\n{title}");
    for OptionHelp { name, value, help } in options {
        let help = wrap(help, COLUMN);
        let _ = write!(text, "  {:<1$}{2}", format!("{name} {value}"), COLUMN - 2, help.trim_start());
    }
}

/// The settings of a section under `title`, then its sections.
fn section(text: &mut String, title: &str, prefix: &str, schema: &Schema) {
    let own = || {
        schema.items.iter().filter_map(|item| match item {
            Item::Setting(setting) => Some((format!("  {prefix}{}", assignment(setting)), setting)),
            Item::Section { .. } => None,
        })
    };
    if own().next().is_some() {
        let column = own().map(|(start, _)| start.len()).max().unwrap_or(0) + 2;
        let _ = writeln!(text, "\n{title}");
        own().for_each(|(start, setting)| entry(text, &start, column, setting));
    }
    for item in &schema.items {
        if let Item::Section { key, help, schema } = item {
            let title = wrap(&format!("{prefix}{key}: {help}"), 0);
            section(text, title.trim_end().trim_end_matches(':'), &format!("{prefix}{key}."), schema);
        }
    }
}

/// A setting: what one would type for its default, what it takes, and what it means.
fn entry(text: &mut String, start: &str, column: usize, setting: &Setting) {
    let _ = writeln!(text, "{start:<column$}{}", setting.expected());
    text.push_str(&wrap(setting.help, 6));
    if let Kind::Choice(choices) = setting.kind.innermost() {
        for choice in choices.iter().filter(|choice| !choice.help.is_empty()) {
            text.push_str(&wrap(&format!("{}: {}", choice.name, choice.help), 8));
        }
    }
    if !setting.applies.is_empty() {
        let conditions: Vec<String> = setting.applies.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "      Applies when {}.", conditions.join(" and "));
    }
}

fn assignment(setting: &Setting) -> String {
    format!("{}={}", setting.key, setting.kind.to_text(&setting.default))
}

/// Paragraphs wrapped at [`WIDTH`] columns and indented; an empty line ends a paragraph.
fn wrap(paragraphs: &str, indent: usize) -> String {
    let mut text = String::new();
    for (at, paragraph) in paragraphs.trim().split("\n\n").enumerate() {
        if at > 0 {
            text.push('\n');
        }
        let mut column = 0;
        for word in paragraph.split_whitespace() {
            if column > 0 && column + 1 + word.chars().count() > WIDTH {
                text.push('\n');
                column = 0;
            }
            let gap = if column == 0 { " ".repeat(indent) } else { " ".into() };
            column += gap.len() + word.chars().count();
            text = text + &gap + word;
        }
        if column > 0 {
            text.push('\n');
        }
    }
    text
}

/// Each value, where it comes from, and why it has no effect if it has none; then what follows from the values.
pub(super) fn explain(entries: &[Entry<'_>], idle: &[Problem], derived: &[Derived]) -> String {
    let line = |entry: &Entry<'_>| format!("{}={}", entry.key, entry.setting.kind.to_text(&entry.value));
    let reason = |derived: &Derived| (derived.assignment(), format!("derived: {}", derived.reason));
    let value = |entry: &Entry<'_>| {
        let idle = idle.iter().find(|problem| problem.key == entry.key);
        let idle = idle.map_or(String::new(), |problem| format!("; {}", problem.message));
        (line(entry), format!("{}{idle}", entry.origin))
    };
    let lines: Vec<(String, String)> = entries.iter().map(value).chain(derived.iter().map(reason)).collect();
    let column = lines.iter().map(|(start, _)| start.chars().count()).max().unwrap_or(0) + 2;
    lines.iter().fold(String::new(), |mut text, (start, origin)| {
        let _ = writeln!(text, "{start:<column$}{origin}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_wrapped_and_stand_apart() {
        let long = "x".repeat(WIDTH);
        assert_eq!(wrap(&format!("a b {long} c\n\nd\ne"), 2), format!("  a b\n  {long}\n  c\n\n  d e\n"));
        let fits = format!("a {}", "y".repeat(WIDTH - 4));
        assert_eq!(wrap(&fits, 2), format!("  {fits}\n"));
        assert_eq!(wrap(&format!("{fits}y"), 2).lines().count(), 2);
        assert_eq!(wrap("", 2), "");
        // a word that no line holds stands alone, without an empty line before it
        assert_eq!(wrap(&format!("{long}x a"), 2), format!("  {long}x\n  a\n"));
    }
}
