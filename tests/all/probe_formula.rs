//! Recalls as formulas: what they mean, that they are written as they are read, and what is said of wrong ones.
use std::collections::BTreeMap;

use ihead::io::Array;
use ihead::probe::{Association, Circuit, Recall};
use ihead::recall;
use proptest::prelude::*;

type Weights = BTreeMap<String, Array>;

fn array(rows: usize, cols: usize, value: impl Fn(usize, usize) -> f32) -> Array {
    let values = (0..rows).flat_map(|r| (0..cols).map(move |c| (r, c))).map(|(r, c)| value(r, c)).collect();
    Array { shape: vec![rows, cols], values }
}

/// Six one-hot rows, a map that shifts by one, one that doubles, and one from 6 to 3.
fn weights() -> Weights {
    let hot = |hit: bool| if hit { 1.0 } else { 0.0 };
    let table = |name: &str, array| (name.to_string(), array);
    BTreeMap::from([
        table("pe", array(6, 6, |r, c| hot(r == c))),
        table("tok.weight", array(6, 6, |r, c| hot(r == c))),
        table("back.weight", array(6, 6, |r, c| hot(r + 1 == c))),
        table("double.weight", array(6, 6, |r, c| 2.0 * hot(r == c))),
        table("narrow.weight", array(3, 6, |r, c| hot(r == c))),
        table("short.weight", array(4, 6, |r, c| hot(r == c))),
        table("bias", Array { shape: vec![6], values: vec![0.0; 6] }),
    ])
}

fn share(recall: &Recall) -> Option<f64> {
    recall.evaluate(&weights()).expect("a recall that fits").share()
}

#[test]
fn a_formula_means_what_it_says() {
    let chance = |recall: &Recall| recall.evaluate(&weights()).expect("a recall that fits").chance;
    assert_eq!(share(&recall!("a: tok -> tok => self")), Some(1.0));
    assert_eq!(share(&recall!("a: pe -> back -> tok => previous")), Some(1.0));
    // row 0 goes through `back` to nothing: all scores are equal, and the first is its target
    assert_eq!(share(&recall!("a: tok -> back => self")), Some(1.0 / 6.0));
    let few = recall!("a: pe ~ pe -> back => previous among 0..4");
    assert_eq!((share(&few), chance(&few)), (Some(0.0), Some(1.0 / 3.0)));
    let pairs = recall!("a: pe -> back => {5: 4, 3: 2, 2: 5}");
    assert_eq!((share(&pairs), chance(&pairs)), (Some(2.0 / 3.0), Some(1.0 / 6.0)));
    let among = recall!("a: tok -> narrow? -> absent? => self among {2, 0..2}");
    assert_eq!((share(&among), chance(&among)), (Some(1.0), Some(1.0 / 3.0)));
    assert_eq!(share(&among.of(Association::among(&[1]))), Some(1.0));
    // the sum of a row and twice its shift: the shift wins, but not where it is halved twice
    assert_eq!(share(&recall!("a: tok + tok -> back -> double => {1: 0, 2: 1}")), Some(1.0));
    let halved = "a: (tok + tok -> back -> double -> scale(0.25)) -> relu => {1: 0, 2: 1}";
    assert_eq!(share(&halved.parse().unwrap()), Some(0.0));
    assert_eq!(share(&recall!("a: tok -> scale(-1) -> relu => {0: 0, 1: 1}")), Some(0.5));
    assert_eq!(share(&recall!("a: tok -> head(1/3) => {2: 2, 3: 3, 5: 0}")), Some(1.0));
}

#[test]
fn the_builder_and_the_text_are_one() {
    let text = "wk1: tok -> wq? ~ (tok + tok -> wv -> wo) -> wk -> head(0/2) => self among {7, 2..5}";
    let written = Circuit::rows("tok").through("wv").through("wo");
    let keys = Circuit::rows("tok").plus(written).through("wk").head(0, 2);
    let inputs = Circuit::rows("tok").through_if_present("wq");
    let built = Recall::new("wk1", inputs, Association::among(&[7, 2, 3, 4])).against(keys);
    assert_eq!(built.to_string(), text);
    assert_eq!(text.parse::<Recall>().unwrap().to_string(), text);
    let json = serde_json::to_string(&built).unwrap();
    assert_eq!(json, format!("\"{text}\""));
    assert_eq!(serde_json::from_str::<Recall>(&json).unwrap().to_string(), text);
}

