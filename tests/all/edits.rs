//! Edits as text, and edits that a model cannot take.
use ihead::Config;
use ihead::config::{self, Exit};
use ihead::data::Batch;
use ihead::graph::{Edit, Edits, record_with};
use ihead::model::{Full, FullArgs};
use ihead::run::{Inspect, activations};

fn full() -> Full<usize, usize, usize> {
    Full::new(7, &FullArgs { max_length: 8, dim: 12, n_heads: 3, ..FullArgs::defaults() }).unwrap().init(1)
}

fn refused(edits: &str) -> String {
    edits.parse::<Edits>().and_then(|edits| edits.check(&full(), 6)).unwrap_err().to_string()
}

/// Every edit, once.
fn all() -> Edits {
    let pattern = "layers.1.attention.pattern";
    Edits::default()
        .with(pattern, Edit::PreviousToken)
        .with(pattern, Edit::Induction)
        .with(pattern, Edit::FirstToken)
        .with(pattern, Edit::CurrentToken)
        .with(pattern, Edit::Uniform)
        .on_heads(pattern, [0, 2], Edit::Parents(vec![0, 0, 1, 3, 2, 0, 1]))
        .on_heads("layers.*.attention.pattern", [1], Edit::Ablate)
        .with("layers.0.ff.out", Edit::Scale(-0.1))
        .on_heads("layers.0.attention.mixed", [1], Edit::Add((0..12).map(|c| 0.1 * f64::from(c)).collect()))
        .with("layers.1.resid", Edit::Add(vec![-0.25; 12]))
        .with("layers.0.resid", Edit::Row((0..12).map(|c| 1.0 / (3.0 + f64::from(c))).collect()))
        .with("layers.1.resid_mid", Edit::Rows((0..6).map(|t| vec![f64::from(t) * 1e-7; 12]).collect()))
}

