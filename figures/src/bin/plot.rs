//! Draws runs: `plot RUN... [KIND] [KEY=VALUE]...`.
//!
//! ```text
//! cargo run --release -p ihead-figure --bin plot -- runs/basic paper out=basic.svg
//! cargo run --release -p ihead-figure --bin plot -- runs/rates curves "y=['loss*','acc_end']" log_x=true
//! cargo run --release -p ihead-figure --bin plot -- runs/basic attention size=40
//! cargo run --release -p ihead-figure --bin plot -- runs/basic associations
//! cargo run --release --example collect -- runs/rates format=csv | cargo run --release -p ihead-figure --bin plot -- - table x=optim_args.learning_rate
//! ```
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ihead::config::{Exit, Origin, Parsed, Parser, Problem, words};
use ihead::data::{Batch, BigramData};
use ihead::graph::Model;
use ihead::internals::names::nearest;
use ihead::io::Array;
use ihead::probe::{Recall, StateDict};
use ihead::report::View;
use ihead::run::activations;
use ihead::{Config, Error, Result, io, output};
use ihead_figure::again::{Again, again};
use ihead_figure::runs::{Band, Chart, PAPER, Table, chart};
use ihead_figure::{Figure, Panel, Tokens, association, attention};

/// Draws runs: `plot RUN... [KIND] [KEY=VALUE]...` with KIND paper, curves, table, attention or associations.
#[derive(Config)]
struct Args {
    /// The file to write, .svg or .png.
    #[config(default = "figure.svg")]
    out: PathBuf,
    /// The width in millimetres: 85 is a column of a paper, 170 its page; as the figure needs without it.
    #[config(above = 0, max = 2000)]
    width: Option<f64>,
    /// Dots per inch of a PNG.
    #[config(default = 300, above = 0, max = 10000)]
    dpi: f64,
    /// The height of a panel with lines, in millimetres.
    #[config(default = 32, above = 0, max = 1000)]
    height: f64,
    /// Panels in a row; as the figure needs without it.
    #[config(min = 1, max = 100)]
    columns: Option<usize>,
    /// Curves, table: the numbers of each row of panels, as in ['loss*', 'acc_end,acc_end_test'].
    y: Vec<String>,
    /// Curves, table: the column of the horizontal axis, iter or a setting.
    x: Option<String>,
    /// Curves, table: settings whose values have panels of their own, side by side; the others become lines.
    panels: Vec<String>,
    /// Curves, table: settings to average over; seed without any.
    over: Vec<String>,
    /// Curves, table: what a band over runs shows.
    #[config(default = BandOf::Range)]
    band: BandOf,
    /// A logarithmic horizontal axis.
    #[config(default = false)]
    log_x: bool,
    /// A logarithmic vertical axis: numbers at or below 0 are left out, but a row of shares of which one is 0 stays linear.
    #[config(default = false)]
    log_y: bool,
    /// Curves, table: the range of all vertical axes, as in [0.5, 1]; without it that of the numbers, and from 0 to 1 for shares on a linear axis.
    y_range: Vec<f64>,
    /// Attention: sequences of the test batch.
    #[config(default = vec![0])]
    sequences: Vec<usize>,
    /// Attention: the first position that is shown.
    #[config(default = 0)]
    from: usize,
    /// Attention: how many positions are shown. Associations: rows and columns.
    #[config(default = 32, min = 1, max = 1024)]
    size: usize,
    /// Attention: the patterns, by names of sites with *; those of all layers without it.
    sites: Vec<String>,
    /// Attention: heads; all without it.
    heads: Vec<usize>,
    /// Attention, associations: iterations of snapshots; the final weights without any. Associations: all weights with any.
    snapshots: Vec<usize>,
    /// Associations: the recalls whose scores are drawn; those of the paper without any.
    #[config(default = vec![])]
    recalls: Vec<Recall>,
}

/// What a band shows.
#[derive(Config, Clone, Copy)]
enum BandOf {
    /// From the lowest to the highest run.
    Range,
    /// One standard error to each side of the mean.
    Error,
    /// The 95 % interval of the mean, by Student's t.
    Interval,
}

