//! The grammar of an axis: `KEY=1,2,4`, `KEY=1..8`, `KEY=logspace(1e-3,1e-1,5)`, `zip(KEY=1,2; KEY=3,4)`.

use crate::config::{Keyed, Kind, Problem, Schema, Setting};
use crate::names;

/// Values of one axis at most, and runs of a sweep.
pub(super) const MOST: usize = 100_000;

/// The functions that make values.
const FUNCTIONS: [&str; 2] = ["linspace", "logspace"];

/// Keys that change together.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    pub keys: Vec<String>,
    /// The values of the keys at each point of the axis, in the grammar of the command line.
    pub points: Vec<Vec<String>>,
}

/// A part of the text of an axis.
#[derive(Clone, Copy)]
struct Piece<'a> {
    text: &'a str,
    /// Its first character in the whole, from 1.
    at: usize,
}

impl Axis {
    /// Reads the text of an axis; `settings` are those of the program.
    pub fn read(text: &str, settings: &[Keyed<'_>]) -> Result<Self, Problem> {
        let whole = Piece { text, at: 1 }.trimmed();
        let inside = whole.text.strip_prefix("zip(").map(|rest| (rest, rest.strip_suffix(')')));
        let axis = match inside {
            None => Self::single(whole, settings)?,
            Some((_, None)) => {
                return Err(wrong(text, whole.at + 3, "a '(' is not closed"));
            }
            Some((_, Some(inside))) => {
                Self::zipped(text, Piece { text: inside, at: whole.at + 4 }, settings)?
            }
        };
        match twice(&axis) {
            Some(again) => Err(Problem::general(format!("axis '{text}' has {again} twice"))),
            None => Ok(axis),
        }
    }

    fn zipped(text: &str, inside: Piece<'_>, settings: &[Keyed<'_>]) -> Result<Self, Problem> {
        let pieces = inside.split(';').map_err(|(at, why)| wrong(text, at, why))?;
        let axes =
            pieces.into_iter().map(|piece| Self::single(piece, settings)).collect::<Result<Vec<_>, _>>()?;
        let length = axes.first().map_or(0, |axis| axis.points.len());
        if let Some(other) = axes.iter().find(|axis| axis.points.len() != length) {
            let (first, other_length) = (&axes[0].keys[0], other.points.len());
            let message =
                format!("zip needs as many values of each key, found {length} of {first} and {other_length}");
            return Err(Problem::new(other.keys[0].as_str(), message));
        }
        let keys: Vec<String> = axes.iter().map(|axis| axis.keys[0].clone()).collect();
        if let Some(key) =
            keys.iter().enumerate().find(|(at, key)| keys[..*at].contains(key)).map(|(_, key)| key)
        {
            return Err(Problem::new(key.as_str(), "stands twice in one zip"));
        }
        let points = (0..length).map(|at| axes.iter().map(|axis| axis.points[at][0].clone()).collect());
        Ok(Self { points: points.collect(), keys })
    }

    /// `KEY=VALUES`.
    fn single(piece: Piece<'_>, settings: &[Keyed<'_>]) -> Result<Self, Problem> {
        let Some((key, values)) = piece.text.split_once('=') else {
            let message =
                format!("'{}' is no axis: write KEY=VALUE,VALUE... or zip(KEY=...; KEY=...)", piece.text);
            return Err(Problem::general(message));
        };
        let key = key.trim();
        let Some(Keyed { setting, .. }) = settings.iter().find(|keyed| keyed.key == key) else {
            let hint = names::hint(key, settings.iter().map(|keyed| keyed.key.as_str()));
            return Err(Problem::general(format!("no setting '{key}' to sweep over{hint}")));
        };
        let start = piece.text.chars().count() - values.chars().count();
        let values = Piece { text: values, at: piece.at + start };
        let pieces = values.split(',').map_err(|(at, why)| wrong(piece.text, at, why))?;
        let mut points = Vec::new();
        for value in pieces {
            points.extend(
                texts(value, setting)
                    .map_err(|why| Problem::new(key, why))?
                    .into_iter()
                    .map(|text| vec![text]),
            );
            if points.len() > MOST {
                return Err(Problem::new(key, format!("an axis has at most {MOST} values")));
            }
        }
        Ok(Self { keys: vec![key.into()], points })
    }
}

