//! The grammar of an axis: `KEY=1,2,4`, `KEY=1..8`, `KEY=logspace(1e-3,1e-1,5)`, `zip(KEY=1,2; KEY=3,4)`.

use std::collections::HashSet;

use ihead_formula::Problem;
use ihead_formula::lex::{Scanner, Token};
use ihead_formula::split::{Cut, Doubled, Flaw, FlawKind, Piece};

use crate::config::{self, Keyed, Kind, Schema, Setting};
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

/// How the values of an axis are cut.
const VALUES: Cut = Cut {
    separator: ',',
    brackets: &[('[', ']'), ('(', ')')],
    before_quotes: &['[', '(', ',', ';', '='],
    doubled: Doubled::Closes,
};

/// How the axes of a zip are cut.
const AXES: Cut = Cut { separator: ';', ..VALUES };

impl Axis {
    /// Reads the text of an axis; `settings` are those of the program.
    pub fn read(text: &str, settings: &[Keyed<'_>]) -> Result<Self, config::Problem> {
        let whole = Piece::of(text);
        let inside = whole.text.strip_prefix("zip(").map(|rest| (rest, rest.strip_suffix(')')));
        let axis = match inside {
            None => Self::single(whole, settings)?,
            Some((_, None)) => {
                return Err(wrong(text, Flaw { kind: FlawKind::Open('('), at: whole.at + 3 }));
            }
            Some((_, Some(inside))) => {
                Self::zipped(text, Piece { text: inside, at: whole.at + 4 }, settings)?
            }
        };
        match twice(&axis) {
            Some(again) => Err(config::Problem::general(format!("axis '{text}' has {again} twice"))),
            None => Ok(axis),
        }
    }

    fn zipped(text: &str, inside: Piece<'_>, settings: &[Keyed<'_>]) -> Result<Self, config::Problem> {
        let pieces = inside.split(&AXES).map_err(|flaw| wrong(text, flaw))?;
        let axes =
            pieces.into_iter().map(|piece| Self::single(piece, settings)).collect::<Result<Vec<_>, _>>()?;
        let length = axes.first().map_or(0, |axis| axis.points.len());
        if let Some(other) = axes.iter().find(|axis| axis.points.len() != length) {
            let (first, other_length) = (&axes[0].keys[0], other.points.len());
            let message =
                format!("zip needs as many values of each key, found {length} of {first} and {other_length}");
            return Err(config::Problem::new(other.keys[0].as_str(), message));
        }
        let keys: Vec<String> = axes.iter().map(|axis| axis.keys[0].clone()).collect();
        let mut seen = HashSet::new();
        if let Some(key) = keys.iter().find(|key| !seen.insert(*key)) {
            return Err(config::Problem::new(key.as_str(), "stands twice in one zip"));
        }
        let points = (0..length).map(|at| axes.iter().map(|axis| axis.points[at][0].clone()).collect());
        Ok(Self { points: points.collect(), keys })
    }

    /// `KEY=VALUES`.
    fn single(piece: Piece<'_>, settings: &[Keyed<'_>]) -> Result<Self, config::Problem> {
        let Some(sign) = piece.text.find('=') else {
            let message =
                format!("'{}' is no axis: write KEY=VALUE,VALUE... or zip(KEY=...; KEY=...)", piece.text);
            return Err(config::Problem::general(message));
        };
        let key = piece.text[..sign].trim();
        let Some(Keyed { setting, .. }) = settings.iter().find(|keyed| keyed.key == key) else {
            let hint = names::hint(key, settings.iter().map(|keyed| keyed.key.as_str()));
            return Err(config::Problem::general(format!("no setting '{key}' to sweep over{hint}")));
        };
        let pieces = piece.from(sign + 1).split(&VALUES).map_err(|flaw| wrong(piece.text, flaw))?;
        let mut points = Vec::new();
        for value in pieces {
            points.extend(
                texts(value, setting)
                    .map_err(|why| config::Problem::new(key, why))?
                    .into_iter()
                    .map(|text| vec![text]),
            );
            if points.len() > MOST {
                return Err(config::Problem::new(key, format!("an axis has at most {MOST} values")));
            }
        }
        Ok(Self { keys: vec![key.into()], points })
    }
}

/// The values that one piece stands for: one, or those of a range or function where the setting is a number.
fn texts(piece: Piece<'_>, setting: &Setting) -> Result<Vec<String>, String> {
    let one = |text: &str| setting.parse(text).map(|value| setting.kind.to_text(&value));
    if !is_number(&setting.kind) {
        return Ok(vec![one(piece.text)?]);
    }
    match FirstSign::of(piece.text) {
        FirstSign::Range => range(piece)?.map(|n| one(&n.to_string())).collect(),
        FirstSign::Bracket(at) => {
            spaced(piece, at)?.into_iter().map(|number| one(&number.to_string())).collect()
        }
        FirstSign::None => Ok(vec![one(piece.text)?]),
    }
}

/// The sign that says what a value of numbers is.
enum FirstSign {
    /// `..` somewhere: a range.
    Range,
    /// A bracket at this byte: a function.
    Bracket(usize),
    None,
}

impl FirstSign {
    fn of(text: &str) -> FirstSign {
        let (mut scanner, mut bracket) = (Scanner::new(text), None);
        loop {
            match scanner.token() {
                Token::Sign("..") => return FirstSign::Range,
                Token::Sign("(") => bracket = bracket.or(Some(scanner.place())),
                Token::End => return bracket.map_or(FirstSign::None, FirstSign::Bracket),
                _ => {}
            }
            scanner.advance();
        }
    }
}

