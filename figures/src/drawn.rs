//! Whole figures as they are drawn, before text becomes outlines: each is kept in `drawn/`, and every line of it counts.
//!
//! After a change that is meant: `INSTA_UPDATE=always cargo test -p ihead-figure drawn`, then look at the pictures, which the part of
//! a file below its second `---` is (saved as `.svg`, a browser shows it).
use ihead::probe::Matrix;

use crate::canvas::{NORMAL, SMALL, width};
use crate::{Curves, Figure, Map, Mark, Panel, Series, Span, Spread};

fn compare(name: &str, figure: &Figure) {
    let drawn = figure.draw().unwrap();
    insta::with_settings!({ snapshot_path => "drawn", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, drawn);
    });
}

fn line(label: &str, at: impl Fn(f64) -> f64) -> Series {
    Series::new(label, (0..6).map(|i| 100.0 * f64::from(i)).map(|x| (x, at(x))))
}

fn span(from: f64, to: Option<f64>, label: &str) -> Span {
    Span { from, to, label: label.into() }
}

/// Bands, gaps, single points, dots, dashes, a legend of two lines, and stretches whose texts stand right, left and on them.
#[test]
fn curves_with_everything() {
    let mut first = line("first", |x| x / 500.0);
    first.band = first.points.iter().map(|(x, y)| Spread { x: *x, low: y - 0.1, high: y + 0.2 }).collect();
    let mut gaps = line("with gaps", |x| if x == 200.0 { f64::NAN } else { 0.4 });
    gaps.points[1].1 = f64::NAN;
    let dotted = Series { dots: true, ..line("dotted", |x| 0.9 - x / 1000.0) };
    let many = (4..9).map(|i| line(&format!("line {i}"), move |_| 0.1 * f64::from(i)));
    let mut upper = Curves::new("iteration", "accuracy").with(first).with(gaps).with(dotted);
    upper.title = "a title that is wider than half a column: broken, at=its.parts_and_spaces".into();
    upper.series.extend(many);
    upper.spans = vec![
        span(0.0, Some(100.0), "to the right of it"),
        span(300.0, Some(300.0), "a moment"),
        span(450.0, None, "to the left"),
        span(20.0, Some(480.0), "on it, since there is no room beside a stretch as long as this"),
    ];
    let mut lower = Curves::new("iteration", "loss [nats]").with(line("first", |x| 4.0 - x / 200.0));
    lower.spans = upper.spans.clone();
    compare("curves", &Figure::new([upper.into(), lower.into()]));
}

/// Panels beside each other: shared vertical axes are written once, others each; logarithms; a range; a row that is not full.
#[test]
fn curves_beside_each_other() {
    let panel = |y: &str, top: f64| Curves::new("step", y).with(line("run", move |x| top - x / 300.0));
    let logarithms = Curves { log_x: true, log_y: true, ..panel("loss", 3.0) };
    let ranged = Curves { y_range: Some((0.0, 10.0)), title: "ranged".into(), ..panel("other", 4.0) };
    let far = panel("", 1e6).with(line("run of another", |x| 1e6 + 50.0 * x));
    let panels: [Panel; 5] =
        [panel("loss", 2.0).into(), panel("loss", 4.0).into(), logarithms.into(), ranged.into(), far.into()];
    let figure = Figure { height: 40.0, ..Figure::new(panels) };
    compare("beside", &figure.columns(2).width(140.0));
}

fn map(rows: usize, cols: usize) -> Map {
    let values = (0..rows * cols).map(|i| (i * 7 % (rows * cols)) as f64 / 4.0).collect();
    Map {
        title: "a map".into(),
        x_label: "key".into(),
        y_label: "query".into(),
        z_label: "attention".into(),
        values: Matrix::new(rows, cols, values).unwrap(),
        z_range: None,
        columns: vec![],
        rows: vec![],
        first: 0,
        causal: false,
    }
}

/// Single letters stand upright, longer names are turned; marks are coloured, also where names are left out; what is no number is
/// left white.
#[test]
fn maps_with_names() {
    let marks = [Mark::None, Mark::Trigger, Mark::Output];
    let named =
        |n: usize, text: fn(usize) -> String| (0..n).map(|i| (text(i), marks[i % 3])).collect::<Vec<_>>();
    let letter = |i: usize| ["a", "b", "c"][i % 3].to_string();
    let word = |i: usize| format!("word {i}");
    let mut letters = Map { columns: named(6, letter), rows: named(6, letter), causal: true, ..map(6, 6) };
    letters.z_range = Some((0.0, 8.0));
    let mut words = Map { columns: named(6, word), rows: named(6, word), ..map(6, 6) };
    words.values.values_mut()[8] = f64::NAN;
    let dense =
        Map { columns: named(60, letter), rows: named(40, word), title: String::new(), ..map(40, 60) };
    compare("maps", &Figure::new([letters.into(), words.into(), dense.into()]).columns(2).width(120.0));
}

