//! A new migration is a new file, which only a build script makes cargo see.

fn main() {
    println!("cargo::rerun-if-changed=../migrations");
}