#[test]
fn text_is_read_back_as_what_was_written() {
    let (edits, text) = (all(), all().to_string());
    assert_eq!(text.parse::<Edits>().unwrap(), edits);
    let json = serde_json::to_string(&edits).unwrap();
    assert_eq!(serde_json::from_str::<Edits>(&json).unwrap(), edits);
    assert_eq!(serde_json::to_string(&Edit::Scale(0.5)).unwrap(), r#""scale(0.5)""#);
    assert_eq!("".parse::<Edits>().unwrap(), Edits::default());
    assert_eq!(
        " a.b [1] = scale( 2 ) ,c=ablate ".parse::<Edits>().unwrap().to_string(),
        "a.b[1]=scale(2), c=ablate"
    );
    assert!(record_with(&full(), 6, &edits).is_ok());
}

#[test]
fn a_text_that_is_no_edit_is_refused_with_what_was_expected() {
    for (text, expected) in [
        ("a", "SITE=EDIT, as in layers.0.attention.pattern=previous_token, found the end at character 2"),
        ("=ablate", "SITE=EDIT, as in layers.0.attention.pattern=previous_token, found `=` at character 1"),
        ("a=scale", "finite numbers, as in scale(0.5), found the end at character 8"),
        ("a=scale(x)", "finite numbers, as in scale(0.5), found `x` at character 9"),
        ("a=scale(1, 2)", "finite numbers, as in scale(0.5), found `1` at character 9"),
        ("a=row(1, inf)", "finite numbers, as in row(0.5, 1), found `inf` at character 10"),
        ("a=rows(1, 2)", "finite numbers, as in rows((0.5, 1), (0, 2)), found `1` at character 8"),
        ("a=parents(0, -1)", "positions, as in parents(0, 0..7), found `-` at character 14"),
        ("a=ablate(0)", "no values after ablate, found `(` at character 9"),
        ("a=row(1", "finite numbers, as in row(0.5, 1), found the end at character 8"),
        (
            "a=ablate,,b=ablate",
            "SITE=EDIT, as in layers.0.attention.pattern=previous_token, found `,` at character 10",
        ),
        ("a=ablate b", "`,` and another edit, or the end, found `b` at character 10"),
        (
            "a[x]=ablate",
            "heads by number or range, as in layers.0.attention.pattern[0,2..4], found `x` at character 3",
        ),
        (
            "a[0-2]=ablate",
            "heads by number or range, as in layers.0.attention.pattern[0,2..4], found `-` at character 4",
        ),
        (
            "a[0..]=ablate",
            "heads by number or range, as in layers.0.attention.pattern[0,2..4], found `]` at character 6",
        ),
        ("a[1, 4..2]=ablate", "a range of 1 to 1048576 numbers, not 4..2, found `4` at character 6"),
        ("a[0..1048577]=ablate", "a range of 1 to 1048576 numbers, not 0..1048577, found `0` at character 3"),
        ("a=parents(0, 3..3)", "a range of 1 to 1048576 numbers, not 3..3, found `3` at character 14"),
        ("a=parents(5000000000)", "positions, as in parents(0, 0..7), found `5000000000` at character 11"),
        (
            "a.0..2.b.2..2=ablate",
            "a range of numbers, as in layers.0..2.ff.out=ablate, found `2` at character 10",
        ),
        (
            "a=b",
            "one of ablate, previous_token, induction, first_token, current_token, uniform, patch, scale, add, row, rows, parents, \
             found `b` at character 3",
        ),
    ] {
        let error = text.parse::<Edits>().unwrap_err().to_string();
        assert_eq!(error, format!("edits '{text}': expected {expected}"));
    }
    let unknown = "a=previus_token".parse::<Edits>().unwrap_err().to_string();
    assert_eq!(unknown, "no edit 'previus_token'; did you mean 'previous_token'?");
}

#[test]
fn ranges_of_heads_positions_and_layers_stand_for_their_numbers() {
    let read = |text: &str| text.parse::<Edits>().unwrap();
    assert_eq!(read("a[0, 2..5]=ablate"), Edits::default().on_heads("a", [0, 2, 3, 4], Edit::Ablate));
    // no head is not every head
    assert_eq!(Edits::default().on_heads("a", [], Edit::Ablate), Edits::default());
    assert_eq!(
        read("a=parents(0, 0..4, 2)"),
        Edits::default().with("a", Edit::Parents(vec![0, 0, 1, 2, 3, 2]))
    );
    let every = read("layers.0..2.attention.pattern[0..3]=ablate, layers.1..2.ff.out=scale(0.5)");
    assert_eq!(read(&every.to_string()), every);
    let [by_range, by_name] = [
        every,
        read(
            "layers.0.attention.pattern=ablate, layers.1.attention.pattern=ablate, layers.1.ff.out=scale(0.5)",
        ),
    ]
    .map(|edits| Inspect::new(&full()).edits(edits).activations(&Batch::new(1, 6), "logits").unwrap());
    assert_eq!(by_range, by_name);
    assert_eq!(
        refused("layers.2..4.ff.out=ablate"),
        "no site 'layers.2..4.ff.out'; did you mean 'layers.0.ff.out'?"
    );
    assert_eq!(read("layers.0..2.ff.out=ablate, b=ablate").without("layers.0..2.ff.out"), read("b=ablate"));
}

/// Before, each of these was silently without effect.
#[test]
fn an_edit_without_effect_is_refused() {
    let patterns = "ablate, previous_token, induction, first_token, current_token, uniform, parents, patch";
    for (text, expected) in [
        (
            "layers.0.attention.patern=ablate",
            "no site 'layers.0.attention.patern'; did you mean 'layers.0.attention.pattern'?".to_string(),
        ),
        (
            "layers.0.attention.pattern=scale(0.5)",
            format!("edit of 'layers.0.attention.pattern': scale(0.5) of a pattern; expected {patterns}"),
        ),
        (
            "layers.1.ff.out=previous_token",
            "edit of 'layers.1.ff.out': previous_token of a stream; expected ablate, scale, add, row, rows, patch"
                .into(),
        ),
        (
            "layers.0.attention.pattern[3]=ablate",
            "head 3 of 'layers.0.attention.pattern', which has heads 0 to 2".into(),
        ),
        (
            "layers.0.resid[1]=ablate",
            "edit of 'layers.0.resid': head 1 of a stream that is named without heads; expected a pattern, or a stream that \
             `forward` names with its heads, as in `site.heads(\"mixed\", x, heads)`"
                .into(),
        ),
        ("layers.0.resid=row(1, 2)", "edit of 'layers.0.resid': a row of 2 values; expected 12".into()),
        (
            "layers.0.attention.pattern=parents(0, 0)",
            "edit of 'layers.0.attention.pattern': fixed pattern 'parents': 2 parents; expected one for each of 6 positions".into(),
        ),
        (
            "layers.0.attention.pattern=parents(0, 0, 3, 0, 0, 0)",
            "edit of 'layers.0.attention.pattern': fixed pattern 'parents': position 2 would look at 3, which comes later; expected earlier ones".into(),
        ),
    ] {
        assert_eq!(refused(text), expected, "{text}");
    }
    let short = Edits::default().with("layers.0.resid", Edit::Rows(vec![vec![0.0; 12]; 5]));
    let error = short.check(&full(), 6).unwrap_err().to_string();
    assert_eq!(error, "edit of 'layers.0.resid': 5 rows; expected one for each of 6 positions");
}

#[derive(Config)]
struct Args {
    /// Changes of activations.
    #[config(default = Edits::default())]
    edits: Edits,
}

#[test]
fn edits_are_a_setting() {
    let text = "layers.0.attention.pattern[1]=previous_token, layers.0.ff.out=scale(0.5)";
    let args = config::parse::<Args>(vec![format!("edits={text}")]).unwrap().args;
    assert_eq!(args.edits.to_string(), text);
    assert_eq!(args.to_value()["edits"], text);
    assert_eq!(Args::from_value(&args.to_value()).unwrap().edits, args.edits);

    let Err(Exit::Fail(problems)) = config::parse::<Args>(vec!["edits=a=ablat".into()]) else {
        panic!("an edit that is none was taken")
    };
    assert!(problems[0].to_string().contains("did you mean 'ablate'?"), "{}", problems[0]);
}

#[test]
fn a_pattern_of_which_some_heads_are_edited_is_read_as_it_acts() {
    let (model, site) = (full(), "layers.0.attention.pattern");
    let mut batch = Batch::new(2, 5);
    batch.x.iter_mut().enumerate().for_each(|(i, x)| *x = (i * i % 7) as u32);
    let edits = Edits::default().on_heads(site, [0, 2], Edit::PreviousToken);
    let plain = activations(&model, &batch, site).unwrap();
    let edited = Inspect::new(&model).edits(edits).activations(&batch, site).unwrap();
    assert_eq!((&plain.shape, &edited.shape), (&vec![2, 3, 5, 5], &vec![2, 3, 5, 5]));
    let cells = plain.values.iter().zip(&edited.values);
    for (i, (before, after)) in cells.enumerate() {
        let (head, query, key) = (i / 25 % 3, i / 5 % 5, i % 5);
        let previous = f32::from(u8::from(key == query.saturating_sub(1)));
        let expected = if head == 1 { *before } else { previous };
        assert_eq!(*after, expected, "head {head}, query {query}, key {key}");
    }
    assert!(plain.values[..25] != edited.values[..25]);
}

#[test]
fn numbers_that_no_text_has_are_refused_in_code_too() {
    let refused = |edit: Edit| {
        let edits = Edits::default().with("layers.0.resid", edit);
        edits.check(&full(), 6).unwrap_err().to_string()
    };
    assert_eq!(
        refused(Edit::Scale(f64::NAN)),
        "edit of 'layers.0.resid': scale(NaN); expected a finite number"
    );
    let mut row = vec![0.0; 12];
    row[3] = f64::NAN;
    let expected = "edit of 'layers.0.resid': a row with NaN; expected finite values";
    assert_eq!(refused(Edit::Row(row.clone())), expected);
    assert_eq!(refused(Edit::Rows(vec![row; 6])), expected);
}
