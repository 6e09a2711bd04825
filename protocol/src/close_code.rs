//! The one table of WebSocket close codes (RFC 6455 section 7.4).

/// The reason why the gateway closes a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseCode {
    /// The answer to the client's own close.
    Normal,
    /// The gateway stops, without a hint when to reconnect.
    GoingAway,
    /// A violation of RFC 6455.
    BadProtocol,
    /// A binary message.
    NotText,
    /// A text that is not UTF-8.
    NotUtf8,
    /// The origin or the hero is no longer allowed here.
    Policy,
    /// Far more control frames or refused commands than the limits allow. It has the number of
    /// [`CloseCode::Policy`], and its own reason on the wire.
    Flooding,
    /// A message longer than `GALLEY_MAX_MESSAGE`.
    TooBig,
    /// The gateway restarts; the `reconnect` frame said when to reconnect.
    Restart,
    /// The client was far too slow, or the gateway is overloaded.
    TryLater,
    /// The token is missing or has expired.
    TokenExpired,
    /// Not allowed.
    Forbidden,
    /// No token arrived in time.
    AuthTimeout,
}

/// Advice whether a client should reconnect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reconnect {
    /// No.
    No,
    /// Yes, with back-off and jitter.
    BackOff,
    /// Yes, after the `after_ms` of the `reconnect` frame.
    AfterHint,
    /// Yes, with a new token.
    NewToken,
}

impl Reconnect {
    /// Returns the advice as text.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::BackOff => "yes, with back-off and jitter",
            Self::AfterHint => "yes, after the `after_ms` of the `reconnect` frame",
            Self::NewToken => "yes, with a new token",
        }
    }
}

impl CloseCode {
    /// Every code; [`CloseCode::Policy`] stands for [`CloseCode::Flooding`] too.
    pub const ALL: [Self; 12] = [
        Self::Normal,
        Self::GoingAway,
        Self::BadProtocol,
        Self::NotText,
        Self::NotUtf8,
        Self::Policy,
        Self::TooBig,
        Self::Restart,
        Self::TryLater,
        Self::TokenExpired,
        Self::Forbidden,
        Self::AuthTimeout,
    ];

    /// Returns the number on the wire.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::GoingAway => 1001,
            Self::BadProtocol => 1002,
            Self::NotText => 1003,
            Self::NotUtf8 => 1007,
            Self::Policy | Self::Flooding => 1008,
            Self::TooBig => 1009,
            Self::Restart => 1012,
            Self::TryLater => 1013,
            Self::TokenExpired => 4401,
            Self::Forbidden => 4403,
            Self::AuthTimeout => 4408,
        }
    }

    /// Returns the reason on the wire: at most 123 bytes (RFC 6455 section 5.5.1).
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Normal => "bye",
            Self::GoingAway => "the gateway goes away",
            Self::BadProtocol => "against RFC 6455",
            Self::NotText => "messages are text",
            Self::NotUtf8 => "the text is not UTF-8",
            Self::Policy => "not allowed here",
            Self::Flooding => "flooding",
            Self::TooBig => "message too big",
            Self::Restart => "the gateway restarts, come back after the hint",
            Self::TryLater => "too slow, try again later",
            Self::TokenExpired => "token missing or expired",
            Self::Forbidden => "forbidden",
            Self::AuthTimeout => "no token came in time",
        }
    }

    /// Returns the advice whether a client should reconnect.
    #[must_use]
    pub const fn reconnect(self) -> Reconnect {
        match self {
            Self::Normal
            | Self::BadProtocol
            | Self::NotText
            | Self::NotUtf8
            | Self::Policy
            | Self::Flooding
            | Self::TooBig
            | Self::Forbidden => Reconnect::No,
            Self::GoingAway | Self::TryLater => Reconnect::BackOff,
            Self::Restart => Reconnect::AfterHint,
            Self::TokenExpired | Self::AuthTimeout => Reconnect::NewToken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::CloseCode;

    #[test]
    fn codes_are_unique_and_reasons_fit_a_control_frame() {
        let mut codes: Vec<u16> = CloseCode::ALL.into_iter().map(CloseCode::code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), CloseCode::ALL.len());
        assert!(CloseCode::ALL.into_iter().all(|code| code.reason().len() <= 123));
        assert_eq!(CloseCode::Flooding.code(), CloseCode::Policy.code());
    }
}
