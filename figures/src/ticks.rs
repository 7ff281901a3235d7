//! Axes: ranges, ticks and their texts.
use plotters::coord::ranged1d::Ranged;
use plotters::coord::types::RangedCoordf64;

/// The ends of all scales: beyond them, the length of an axis would be no number.
const LARGEST: f64 = 1e300;
const SMALLEST: f64 = 1e-300;

/// An axis in numbers: where its ends are and where it has ticks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    log: bool,
    pub ticks: Vec<f64>,
}

impl Axis {
    /// An axis from `low` to `high`, with about `count` ticks. What is larger or nearer to zero than any scale is at its end.
    pub fn new(low: f64, high: f64, log: bool, count: usize) -> Axis {
        let within = |v: f64| if log { v.clamp(SMALLEST, LARGEST) } else { v.clamp(-LARGEST, LARGEST) };
        let (low, high) = (within(low), within(high));
        let (low, high) = if low < high {
            (low, high)
        } else if log {
            (low / 2.0, low * 2.0)
        } else {
            (low - 0.5, low + 0.5)
        };
        let ticks = if log { decades(low, high) } else { linear(low, high, count) };
        Axis { low, high, log, ticks }
    }

    /// Where a value is, from 0 to 1 along the axis, and at the nearer end if it is outside; `None` if it is nowhere.
    pub fn place(&self, value: f64) -> Option<f64> {
        self.along(value).map(|at| at.clamp(0.0, 1.0))
    }

    /// Where a value is: from 0 to 1 along the axis, or beyond these outside of it; `None` if it is nowhere.
    pub fn along(&self, value: f64) -> Option<f64> {
        let scale = |v: f64| if self.log { v.log10() } else { v };
        let at = (scale(value) - scale(self.low)) / (scale(self.high) - scale(self.low));
        at.is_finite().then_some(at)
    }

    /// Ticks at the numbers that are drawn, where there are two to eight: the learning rates of a sweep.
    pub fn at_few(&mut self, values: &[f64]) {
        let mut distinct: Vec<f64> = Vec::new();
        for value in values {
            if !distinct.contains(value) {
                distinct.push(*value);
            }
            if distinct.len() > 8 {
                return;
            }
        }
        if distinct.len() > 1 {
            distinct.sort_by(f64::total_cmp);
            self.ticks = distinct;
        }
    }

    /// The end of the axis.
    pub fn high(&self) -> f64 {
        self.high
    }

    /// The texts of the ticks, all with as many digits as the finest needs.
    pub fn texts(&self) -> Vec<String> {
        if self.log {
            return self.ticks.iter().map(|tick| power(*tick)).collect();
        }
        if self.ticks.iter().any(|tick| tick.abs() >= 1e12) {
            return self.ticks.iter().map(|tick| scientific(*tick)).collect();
        }
        let digits = (0..=6).find(|digits| self.ticks.iter().all(|tick| fits(*tick, *digits))).unwrap_or(6);
        self.ticks.iter().map(|tick| grouped(*tick, digits)).collect()
    }
}

fn fits(value: f64, digits: usize) -> bool {
    let scaled = value * 10f64.powi(digits as i32);
    (scaled - scaled.round()).abs() < 1e-6 * scaled.abs().max(1.0)
}

