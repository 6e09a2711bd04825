//! A store for tests.

use std::sync::Arc;

use galley_store::Store;
use tempfile::TempDir;

/// Returns an empty store, and the folder that holds it.
pub async fn unit_test_store() -> (Arc<dyn Store>, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}", folder.path().join("galley.db").display());
    let store = galley_store::connect(&url).await.expect("a store");
    store.migrate().await.expect("a schema");
    (store, folder)
}
