//! `galley doctor`, and `galley --check`: whether Galley could serve here, and why not.

use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory as _};
use galley_bus::BusConfig;
use galley_launch::{CheckReport, Failure};
use reqwest::Method;

use super::api::Remote;
use super::error::CommandError;
use super::{Galley, output};
use crate::embedded::ServeArguments;

/// Prints the settings in force, tries the database and Redis, and, for `galley doctor`, asks the
/// gateway.
pub fn run(serve: &ServeArguments, matches: &ArgMatches, remote: Option<Remote>) -> ExitCode {
    let json = remote.as_ref().is_some_and(|remote| remote.json);
    let settings = serve.gateway.check().map_err(Failure::from);
    if let Err(failure) = settings.and_then(|()| serve.traces.check()) {
        return CommandError::from(failure).report(json);
    }
    let mut report = CheckReport::of(&Galley::command(), matches);
    let checked = super::ask(async {
        report.try_database(&serve.database_url).await;
        let bus = BusConfig {
            url: serve.redis_url.clone(),
            tls: serve.redis_tls.clone().into(),
            namespace: serve.namespace.namespace.clone(),
            ..BusConfig::default()
        };
        report.try_bus(&bus).await;
        serve.gateway.try_keys(&mut report).await;
        if let Some(remote) = remote {
            let answer = gateway(remote).await.map_err(|error| error.to_string());
            report.add("gateway", answer);
        }
        Ok(())
    });
    let printed = checked.and_then(|()| {
        let text = if json { report.json() } else { report.text() };
        output::print(text.trim_end())
    });
    match printed {
        Ok(()) if report.is_well() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) => error.report(json),
    }
}

async fn gateway(remote: Remote) -> Result<String, CommandError> {
    let api = remote.open()?;
    api.ask(api.request(Method::GET, "/readyz")).await?;
    Ok(format!("{} is ready", api.remote().name()))
}
