//! Problems in place of hyper's own error answers.
//!
//! A request that cannot be parsed never reaches a handler: hyper answers it with a bare head and
//! closes the connection. hyper has no hook for that, so the head is recognized as it is written:
//! it announces an empty body, and lacks the request id that every answer of a handler has.

use galley_protocol::{Problem, ProblemType, Sentence};

use crate::limits;

/// Returns the answer to send instead of these bytes, if they are an error answer of hyper's own.
pub fn problem(bytes: &[u8]) -> Option<Vec<u8>> {
    let status = bytes.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    let kind = match status {
        b"400" => ProblemType::BadRequest,
        b"431" => ProblemType::HeadTooLarge,
        _ => return None,
    };
    let head = std::str::from_utf8(bytes)
        .ok()
        .filter(|head| head.ends_with("\r\n\r\n") && !head.contains("x-request-id: "))?;
    let (before, after) = head.split_once("content-length: 0\r\n")?;
    if kind == ProblemType::HeadTooLarge {
        limits::count("head");
    }
    let id = format!("{:032x}", rand::random::<u128>());
    let problem = Problem::new(kind).with_detail(Sentence::Explanation(kind)).with_instance(&id);
    let body = serde_json::to_string(&problem).expect("a problem has only string keys");
    let fields = format!(
        "content-type: application/problem+json\r\ncontent-length: {}\r\nx-content-type-options: nosniff\r\nx-request-id: {id}\r\n",
        body.len()
    );
    Some([before, &fields, after, &body].concat().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::problem;

    #[test]
    fn a_bare_refusal_becomes_a_problem_and_nothing_else_does() {
        let bare = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: now\r\n\r\n";
        let answer = String::from_utf8(problem(bare.as_bytes()).expect("a problem")).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains("connection: close\r\n") && head.ends_with("date: now"), "{head}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
        assert!(body.contains("/problems/head-too-large"), "{body}");
        for other in [
            "HTTP/1.1 400 Bad Request\r\nx-request-id: 1\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 10\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 40",
            "some part of a body",
        ] {
            assert_eq!(problem(other.as_bytes()), None, "{other}");
        }
    }
}
