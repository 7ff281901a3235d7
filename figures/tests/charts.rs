//! What a chart makes of a table: units, ranges, names, orders, bands, and which numbers are left out.
use ihead::train::Timeline;
use ihead_figure::runs::{Band, Chart, Table, chart};
use ihead_figure::{Curves, Figure, Panel, Span};

fn read(text: &str) -> Table {
    Table::read("a table", text).unwrap()
}

fn panels(figure: &Figure) -> Vec<&Curves> {
    let curves = figure.panels.iter().map(|panel| match panel {
        Panel::Curves(curves) => curves,
        Panel::Map(_) => panic!("a map among curves"),
    });
    curves.collect()
}

fn drawn(table: &Table, options: &Chart) -> Figure {
    chart(table, options).unwrap()
}

fn y(names: &[&str]) -> Chart {
    Chart { y: names.iter().map(ToString::to_string).collect(), ..Chart::default() }
}

/// The numbers of a table of old runs have no units: their names tell them. Norms that a run logs are drawn where they are asked for,
/// one that somebody has named without it.
#[test]
fn without_being_asked_a_chart_has_a_row_for_each_unit_but_logged_norms() {
    let table = read(
        "iter,loss,kl_end,acc_end,first acc > 0.9,norm_wk,gradnorm_wk,norm_resid,other,loss_test\n\
         0,1,2,0.5,3,4,4,8,5,6\n1,1,2,0.5,3,4,4,8,5,6\n",
    );
    let figure = drawn(&table, &Chart::default());
    let found: Vec<(&str, usize)> =
        panels(&figure).iter().map(|p| (p.y_label.as_str(), p.series.len())).collect();
    let expected = [
        ("nats", 3),
        ("acc_end (share)", 1),
        ("first acc > 0.9 (count)", 1),
        ("norm_resid (Euclidean norm)", 1),
    ];
    assert_eq!(found, expected);
    let figure = drawn(&table, &y(&["norm_wk", "other", "loss*,kl*", "*"]));
    let labels: Vec<&str> = panels(&figure).iter().map(|p| p.y_label.as_str()).collect();
    assert_eq!(labels, ["norm_wk (Euclidean norm)", "other", "nats", ""]);
    // a number that two patterns of a row stand for is one line
    let twice = drawn(&table, &y(&["loss,loss*"]));
    let names: Vec<&str> = panels(&twice)[0].series.iter().map(|s| s.label.as_str()).collect();
    assert_eq!(names, ["loss", "loss_test"]);
    let error = chart(&read("iter,other\n0,1\n"), &Chart::default()).unwrap_err().to_string();
    assert!(error.contains("y=[loss]"), "{error}");
}

/// Shares go from 0 to 1 on a linear axis, and a share of -1 says that there was nothing to count.
#[test]
fn a_share_below_zero_is_none() {
    let table = read("iter,acc,loss\n0,-1,-1\n1,0,2\n2,0.5,3\n3,,\n4,NaN,inf\n");
    let figure = drawn(&table, &Chart { log_x: true, log_y: true, ..y(&["acc", "loss"]) });
    let [acc, loss] = panels(&figure)[..] else { panic!("two panels") };
    assert_eq!(acc.series[0].points, [(1.0, 0.0), (2.0, 0.5)]);
    assert_eq!(loss.series[0].points, [(0.0, -1.0), (1.0, 2.0), (2.0, 3.0)]);
    assert_eq!([acc.log_x, acc.log_y, loss.log_x, loss.log_y], [true, false, true, true]);
    assert_eq!((acc.y_range, loss.y_range), (Some((0.0, 1.0)), None));
    // a number above 1 that somebody has called a share stood outside of its panel
    let above = drawn(&read("iter,acc\n0,0.5\n1,1.5\n"), &y(&["acc"]));
    assert_eq!(panels(&above)[0].y_range, None);
}

/// The paper's programs write -1 for the divergence of a part that the model lacks.
#[test]
fn a_divergence_that_is_always_below_zero_is_none() {
    let table = read("iter,loss,ff1_loss\n0,2,-1\n1,1,-1\n");
    let figure = drawn(&table, &Chart::default());
    let [nats] = panels(&figure)[..] else { panic!("one panel") };
    let names: Vec<&str> = nats.series.iter().map(|s| s.label.as_str()).collect();
    assert_eq!(names, ["loss"]);
}

#[test]
fn numbers_of_many_digits_are_short_in_names() {
    let table = read("rate,iter,loss\n1e30,0,2\n0.01,0,1\n1e-8,0,1\n20000,0,1\n");
    let figure = drawn(&table, &y(&["loss"]));
    let names: Vec<&str> = panels(&figure)[0].series.iter().map(|s| s.label.as_str()).collect();
    assert_eq!(names, ["rate = 1e-8", "rate = 0.01", "rate = 20000", "rate = 1e30"]);
}

