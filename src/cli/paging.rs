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
    /// Reads and prints the requested part of the list, holding one page of the gateway at a time.
    /// The gateway may end a page early, even without an entry, so a page is made of as many as it
    /// takes. JSON is a single object, written as the items arrive. A table has one head, and its
    /// columns are aligned page by page. Without `--all` a message shows that there is more.
    pub async fn print<T: DeserializeOwned>(
        &self,
        api: &Api,
        request: RequestBuilder,
        show: impl Fn(Vec<T>) -> String,
    ) -> Result<(), CommandError> {
        let json = api.remote().json;
        let each = usize::from(self.limit.unwrap_or(if self.all { EACH_OF_ALL } else { ONE_PAGE }));
        let mut cursor = self.cursor.clone();
        let mut before = if json { "{\"items\":[" } else { "" };
        let mut printed = 0;
        loop {
            let limit = if self.all { each } else { each - printed };
            let request = request.try_clone().expect("a request without a body can be repeated");
            let answer = api.ask(page(request, limit, cursor.as_deref())).await?;
            let (count, next) = if json {
                let ListedPage { items, next_cursor } =
                    answer.read::<ListedPage<Box<RawValue>>>()?;
                for item in &items {
                    output::write(&format!("{before}{item}"))?;
                    before = ",";
                }
                (items.len(), next_cursor)
            } else {
                let ListedPage { items, next_cursor } = answer.read::<ListedPage<T>>()?;
                let count = items.len();
                let is_last = next_cursor.is_none() || !self.all && count >= limit;
                if count > 0 || printed == 0 && is_last {
                    let text = show(items);
                    let rows = text.split_once('\n').map_or("", |(_, rows)| rows);
                    output::print(if printed == 0 { &text } else { rows })?;
                }
                (count, next_cursor)
            };
            printed += count;
            if next.is_some() && next == cursor {
                return Err(CommandError::failed("the gateway gave the same page twice"));
            }
            cursor = next;
            if cursor.is_none() || !self.all && printed >= each {
                break;
            }
        }
        if json {
            let head = if before == "," { "" } else { before };
            let next = serde_json::to_string(&cursor).expect("a text has a JSON form");
            return output::print(&format!("{head}],\"next_cursor\":{next}}}"));
        }
        if let Some(cursor) = cursor {
            note(&format!("There is more: --cursor {cursor}, or --all"));
        }
        Ok(())
    }
}

fn page(request: RequestBuilder, limit: usize, cursor: Option<&str>) -> RequestBuilder {
    let request = request.query(&[("limit", limit)]);
    if let Some(cursor) = cursor { request.query(&[("cursor", cursor)]) } else { request }
}
