//! A neighbour of an attacker is served in time, and the attack costs a bounded memory. The attacks
//! are those of `benchmarks/neighbours`, which measures them; the bounds here are wide.

use std::process::Stdio;

use galley_tests::{StackBuilder, TestStack};
use serde_json::Value;
use tokio::process::Command;

const ATTACKER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../benchmarks/neighbours.py");
/// Seconds of each measurement.
const SECONDS: &str = "1.5";
/// The longest wait of the neighbour in milliseconds, on a machine that does other things too.
const WORST: f64 = 5_000.0;
/// The most that the process may grow, in KiB.
const GROWTH: i64 = 64 * 1_024;

/// Attacks a deployment, and checks what its neighbour felt.
async fn withstands(deployment: StackBuilder, attacks: &[&str]) {
    let stack = deployment.delay("0s").start().await;
    let mut command = Command::new("python3");
    command.arg(ATTACKER).args(["--seconds", SECONDS, "--orders", "300"]);
    command.arg("--gateway").arg(format!("127.0.0.1:{}", stack.port()));
    command.arg("--pid").arg(stack.gateways[0].program.pid().to_string());
    command.args(attacks.iter().flat_map(|attack| ["--only", attack]));
    let told = command.stderr(Stdio::inherit()).kill_on_drop(true).output().await;
    let told = told.expect("python3");
    assert!(told.status.success(), "{told:?}");
    let told = String::from_utf8(told.stdout).expect("text");
    let figures: Vec<Value> =
        told.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert_eq!(figures.len(), 4 * attacks.len(), "each attack, and each thing that is asked");
    for figure in &figures {
        println!("{figure}");
        assert_eq!(figure["refused"], 0, "{figure}");
        assert!(figure["with"]["worst"].as_f64().expect("a wait") < WORST, "{figure}");
        assert!(figure["grown_kib"].as_i64().expect("a size") < GROWTH, "{figure}");
    }
}

#[tokio::test]
async fn the_neighbour_of_one_who_reads_nothing_is_served() {
    let attacks = ["large file, not read", "meals, not read", "menus, not read", "half heads"];
    withstands(TestStack::distributed(), &attacks).await;
}

#[tokio::test]
async fn the_neighbour_of_one_who_floods_is_served() {
    let attacks = [
        "cursors, made up",
        "cancelled orders of many",
        "pings",
        "typos",
        "commands of new sockets",
    ];
    withstands(TestStack::embedded(), &attacks).await;
}
