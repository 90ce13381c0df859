//! Decimal numbers of any length, added without rounding, as the server adds its NUMERIC.

use std::cmp::Ordering;
use std::fmt;

/// A number as JSON and NUMERIC write it, without an exponent.
#[derive(Clone, Debug)]
pub(super) struct Decimal {
    is_negative: bool,
    /// From the last digit to the first.
    digits: Vec<u8>,
    /// How many of the digits are behind the point.
    scale: usize,
}

impl Decimal {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (is_negative, number) = match text.strip_prefix('-') {
            Some(number) => (true, number),
            None => (false, text),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let is_number =
            !whole.is_empty() && [whole, fraction].concat().bytes().all(|digit| digit.is_ascii_digit());
        is_number.then(|| Self {
            is_negative,
            digits: whole.bytes().chain(fraction.bytes()).rev().map(|digit| digit - b'0').collect(),
            scale: fraction.len(),
        })
    }

    pub(super) fn is_negative(&self) -> bool {
        self.is_negative
    }

    pub(super) fn add(&self, other: &Self) -> Self {
        let scale = self.scale.max(other.scale);
        let (one, two) = (self.scaled(scale), other.scaled(scale));
        let (is_negative, digits) = if self.is_negative == other.is_negative {
            (self.is_negative, sum(&one, &two))
        } else if compare(&one, &two) == Ordering::Less {
            (other.is_negative, difference(&two, &one))
        } else {
            (self.is_negative, difference(&one, &two))
        };
        Self { is_negative, digits, scale }
    }

    pub(super) fn subtract(&self, other: &Self) -> Self {
        self.add(&Self { is_negative: !other.is_negative, ..other.clone() })
    }

    /// The digits with this many of them behind the point.
    fn scaled(&self, scale: usize) -> Vec<u8> {
        let zeros = std::iter::repeat_n(0, scale - self.scale);
        zeros.chain(self.digits.iter().copied()).collect()
    }
}

fn digit(digits: &[u8], place: usize) -> u8 {
    digits.get(place).copied().unwrap_or(0)
}

fn compare(one: &[u8], two: &[u8]) -> Ordering {
    let places = (0..one.len().max(two.len())).rev();
    places
        .map(|place| digit(one, place).cmp(&digit(two, place)))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn sum(one: &[u8], two: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let places = 0..one.len().max(two.len()) + 1;
    places
        .map(|place| {
            let sum = digit(one, place) + digit(two, place) + carry;
            carry = sum / 10;
            sum % 10
        })
        .collect()
}

/// `one` must not be less than `two`.
fn difference(one: &[u8], two: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let places = 0..one.len();
    places
        .map(|place| {
            let (upper, lower) = (digit(one, place), digit(two, place) + borrow);
            borrow = u8::from(upper < lower);
            upper + 10 * borrow - lower
        })
        .collect()
}

impl fmt::Display for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(self.digits.len() + 2);
        // No minus before a zero: JavaScript distinguishes -0 from 0.
        if self.is_negative && self.digits.iter().any(|digit| *digit > 0) {
            text.push('-');
        }
        let is_needed = |(place, digit): &(usize, u8)| *digit > 0 || *place <= self.scale;
        let from_the_first =
            self.digits.iter().copied().enumerate().rev().skip_while(|place| !is_needed(place));
        for (place, digit) in from_the_first {
            text.push(char::from(b'0' + digit));
            if place == self.scale && place > 0 {
                text.push('.');
            }
        }
        formatter.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).expect("a decimal number")
    }

    #[test]
    fn sums_are_exact_and_written_as_json() {
        for (one, two, sum) in [
            ("0.1", "0.2", "0.3"),
            ("9.99", "0.01", "10.00"),
            ("-1", "1", "0"),
            ("-0.5", "0.5", "0.0"),
            ("-3", "1.25", "-1.75"),
            ("99999999999999999999999999999999999999999", "1", "100000000000000000000000000000000000000000"),
            ("0.05", "-0.1", "-0.05"),
        ] {
            assert_eq!(decimal(one).add(&decimal(two)).to_string(), sum);
            assert_eq!(decimal(two).add(&decimal(one)).to_string(), sum);
        }
        assert_eq!(decimal("1").subtract(&decimal("2.5")).to_string(), "-1.5");
    }

    #[test]
    fn other_texts_are_no_decimal_number() {
        for text in ["", "-", ".5", "1e5", "NaN", "\"1\"", "1.2.3", "+1", "null"] {
            assert!(Decimal::parse(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn sums_and_differences_are_those_of_integers(one in any::<i64>(), two in any::<i64>()) {
            let (a, b) = (decimal(&one.to_string()), decimal(&two.to_string()));
            prop_assert_eq!(a.add(&b).to_string(), (i128::from(one) + i128::from(two)).to_string());
            prop_assert_eq!(a.subtract(&b).to_string(), (i128::from(one) - i128::from(two)).to_string());
        }
    }
}