impl<'a> Piece<'a> {
    fn trimmed(self) -> Self {
        let start = self.text.trim_start();
        let skipped = self.text[..self.text.len() - start.len()].chars().count();
        Self { text: start.trim_end(), at: self.at + skipped }
    }

    /// The pieces between separators that are in no brackets and no quotes; the error has the character that is wrong.
    ///
    /// A quote opens at the beginning of a piece or of an item in brackets: `it's` has none.
    fn split(self, separator: char) -> Result<Vec<Self>, (usize, &'static str)> {
        let (mut pieces, mut start, mut begun) = (Vec::new(), 0, self.at);
        let mut open: Vec<(char, usize)> = Vec::new();
        let mut quote: Option<(char, usize)> = None;
        let mut begins = true;
        for (at, (byte, symbol)) in (self.at..).zip(self.text.char_indices()) {
            let began = begins;
            begins = matches!(symbol, '[' | '(' | ',' | ';' | '=') || began && symbol == ' ';
            match (quote, symbol) {
                (Some((mark, _)), _) if mark == symbol => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"') if began => quote = Some((symbol, at)),
                (None, '(' | '[') => open.push((symbol, at)),
                (None, ')' | ']') => match (open.pop(), symbol) {
                    (Some(('(', _)), ')') | (Some(('[', _)), ']') => {}
                    _ => return Err((at, "a bracket closes that is not open")),
                },
                (None, _) if symbol == separator && open.is_empty() => {
                    pieces.push(Self { text: &self.text[start..byte], at: begun });
                    (start, begun) = (byte + symbol.len_utf8(), at + 1);
                }
                _ => {}
            }
        }
        if let Some((_, at)) = quote {
            return Err((at, "a quote is not closed"));
        }
        if let Some((_, at)) = open.last() {
            return Err((*at, "a bracket is not closed"));
        }
        pieces.push(Self { text: &self.text[start..], at: begun });
        let pieces: Vec<Self> = pieces.into_iter().map(Self::trimmed).collect();
        match pieces.iter().find(|piece| piece.text.is_empty()) {
            Some(empty) => Err((empty.at, "a value is missing; an empty text is ''")),
            None => Ok(pieces),
        }
    }
}

/// The values that one piece stands for: one, or those of a range or function where the setting is a number.
fn texts(piece: Piece<'_>, setting: &Setting) -> Result<Vec<String>, String> {
    let one = |text: &str| setting.parse(text).map(|value| setting.kind.to_text(&value));
    if !is_number(&setting.kind) {
        return Ok(vec![one(piece.text)?]);
    }
    if let Some(range) = range(piece.text)? {
        return range.map(|n| one(&n.to_string())).collect();
    }
    match piece.text.split_once('(') {
        Some((name, rest)) => {
            let name = name.trim_end();
            let inside = rest.strip_suffix(')').unwrap_or(rest);
            spaced(name, inside)?.into_iter().map(|number| one(&number.to_string())).collect()
        }
        None => Ok(vec![one(piece.text)?]),
    }
}

fn is_number(kind: &Kind) -> bool {
    match kind {
        Kind::Optional(inner) => is_number(inner),
        kind => matches!(kind, Kind::Integer { .. } | Kind::Float { .. }),
    }
}

/// `START..END` without its end, `START..=END` with it.
fn range(text: &str) -> Result<Option<std::ops::Range<i64>>, String> {
    let Some((start, end)) = text.split_once("..") else { return Ok(None) };
    let (end, past) = end.strip_prefix('=').map_or((end, 0), |end| (end, 1));
    let (Ok(start), Ok(end)) = (start.trim().parse::<i64>(), end.trim().parse::<i64>()) else {
        return Err(format!("expected a range of integers, as in 1..8 (without 8) or 1..=8, found '{text}'"));
    };
    let end = end.saturating_add(past);
    match end.checked_sub(start) {
        Some(length) if length > 0 && length <= MOST as i64 => Ok(Some(start..end)),
        Some(length) if length <= 0 => Err(format!("the range {text} is empty")),
        _ => Err(format!("the range {text} has more than {MOST} values")),
    }
}