fn grouped(value: f64, digits: usize) -> String {
    let text = format!("{:.digits$}", if value == 0.0 { 0.0 } else { value });
    let whole = text.trim_start_matches('-').split('.').next().unwrap_or("").len();
    // thousands from five digits on
    if whole < 5 || digits > 0 {
        return text.replace('-', "\u{2212}");
    }
    let (sign, rest) = text.split_at(text.len() - whole);
    let mut out = sign.replace('-', "\u{2212}");
    for (i, digit) in rest.chars().enumerate() {
        if i > 0 && (whole - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The text of a number of any size and sign.
fn scientific(value: f64) -> String {
    match value {
        0.0 => "0".into(),
        _ if value < 0.0 => format!("\u{2212}{}", power(-value)),
        _ => power(value),
    }
}

/// The text of a tick of a logarithmic axis.
fn power(value: f64) -> String {
    let exponent = value.log10().floor() as i32;
    if (-3..5).contains(&exponent) {
        let least = exponent.min(0).unsigned_abs() as usize;
        return grouped(value, (least..=6).find(|digits| fits(value, *digits)).unwrap_or(6));
    }
    let digits = exponent.to_string();
    let raised = digits.chars().map(|digit| match digit {
        '-' => '\u{207b}',
        '1' => '\u{b9}',
        '2' => '\u{b2}',
        '3' => '\u{b3}',
        digit => char::from_u32(0x2070 + digit.to_digit(10).unwrap_or(0)).unwrap_or(digit),
    });
    let raised: String = raised.collect();
    let first = (value / 10f64.powi(exponent) * 100.0).round() / 100.0;
    if first == 1.0 { format!("10{raised}") } else { format!("{first}\u{b7}10{raised}") }
}

/// Round numbers.
fn linear(low: f64, high: f64, count: usize) -> Vec<f64> {
    let slack = (high - low) * 1e-9;
    let ticks = RangedCoordf64::from(low..high).key_points(count);
    ticks.into_iter().filter(|tick| (low - slack..=high + slack).contains(tick)).collect()
}

/// Powers of ten; with fewer than three of them, also twice and five times these; round numbers where that gives fewer than two.
fn decades(low: f64, high: f64) -> Vec<f64> {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let of = |steps: &[f64]| {
        let all = (first..=last).flat_map(|e| steps.iter().map(move |step| step * 10f64.powi(e)));
        all.filter(|tick| (low * 0.999..=high * 1.001).contains(tick)).collect::<Vec<f64>>()
    };
    match of(&[1.0]) {
        powers if powers.len() > 6 => {
            let every = powers.len().div_ceil(6);
            powers.into_iter().step_by(every).collect()
        }
        powers if powers.len() > 2 => powers,
        _ => match of(&[1.0, 2.0, 5.0]) {
            few if few.len() < 2 => linear(low, high, 4).into_iter().filter(|tick| *tick > 0.0).collect(),
            ticks => ticks,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_their_texts_short() {
        assert_eq!(Axis::new(0.0, 1.0, false, 6).texts(), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(Axis::new(0.0, 20_000.0, false, 3).texts(), ["0", "10,000", "20,000"]);
        assert_eq!(Axis::new(1e-3, 1e-1, true, 5).texts(), ["0.001", "0.01", "0.1"]);
        assert_eq!(Axis::new(1e-6, 1e-4, true, 5).texts(), ["10⁻⁶", "10⁻⁵", "10⁻⁴"]);
        assert_eq!(Axis::new(1.0, 6.0, true, 5).texts(), ["1", "2", "5"]);
        // a single power of ten, or its double, says nothing about a scale
        assert_eq!(Axis::new(1.2, 3.4, true, 5).texts(), ["1.5", "2", "2.5", "3"]);
        assert_eq!(
            Axis::new(1.2e6, 1.9e6, true, 5).texts(),
            ["1.2\u{b7}10⁶", "1.4\u{b7}10⁶", "1.6\u{b7}10⁶", "1.8\u{b7}10⁶"]
        );
        // with many powers every second or third is written
        assert_eq!(Axis::new(1.0, 1e7, true, 5).texts(), ["1", "100", "10,000", "10⁶"]);
        assert_eq!(Axis::new(1.0, 1e5, true, 5).ticks.len(), 6);
    }

    #[test]
    fn numbers_of_any_size_have_an_axis_and_short_texts() {
        for log in [false, true] {
            for (low, high) in [(-1e308, 1e308), (5e-324, 1e308), (1e308, 1e308), (0.0, 2.6e253)] {
                let axis = Axis::new(low, high, log, 5);
                assert!((1..20).contains(&axis.ticks.len()), "{low} {high} {log}: {:?}", axis.ticks);
                assert!(axis.texts().iter().all(|text| text.chars().count() < 12), "{:?}", axis.texts());
            }
        }
        assert_eq!(
            Axis::new(-2e15, 0.0, false, 3).texts(),
            ["\u{2212}2\u{b7}10\u{b9}\u{2075}", "\u{2212}10\u{b9}\u{2075}", "0"]
        );
    }

    #[test]
    fn few_numbers_have_ticks_of_their_own() {
        let mut axis = Axis::new(3e-4, 3e-2, true, 5);
        axis.at_few(&[3e-2, 3e-4, 1e-3, 3e-3, 3e-4]);
        assert_eq!(axis.texts(), ["3\u{b7}10\u{207b}\u{2074}", "0.001", "0.003", "0.03"]);
        let before = axis.clone();
        axis.at_few(&[1e-3]);
        axis.at_few(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
        assert_eq!(axis, before);
    }

    #[test]
    fn numbers_below_zero_and_large_ones_are_grouped_and_have_a_minus() {
        assert_eq!(
            Axis::new(-1.0, 1.0, false, 5).texts(),
            ["\u{2212}1.0", "\u{2212}0.5", "0.0", "0.5", "1.0"]
        );
        let texts = Axis::new(-2_000_000.0, 0.0, false, 3).texts();
        assert_eq!(texts, ["\u{2212}2,000,000", "\u{2212}1,000,000", "0"]);
        assert_eq!(grouped(9999.0, 0), "9999");
        assert_eq!(grouped(12345.0, 0), "12,345");
        assert_eq!(grouped(-123456.0, 0), "\u{2212}123,456");
        assert_eq!(grouped(12345.25, 2), "12345.25");
        assert_eq!(grouped(-0.0, 1), "0.0");
        // as many digits as the finest needs, at most six
        assert_eq!(Axis::new(0.0, 0.01, false, 3).texts(), ["0.000", "0.005", "0.010"]);
    }

    #[test]
    fn powers_of_ten_are_written_out_where_that_is_short() {
        let texts = [1e-4, 1e-3, 0.5, 10_000.0, 1e5, 2e-12, 3e34].map(power);
        let raised = [
            "10\u{207b}\u{2074}",
            "0.001",
            "0.5",
            "10,000",
            "10\u{2075}",
            "2\u{b7}10\u{207b}\u{b9}\u{b2}",
            "3\u{b7}10\u{b3}\u{2074}",
        ];
        assert_eq!(texts, raised);
    }

    #[test]
    fn an_axis_of_one_number_has_it_in_its_middle() {
        assert!((Axis::new(8.0, 8.0, true, 5).place(8.0).unwrap() - 0.5).abs() < 1e-12);
        assert_eq!((Axis::new(8.0, 8.0, true, 5).high(), Axis::new(8.0, 8.0, false, 5).high()), (16.0, 8.5));
        // what lies outside is at the nearer end
        let axis = Axis::new(2.0, 4.0, false, 5);
        assert_eq!([1.0, 2.0, 2.5, 4.0, 9.0].map(|v| axis.place(v).unwrap()), [0.0, 0.0, 0.25, 1.0, 1.0]);
    }

    #[test]
    fn places_are_along_the_axis_and_nowhere_for_what_a_logarithm_has_not() {
        let axis = Axis::new(1.0, 100.0, true, 5);
        assert_eq!(axis.place(10.0), Some(0.5));
        assert_eq!(axis.place(0.0), None);
        assert_eq!(axis.place(f64::NAN), None);
        assert_eq!(Axis::new(3.0, 3.0, false, 5).place(3.0), Some(0.5));
    }
}