const KINDS: [&str; 5] = ["paper", "curves", "table", "attention", "associations"];

fn main() -> ExitCode {
    let (words, settings) = words(std::env::args_os().skip(1));
    let is_kind =
        |word: &std::ffi::OsString| KINDS.iter().any(|kind| word == kind) && !Path::new(word).exists();
    let (kinds, dirs): (Vec<_>, Vec<_>) = words.into_iter().partition(is_kind);
    let fail = |message: String| Exit::Fail(vec![Problem::general(message)]).report();
    let kind = kinds.first().map(|kind| kind.to_string_lossy().into_owned());
    match Parser::<Args>::new().program("plot RUN... [KIND]").parse(settings) {
        Err(exit) => exit.report(),
        Ok(_) if dirs.is_empty() => {
            fail(format!("no run is given: write plot RUN... [{}] [KEY=VALUE]...", KINDS.join("|")))
        }
        Ok(_) if kinds.len() > 1 => {
            fail(format!("{} kinds are given; expected one of {}", kinds.len(), KINDS.join(", ")))
        }
        Ok(parsed) => {
            let dirs: Vec<PathBuf> = dirs.into_iter().map(PathBuf::from).collect();
            if let Some((word, kind)) = dirs.iter().find_map(|dir| like_a_kind(dir)) {
                return fail(format!("no run or kind of figure '{word}'; did you mean '{kind}'?"));
            }
            output::report("warning", foreign(kind.as_deref(), &parsed));
            let done = plot(&dirs, kind.as_deref(), &parsed.args);
            done.map_or_else(|error| output::failed(&error), |()| ExitCode::SUCCESS)
        }
    }
}

/// Settings of some kinds of figure, with these kinds; a figure without a kind is one of curves.
const OF_KINDS: [(&[&str], &[&str]); 4] = [
    (&["y", "x", "panels", "over", "band", "log_x", "log_y", "y_range"], &["paper", "curves", "table"]),
    (&["sequences", "from", "sites", "heads"], &["attention"]),
    (&["size", "snapshots"], &["attention", "associations"]),
    (&["recalls"], &["associations"]),
];

/// Settings that were given and that this kind of figure does not have.
fn foreign(kind: Option<&str>, parsed: &Parsed<Args>) -> Vec<Problem> {
    let kind = kind.unwrap_or("curves");
    let is_given = |key: &str| parsed.origin(key).is_some_and(|origin| *origin != Origin::Default);
    let problem = |key: &str, kinds: &[&str]| {
        let kinds = kinds.join(", ");
        Problem::new(key, format!("has no effect on a figure of kind {kind}, only on one of kind {kinds}"))
    };
    let others = OF_KINDS.iter().filter(|(_, kinds)| !kinds.contains(&kind));
    others
        .flat_map(|(keys, kinds)| keys.iter().filter(|key| is_given(key)).map(|key| problem(key, kinds)))
        .collect()
}

/// A word that is no path and was perhaps meant as a kind of figure.
fn like_a_kind(word: &Path) -> Option<(&str, &'static str)> {
    let word = word.to_str().filter(|text| *text != "-" && !word.exists())?;
    Some((word, nearest(word, KINDS)?))
}

fn plot(dirs: &[PathBuf], kind: Option<&str>, args: &Args) -> Result<()> {
    let figure = match kind {
        Some("attention") => attentions(dirs, args)?,
        Some("associations") => associations(dirs, args)?,
        _ => curves(dirs, kind, args)?,
    };
    let mut figure = Figure { height: args.height, dots_per_inch: args.dpi, ..figure };
    if let Some(width) = args.width {
        figure.width = width;
    }
    if let Some(columns) = args.columns {
        figure.columns = columns;
    }
    figure.save(&args.out)?;
    output::line(format_args!("{}", args.out.display()))
}