/// Where all shares are above 0, an axis can be logarithmic; the range of all axes can be given.
#[test]
fn shares_above_zero_can_be_logarithmic_and_ranges_can_be_given() {
    let table = read("iter,acc,loss\n0,0.001,1\n1,-1,2\n2,0.5,3\n");
    let ranges = |table: &Table, log_y: bool, y_range| {
        let figure = drawn(table, &Chart { log_y, y_range, ..y(&["acc", "loss"]) });
        panels(&figure).iter().map(|panel| (panel.log_y, panel.y_range)).collect::<Vec<_>>()
    };
    assert_eq!(ranges(&table, true, None), [(true, None), (true, None)]);
    assert_eq!(ranges(&table, false, None), [(false, Some((0.0, 1.0))), (false, None)]);
    let given = Some((0.25, 0.75));
    assert_eq!(ranges(&table, false, given), [(false, given); 2]);
    assert_eq!(ranges(&table, true, given), [(true, given); 2]);
    let refused = |log_y, low, high| {
        let options = Chart { log_y, y_range: Some((low, high)), ..y(&["acc"]) };
        chart(&table, &options).unwrap_err().to_string()
    };
    assert_eq!(
        refused(false, 1.0, 0.5),
        "y_range: [1, 0.5]; expected two finite numbers, the lower one first"
    );
    assert!(refused(false, 0.5, 0.5).contains("the lower one first"));
    assert!(
        refused(false, 0.0, f64::INFINITY).contains("finite")
            && refused(false, f64::NAN, 1.0).contains("NaN")
    );
    let expected = "y_range: [0, 1] on a logarithmic axis; expected two numbers above 0";
    assert_eq!(refused(true, 0.0, 1.0), expected);
}

#[test]
fn lines_stand_in_the_order_of_numbers_or_as_they_come() {
    let labels = |text: &str| {
        let figure = drawn(&read(text), &y(&["loss"]));
        panels(&figure)[0].series.iter().map(|s| s.label.clone()).collect::<Vec<_>>()
    };
    assert_eq!(labels("a.dim,iter,loss\n16,0,1\n8,0,1\n128,0,1\n"), ["dim = 8", "dim = 16", "dim = 128"]);
    assert_eq!(
        labels("a.opt,iter,loss\nsgd,0,1\nadamw,0,1\n,0,1\n"),
        ["opt = sgd", "opt = adamw", "opt = -"]
    );
    assert_eq!(
        labels("a,b,iter,loss\n2,x,0,1\n1,x,0,1\n1,y,0,1\n"),
        ["a = 2, b = x", "a = 1, b = x", "a = 1, b = y"]
    );
    // a text that is empty is no setting that is absent
    let mut table = read("freeze,iter,loss\nx,0,1\n,0,1\n");
    table.frame.rows[0][0] = "".into();
    let figure = drawn(&table, &y(&["loss"]));
    let names: Vec<&str> = panels(&figure)[0].series.iter().map(|s| s.label.as_str()).collect();
    assert_eq!(names, ["freeze = ''", "freeze = -"]);
    // what is the same everywhere, and what is averaged over, names nothing
    assert_eq!(labels("run,status,a,seed,iter,loss\nr,done,1,1,0,1\nq,done,1,2,0,1\n"), [""]);
}

#[test]
fn a_mean_is_over_what_it_is_asked_to_be_over() {
    let table = read("fold,seed,iter,loss\n1,1,0,1\n2,1,0,2\n1,2,0,3\n2,2,0,6\n");
    let points = |over: &[&str], band| {
        let over = over.iter().map(ToString::to_string).collect();
        let figure = drawn(&table, &Chart { over, band, ..y(&["loss"]) });
        let series = &panels(&figure)[0].series;
        series.iter().map(|s| (s.points[0].1, s.band[0].low, s.band[0].high)).collect::<Vec<_>>()
    };
    assert_eq!(points(&[], Band::Range), [(2.0, 1.0, 3.0), (4.0, 2.0, 6.0)]);
    assert_eq!(points(&["fold"], Band::Range), [(1.5, 1.0, 2.0), (4.5, 3.0, 6.0)]);
    assert_eq!(points(&["fold", "seed"], Band::Range), [(3.0, 1.0, 6.0)]);
    // of two numbers 2 apart the deviation is sqrt(2), the error of the mean 1, and Student's t of one degree 12.706
    let (mean, low, high) = points(&[], Band::Error)[0];
    assert!(mean == 2.0 && (low - 1.0).abs() < 1e-12 && (high - 3.0).abs() < 1e-12);
    let (_, low, high) = points(&[], Band::Interval)[0];
    assert!((low - (2.0 - 12.7062)).abs() < 1e-3 && (high - (2.0 + 12.7062)).abs() < 1e-3, "{low} {high}");
    assert!(chart(&table, &Chart { over: vec!["sed".into()], ..y(&["loss"]) }).is_err());
}

