//! Whole decimal numbers of any length, as counters add them.
//!
//! *Invariant:* a number is written without leading zeros, and zero without a sign.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

/// A whole number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Decimal {
    negative: bool,
    /// The digits, lowest first, without zeros at the end: none for zero.
    digits: Vec<u8>,
}

impl Decimal {
    /// Reads an optional sign and at least one digit.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let (negative, digits) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let digits = digits.iter().rev().map(|digit| digit - b'0').collect();
        Some(Self { negative, digits }.trimmed())
    }

    /// Returns the sum.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        if self.negative == other.negative {
            return Self {
                negative: self.negative,
                digits: sum(&self.digits, &other.digits),
            };
        }
        let (large, small) = match compare(&self.digits, &other.digits) {
            Ordering::Less => (other, self),
            Ordering::Equal | Ordering::Greater => (self, other),
        };
        Self {
            negative: large.negative,
            digits: difference(&large.digits, &small.digits),
        }
        .trimmed()
    }

    /// Returns the number with the other sign.
    pub(crate) fn negated(mut self) -> Self {
        self.negative = !self.negative && !self.digits.is_empty();
        self
    }

    /// Returns the digits, with a sign if it is below zero.
    pub(crate) fn to_text(&self) -> String {
        if self.digits.is_empty() {
            return String::from("0");
        }
        let sign = self.negative.then_some('-');
        let digits = self.digits.iter().rev();
        sign.into_iter()
            .chain(digits.map(|digit| char::from(b'0' + digit)))
            .collect()
    }

    fn trimmed(mut self) -> Self {
        while self.digits.last() == Some(&0) {
            self.digits.pop();
        }
        self.negative &= !self.digits.is_empty();
        self
    }
}

fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let by_len = a.len().cmp(&b.len());
    by_len.then_with(|| a.iter().rev().cmp(b.iter().rev()))
}

fn sum(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(a.len().max(b.len()) + 1);
    let mut carry = 0;
    for at in 0..a.len().max(b.len()) {
        let digit = a.get(at).unwrap_or(&0) + b.get(at).unwrap_or(&0) + carry;
        out.push(digit % 10);
        carry = digit / 10;
    }
    if carry > 0 {
        out.push(carry);
    }
    out
}

/// Takes `small` from `large`, which is not less.
fn difference(large: &[u8], small: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(large.len());
    let mut borrow = 0;
    for (at, digit) in large.iter().enumerate() {
        let take = small.get(at).unwrap_or(&0) + borrow;
        borrow = u8::from(*digit < take);
        out.push(digit + 10 * borrow - take);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_small_numbers_and_go_on_beyond_them() {
        for a in -120i64..120 {
            for b in [
                -1_000, -101, -100, -99, -10, -9, -1, 0, 1, 9, 10, 99, 100, 1_000,
            ] {
                let read = |n: i64| Decimal::parse(alloc::format!("{n}").as_bytes()).unwrap();
                let expected = alloc::format!("{}", a + b);
                assert_eq!(read(a).plus(&read(b)).to_text(), expected, "{a} + {b}");
            }
        }
        let large = Decimal::parse(b"99999999999999999999999999").unwrap();
        let one = Decimal::parse(b"+1").unwrap();
        assert_eq!(large.plus(&one).to_text(), "100000000000000000000000000");
    }

    #[test]
    fn only_digits_with_a_sign_are_a_number() {
        for text in ["", "+", "-", "one", "1.5", " 1", "1e3", "--1"] {
            assert_eq!(Decimal::parse(text.as_bytes()), None, "{text:?}");
        }
        for (text, expected) in [("-0", "0"), ("+007", "7"), ("-010", "-10")] {
            assert_eq!(Decimal::parse(text.as_bytes()).unwrap().to_text(), expected);
        }
    }
}
