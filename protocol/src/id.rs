//! Newtypes for identifiers: positive integers that JavaScript can hold exactly.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{KnownFormat, RefOr, SchemaFormat};

/// The greatest identifier: 2^53 - 1, `Number.MAX_SAFE_INTEGER` of ECMAScript.
pub const MAX_ID: i64 = (1 << 53) - 1;

/// The error for a number that is not an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdError;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "i64", into = "i64")]
        pub struct $name(i64);

        impl $name {
            /// The smallest identifier.
            pub const FIRST: Self = Self(1);

            /// Checks a number, which must be from 1 to [`MAX_ID`].
            ///
            /// # Errors
            /// [`IdError`] for any other number.
            pub const fn new(number: i64) -> Result<Self, IdError> {
                if number >= 1 && number <= MAX_ID { Ok(Self(number)) } else { Err(IdError) }
            }

            /// Returns the number.
            #[must_use]
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl TryFrom<i64> for $name {
            type Error = IdError;
            fn try_from(number: i64) -> Result<Self, IdError> {
                Self::new(number)
            }
        }

        impl From<$name> for i64 {
            fn from(id: $name) -> i64 {
                id.0
            }
        }

        /// Digits only: no sign, no white space, no leading zero.
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                digits(text).and_then(Self::new)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                positive_integer(MAX_ID)
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}

id! {
    /// A hero.
    HeroId
}
id! {
    /// A meal.
    MealId
}
id! {
    /// An order. Assigned before commit: a smaller id may become visible after a greater one.
    OrderId
}
id! {
    /// One start of one process. Never used twice; the fencing token in every write of a worker.
    IncarnationId
}

/// The id of a process that publishes: a random number from 1 to `i32::MAX`, new at each start. It
/// is also the second key of an advisory lock of `PostgreSQL`, which is an `int`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublisherId(i32);

impl PublisherId {
    /// Checks a number, which must be from 1 to `i32::MAX`.
    ///
    /// # Errors
    /// [`IdError`] for any other number.
    pub const fn new(number: i32) -> Result<Self, IdError> {
        if number >= 1 { Ok(Self(number)) } else { Err(IdError) }
    }

    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0
    }
}

fn digits<N: FromStr>(text: &str) -> Result<N, IdError> {
    let canonical = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    if canonical { text.parse().map_err(|_| IdError) } else { Err(IdError) }
}

impl FromStr for PublisherId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        digits(text).and_then(Self::new)
    }
}

impl fmt::Display for PublisherId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The number of a state: 1 at creation, one more with each change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub i32);

impl Version {
    /// The version of a new record.
    pub const FIRST: Self = Self(1);

    /// Returns the version after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Returns the entity tag of this version, as in `ETag: "3"` (RFC 9110 section 8.8.3).
    #[must_use]
    pub fn etag(self) -> String {
        format!("\"{}\"", self.0)
    }
}

impl utoipa::PartialSchema for Version {
    fn schema() -> RefOr<Schema> {
        positive_integer(i32::MAX.into())
    }
}

impl utoipa::ToSchema for Version {}

fn positive_integer(most: i64) -> RefOr<Schema> {
    // Without a format, generated clients in Go, Java and Rust would keep 32 bits.
    let format = if i32::try_from(most).is_ok() { KnownFormat::Int32 } else { KnownFormat::Int64 };
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(format)))
        .minimum(Some(1))
        .maximum(Some(most))
        .build()
        .into()
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::{HeroId, IdError, MAX_ID};

    #[test]
    fn an_id_is_a_positive_integer_that_javascript_holds_exactly() {
        assert_eq!(HeroId::new(1).map(HeroId::get), Ok(1));
        assert_eq!(HeroId::new(MAX_ID).map(HeroId::get), Ok(MAX_ID));
        for wrong in [0, -1, MAX_ID + 1, i64::MAX, i64::MIN] {
            assert_eq!(HeroId::new(wrong), Err(IdError), "{wrong}");
        }
    }

    #[test]
    fn an_id_has_one_spelling() {
        assert_eq!("42".parse::<HeroId>().map(HeroId::get), Ok(42));
        for wrong in [
            "",
            "0",
            "-1",
            "+1",
            "042",
            " 42",
            "4 2",
            "4.0",
            "0x2a",
            "9007199254740992",
            "99999999999999999999",
        ] {
            assert_eq!(wrong.parse::<HeroId>(), Err(IdError), "{wrong:?}");
        }
    }
}
