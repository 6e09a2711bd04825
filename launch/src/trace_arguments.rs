//! The collector of traces, and the share of requests that are recorded.

use std::collections::HashMap;
use std::time::Duration;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderName, HeaderValue};
use clap::Args;
use galley_telemetry::{TraceExport, TraceSettings};
use percent_encoding::percent_decode_str;
use reqwest::{Client, Url};
use tracing::info;

use crate::{Failure, Hidden, client_of_service};

/// The path of a collector for traces.
const PATH: &str = "/v1/traces";
/// The longest wait for an answer of the collector.
const ANSWER: Duration = Duration::from_secs(5);

/// The export of traces; off without an endpoint.
#[derive(Args, Clone, Debug)]
pub struct TraceArguments {
    /// Collector of traces by OTLP over HTTP, such as `http://localhost:4318`; they are posted to
    /// `/v1/traces` there. None: nothing is recorded
    #[arg(long, env = "GALLEY_OTLP_ENDPOINT", value_name = "URL", hide_env_values = true)]
    pub otlp_endpoint: Option<Hidden>,
    /// Headers for the collector, comma-separated, such as `authorization=Bearer%20TOKEN`
    #[arg(long, env = "GALLEY_OTLP_HEADERS", value_name = "NAME=VALUE", hide_env_values = true)]
    pub otlp_headers: Option<Hidden>,
    /// Share of requests whose traces are recorded, from 0 to 1, of those whose `traceparent` does
    /// not decide
    #[arg(
        long,
        env = "GALLEY_TRACE_RATIO",
        value_name = "SHARE",
        default_value = "0.01",
        value_parser = ratio
    )]
    pub trace_ratio: f64,
}

impl TraceArguments {
    /// Tests the settings.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a value that cannot be used.
    pub fn check(&self) -> Result<(), Failure> {
        self.settings("galley").map(drop)
    }

    /// Runs `work`, and exports the traces of this process meanwhile and for a moment afterwards.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a value that cannot be used, or the failure of `work`.
    pub async fn around(
        &self,
        service: &'static str,
        work: impl Future<Output = Result<(), Failure>>,
    ) -> Result<(), Failure> {
        let Some(settings) = self.settings(service)? else { return work.await };
        let (endpoint, ratio) = (settings.endpoint.clone(), settings.ratio);
        let export = TraceExport::start(settings).map_err(Failure::failed)?;
        info!(endpoint, ratio, "traces are exported");
        let outcome = work.await;
        export.finish().await;
        outcome
    }

    /// Returns the settings of the export; `None` without an endpoint.
    fn settings(&self, service: &'static str) -> Result<Option<TraceSettings>, Failure> {
        let Some(endpoint) = &self.otlp_endpoint else { return Ok(None) };
        let mut headers = match &self.otlp_headers {
            Some(headers) => read_headers(headers.reveal())?,
            None => HashMap::new(),
        };
        let url = read_endpoint(endpoint.reveal())?;
        let client = client(&url).map_err(Failure::failed)?;
        // The client makes a header of the user and the password in the address.
        let request = client.post(url).build().map_err(|_| bad_endpoint())?;
        if let Some(password) = request.headers().get(AUTHORIZATION).and_then(|it| it.to_str().ok())
        {
            headers.entry("authorization".to_owned()).or_insert_with(|| password.to_owned());
        }
        let endpoint = request.url().to_string();
        let ratio = self.trace_ratio;
        Ok(Some(TraceSettings { client, endpoint, headers, ratio, service }))
    }
}

fn client(url: &Url) -> Result<Client, String> {
    client_of_service(url, ANSWER)?
        .no_proxy()
        .user_agent(concat!("galley/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| error.to_string())
}

fn read_endpoint(text: &str) -> Result<Url, Failure> {
    let mut url = Url::parse(text.trim()).map_err(|_| bad_endpoint())?;
    let is_plain = url.query().is_none() && url.fragment().is_none() && url.has_host();
    if !matches!(url.scheme(), "http" | "https") || !is_plain {
        return Err(bad_endpoint());
    }
    let path = url.path().trim_end_matches('/');
    let whole = if path.ends_with(PATH) { path.to_owned() } else { format!("{path}{PATH}") };
    url.set_path(&whole);
    Ok(url)
}

/// The value may hold a password, and is not shown.
fn bad_endpoint() -> Failure {
    Failure::Usage(
        "invalid value for '--otlp-endpoint <URL>' or GALLEY_OTLP_ENDPOINT: must be the http:// or https:// \
         address of a collector, such as http://localhost:4318"
            .to_owned(),
    )
}

fn read_headers(text: &str) -> Result<HashMap<String, String>, Failure> {
    let entries = text.split(',').filter(|entry| !entry.trim().is_empty());
    let headers = entries.map(|entry| {
        let (name, value) = entry.split_once('=')?;
        let name = name.trim().parse::<HeaderName>().ok()?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        HeaderValue::from_str(&value).ok()?;
        Some((name.to_string(), value.into_owned()))
    });
    headers.collect::<Option<_>>().ok_or_else(|| {
        Failure::Usage(
            "invalid value for '--otlp-headers <NAME=VALUE>' or GALLEY_OTLP_HEADERS: must be comma-separated \
             headers like name=value, with %20 for a space and %2C for a comma"
                .to_owned(),
        )
    })
}

fn ratio(text: &str) -> Result<f64, String> {
    let ratio = text.parse::<f64>().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| "must be a number from 0 to 1, such as 0.01".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{ratio, read_endpoint, read_headers};

    #[test]
    fn an_endpoint_leads_to_the_path_for_traces() {
        for (text, url) in [
            ("http://localhost:4318", "http://localhost:4318/v1/traces"),
            ("https://otlp.example/", "https://otlp.example/v1/traces"),
            ("https://otlp.example/otlp/", "https://otlp.example/otlp/v1/traces"),
            ("http://[::1]:4318/v1/traces", "http://[::1]:4318/v1/traces"),
            ("http://user:word@host", "http://user:word@host/v1/traces"),
        ] {
            assert_eq!(read_endpoint(text).expect("it is an endpoint").as_str(), url);
        }
        for text in
            ["", "localhost:4318", "4318", "grpc://localhost:4317", "http://", "http://host?x=1"]
        {
            let failure = read_endpoint(text).expect_err("it is no endpoint");
            assert!(failure.line().is_some_and(|line| line.contains("GALLEY_OTLP_ENDPOINT")));
        }
    }

    #[test]
    fn headers_are_decoded_and_a_wrong_one_is_not_shown() {
        let headers = read_headers("authorization=Bearer%20a=b, x-scope = 7,").expect("headers");
        assert_eq!(headers["authorization"], "Bearer a=b");
        assert_eq!((headers["x-scope"].as_str(), headers.len()), ("7", 2));
        for text in ["secret", "sec ret=1", "=secret", "name=sec%0Aret"] {
            let line = read_headers(text).expect_err("no header").line().unwrap_or_default();
            assert!(line.contains("GALLEY_OTLP_HEADERS") && !line.contains("secret"), "{line}");
        }
    }

    #[test]
    fn a_ratio_is_a_share() {
        assert!(ratio("0").is_ok() && ratio("1").is_ok() && ratio("0.01").is_ok());
        for text in ["", "-0.1", "1.1", "NaN", "inf", "1%"] {
            assert!(ratio(text).is_err(), "{text}");
        }
    }
}