fn is_number(kind: &Kind) -> bool {
    match kind {
        Kind::Optional(inner) => is_number(inner),
        kind => matches!(kind, Kind::Integer { .. } | Kind::Float { .. }),
    }
}

/// `START..END` without its end, `START..=END` with it.
fn range(piece: Piece<'_>) -> Result<std::ops::Range<i64>, String> {
    let text = piece.text;
    let mut scanner = Scanner::new(text);
    let ends = (|| {
        let start = integer(&mut scanner, text)?;
        let dots = scanner.place();
        if !scanner.take("..") {
            return None;
        }
        let past = i64::from(scanner.place() == dots + 2 && scanner.take("="));
        let end = integer(&mut scanner, text)?;
        (scanner.token() == Token::End).then_some((start, end.saturating_add(past)))
    })();
    let Some((start, end)) = ends else {
        let Problem { at, expected, found } =
            scanner.problem("a range of integers, as in 1..8 (without 8) or 1..=8");
        return Err(format!(
            "expected {expected}, found '{text}': {found} at character {}",
            piece.at + at - 1
        ));
    };
    match end.checked_sub(start) {
        Some(length) if length > 0 && length <= MOST as i64 => Ok(start..end),
        Some(length) if length <= 0 => Err(format!("the range {text} is empty")),
        _ => Err(format!("the range {text} has more than {MOST} values")),
    }
}

/// An integer with its sign, without white space between.
fn integer(scanner: &mut Scanner<'_>, text: &str) -> Option<i64> {
    let mut ahead = scanner.clone();
    let start = ahead.place();
    let _ = ahead.take("-") || ahead.take("+");
    let Token::Number(digits) = ahead.token() else { return None };
    let integer = text[start..ahead.place() + digits.len()].parse().ok()?;
    ahead.advance();
    *scanner = ahead;
    Some(integer)
}

/// The values of `linspace(FROM,TO,COUNT)` or `logspace(FROM,TO,COUNT)`: both ends are there, exactly; those between are
/// rounded to six digits, so that they are the same on every machine and short in the names of folders.
fn spaced(piece: Piece<'_>, bracket: usize) -> Result<Vec<f64>, String> {
    let name = piece.text[..bracket].trim_end();
    if !FUNCTIONS.contains(&name) {
        let known = FUNCTIONS.join(" and ");
        let hint = match names::hint(name, FUNCTIONS) {
            hint if hint.is_empty() => format!("; there are {known}"),
            hint => hint,
        };
        return Err(format!("no function '{name}' of values{hint}"));
    }
    let inside = &piece.text[bracket + 1..];
    let mut scanner = Scanner::new(inside);
    let read = (|| {
        let from = number(&mut scanner).filter(|_| scanner.take(","))?;
        let to = number(&mut scanner).filter(|_| scanner.take(","))?;
        let count = scanner.word()?.parse::<usize>().ok()?;
        (scanner.take(")") && scanner.token() == Token::End).then_some((from, to, count))
    })();
    let Some((from, to, count)) = read else {
        let Problem { at, found, .. } = scanner.problem("");
        let at = piece.at + piece.text[..=bracket].chars().count() + at - 1;
        return Err(format!(
            "write {name}(FROM,TO,COUNT), as in {name}(1,100,3), not {name}({inside}: {found} at character {at}"
        ));
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

/// A finite number.
fn number(scanner: &mut Scanner<'_>) -> Option<f64> {
    scanner.word()?.parse::<f64>().ok().filter(|x| x.is_finite())
}

fn six_digits(number: f64) -> f64 {
    format!("{number:.5e}").parse().unwrap_or(number)
}

/// A point that is there twice, as text.
fn twice(axis: &Axis) -> Option<String> {
    let mut seen = HashSet::new();
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

fn wrong(text: &str, Flaw { kind, at }: Flaw) -> config::Problem {
    let why = match kind {
        FlawKind::Empty => "a value is missing; an empty text is ''".to_string(),
        kind => kind.to_string(),
    };
    config::Problem::general(format!("axis '{text}': {why}, at character {at}"))
}

/// The axes of a group, or all that is wrong with them.
pub(super) fn group(texts: &[String], schema: &Schema) -> Result<Vec<Axis>, Vec<config::Problem>> {
    let settings = schema.settings();
    let (mut axes, mut problems) = (Vec::<Axis>::new(), Vec::new());
    for text in texts {
        match Axis::read(text, &settings) {
            Ok(axis) => {
                let again = axis.keys.iter().find(|key| axes.iter().any(|before| before.keys.contains(key)));
                if let Some(key) = again {
                    problems.push(config::Problem::new(key.as_str(), "is an axis twice in one --sweep"));
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
                "seed: expected a range of integers, as in 1..8 (without 8) or 1..=8, found '1..1e9': `1e9` at character 9",
            ),
            ("seed=0..999999999", "seed: the range 0..999999999 has more than 100000 values"),
            ("seed=1,2,1", "axis 'seed=1,2,1' has seed=1 twice"),
            ("seed=logspac(1,2,3)", "seed: no function 'logspac' of values; did you mean 'logspace'?"),
            ("seed=range(0,5)", "seed: no function 'range' of values; there are linspace and logspace"),
            (
                "seed=logspace(1,2)",
                "seed: write logspace(FROM,TO,COUNT), as in logspace(1,100,3), not logspace(1,2): `)` at character 18",
            ),
            ("seed=linspace(1,2,3)", "seed: expected an integer of at least 0, found '1.5'"),
            ("seed=logspace(0,2,3)", "seed: logspace needs numbers above 0, found 0 and 2"),
            ("sizes=[1,2", "axis 'sizes=[1,2': a '[' is not closed, at character 7"),
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
