//! The commands of the README.
//!
//! Fenced blocks with the info string `sh` are commands for a running service; those under one heading belong together, and
//! are run in one shell. `sh distributed` is for those that start one. Blocks with any other info string are not run. The
//! README writes one address, [`ADDRESS`].

/// The address that the README uses, to be replaced by that of a running service.
pub const ADDRESS: &str = "http://127.0.0.1:8080";

/// The commands under one heading.
#[derive(Debug)]
pub struct Section {
    /// The heading.
    pub heading: String,
    /// The commands.
    pub script: String,
}

/// Takes the commands with this info string out of a text in Markdown.
#[must_use]
pub fn sections(markdown: &str, wanted: &str) -> Vec<Section> {
    let mut sections = vec![Section { heading: String::new(), script: String::new() }];
    let mut block: Option<bool> = None;
    for line in markdown.lines() {
        match (block, line.strip_prefix("```")) {
            (None, Some(info)) => block = Some(info.trim() == wanted),
            (Some(_), Some(_)) => block = None,
            (Some(true), None) => {
                if let Some(section) = sections.last_mut() {
                    section.script += line;
                    section.script += "\n";
                }
            }
            (None, None) if line.starts_with('#') => {
                sections.push(Section { heading: line.trim_start_matches('#').trim().to_owned(), script: String::new() });
            }
            (Some(false) | None, None) => {}
        }
    }
    sections.retain(|section| !section.script.is_empty());
    sections
}