/// The values of `linspace(FROM,TO,COUNT)` or `logspace(FROM,TO,COUNT)`: both ends are there, exactly; those between are
/// rounded to six digits, so that they are the same on every machine and short in the names of folders.
fn spaced(name: &str, inside: &str) -> Result<Vec<f64>, String> {
    if !FUNCTIONS.contains(&name) {
        let hint = names::hint(name, FUNCTIONS);
        return Err(format!("no function '{name}' of values{hint}"));
    }
    let shape = || format!("write {name}(FROM,TO,COUNT), as in {name}(1,100,3), not {name}({inside})");
    let Ok([from, to, count]) = <[&str; 3]>::try_from(inside.split(',').map(str::trim).collect::<Vec<_>>())
    else {
        return Err(shape());
    };
    let number = |text: &str| text.parse::<f64>().ok().filter(|x| x.is_finite());
    let (Some(from), Some(to), Ok(count)) = (number(from), number(to), count.parse::<usize>()) else {
        return Err(shape());
    };
    if !(2..=MOST).contains(&count) {
        return Err(format!("{name} needs a count from 2 to {MOST}, found {count}"));
    }
    if name == "logspace" && !(from > 0.0 && to > 0.0) {
        return Err(format!("logspace needs numbers above 0, found {from} and {to}"));
    }
    let between = |at: usize| {
        let share = at as f64 / (count - 1) as f64;
        match at {
            0 => from,
            _ if at == count - 1 => to,
            _ if name == "logspace" => six_digits((from.ln() + share * (to.ln() - from.ln())).exp()),
            _ => six_digits(from + share * (to - from)),
        }
    };
    Ok((0..count).map(between).collect())
}

fn six_digits(number: f64) -> f64 {
    format!("{number:.5e}").parse().unwrap_or(number)
}

/// A point that is there twice, as text.
fn twice(axis: &Axis) -> Option<String> {
    let mut seen = std::collections::HashSet::new();
    let again = axis.points.iter().find(|point| !seen.insert(*point))?;
    Some(
        axis.keys
            .iter()
            .zip(again)
            .map(|(key, value)| format!("{key}={value}"))
            .collect::<Vec<_>>()
            .join(", "),
    )
}

fn wrong(text: &str, at: usize, why: &str) -> Problem {
    Problem::general(format!("axis '{text}': {why}, at character {at}"))
}