/// A sum is added to as it is; rows that a sum has been mapped to are one term.
#[test]
fn sums_of_circuits() {
    let of = |text: &str| format!("{:?}", text.parse::<Circuit>().unwrap());
    let added = |circuit: Circuit| format!("{:?}", circuit.plus(Circuit::rows("c")));
    let sum = || Circuit::rows("a").plus(Circuit::rows("b"));
    assert_eq!(added(sum()), of("a + b + c"));
    assert_eq!(added(sum().through("w")), of("((a + b) -> w) + c"));
    assert_ne!(added(sum().through("w")), of("a + b + c"));
}

#[test]
fn what_does_not_fit_is_told_in_one_line() {
    let told = |text: &str| {
        let recall = text.parse::<Recall>();
        recall.and_then(|recall| recall.evaluate(&weights())).unwrap_err().to_string()
    };
    assert_eq!(
        told("a: tok -> tok => slef"),
        "recall 'a: tok -> tok => slef': expected `self`, `previous`, or pairs such as `{3: 1, 5: 2}`, \
         found `slef` at character 18"
    );
    assert_eq!(
        told("a: tok -> duoble => self"),
        "recall 'a', tok -> duoble: no weight 'duoble'; did you mean 'double'?"
    );
    assert_eq!(
        told("a: tok -> narrow -> back => self"),
        "recall 'a', tok -> narrow -> back: back: expected shape [6, 3], found [6, 6]"
    );
    assert_eq!(
        told("a: tok -> narrow => self"),
        "recall 'a', tok -> narrow: target 3 of an unembedding, which has targets 0 to 2"
    );
    assert_eq!(
        told("a: tok => self among 4..9"),
        "recall 'a', tok: row 6 of a matrix, which has rows 0 to 5"
    );
    assert_eq!(
        told("a: tok + short => self"),
        "recall 'a': tok + short: a sum of 6 rows and 4 rows; expected as many of each"
    );
    assert_eq!(
        told("a: tok ~ tok -> duoble => self"),
        "recall 'a', tok -> duoble: no weight 'duoble'; did you mean 'double'?"
    );
    assert_eq!(
        told("a: tok -> duoble ~ tok => self"),
        "recall 'a', tok -> duoble: no weight 'duoble'; did you mean 'double'?"
    );
    assert_eq!(
        told("a: tok + tok -> narrow => self"),
        "recall 'a': tok + tok -> narrow: a sum of rows of width 6 and of width 3; expected one width"
    );
}

fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_]{0,5}(\\.[0-9a-z_]{1,4}){0,2}".prop_filter("words of the language", |name| {
        !["relu", "scale", "head", "self", "previous", "among"].contains(&name.as_str())
    })
}

fn path() -> impl Strategy<Value = Circuit> {
    let leaf = name().prop_map(Circuit::rows);
    leaf.prop_recursive(4, 12, 3, |inner| {
        let (maps, scales) = (inner.clone(), inner.clone());
        let (heads, sums) = (inner.clone(), inner.clone());
        prop_oneof![
            (maps, name(), any::<bool>()).prop_map(|(path, name, optional)| match optional {
                true => path.through_if_present(name),
                false => path.through(name),
            }),
            (scales, -1e3..1e3).prop_map(|(path, by)| path.scaled(by).relu()),
            (heads, 0..4_usize).prop_map(|(path, head)| path.head(head, 4)),
            (sums, inner).prop_map(|(a, b)| a.plus(b)),
        ]
    })
}

fn association() -> impl Strategy<Value = Association> {
    prop_oneof![
        Just(Association::ITSELF),
        Just(Association::PREVIOUS),
        (1..99_usize).prop_map(Association::previous),
        proptest::collection::vec(0..99_u32, 1..9).prop_map(|things| Association::among(&things)),
        proptest::collection::vec((0..99_usize, 0..9_usize), 1..9).prop_map(Association::pairs),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        name in name(),
        path in path(),
        keys in proptest::option::of(path()),
        association in association(),
    ) {
        let mut recall = Recall::new(name, path, association.clone());
        recall = match keys { Some(keys) => recall.against(keys), None => recall };
        let text = recall.to_string();
        let read: Recall = text.parse().unwrap();
        prop_assert_eq!(read.to_string(), text);
        prop_assert_eq!(read.association(), &association);
    }

    #[test]
    fn no_text_makes_it_panic(text in "[a-c0-9:~>=+(){},?./ \\-]{0,40}") {
        let _ = text.parse::<Recall>();
    }
}
