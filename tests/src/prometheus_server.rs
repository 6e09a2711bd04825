//! A Prometheus of a test, on a free port with a folder of its own.

use std::fs;
use std::path::Path;
use std::process::Command;

use reqwest::Url;
use serde_json::Value;

use crate::json::list;
use crate::{TestClient, TestProgram, port, until};

/// A running Prometheus. It is killed when it is dropped.
#[derive(Debug)]
pub struct PrometheusServer {
    _program: TestProgram,
    client: TestClient,
}

impl PrometheusServer {
    /// Starts one that scrapes these addresses, each under its job, five times a second, and waits
    /// until it answers.
    pub async fn start(folder: &Path, rules: &Path, jobs: &[(&str, String)]) -> Self {
        let jobs = jobs.iter().map(|(job, address)| {
            format!("  - {{job_name: {job}, static_configs: [{{targets: ['{address}']}}]}}\n")
        });
        let config = format!(
            "global: {{scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}}\n\
             rule_files: ['{}']\nscrape_configs:\n{}",
            rules.display(),
            jobs.collect::<String>()
        );
        let path = folder.join("prometheus.yml");
        fs::write(&path, config).expect("a file can be written");
        let address = format!("127.0.0.1:{}", port::free());
        let program = TestProgram::start(
            "prometheus",
            Command::new("prometheus")
                .arg(format!("--config.file={}", path.display()))
                .arg(format!("--storage.tsdb.path={}", folder.join("series").display()))
                .arg(format!("--web.listen-address={address}")),
        );
        let client = TestClient::new(&format!("http://{address}"));
        until("a Prometheus that is ready", async || {
            let answer = client.get("/-/ready").try_send().await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await;
        Self { _program: program, client }
    }

    /// Returns the series that a query finds at the moment.
    pub async fn ask(&self, query: &str) -> Vec<Value> {
        let mut url = Url::parse(self.client.base()).expect("a URL");
        url.query_pairs_mut().append_pair("query", query);
        let query = url.query().unwrap_or_default();
        let answer = self.client.get(&format!("/api/v1/query?{query}")).await.is(200);
        list(&answer["data"], "result").to_vec()
    }
}
