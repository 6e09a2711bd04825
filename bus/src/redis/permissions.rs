//! The check at the start that the user may do everything that Galley needs.
//!
//! Redis checks the permission of a command before anything else about it. Each command here is
//! therefore one that changes nothing, most of them for a group that does not exist: only an answer
//! of NOPERM counts.

use redis::aio::ConnectionLike as _;
use redis::{Pipeline, RedisResult, Value};

use super::command_connection::PATIENCE;
use super::nodes::Nodes;
use super::redis_names::{GROUP, RedisNames};

/// A group that no program creates.
const NO_GROUP: &str = "-";

/// Returns the commands of a shard that are not allowed, each with its key or channel.
pub(super) async fn missing(
    nodes: &Nodes,
    names: &RedisNames,
    shard: u16,
) -> RedisResult<Vec<String>> {
    let (stream, channel) = (names.stream(shard), names.channel(shard));
    let commands: [&[&str]; 13] = [
        &["PING"],
        &["XADD", &stream, "NOMKSTREAM", "0-0", "o", "0"],
        &["XACK", &stream, GROUP, "0-0"],
        &["XREADGROUP", "GROUP", NO_GROUP, "0", "STREAMS", &stream, ">"],
        &["XAUTOCLAIM", &stream, NO_GROUP, "0", "0", "0-0"],
        &["XGROUP", "CREATE", &stream, GROUP, "no id"],
        &["XGROUP", "DELCONSUMER", &stream, NO_GROUP, "0"],
        &["XINFO", "GROUPS", &stream],
        &["XINFO", "CONSUMERS", &stream, NO_GROUP],
        &["XPENDING", &stream, NO_GROUP],
        &["XTRIM", &stream, "MINID", "0"],
        // A message of a kind that no subscriber knows.
        &[names.publish(), &channel, "galley-start"],
        &[names.subscribe(), &channel],
    ];
    let mut pipeline = Pipeline::new();
    for words in commands {
        pipeline.cmd(words[0]).arg(&words[1..]);
    }
    // RESP3, in which a subscribed connection goes on to answer.
    let slot = names.slot(shard);
    let mut connection = nodes.connect_listening(slot, PATIENCE, |_| Ok::<_, ()>(())).await?;
    let answers = connection.req_packed_commands(&pipeline, 0, commands.len()).await?;
    let denied =
        |answer: &Value| matches!(answer, Value::ServerError(error) if error.code() == "NOPERM");
    let missing = commands.iter().zip(&answers).filter(|(_, answer)| denied(answer));
    Ok(missing.map(|(words, _)| named(words, &stream, &channel)).collect())
}

/// Formats a command with its sub-command, and its key or channel.
fn named(words: &[&str], stream: &str, channel: &str) -> String {
    let has_sub_command = matches!(words[0], "XGROUP" | "XINFO");
    let command = words[..=usize::from(has_sub_command)].join(" ");
    let object = words.iter().find(|word| **word == stream || **word == channel);
    object.map_or(command.clone(), |object| format!("{command} {object}"))
}