/// The axes of a group, or all that is wrong with them.
pub(super) fn group(texts: &[String], schema: &Schema) -> Result<Vec<Axis>, Vec<Problem>> {
    let settings = schema.settings();
    let (mut axes, mut problems) = (Vec::<Axis>::new(), Vec::new());
    for text in texts {
        match Axis::read(text, &settings) {
            Ok(axis) => {
                let again = axis.keys.iter().find(|key| axes.iter().any(|before| before.keys.contains(key)));
                if let Some(key) = again {
                    problems.push(Problem::new(key.as_str(), "is an axis twice in one --sweep"));
                }
                axes.push(axis);
            }
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(axes) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Setting;

    fn schema() -> Schema {
        let optim = Schema::new("Optim", "").setting(Setting::new("learning_rate", "", &0.1).min(0.0));
        Schema::new("Args", "")
            .section("optim_args", "", optim)
            .setting(Setting::new("seed", "", &1u64))
            .setting(Setting::new("steps", "", &None::<usize>))
            .setting(Setting::new("name", "", &String::new()))
            .setting(Setting::new("sizes", "", &vec![1usize]))
    }

    fn values(text: &str) -> Vec<String> {
        let axes = group(&[text.to_owned()], &schema()).unwrap();
        axes[0].points.iter().map(|point| point.join(" ")).collect()
    }

    fn problem(text: &str) -> String {
        group(&[text.to_owned()], &schema()).unwrap_err()[0].to_string()
    }

    #[test]
    fn lists_ranges_and_functions() {
        assert_eq!(values("seed=1,2,1e3"), ["1", "2", "1000"]);
        assert_eq!(values("seed=1..4"), ["1", "2", "3"]);
        assert_eq!(values("seed=1..=4, 9"), ["1", "2", "3", "4", "9"]);
        assert_eq!(values("steps=null,3..5"), ["null", "3", "4"]);
        assert_eq!(
            values("optim_args.learning_rate=logspace(1e-3,1e-1,5)"),
            ["0.001", "0.00316228", "0.01", "0.0316228", "0.1"]
        );
        assert_eq!(values("optim_args.learning_rate=linspace(0,1,3),2"), ["0.0", "0.5", "1.0", "2.0"]);
        assert_eq!(values("seed=logspace(64,1024,5)"), ["64", "128", "256", "512", "1024"]);
    }

    #[test]
    fn texts_are_verbatim_and_lists_keep_their_commas() {
        assert_eq!(values("name=a..b,f(1,2),'x, y',it's"), ["a..b", "f(1,2)", "x, y", "it's"]);
        assert_eq!(values("sizes=[1,2],[3]"), ["[1,2]", "[3]"]);
        assert_eq!(values("name='',b"), ["''", "b"]);
    }

    #[test]
    fn a_zip_changes_keys_together() {
        let axes =
            group(&["zip( seed = 1..4 ; optim_args.learning_rate=1,2,4)".to_owned()], &schema()).unwrap();
        assert_eq!(axes[0].keys, ["seed", "optim_args.learning_rate"]);
        assert_eq!(axes[0].points, [["1", "1.0"], ["2", "2.0"], ["3", "4.0"]]);
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        for (text, said) in [
            ("seed", "'seed' is no axis: write KEY=VALUE,VALUE... or zip(KEY=...; KEY=...)"),
            ("sede=1,2", "no setting 'sede' to sweep over; did you mean 'seed'?"),
            ("seed=1,,2", "axis 'seed=1,,2': a value is missing; an empty text is '', at character 8"),
            ("seed=", "axis 'seed=': a value is missing; an empty text is '', at character 6"),
            ("seed=x", "seed: expected an integer of at least 0, found 'x'"),
            ("seed=3..3", "seed: the range 3..3 is empty"),
            (
                "seed=1..1e9",
                "seed: expected a range of integers, as in 1..8 (without 8) or 1..=8, found '1..1e9'",
            ),
            ("seed=0..999999999", "seed: the range 0..999999999 has more than 100000 values"),
            ("seed=1,2,1", "axis 'seed=1,2,1' has seed=1 twice"),
            ("seed=logspac(1,2,3)", "seed: no function 'logspac' of values; did you mean 'logspace'?"),
            (
                "seed=logspace(1,2)",
                "seed: write logspace(FROM,TO,COUNT), as in logspace(1,100,3), not logspace(1,2)",
            ),
            ("seed=linspace(1,2,3)", "seed: expected an integer of at least 0, found '1.5'"),
            ("seed=logspace(0,2,3)", "seed: logspace needs numbers above 0, found 0 and 2"),
            ("sizes=[1,2", "axis 'sizes=[1,2': a bracket is not closed, at character 7"),
            ("zip(seed=1,2", "axis 'zip(seed=1,2': a '(' is not closed, at character 4"),
            (
                "zip(seed=1,2; optim_args.learning_rate=1)",
                "optim_args.learning_rate: zip needs as many values of each key, found 2 of seed and 1",
            ),
            ("zip(seed=1,2; seed=3,4)", "seed: stands twice in one zip"),
        ] {
            assert_eq!(problem(text), said);
        }
        let twice = group(&["seed=1,2".to_owned(), "seed=3".to_owned()], &schema()).unwrap_err();
        assert_eq!(twice[0].to_string(), "seed: is an axis twice in one --sweep");
    }

    #[test]
    fn a_long_axis_is_read_in_linear_time() {
        let text = format!(
            "name={}",
            vec!["'a(b'"; 50_000]
                .iter()
                .enumerate()
                .map(|(i, _)| format!("'{i}('"))
                .collect::<Vec<_>>()
                .join(",")
        );
        assert_eq!(values(&text).len(), 50_000);
    }
}
