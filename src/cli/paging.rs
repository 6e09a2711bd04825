//! One page of a list.

use clap::Args;
use galley_launch::Failure;
use reqwest::RequestBuilder;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::api::Api;

/// Which page.
#[derive(Args, Debug)]
pub struct Paging {
    /// At most so many entries, 1 to 100
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub limit: u8,
    /// Where to go on: what the page before ended with
    #[arg(long, value_name = "CURSOR")]
    pub cursor: Option<String>,
}

#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

impl Paging {
    /// Asks for the page and prints it; says on standard error when there is more.
    pub async fn print<T: DeserializeOwned>(
        &self,
        api: &Api,
        request: RequestBuilder,
        show: impl FnOnce(Vec<T>) -> String,
    ) -> Result<(), Failure> {
        let request = request.query(&[("limit", &self.limit.to_string())]);
        let request = if let Some(cursor) = &self.cursor { request.query(&[("cursor", cursor)]) } else { request };
        api.ask(request).await?.print(|Page { items, next_cursor }: Page<T>| {
            if let Some(cursor) = next_cursor {
                eprintln!("There is more: --cursor {cursor}");
            }
            show(items)
        })
    }
}
