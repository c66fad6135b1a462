//! Values as gateways and servers in the field write them.

use alloc::string::String;
use core::fmt::Display;

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Error as _, Serializer};
use serde_json::Value;

/// `null` like a field that is missing.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    input: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(input)?.unwrap_or_default())
}

fn unexpected<E: Error>(wanted: &str, found: impl Display) -> E {
    E::custom(format_args!("expected {wanted}, found {found}"))
}

/// A number, a number in quotes, or nothing.
pub(super) fn float<'de, D: Deserializer<'de>>(input: D) -> Result<Option<f64>, D::Error> {
    match Option::deserialize(input)? {
        None => Ok(None),
        Some(value) => number(&value),
    }
}

fn number<E: Error>(value: &Value) -> Result<Option<f64>, E> {
    let number = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_f64(),
        Value::String(text) if text.trim().is_empty() => return Ok(None),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    match number {
        Some(number) if number.is_finite() => Ok(Some(number)),
        _ => Err(unexpected("a number", value)),
    }
}

/// A whole number, also when it is written as `-58.0` or in quotes, or nothing. A fraction is
/// rounded.
pub(super) fn integer<'de, D: Deserializer<'de>, T: TryFrom<i64>>(
    input: D,
) -> Result<Option<T>, D::Error> {
    match Option::<Value>::deserialize(input)? {
        None => Ok(None),
        Some(value) => whole(&value),
    }
}

/// As [`integer`], from a value that was read.
pub(super) fn whole<E: Error, T: TryFrom<i64>>(value: &Value) -> Result<Option<T>, E> {
    let whole = match value.as_i64() {
        Some(whole) => whole,
        None => match number::<E>(value)? {
            None => return Ok(None),
            // As a float, 2^63 is the first that is too large; `as` would make it 2^63 - 1.
            Some(number) if number.abs() >= 9_223_372_036_854_775_808.0 => {
                return Err(too_large(value));
            }
            Some(number) => (number + if number < 0.0 { -0.5 } else { 0.5 }) as i64,
        },
    };
    T::try_from(whole).map(Some).map_err(|_| too_large(value))
}

fn too_large<E: Error>(value: &Value) -> E {
    unexpected("a number that fits the field", value)
}

/// Writes a number or nothing. JSON has no infinity and no NaN: they would be written as `null`.
pub(super) fn write_float<S: Serializer>(
    number: &(impl Into<Option<f64>> + Copy),
    out: S,
) -> Result<S::Ok, S::Error> {
    match (*number).into() {
        Some(number) if number.is_finite() => out.serialize_f64(number),
        Some(number) => Err(S::Error::custom(format_args!("{number} cannot be written"))),
        None => out.serialize_none(),
    }
}

/// A number that must be there.
pub(super) fn required_float<'de, D: Deserializer<'de>>(input: D) -> Result<f64, D::Error> {
    float(input)?.ok_or_else(|| D::Error::custom("expected a number, found null"))
}

/// True or false, 1 or 0, or nothing, which is false.
pub(super) fn flag<'de, D: Deserializer<'de>>(input: D) -> Result<bool, D::Error> {
    let value = Option::<Value>::deserialize(input)?.unwrap_or(Value::Null);
    match &value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        other => Ok(whole::<D::Error, i64>(other)?.unwrap_or(0) != 0),
    }
}

/// Text, a number written as text, or nothing.
pub(super) fn text<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    match Option::<Value>::deserialize(input)? {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Number(number)) => Ok(Some(alloc::format!("{number}"))),
        Some(other) => Err(unexpected("text", other)),
    }
}
