//! A migration that makes an index on a table that may be large leaves writers alone.

use std::fs;

use crate::{files_named, root};

/// The last migration that was written before this rule.
const BEFORE: &str = "0006";

#[test]
fn an_index_on_a_table_that_exists_is_made_concurrently_in_a_file_of_its_own() {
    let folder = root().join("migrations/postgres");
    let files = files_named(".sql").into_iter().filter(|path| path.starts_with(&folder));
    for path in files {
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let text = fs::read_to_string(&path).expect("a file").to_lowercase();
        let statements: Vec<&str> =
            text.split(';').map(str::trim).filter(|statement| !statement.is_empty()).collect();
        for statement in &statements {
            let Some((_, index)) = statement
                .split_once("create index")
                .or_else(|| statement.split_once("create unique index"))
            else {
                continue;
            };
            let (_, table) = index.split_once(" on ").expect("an index is on a table");
            let table = table.split([' ', '(']).next().unwrap_or_default();
            let is_new = text.contains(&format!("create table {table} ("));
            let is_apart = index.trim_start().starts_with("concurrently if not exists ")
                && text.starts_with("-- no-transaction")
                && statements.len() == 1;
            assert!(
                is_new || is_apart || name[..4] <= *BEFORE,
                "{name}: make the index on {table} with `concurrently if not exists`, as the only \
                 statement of a file that begins with `-- no-transaction`"
            );
        }
    }
}
