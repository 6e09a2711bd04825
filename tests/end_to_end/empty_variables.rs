//! Every empty environment variable counts as not set.

use std::collections::BTreeSet;

use galley_tests::command_output::run;
use galley_tests::program::{command, path_of};
use galley_tests::{TestProgram, TestStack, port};

/// The variables in the help of a command.
async fn variables(program: &str, arguments: &[&str]) -> BTreeSet<String> {
    let help = run(program, &[arguments, &["--help"]].concat(), &[]).await.stdout;
    let named = help.split("[env: ").skip(1).filter_map(|rest| rest.split(['=', ']']).next());
    let named: BTreeSet<String> = named.map(|name| name.trim().to_owned()).collect();
    assert!(!named.is_empty(), "{program} {arguments:?} names no variable:\n{help}");
    named
}

#[tokio::test]
async fn a_program_starts_although_every_variable_is_empty() {
    let stack = TestStack::distributed().gateways(0).workers(0).start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let redis = galley_tests::namespace::shared_redis();
    let backends = ["--database-url", stack.database_url(), "--redis-url", &redis];
    for (program, arguments, sign) in [
        ("galley", &["--listen", "127.0.0.1:0"][..], "listening on http://"),
        (
            "galley-gateway",
            &[&backends[..], &["--listen", "127.0.0.1:0"]].concat(),
            "listening on http://",
        ),
        ("galley-worker", &backends, "the worker begins"),
    ] {
        let mut command = command(path_of(program));
        command.args(arguments).current_dir(folder.path());
        command.envs(variables(program, &[]).await.into_iter().map(|name| (name, "")));
        let mut program = TestProgram::start(program, &mut command);
        program.line(sign).await;
        program.stop().await;
    }
}

#[tokio::test]
async fn a_command_does_the_same_with_empty_variables_as_without() {
    let url = format!("http://127.0.0.1:{}", port::free());
    for (program, arguments) in [
        ("galley", &["meal", "list", "--url", &url][..]),
        ("galley", &["order", "list", "--url", &url]),
        ("galley", &["watch", "--url", &url]),
        ("galley", &["health", "--url", &url]),
        ("galley", &["migrate"]),
        ("galley", &["token", "--staff"]),
        ("galley-load", &["--url", &url]),
    ] {
        let words: Vec<&str> =
            arguments.iter().copied().take_while(|word| !word.starts_with("--")).collect();
        let names = variables(program, &words).await;
        let empty: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
        let (without, with) =
            (run(program, arguments, &[]).await, run(program, arguments, &empty).await);
        assert_eq!(
            (with.code, with.stderr),
            (without.code, without.stderr),
            "{program} {arguments:?}"
        );
    }
}