/// Negative numbers; bands and lines that a logarithm has not all of; lines beside a map, each with its own legend; a row whose legend
/// is that of the row above; a map of nothing but NaN.
#[test]
fn lines_beside_maps() {
    let below = Curves::new("step", "score").with(line("run", |x| -30_000.0 + 50.0 * x));
    let mut part = line("other", |x| x / 100.0 - 2.0);
    part.band = part.points.iter().map(|(x, y)| Spread { x: *x, low: y - 1.0, high: y + 1.0 }).collect();
    let logarithm = Curves { log_y: true, ..Curves::new("step", "share").with(part) };
    let name =
        |mark| (0..3).map(|i| (format!("n{i}"), if i == 1 { mark } else { Mark::None })).collect::<Vec<_>>();
    let marked =
        Map { columns: name(Mark::Output), rows: name(Mark::None), z_range: Some((-1.0, 1.0)), ..map(3, 3) };
    let again = marked.clone();
    let nothing = Map {
        values: Matrix::new(2, 2, vec![f64::NAN; 4]).unwrap(),
        title: String::new(),
        first: 98,
        ..map(2, 2)
    };
    let other = Curves::new("iteration", "loss").with(line("run", |x| 1.0 + x));
    let panels: [Panel; 6] =
        [below.into(), marked.into(), logarithm.clone().into(), again.into(), other.into(), nothing.into()];
    compare("both", &Figure::new(panels).columns(2).width(170.0));
    // two rows of one legend: it is written once
    let rows: [Panel; 2] = [logarithm.clone().into(), logarithm.into()];
    compare("twice", &Figure { height: 20.0, ..Figure::new(rows) });
}

/// Numbers where there are no names, from the first one; a map of one value; one below lines.
#[test]
fn maps_without_names() {
    let numbered = Map { first: 17, z_label: String::new(), ..map(12, 30) };
    let flat = Map { values: Matrix::new(2, 3, vec![2.0; 6]).unwrap(), ..map(2, 3) };
    let lines = Curves::new("step", "loss").with(line("run", |x| x));
    compare("numbers", &Figure::new([lines.into(), numbered.into(), flat.into()]));
}

/// In a narrow panel some numbers of the horizontal axis are left out, so that those that are written stand apart.
#[test]
fn numbers_below_an_axis_stand_apart() {
    let points = (0..6).map(|i| (100_000.0 * f64::from(i), f64::from(i)));
    let drawn = Figure::new([Curves::new("step", "loss").with(Series::new("", points)).into()]).width(38.0);
    let drawn = drawn.draw().unwrap();
    // `<text x="..." y="..." ... text-anchor="middle" ...>`, and the text on the next line
    let mut numbers: Vec<(f64, String)> = Vec::new();
    for (head, text) in drawn.lines().zip(drawn.lines().skip(1)) {
        let x = head.strip_prefix("<text x=\"").and_then(|rest| rest.split('"').next());
        let number = text.replace(',', "").parse::<f64>().is_ok();
        if let Some(x) = x.filter(|_| number && head.contains("text-anchor=\"middle\"")) {
            numbers.push((x.parse().unwrap(), text.into()));
        }
    }
    assert!((2..6).contains(&numbers.len()), "{numbers:?}");
    for pair in numbers.windows(2) {
        let half = |(_, text): &(f64, String)| width(text, SMALL) / 2.0;
        assert!(pair[0].0 + half(&pair[0]) < pair[1].0 - half(&pair[1]), "{numbers:?}");
    }
}

/// Where the texts `wanted` begin, end or have their middle.
fn text_at(drawn: &str, wanted: &str) -> Vec<f64> {
    let at = |head: &str| head.strip_prefix("<text x=\"")?.split('"').next()?.parse().ok();
    let found = drawn.lines().zip(drawn.lines().skip(1)).filter(|(_, text)| *text == wanted);
    found.filter_map(|(head, _)| at(head)).collect()
}

/// Long numbers at the end of the lines' axis, many lines, and a map with marks and long names, on either side.
fn sides() -> [Panel; 2] {
    let labels = ["learning_rate = 0.1, seed = 1", "learning_rate = 0.01, seed = 1", "third"];
    let mut lines = Curves { title: "lines".into(), ..Curves::new("iteration", "loss") };
    for (i, label) in labels.into_iter().enumerate() {
        let points = (0..6).map(|x| (20_000.0 * f64::from(x), f64::from(x) / (1.0 + i as f64)));
        lines.series.push(Series::new(label, points));
    }
    let name = |i: usize| (format!("word {i}"), [Mark::None, Mark::Marked, Mark::After][i % 3]);
    let names: Vec<_> = (0..6).map(name).collect();
    [lines.into(), Map { columns: names.clone(), rows: names, ..map(6, 6) }.into()]
}

