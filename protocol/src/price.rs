//! An exact price: a whole number of hundredths.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The greatest price.
pub const MAX_PRICE: usize = 1_000_000_000;
/// The greatest price, in hundredths.
pub const MAX_HUNDREDTHS: i64 = 100_000_000_000;

/// A price from 0 to 1,000,000,000 with at most two decimal places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Price(i64);

/// The error for a number that is not a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PriceError {
    /// Negative, or above the greatest price.
    OutOfRange,
    /// More than two decimal places.
    TooPrecise,
}

impl Price {
    /// Creates a price from hundredths.
    ///
    /// # Errors
    /// [`PriceError::OutOfRange`].
    pub const fn from_hundredths(hundredths: i64) -> Result<Self, PriceError> {
        if hundredths >= 0 && hundredths <= MAX_HUNDREDTHS {
            Ok(Self(hundredths))
        } else {
            Err(PriceError::OutOfRange)
        }
    }

    /// Creates a price from a JSON number. A price has at most 12 significant digits, so its
    /// nearest `f64` identifies it. A number that is not the nearest `f64` of a price is refused.
    ///
    /// # Errors
    /// [`PriceError`] names the bound.
    pub fn from_number(number: f64) -> Result<Self, PriceError> {
        if !(0.0..=1_000_000_000.0).contains(&number) {
            return Err(PriceError::OutOfRange);
        }
        #[allow(clippy::cast_possible_truncation, reason = "within 0..=10^11, checked above")]
        let price = Self((number * 100.0).round() as i64);
        #[allow(clippy::float_cmp, reason = "the same nearest f64, or more than two places")]
        if price.to_number() == number { Ok(price) } else { Err(PriceError::TooPrecise) }
    }

    /// Returns the number of hundredths.
    #[must_use]
    pub const fn hundredths(self) -> i64 {
        self.0
    }

    /// Returns the `f64` nearest to this price; its shortest decimal form is the price.
    #[must_use]
    pub fn to_number(self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "at most 10^11, far below 2^53")]
        let hundredths = self.0 as f64;
        hundredths / 100.0
    }
}

impl fmt::Display for Price {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Written as `12`, not `12.0`.
        if self.0 % 100 == 0 {
            serializer.serialize_i64(self.0 / 100)
        } else {
            serializer.serialize_f64(self.to_number())
        }
    }
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer)
            .and_then(|number| Self::from_number(number).map_err(de::Error::custom))
    }
}

impl utoipa::PartialSchema for Price {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::schema::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::Number)
            .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(
                utoipa::openapi::KnownFormat::Double,
            )))
            .minimum(Some(0))
            .maximum(Some(1_000_000_000))
            .description(Some(
                "At most two decimal places; a third is refused. `multipleOf` would say so, but validators that compute with binary \
                 fractions take 19.99 for no multiple of 0.01.",
            ))
            .build()
            .into()
    }
}

impl utoipa::ToSchema for Price {}

#[cfg(test)]
mod tests {
    use super::{Price, PriceError};

    #[test]
    fn a_price_is_exact_to_the_hundredth() {
        for (number, hundredths, text) in [
            (0.0, 0, "0"),
            (0.1, 10, "0.1"),
            (12.0, 1200, "12"),
            (19.99, 1999, "19.99"),
            (999_999_999.99, 99_999_999_999, "999999999.99"),
        ] {
            let price = Price::from_number(number).expect("a price");
            assert_eq!(price.hundredths(), hundredths);
            assert_eq!(serde_json::to_string(&price).expect("a number"), text);
            assert_eq!(serde_json::from_str::<Price>(text).expect("a price"), price);
        }
    }

    #[test]
    fn every_hundredth_survives_the_way_through_json() {
        for hundredths in (0..200_000).chain(99_999_900_000..=100_000_000_000) {
            let price = Price::from_hundredths(hundredths).expect("in range");
            assert_eq!(Price::from_number(price.to_number()), Ok(price));
        }
    }

    #[test]
    fn a_number_beyond_the_bounds_is_refused() {
        for number in [-0.01, 1_000_000_000.01, 1e300, f64::INFINITY, f64::NAN] {
            assert_eq!(Price::from_number(number), Err(PriceError::OutOfRange), "{number}");
        }
        for number in [0.001, 1.005, 999_999_999.999] {
            assert_eq!(Price::from_number(number), Err(PriceError::TooPrecise), "{number}");
        }
    }
}