/// Curves of runs, or of tables that were collected.
fn curves(dirs: &[PathBuf], kind: Option<&str>, args: &Args) -> Result<Figure> {
    let (tables, runs): (Vec<&PathBuf>, Vec<&PathBuf>) =
        dirs.iter().partition(|path| path.as_os_str() == "-" || path.is_file());
    let table = match (&tables[..], &runs[..]) {
        ([one], []) => read_table(one)?,
        ([], _) => Table::of_runs(dirs, kind == Some("table"))?,
        _ => return Err(Error::usage("one table, or folders of runs, but not both; expected either")),
    };
    output::report("incomplete", &table.incomplete);
    let has = |name: &str| table.frame.columns.iter().any(|column| column == name);
    let paper =
        kind == Some("paper") || kind.is_none() && args.y.is_empty() && has("acc_end") && has("wo1_acc");
    let y = if paper && args.y.is_empty() { PAPER.map(String::from).to_vec() } else { args.y.clone() };
    let band = match args.band {
        BandOf::Range => Band::Range,
        BandOf::Error => Band::Error,
        BandOf::Interval => Band::Interval,
    };
    chart(
        &table,
        &Chart {
            x: args.x.clone(),
            y,
            panels: args.panels.clone(),
            over: args.over.clone(),
            band,
            log_x: args.log_x,
            log_y: args.log_y,
            y_range: y_range(args)?,
        },
    )
}

fn y_range(args: &Args) -> Result<Option<(f64, f64)>> {
    match args.y_range[..] {
        [] => Ok(None),
        [low, high] => Ok(Some((low, high))),
        _ => {
            let found = format!("{} numbers", args.y_range.len());
            Err(Error::value("y_range", found, "two, the ends of the axis, as in [0.5, 1]"))
        }
    }
}

fn read_table(path: &Path) -> Result<Table> {
    if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(|e| Error::io("read", "standard input", e))?;
        return Table::read("standard input", &text);
    }
    let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
    Table::read(&path.display().to_string(), &text)
}

/// The stored weights of a run that are asked for, each with what it is called.
fn weights(dir: &Path, args: &Args, all: bool) -> Result<Vec<(String, PathBuf)>> {
    let stored = io::stored(dir)?;
    let named = |iteration: &Option<usize>| iteration.map_or("final".into(), |i| format!("iteration {i}"));
    if args.snapshots.is_empty() {
        let from = if all { 0 } else { stored.len() - 1 };
        return Ok(stored[from..].iter().map(|(iteration, path)| (named(iteration), path.clone())).collect());
    }
    let mut found = Vec::new();
    for wanted in &args.snapshots {
        let Some((iteration, path)) = stored.iter().find(|(iteration, _)| *iteration == Some(*wanted)) else {
            return Err(no_snapshot(dir, *wanted, stored.iter().filter_map(|(iteration, _)| *iteration)));
        };
        found.push((named(iteration), path.clone()));
    }
    Ok(found)
}

fn no_snapshot(dir: &Path, wanted: usize, known: impl Iterator<Item = usize>) -> Error {
    let known: Vec<String> = known.map(|iteration| iteration.to_string()).collect();
    let there = match known[..] {
        [] => "the run has none; `timeline='every 100: snapshot'` makes them".into(),
        _ => format!("there are those of [{}]", known.join(", ")),
    };
    Error::format(dir, format!("no snapshot of iteration {wanted}; {there}"))
}

fn attentions(dirs: &[PathBuf], args: &Args) -> Result<Figure> {
    if args.sequences.is_empty() {
        return Err(Error::config("sequences", "none; expected at least one, as in [0]"));
    }
    let mut panels = Vec::new();
    for dir in dirs {
        let (again, text) = match (again(dir), View::read(dir)?) {
            (Ok(found), _) => found,
            // a run of another program says itself what its model does
            (Err(_), Some(view)) => {
                panels.extend(kept(dir, &view, args)?);
                continue;
            }
            (Err(error), None) => return Err(error),
        };
        let weights = weights(dir, args, false)?;
        panels.extend(match again {
            Again::Basic(mut made) => patterns(&mut made.model, &made.test_batch, &weights, &text, args)?,
            Again::Full(mut made) => patterns(&mut made.model, &made.test_batch, &weights, &text, args)?,
        });
    }
    let columns = panels.len().min(2);
    Ok(Figure::new(panels).columns(columns).width(if columns > 1 { 170.0 } else { 85.0 }))
}

