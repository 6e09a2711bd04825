//! Lists: one page, or every page one after another.

use clap::Args;
use reqwest::RequestBuilder;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::api::Api;
use super::error::CommandError;
use super::note::note;
use super::output;

/// Default entries of a single page.
const ONE_PAGE: u8 = 50;
/// Default entries per page with `--all`: the maximum that a gateway returns.
const EACH_OF_ALL: u8 = 100;

/// The part of a list to print.
#[derive(Args, Debug)]
pub struct Paging {
    /// Most entries of a page, 1 to 100 [default: 50; with --all: 100]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub limit: Option<u8>,
    /// Cursor to go on after: the `next_cursor` of the page before
    #[arg(long, value_name = "CURSOR")]
    pub cursor: Option<String>,
    /// Print every page to the end of the list, each as it comes
    #[arg(long)]
    pub all: bool,
}

/// A page of a list.
#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
pub struct ListedPage<T> {
    pub items: Vec<T>,
    pub next_cursor: Option<String>,
}

impl Paging {
    /// Reads and prints the requested part of the list. Without `--all` a message shows that there
    /// is more.
    pub async fn print<T: DeserializeOwned>(
        &self,
        api: &Api,
        request: RequestBuilder,
        show: impl Fn(Vec<T>) -> String,
    ) -> Result<(), CommandError> {
        if self.all {
            return self.print_all(api, &request, show).await;
        }
        api.ask(self.page(request, self.cursor.as_deref())).await?.print(
            |ListedPage { items, next_cursor }: ListedPage<T>| {
                if let Some(cursor) = next_cursor {
                    note(&format!("There is more: --cursor {cursor}, or --all"));
                }
                show(items)
            },
        )
    }

    /// Prints all pages, holding one at a time. JSON is a single object with the items of all
    /// pages, written as they arrive. A table has one head, and its columns are aligned page by
    /// page.
    async fn print_all<T: DeserializeOwned>(
        &self,
        api: &Api,
        request: &RequestBuilder,
        show: impl Fn(Vec<T>) -> String,
    ) -> Result<(), CommandError> {
        let json = api.remote().json;
        let mut cursor = self.cursor.clone();
        let mut before = if json { "{\"items\":[" } else { "" };
        let mut first = true;
        loop {
            let request = request.try_clone().expect("a request without a body can be repeated");
            let answer = api.ask(self.page(request, cursor.as_deref())).await?;
            let next = if json {
                let ListedPage { items, next_cursor } =
                    answer.read::<ListedPage<Box<RawValue>>>()?;
                for item in items {
                    output::write(&format!("{before}{item}"))?;
                    before = ",";
                }
                next_cursor
            } else {
                let ListedPage { items, next_cursor } = answer.read::<ListedPage<T>>()?;
                let text = show(items);
                let rows = if first {
                    text.as_str()
                } else {
                    text.split_once('\n').map_or("", |(_, rows)| rows)
                };
                output::print(rows)?;
                next_cursor
            };
            first = false;
            match next {
                Some(next) if cursor.as_ref() == Some(&next) => {
                    return Err(CommandError::failed("the gateway gave the same page twice"));
                }
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        if !json {
            return Ok(());
        }
        let head = if before == "," { "" } else { before };
        output::print(&format!("{head}],\"next_cursor\":null}}"))
    }

    fn page(&self, request: RequestBuilder, cursor: Option<&str>) -> RequestBuilder {
        let limit = self.limit.unwrap_or(if self.all { EACH_OF_ALL } else { ONE_PAGE });
        let request = request.query(&[("limit", limit)]);
        if let Some(cursor) = cursor { request.query(&[("cursor", cursor)]) } else { request }
    }
}
