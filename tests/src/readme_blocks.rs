//! The commands of a document.
//!
//! A fenced block whose info string is `sh` holds commands that a test runs unchanged, `sh serve`
//! those that occupy a terminal of their own until Ctrl-C, and `sh stopped` those that run after
//! that Ctrl-C. Blocks with any other info string are not run. `tests/readme/follow` runs them.

/// The address of the gateway in every document.
pub const ADDRESS: &str = "http://127.0.0.1:8080";

/// A fenced block of commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The words of the info string after `sh`: nothing, `serve` or `stopped`.
    pub kind: String,
    /// The commands.
    pub script: String,
}

/// Returns the blocks of commands of a Markdown text, in order.
#[must_use]
pub fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Option<Block>> = None;
    for line in markdown.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => {
                let kind =
                    info.strip_prefix("sh").filter(|rest| rest.is_empty() || rest.starts_with(' '));
                open = Some(
                    kind.map(|kind| Block { kind: kind.trim().to_owned(), script: String::new() }),
                );
            }
            (Some(block), Some(_)) => {
                blocks.extend(block.take());
                open = None;
            }
            (Some(Some(block)), None) => block.script.extend([line, "\n"]),
            (Some(None) | None, None) => {}
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::{Block, blocks};

    #[test]
    fn only_blocks_of_commands_are_taken() {
        let markdown =
            "```sh\na\n```\ntext\n```console\nb\n```\n```sh serve\nc\nd\n```\n```shell\ne\n```\n";
        let block =
            |kind: &str, script: &str| Block { kind: kind.to_owned(), script: script.to_owned() };
        assert_eq!(blocks(markdown), [block("", "a\n"), block("serve", "c\nd\n")]);
    }
}