/// The bar of colours stands right of the last map, and nothing of the lines beside it is under the bar, nor under a map's names;
/// the legend of the lines stands above the lines, that of the marks above the map.
#[test]
fn lines_and_maps_of_one_row_keep_apart() {
    let [lines, map] = sides();
    let rows = [map.clone(), lines.clone(), lines.clone(), map.clone()];
    compare("mixed", &Figure::new(rows).columns(2).width(170.0));
    for row in [[map.clone(), lines.clone()], [lines, map]] {
        let drawn = Figure::new(row).columns(2).width(170.0).draw().unwrap();
        // the name of the colours stands at the bar, whose 64 steps are drawn
        assert_eq!(text_at(&drawn, "attention").len(), 1);
        let (number, label) = (text_at(&drawn, "100,000")[0], text_at(&drawn, "query")[0]);
        let end = number + width("100,000", SMALL) / 2.0;
        assert!(label < number || end < label - SMALL, "{end} {label}");
        let above = |legend: &str, title: &str| {
            let (legend, title) = (text_at(&drawn, legend)[0], text_at(&drawn, title)[0]);
            assert!((legend - title).abs() < 1000.0, "{legend} {title}");
        };
        above("third", "lines");
        above("after a mark", "a map");
    }
}

/// Numbers at the ends of two neighbours' axes stand apart, too.
#[test]
fn numbers_of_neighbours_stand_apart() {
    let points = || (0..6).map(|i| (200_000.0 * f64::from(i), f64::from(i)));
    let panel = || Panel::from(Curves::new("step", "loss").with(Series::new("", points())));
    let drawn = Figure::new([panel(), panel()]).columns(2).width(170.0).draw().unwrap();
    let last = text_at(&drawn, "1,000,000")[0];
    let mut zeros = text_at(&drawn, "0").into_iter();
    let first = zeros.find(|x| *x > last).unwrap();
    assert!(last + width("1,000,000", SMALL) / 2.0 < first - width("0", SMALL) / 2.0, "{last} {first}");
}

/// An entry that is wider than the page has several lines.
#[test]
fn a_long_entry_of_a_legend_is_broken_into_lines() {
    let timeline = |at: usize| {
        format!(
            "timeline = 0..{at}: freeze(layers.1.attention.wk.weight), {at}..400: linear(0.1, 0.2), every 10: snapshot"
        )
    };
    let panel = Curves::new("iteration", "loss").with(line(&timeline(100), |x| x));
    let word = "w".repeat(90);
    let panel = panel
        .with(line("short", |x| 2.0 * x))
        .with(line(&timeline(200), |x| 3.0 * x))
        .with(line(&word, |x| x));
    let figure = Figure::new([panel.into()]);
    compare("long", &figure);
    let drawn = figure.draw().unwrap();
    let page = figure.width * 720.0 / 25.4;
    let texts = drawn.lines().zip(drawn.lines().skip(1)).filter(|(head, _)| head.contains("\"start\""));
    for (_, text) in texts {
        assert!(text_at(&drawn, text).iter().all(|left| left + width(text, NORMAL) < page), "{text}");
    }
}

/// What stands beside a moment or a stretch is cut where the page has no more room for it.
#[test]
fn a_long_change_of_a_timeline_stays_on_the_page() {
    let word = "adamw(learning_rate=0.01, beta1=0.9, beta2=0.95, eps=0.00000001, weight_decay=1)".repeat(2);
    for (from, to) in [(50.0, Some(50.0)), (250.0, Some(250.0)), (480.0, Some(480.0)), (100.0, Some(400.0))] {
        let mut panel = Curves::new("iteration", "loss").with(line("run", |x| x));
        panel.spans = vec![span(from, to, &word), span(from, to, "short")];
        let figure = Figure::new([panel.into()]);
        let drawn = figure.draw().unwrap();
        let page = figure.width * 720.0 / 25.4;
        let pairs: Vec<(&str, &str)> =
            drawn.lines().zip(drawn.lines().skip(1)).filter(|(_, text)| text.starts_with("adamw(")).collect();
        let [(head, text)] = pairs[..] else { panic!("{drawn}") };
        let (at, wide) = (text_at(&drawn, text)[0], width(text, SMALL));
        let left = if head.contains("\"end\"") { at - wide } else { at };
        assert!(left > 0.0 && left + wide <= page && text.ends_with('…'), "{from}: {left} {wide} {text}");
    }
}