/// The patterns of the chosen sequences, heads and weights.
fn patterns(
    model: &mut impl Model,
    batch: &Batch,
    weights: &[(String, PathBuf)],
    text: &BigramData,
    args: &Args,
) -> Result<Vec<Panel>> {
    let mut panels = Vec::new();
    for (when, path) in weights {
        io::load(path, model)?;
        let graph = ihead::graph::record(model, batch.seq)?;
        for sequence in &args.sequences {
            let one = one_of(batch, *sequence)?;
            let name = |token| text.token(token).unwrap_or("?").to_string();
            let tokens = Tokens::new(&one.x, &one.marks, name).triggers();
            let all = graph.sites().iter().filter(|(_, node)| graph.is_pattern(**node));
            for site in sites(args, all.map(|(site, _)| site.as_str()))? {
                let array = activations(model, &one, &site)?;
                let when = if weights.len() > 1 || when != "final" { when } else { "" };
                panels.extend(heads(&array, &site, when, &tokens, args)?);
            }
        }
    }
    Ok(panels)
}

/// The same of what a run has kept.
fn kept(dir: &Path, view: &View, args: &Args) -> Result<Vec<Panel>> {
    let (batch, mut panels) = (view.batch(), Vec::new());
    let moments: Vec<Option<usize>> = view.moments().collect();
    let chosen: Vec<usize> = match &args.snapshots[..] {
        [] => vec![moments.len().saturating_sub(1)],
        wanted => wanted
            .iter()
            .map(|wanted| {
                let at = moments.iter().position(|moment| *moment == Some(*wanted));
                at.ok_or_else(|| no_snapshot(dir, *wanted, moments.iter().flatten().copied()))
            })
            .collect::<Result<_>>()?,
    };
    for moment in chosen {
        let when = moments[moment].map_or(String::new(), |i| format!("iteration {i}"));
        for sequence in &args.sequences {
            let one = one_of(&batch, *sequence)?;
            let tokens = Tokens::new(&one.x, &one.marks, |token| view.token(token).to_string());
            for site in sites(args, view.sites())? {
                let array = view.pattern(moment, *sequence, &site)?;
                panels.extend(heads(&array, &site, &when, &tokens, args)?);
            }
        }
    }
    Ok(panels)
}

/// One sequence of a batch.
fn one_of(batch: &Batch, sequence: usize) -> Result<Batch> {
    if sequence >= batch.batch {
        let message = format!("{sequence}, but there are {} to look at", batch.batch);
        return Err(Error::config("sequences", message));
    }
    let (x, y, marks) = batch.sequence(sequence);
    Ok(Batch { x: x.to_vec(), y: y.to_vec(), marks: marks.to_vec(), batch: 1, seq: batch.seq })
}

/// The patterns `known` that are asked for: by default those of layers, or all where none has that name.
fn sites<'a>(args: &Args, known: impl Iterator<Item = &'a str>) -> Result<Vec<String>> {
    let known: Vec<&str> = known.collect();
    let patterns: Vec<&str> = match &args.sites[..] {
        [] => vec!["layers.*.attention.pattern", "*.pattern"],
        given => given.iter().map(String::as_str).collect(),
    };
    let mut found: Vec<String> = Vec::new();
    for pattern in patterns {
        let matched = known.iter().filter(|site| ihead::internals::names::matches(pattern, site));
        let matched: Vec<String> = matched.map(|site| site.to_string()).collect();
        if matched.is_empty() && !args.sites.is_empty() {
            let message = format!("no attention pattern '{pattern}'; expected one of {}", known.join(", "));
            return Err(Error::config("sites", message));
        }
        found.extend(matched);
        if args.sites.is_empty() && !found.is_empty() {
            break;
        }
    }
    if found.is_empty() {
        return Err(Error::config("sites", "the model has no attention pattern"));
    }
    Ok(found)
}

