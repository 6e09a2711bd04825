//! The answer to a command that does not exist.

use crate::audience::Audience;
use crate::problem::Problem;
use crate::problem_type::ProblemType;
use crate::sentence::Sentence;

/// Returns the answer to a command that does not exist, with the nearest one that does.
#[must_use]
pub fn unknown(audience: Audience, word: &str) -> Problem {
    // Bounds what the answer repeats of the input.
    let short: String = word.chars().filter(|character| !character.is_control()).take(32).collect();
    let nearest = audience
        .commands()
        .map(|command| (strsim::damerau_levenshtein(command, &short), command))
        .min()
        .filter(|(distance, command)| *distance <= command.len() / 2);
    Problem::new(ProblemType::UnknownCommand).with_detail(match nearest {
        Some((_, command)) => Sentence::DidYouMean(short, command),
        None => Sentence::NoCommand(short, audience),
    })
}
