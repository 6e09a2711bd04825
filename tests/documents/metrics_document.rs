//! `docs/metrics.md` is what the table of metrics makes.

#[test]
fn the_document_of_metrics_is_made_from_the_table() {
    let made = galley_telemetry::document();
    if crate::read("docs/metrics.md") != made {
        let path = crate::root().join("target/metrics.md");
        std::fs::write(&path, made).expect("a file");
        panic!("docs/metrics.md is not what the table makes: copy {} there", path.display());
    }
}
