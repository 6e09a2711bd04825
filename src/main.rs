//! `galley`: the whole service in one process, and the command line that speaks to a running one.

mod cli;
mod demo;
mod embedded;

use std::process::ExitCode;

/// mimalloc, because each request makes many small allocations, and glibc's allocator took a
/// seventh of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    galley_launch::install_tls_provider();
    match cli::read() {
        Ok((galley, matches)) => cli::run(galley, &matches),
        Err(error) => error.report(cli::wants_json()),
    }
}