#[test]
fn few_points_are_dotted_and_one_run_has_no_band() {
    let series = |n: usize| {
        let rows: String = (0..n).rev().map(|i| format!("{i},1\n")).collect();
        let figure = drawn(&read(&format!("iter,loss\n{rows}")), &y(&["loss"]));
        panels(&figure)[0].series[0].clone()
    };
    let (twelve, more) = (series(12), series(13));
    assert!(twelve.dots && !more.dots && twelve.band.is_empty());
    assert_eq!((twelve.points[0], more.points[12]), ((0.0, 1.0), (12.0, 1.0))); // from left to right
}

#[test]
fn a_page_is_as_wide_as_its_panels_need() {
    let table = read("opt,iter,loss\nsgd,0,1\nadamw,0,1\n");
    let one = drawn(&table, &y(&["loss"]));
    let two = drawn(&table, &Chart { panels: vec!["opt".into()], ..y(&["loss"]) });
    assert_eq!((one.columns, one.width, two.columns, two.width), (1, 85.0, 2, 170.0));
    assert_eq!(panels(&two)[1].title, "opt = adamw");
    // rows below the first have no titles
    let rows = drawn(&table, &Chart { panels: vec!["opt".into()], ..y(&["loss", "loss"]) });
    assert_eq!(
        panels(&rows).iter().map(|p| p.title.as_str()).collect::<Vec<_>>(),
        ["opt = sgd", "opt = adamw", "", ""]
    );
}

#[test]
fn tables_are_read_as_collect_writes_them_and_faults_are_named() {
    let table = read("run,iter,loss\n\"a,b\",0,\nc,1,1e-3\n");
    assert_eq!(table.frame.rows[0], ["a,b".into(), 0.0.into(), serde_json::Value::Null]);
    assert_eq!(table.frame.rows[1][2], 0.001);
    let table = read("{\"iter\": 0}\n\n{\"iter\": 1, \"loss\": 2.5}\n");
    assert_eq!(table.frame.columns, ["iter", "loss"]);
    assert_eq!(table.frame.rows[0][1], serde_json::Value::Null);
    let error = |text: &str| Table::read("a table", text).unwrap_err().to_string();
    assert!(error("{\"iter\": 0}\n[1]\n").contains("line 2: expected a JSON object"));
    assert!(error("a,b\n1\n").contains("not CSV"));
    let said = error("lr,iter,loss\n0.1,0,2\nhigh,1,abc\n");
    assert!(said.contains("row 2, column 'loss': \"abc\"; expected a number"), "{said}");
}

/// Stretches belong to iterations: over another axis, or without the runs' folders, there are none.
#[test]
fn stretches_are_drawn_over_iterations() {
    let mut table = read("run,lr,iter,loss\nr,0.1,0,1\nr,0.1,5,1\n");
    let timeline: Timeline =
        "0..3: freeze(layers.0.attention.wk.weight), 2: release(pe), 4: snapshot".parse().unwrap();
    let spans = ihead_figure::runs::spans(&timeline.to_string());
    let span = |from, to, label: &str| Span { from, to, label: label.into() };
    assert_eq!(spans[0], span(0.0, Some(3.0), "layer 0.wk frozen"));
    table.spans.insert("r".into(), spans.clone());
    let shown = |table: &Table, x: Option<&str>| {
        let figure = drawn(table, &Chart { x: x.map(String::from), ..y(&["loss"]) });
        (panels(&figure)[0].spans.len(), panels(&figure)[0].x_label.clone())
    };
    assert_eq!(shown(&table, None), (spans.len(), "iteration".into()));
    assert_eq!(shown(&table, Some("lr")), (0, "lr".into()));
    let mut nameless = read("lr,iter,loss\n0.1,0,1\n");
    nameless.spans = table.spans;
    assert_eq!(shown(&nameless, None).0, 0);
}

/// Runs that no setting tells apart, as those of a sweep in code, are lines of their own and no mean.
#[test]
fn runs_that_no_setting_tells_apart_are_not_averaged() {
    let labels = |text: &str| -> Vec<String> {
        let figure = drawn(&read(text), &y(&["loss"]));
        panels(&figure).iter().flat_map(|panel| panel.series.iter().map(|line| line.label.clone())).collect()
    };
    let alike = "run,iter,loss\nsw/a,0,1\nsw/a,1,2\nsw/b,0,3\nsw/b,1,4\n";
    assert_eq!(labels(alike), ["run = sw/a", "run = sw/b"]);
    let seeds = "run,seed,iter,loss\nsw/a,1,0,1\nsw/a,1,1,2\nsw/b,2,0,3\nsw/b,2,1,4\n";
    assert_eq!(labels(seeds).len(), 1);
    // one of two settings
    let some = "run,rate,seed,iter,loss\na,0.1,1,0,1\nb,0.1,2,0,3\nc,,,0,3\nd,,,0,4\n";
    assert_eq!(labels(some).len(), 4);
}
