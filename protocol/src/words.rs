//! Commands in plain words, one a line, for people at a terminal.

use crate::audience::Audience;
use crate::command::{CancelOrder, DeleteOrder, GetOrder, ListOrders, PlaceOrder, Watch};
use crate::frame::{ClientFrame, Command, CommandId};
use crate::nearest_command;
use crate::problem::Problem;
use crate::problem_type::ProblemType;
use crate::sentence::Sentence;
use crate::{BearerToken, MealId, OrderId, ReasonText};

impl ClientFrame {
    /// Parses one message: a JSON object if it begins with `{`, else plain words. An error offers
    /// only the commands of the sender.
    ///
    /// # Errors
    /// A problem, with the command's id if that could be read.
    pub fn parse(message: &str, audience: Audience) -> Result<Self, (Option<CommandId>, Problem)> {
        let message = message.trim();
        if message.starts_with('{') {
            return Self::parse_json(message, audience);
        }
        parse(message, audience)
            .map(|command| Self { id: None, command })
            .map_err(|problem| (None, problem))
    }
}

/// Parses a line.
///
/// # Errors
/// A problem with the usage of the command, or with the nearest command.
pub fn parse(line: &str, audience: Audience) -> Result<Command, Problem> {
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let word = word.to_lowercase();
    match word.as_str() {
        "menu" => without_arguments(&word, rest, Command::Menu { cursor: None }),
        "order" => {
            let meal_id = rest.parse::<MealId>().map_err(|_| usage(Sentence::UsageOfOrder))?;
            Ok(Command::Place(PlaceOrder::of(meal_id)))
        }
        "orders" => without_arguments(&word, rest, Command::Orders(ListOrders::default())),
        "get" => order_id("get", rest).map(|order_id| Command::Get(GetOrder { order_id })),
        "cancel" => {
            let (id, why) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let order_id = order_id("cancel", id)?;
            let reason = if why.is_empty() { None } else { Some(ReasonText::parse(why)) };
            let reason = reason
                .transpose()
                .map_err(|error| usage(Sentence::UsageOfCancel(Box::new(error.into()))))?;
            Ok(Command::Cancel(CancelOrder { order_id, reason, expected: None }))
        }
        "delete" => order_id("delete", rest)
            .map(|order_id| Command::Delete(DeleteOrder { order_id, expected: None })),
        "watch" => without_arguments(&word, rest, Command::Watch(Watch::all(None))),
        "ping" => without_arguments(&word, rest, Command::Ping),
        "help" => without_arguments(&word, rest, Command::Help),
        "auth" => {
            let token = BearerToken::parse(rest)
                .map_err(|error| usage(Sentence::UsageOfAuth(Box::new(error.into()))))?;
            Ok(Command::Auth { token })
        }
        _ => Err(nearest_command::unknown(audience, &word)),
    }
}

fn order_id(command: &str, text: &str) -> Result<OrderId, Problem> {
    text.parse().map_err(|_| usage(Sentence::UsageWithOrder(command.to_owned())))
}

fn without_arguments(word: &str, rest: &str, command: Command) -> Result<Command, Problem> {
    if rest.is_empty() { Ok(command) } else { Err(usage(Sentence::UsageWithout(word.to_owned()))) }
}

fn usage(usage: Sentence) -> Problem {
    Problem::new(ProblemType::ValidationFailed).with_detail(usage)
}

#[cfg(test)]
mod tests {
    use super::{Audience, parse};
    use crate::frame::{ClientFrame, Command};

    #[test]
    fn words_say_the_same_as_frames() {
        for (words, frame) in [
            ("menu", r#"{"type":"menu"}"#),
            ("order 2", r#"{"type":"place","meal_id":2}"#),
            ("ORDER   2", r#"{"type":"place","meal_id":2}"#),
            ("orders", r#"{"type":"orders"}"#),
            ("get 7", r#"{"type":"get","order_id":7}"#),
            ("cancel 7", r#"{"type":"cancel","order_id":7}"#),
            (
                "cancel 7 changed my  mind",
                r#"{"type":"cancel","order_id":7,"reason":"changed my  mind"}"#,
            ),
            ("delete 7", r#"{"type":"delete","order_id":7}"#),
            ("watch", r#"{"type":"watch"}"#),
            ("help", r#"{"type":"help"}"#),
            ("ping", r#"{"type":"ping"}"#),
            ("auth a.b-c.d", r#"{"type":"auth","token":"a.b-c.d"}"#),
        ] {
            assert_eq!(
                ClientFrame::parse(words, Audience::Staff),
                ClientFrame::parse(frame, Audience::Staff),
                "{words}"
            );
        }
    }

    #[test]
    fn a_typo_is_answered_with_the_nearest_command() {
        for (line, nearest) in [
            ("ordr 2", "order"),
            ("cancle 7", "cancel"),
            ("mneu", "menu"),
            ("dlete 7", "delete"),
            ("hlep", "help"),
        ] {
            let problem = parse(line, Audience::Hero).expect_err("a typo");
            assert!(
                problem.detail.to_string().ends_with(&format!("did you mean `{nearest}`?")),
                "{line}: {}",
                problem.detail
            );
        }
        assert!(
            parse("zzzzzzzzzzzz", Audience::Hero)
                .expect_err("no command")
                .detail
                .to_string()
                .contains("type: menu")
        );
        assert!(parse("", Audience::Hero).is_err());
    }

    #[test]
    fn nobody_is_offered_what_it_may_not_do() {
        let detail =
            |line, audience| parse(line, audience).expect_err("no command").detail.to_string();
        for line in ["wach", "watch!", "ordr", "plaice", "zzzzzzzzzzzz"] {
            assert!(!detail(line, Audience::Hero).contains("watch`?"), "{line}");
            assert!(!detail(line, Audience::Hero).contains("| watch"), "{line}");
            for placing in ["`order`", "`place`", "order <meal>"] {
                assert!(!detail(line, Audience::Staff).contains(placing), "{line}");
            }
        }
        assert!(detail("wach", Audience::Staff).ends_with("did you mean `watch`?"));
        assert!(detail("ordr", Audience::Hero).ends_with("did you mean `order`?"));
    }

    #[test]
    fn a_wrong_argument_is_answered_with_the_usage() {
        for (line, usage) in [
            ("order soup", "order 2"),
            ("cancel", "cancel 7"),
            ("delete 7 now", "delete 7"),
            ("menu please", "usage: menu (no arguments)"),
        ] {
            assert!(
                parse(line, Audience::Hero)
                    .expect_err("a wrong argument")
                    .detail
                    .to_string()
                    .contains(usage),
                "{line}"
            );
        }
        assert!(matches!(parse("cancel 7 a", Audience::Hero), Ok(Command::Cancel(_))));
    }
}