/// A panel for each chosen head of a pattern of one sequence.
fn heads(array: &Array, site: &str, when: &str, tokens: &Tokens, args: &Args) -> Result<Vec<Panel>> {
    let [_, heads, seq, _] = array.shape[..] else {
        return Err(Error::shape(site, &[1, 1, 1, 1], &array.shape));
    };
    let place = site.trim_end_matches(".pattern").trim_end_matches(".attention").replace("layers.", "layer ");
    let all: Vec<usize> = (0..heads).collect();
    let chosen = if args.heads.is_empty() { &all } else { &args.heads };
    if args.from >= seq {
        return Err(Error::config("from", format!("{}; expected a position below {seq}", args.from)));
    }
    let to = args.from.saturating_add(args.size).min(seq);
    let panel = |head: &usize| {
        let head_text = if heads > 1 { format!(", head {head}") } else { String::new() };
        let when = if when.is_empty() { String::new() } else { format!(", {when}") };
        let title = format!("{place}{head_text}{when}");
        let map = attention(title, array, 0, *head, args.from..to, tokens);
        Ok(map.map_err(|error| error.of_part("heads"))?.into())
    };
    chosen.iter().map(panel).collect()
}

/// The scores of recalls, a row of panels for each recall, a column for each file of weights.
fn associations(dirs: &[PathBuf], args: &Args) -> Result<Figure> {
    let mut rows: Vec<Vec<Panel>> = Vec::new();
    for dir in dirs {
        let names = names(dir)?;
        let weights = weights(dir, args, true)?;
        for (when, path) in &weights {
            let stored = io::read(path)?;
            let own = args.recalls.iter().map(|recall| (recall.name().to_string(), recall.clone()));
            let recalls = if args.recalls.is_empty() { of_paper(&stored)? } else { own.collect() };
            rows.resize_with(rows.len().max(recalls.len()), Vec::new);
            for (row, (title, recall)) in rows.iter_mut().zip(&recalls) {
                let title = format!("{title}, {when}");
                let map = association(title, recall, &stored, args.size, &names);
                let map = map.map_err(|error| match args.recalls[..] {
                    [] => not_of_paper(dir, &error),
                    _ => error.of_part("recalls"),
                });
                row.push(map?.into());
            }
        }
    }
    let columns = rows.first().map_or(1, Vec::len);
    let width = if columns > 1 { 170.0 } else { 85.0 };
    Ok(Figure::new(rows.into_iter().flatten()).columns(columns).width(width))
}

/// Names a token: of a side of an association with so many rows the one with this number.
type Names = Box<dyn Fn(usize, usize) -> Option<String>>;

/// The names of a run's tokens, for a side with as many rows as there are tokens: those of its text if it is a run of the paper's programs,
/// else those that it has kept.
fn names(dir: &Path) -> Result<Names> {
    if let Ok((_, text)) = again(dir) {
        return Ok(Box::new(move |whole, i| {
            let text = Some(&text).filter(|text| text.vocab() == whole)?;
            text.token(i as u32).map(String::from)
        }));
    }
    let view = View::read(dir)?;
    Ok(Box::new(move |whole, i| {
        let view = view.as_ref().filter(|view| view.vocab() == Some(whole))?;
        Some(view.token(i as u32).to_string())
    }))
}

/// What is said where the paper's associations cannot be drawn, which nobody has asked for by name.
fn not_of_paper(dir: &Path, error: &Error) -> Error {
    let message = format!(
        "the two associations of the paper, which are drawn without recalls, are not there ({error}); recalls=[...] names others"
    );
    Error::format(dir, message)
}

/// The two associations of the paper that are maps of tokens to tokens and of positions to positions, with their titles.
fn of_paper(weights: &dyn StateDict) -> Result<Vec<(String, Recall)>> {
    let pe = if weights.has("pe") { "pe" } else { "pos_embeddings" };
    let texts = [
        (
            "output of layer 1",
            "wo1: tok_embeddings -> layers.1.attention.wv? -> layers.1.attention.wo? -> output => self"
                .into(),
        ),
        (
            "keys of layer 0",
            format!("wk0: {pe} -> layers.0.attention.wq? ~ {pe} -> layers.0.attention.wk => previous"),
        ),
    ];
    texts.into_iter().map(|(title, text): (&str, String)| Ok((title.into(), text.parse()?))).collect()
}
