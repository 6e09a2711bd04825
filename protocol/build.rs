//! Lists the files of `languages/`: each is a language, and nothing else names it.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=languages");
    let folder = Path::new(&variable("CARGO_MANIFEST_DIR")).join("languages");
    let files = fs::read_dir(&folder).expect("the folder is there");
    let paths = files.map(|file| file.expect("it can be read").path());
    let rust = paths.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let mut codes: Vec<String> =
        rust.filter_map(|path| path.file_stem()?.to_str().map(str::to_owned)).collect();
    // English comes first: it is the language of whoever names none.
    codes.sort_by_key(|code| (code != "en", code.clone()));
    let mut source = String::new();
    for code in &codes {
        let path = folder.join(format!("{code}.rs")).display().to_string();
        writeln!(source, "#[path = {path:?}]\npub(crate) mod {code};").expect("text");
    }
    let all: Vec<String> = codes.iter().map(|code| format!("&{code}::CATALOGUE")).collect();
    let (count, all) = (codes.len(), all.join(", "));
    writeln!(source, "static CATALOGUES: [&Catalogue; {count}] = [{all}];").expect("text");
    let out = Path::new(&variable("OUT_DIR")).join("languages.rs");
    fs::write(out, source).expect("it can be written");
}

fn variable(name: &str) -> String {
    env::var(name).expect("cargo sets it")
}
