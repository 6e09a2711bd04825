//! `galley`: the whole service in one process, and the command line that speaks to a running one.

mod cli;
mod demo;
mod serve;

use std::process::ExitCode;

/// Many small allocations for each request: glibc's allocator took a seventh of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let galley: cli::Galley = galley_launch::parse();
    match galley.command {
        None => serve::run(galley.serve),
        Some(command) => cli::run(command),
    }
}
