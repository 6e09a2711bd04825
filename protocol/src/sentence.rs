//! The sentences of the service about what went wrong, each with its arguments. They are written in
//! the language of the reader where they go out; `languages/` holds their texts.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;

use crate::audience::Audience;
use crate::bearer_token::{MAX_TOKEN, TokenError};
use crate::character::Forbidden;
use crate::cursor::CursorError;
use crate::id::{HeroId, IdError, MAX_ID, MealId, OrderId, Version};
use crate::lifecycle::{Status, StatusError};
use crate::price::{MAX_PRICE, PriceError};
use crate::problem_type::ProblemType;
use crate::text::TextError;
use crate::timestamp::TimestampError;

/// A sentence. `Display` writes it in English, as does JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "`languages/en.rs` has their texts")]
pub enum Sentence {
    /// The title of a type of problem.
    Title(ProblemType),
    /// The explanation of a type of problem.
    Explanation(ProblemType),
    /// A sentence that is written in the language of its reader.
    Said(String),

    NotAnObject,
    NotAString,
    NotStrings,
    NotANumber,
    NotAnInteger,
    TooManyEntries(usize),
    UnknownField,
    UnknownParameter,
    Required,
    Repeated,
    BadCommandId(usize),
    Empty,
    Invisible,
    TooLong(usize),
    ForbiddenCharacter(String, Forbidden, usize),
    NotFromOneTo(i64),
    OutOfRange(usize, usize),
    TooPrecise,
    NotAToken(usize),
    NotATime,
    NotAStatus(String),
    NotACursor,
    NotEncoded,
    NotVisible,
    NotTags(usize),
    OtherId(i64),
    OtherVersion,
    TwoReasons,
    WrongField(String, Box<Self>),
    WrongFields(String, Box<Self>, usize),

    UsageOfOrder,
    UsageWithOrder(String),
    UsageWithout(String),
    UsageOfCancel(Box<Self>),
    UsageOfAuth(Box<Self>),
    DidYouMean(String, &'static str),
    NoCommand(String, Audience),

    HostHeader,
    TransferCoding,
    AmbiguousLength,
    OtherHost,
    OtherOrigin,
    NothingAt(String),
    NothingOutside(String, String),
    MethodNotAllowed(String),
    NoProblemType,
    NoFile,
    NotJson(String),
    BodyNotJson(String),
    BodyEnded,
    BodyTimeout,
    BodyTooLarge(usize),
    ContentEncoding,
    NotJsonType,
    NotPatchType,

    HttpVersion,
    ConnectionHeader,
    WebSocketVersion,
    WebSocketKey,
    TwoTokens,

    SendToken,
    FirstMessage,
    TokenSignature,
    TokenKeys,
    TokenAlgorithm,
    TokenClaims,
    TokenLongLived,
    TokenExpired,
    TokenNotYet,
    TokenHeroGone,
    TokenSignedOut,
    BadTicket,
    TokenWanted(Box<Self>, String),
    NoTokenAsked,
    TokenOfOther,
    TokenUseless,
    OnlyStaff,
    OnlyStaffWatches,
    StaffPlacesNothing,

    NoHero(HeroId),
    NoMeal(MealId),
    NoOrder(OrderId),
    HeroChanged(HeroId),
    MealChanged(MealId),
    OrderChanged(OrderId, Version),
    HeroHasOrders(HeroId),
    MealHasOrders(MealId),
    OrderEnded(OrderId, Status),
    OrderActive(OrderId, Status),
    KeyOfOtherHero,
    KeyOfOtherMeal,
    KeyOfOtherOrder,

    HeroSockets,
    AddressSockets,
    GatewaySockets,
    OpenOrders(usize),
    TooManyCommands,
    TooManyOpenings,
    TooManyTexts,
    TooManyRequests,
    TooManyReads,
    UnreadAnswers,
    Contended,

    NothingChanged(Box<Self>),
    MaybeChanged(Box<Self>),
    DatabaseUnreachable,
    DatabaseFull,
    DatabaseGone,
    DatabaseReadOnly,
    DatabaseFailing,
    DatabaseDamaged,
    DatabaseLocked,
    DatabaseBusy,
    DatabaseHeld,
    DatabaseCrowded,
    DatabaseStarting,
    DatabaseOutOfMemory,
    DatabaseStalled,
}

/// The sentences of errors of values, which `Display` of the errors writes in English.
macro_rules! errors {
    ($($error:ty: $value:pat => $sentence:expr;)*) => {$(
        impl From<$error> for Sentence {
            fn from($value: $error) -> Self {
                $sentence
            }
        }

        impl fmt::Display for $error {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                Sentence::from(*self).fmt(formatter)
            }
        }

        impl Error for $error {}
    )*};
}

errors! {
    IdError: IdError => Self::NotFromOneTo(MAX_ID);
    TimestampError: TimestampError => Self::NotATime;
    CursorError: CursorError => Self::NotACursor;
    TokenError: TokenError => Self::NotAToken(MAX_TOKEN);
    StatusError: StatusError => Self::NotAStatus(Status::ALL.map(Status::as_str).join(", "));
    PriceError: error => match error {
        PriceError::OutOfRange => Self::OutOfRange(0, MAX_PRICE),
        PriceError::TooPrecise => Self::TooPrecise,
    };
    TextError: error => match error {
        TextError::Empty => Self::Empty,
        TextError::Invisible => Self::Invisible,
        TextError::TooLong(most) => Self::TooLong(most),
        TextError::Forbidden { kind, character, place } => {
            Self::ForbiddenCharacter(format!("U+{:04X}", u32::from(character)), kind, place)
        }
    };
}

impl From<Infallible> for Sentence {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
