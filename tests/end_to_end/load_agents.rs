//! Load tests whose sockets are opened by agents, as on other machines.

use std::fs;

use galley_tests::command_output::run;
use galley_tests::program::{command, path_of};
use galley_tests::{LoadRun, TestProgram, TestStack, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An agent on a free port, with further arguments.
async fn agent(words: &[&str]) -> (TestProgram, String) {
    let mut command = command(path_of("galley-load"));
    command.args(["agent", "--listen", "127.0.0.1:0"]).args(words);
    let mut program = TestProgram::start("galley-load agent", &mut command);
    let line = program.line("waiting for coordinators at ").await;
    let address = line.rsplit(' ').next().expect("it ends with the address").to_owned();
    (program, address)
}

#[tokio::test]
async fn agents_share_a_test_and_their_figures_are_one_report() {
    let stack = TestStack::embedded().delay("10ms..50ms").start().await;
    let ((_first, one), (_second, other)) = (agent(&[]).await, agent(&[]).await);
    let words = format!(
        "--agents {one},{other} --heroes 6 --stage 1s:30:50 --stage 1s:30 --stage 500ms:10 --mix place=3,read=1 \
         --require ack_p99<20s"
    );
    let run = LoadRun::of(stack.client().base(), &words).await;
    run.is_well();
    assert_eq!((&run.report["client"]["processes"], run.count("opened")), (&2.into(), 30));
    let acks = run.report["latencies"]["ack"]["count"].as_u64();
    assert_eq!(acks, Some(run.count("acked")), "the histograms are added up: {}", run.report);
    assert_eq!(run.count("placed") + run.count("read"), 100, "{}", run.report);
    let host = &run.report["client"]["hosts"][0];
    assert!(host["cores"].as_u64() > Some(0) && host["kernel"].as_str().is_some(), "{host}");
    assert_eq!(run.report["settings"]["agents"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn an_agent_that_dies_is_named() {
    let stack = TestStack::embedded().start().await;
    let ((_first, one), (mut second, other)) = (agent(&[]).await, agent(&[]).await);
    let mut command = command(path_of("galley-load"));
    command.args(["--sockets", "10", "--duration", "1h", "--url", stack.client().base()]);
    command.args(["--agents", &format!("{one},{other}")]);
    let mut program = TestProgram::start("galley-load", &mut command);
    program.line("10 sockets are open").await;
    second.kill();
    let line = program.line("error: ").await;
    assert!(line.contains(&format!("the agent at {other} is gone")), "{line}");
    assert_eq!(program.exit().await.code(), Some(1));
}

#[tokio::test]
async fn an_agent_serves_who_knows_its_secret_and_has_its_version() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).expect("a file");
        folder.path().join(name).display().to_string()
    };
    let stack = TestStack::embedded().delay("0s").start().await;
    let right = file("right", "a secret of the agents\n");
    let (_agent, address) = agent(&["--secret-file", &right]).await;
    let base = format!("--sockets 2 --rate 20 --duration 500ms --agents {address}");
    let words = format!("{base} --agent-secret-file {right}");
    LoadRun::of(stack.client().base(), &words).await.is_well();
    let wrong = file("wrong", "another secret of agents");
    for (words, code, part) in [
        (base.clone(), 1, "--agent-secret-file"),
        (format!("{base} --agent-secret-file {wrong}"), 1, "another secret"),
        (format!("{base} --agent-secret-file {}", file("short", "short")), 2, "16 bytes"),
        ("--sockets 2 --agents 127.0.0.1:1".to_owned(), 1, "127.0.0.1:1"),
        (format!("--sockets 2 --agents 127.0.0.1:{}", stack.port()), 1, "no galley-load agent"),
        ("agent --listen 0.0.0.0:0".to_owned(), 2, "--secret-file"),
    ] {
        let arguments: Vec<&str> = words.split_whitespace().collect();
        let said = run("galley-load", &arguments, &[("GALLEY_URL", stack.client().base())]).await;
        let last = said.stderr.lines().last().unwrap_or_default();
        assert!(said.code == code && last.contains(part), "{words}: {said:?}");
    }
    let other = "{\"version\":\"0.0.1\",\"lines\":1,\"secret\":\"a secret of the agents\"}\n";
    let mut stream = TcpStream::connect(&address).await.expect("the agent listens");
    stream.write_all(other.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    within("the answer", stream.read_to_string(&mut answer)).await.expect("text");
    assert!(answer.contains("this is 0.0.1: use the same"), "{answer}");
}
