//! The rules that select the lines to log.

use std::fmt;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// The names of the levels.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
/// The similarity from which a level is suggested for a wrong word.
const ALIKE: f64 = 0.8;

/// Rules that select the lines to log: a level, or comma-separated levels for parts of the program.
/// Unknown levels are refused, because the library would take one for a part of the program, and
/// log nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRules(String);

impl LogRules {
    /// Returns true if nothing is logged.
    pub(super) fn is_off(&self) -> bool {
        self.0.eq_ignore_ascii_case("off")
    }

    pub(super) fn filter(&self) -> EnvFilter {
        EnvFilter::new(&self.0)
    }
}

impl FromStr for LogRules {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Fields of spans, in brackets, may contain commas and other signs: the library checks
        // those.
        let rules = if text.contains('[') {
            text.trim().to_owned()
        } else {
            text.split(',').map(checked).collect::<Result<Vec<_>, _>>()?.join(",")
        };
        EnvFilter::try_new(&rules)
            .map(|_| Self(rules))
            .map_err(|error| format!("{error}; {ALLOWED}"))
    }
}

impl fmt::Display for LogRules {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

const ALLOWED: &str =
    "must be off, error, warn, info, debug or trace, or rules such as info,sqlx=warn";

/// Checks a rule, and returns it without spaces around its parts.
fn checked(rule: &str) -> Result<String, String> {
    let (part, level) =
        rule.rsplit_once('=').map_or((None, rule), |(part, level)| (Some(part.trim()), level));
    let level = level.trim();
    if part.is_some_and(|part| part.is_empty() || part.contains('=')) {
        return Err(format!("`{}` is not a rule; {ALLOWED}", rule.trim()));
    }
    if level.is_empty() || level.parse::<LevelFilter>().is_err() {
        let meant =
            meant(level).map_or_else(String::new, |level| format!(", did you mean `{level}`?"));
        return Err(format!("`{level}` is not a level{meant}; {ALLOWED}"));
    }
    Ok(part.map_or_else(|| level.to_owned(), |part| format!("{part}={level}")))
}

fn meant(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    LEVELS.into_iter().find(|level| strsim::jaro_winkler(level, &word) > ALIKE)
}

#[cfg(test)]
mod tests {
    use super::LogRules;

    #[test]
    fn a_level_or_levels_for_parts_are_taken() {
        for (text, rules) in [
            ("info", "info"),
            ("WARN", "WARN"),
            (" debug ", "debug"),
            ("info,sqlx=warn", "info,sqlx=warn"),
            ("off, galley_gateway::http = trace", "off,galley_gateway::http=trace"),
            ("info,nobody_knows_this=debug", "info,nobody_knows_this=debug"),
            ("[request{path=/ws}]=debug", "[request{path=/ws}]=debug"),
        ] {
            assert_eq!(text.parse(), Ok(LogRules(rules.to_owned())), "{text:?}");
        }
    }

    #[test]
    fn an_unknown_level_is_refused_and_the_known_ones_are_named() {
        for (text, meant) in [
            ("warning", Some("warn")),
            ("inof", Some("info")),
            ("err", Some("error")),
            ("trce", Some("trace")),
            ("verbose", None),
            ("sqlx", None),
            ("info,sqlx=loud", None),
            ("info,sqlx=", None),
            ("info,,debug", None),
            ("info,=,", None),
            ("=info", None),
            ("a=b=c", None),
            ("", None),
            (" ", None),
        ] {
            let error = text.parse::<LogRules>().expect_err(text);
            assert!(error.contains("off, error, warn, info, debug or trace"), "{text:?}: {error}");
            assert_eq!(error.contains("did you mean"), meant.is_some(), "{text:?}: {error}");
            assert!(
                meant.is_none_or(|level| error.contains(&format!("`{level}`?"))),
                "{text:?}: {error}"
            );
        }
    }
}
