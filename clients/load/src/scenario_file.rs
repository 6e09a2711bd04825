//! Scenario files: TOML whose keys are the flags without their dashes. Each setting becomes an
//! argument, so that a file can say what flags can say, and is checked as they are.

use std::ffi::OsString;
use std::ops::Range;
use std::path::Path;

use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, CommandFactory as _};
use galley_launch::{one_line, try_parse_from};
use toml::de::{DeTable, DeValue};

use crate::load_arguments::LoadArguments;
use crate::load_failure::LoadFailure;

/// Settings that exclude each other: one of the command line displaces all of its row.
const EXCLUSIVE: [&[&str]; 2] = [&["duration", "stage"], &["jwt-secret", "jwt-secret-file"]];
/// The key of the load to make, which is no flag.
const LOAD: &str = "scenario";

/// A setting of a file.
struct FileSetting {
    key: String,
    line: usize,
    values: Vec<String>,
}

/// Adds the settings of the scenario file, if there is one, to a command line that was read.
pub fn complete(read: (LoadArguments, ArgMatches)) -> Result<LoadArguments, LoadFailure> {
    let (arguments, matches) = read;
    let Some(path) = &arguments.scenario_file else { return Ok(arguments) };
    let text = std::fs::read_to_string(path)
        .map_err(|error| LoadFailure::Usage(format!("{}: {error}", path.display())))?;
    let mut all: Vec<OsString> = std::env::args_os().collect();
    let mut load = Vec::new();
    for setting in settings(path, &text)? {
        let checked = arguments_of(&setting).and_then(|arguments| {
            let name = OsString::from("galley-load");
            let line = std::iter::once(name).chain(arguments.iter().map(OsString::from));
            LoadArguments::command()
                .try_get_matches_from(line)
                .map_err(|error| one_line::<LoadArguments>(&error))?;
            Ok(arguments)
        });
        let checked = checked.map_err(|why| {
            let why = why.trim_start_matches("error: ").trim_end_matches('.');
            at_line(path, setting.line, why)
        })?;
        if !is_displaced(&setting.key, &matches) {
            let into = if setting.key == LOAD { &mut load } else { &mut all };
            into.extend(checked.into_iter().map(OsString::from));
        }
    }
    all.append(&mut load);
    let (arguments, _) = try_parse_from::<LoadArguments>(all).map_err(|error| {
        let why = one_line::<LoadArguments>(&error);
        LoadFailure::Usage(format!("{}: {}", path.display(), why.trim_start_matches("error: ")))
    })?;
    Ok(arguments)
}

/// Returns true if the command line or a variable has the setting, or one that excludes it.
fn is_displaced(key: &str, matches: &ArgMatches) -> bool {
    let row = EXCLUSIVE.iter().find(|row| row.contains(&key)).copied().unwrap_or_default();
    let given = |key: &str| {
        let source = matches.value_source(&key.replace('-', "_"));
        matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
    };
    given(key) || row.iter().any(|other| given(other))
}

fn settings(path: &Path, text: &str) -> Result<Vec<FileSetting>, LoadFailure> {
    let line_of = |span: Range<usize>| text[..span.start].matches('\n').count() + 1;
    let table = DeTable::parse(text).map_err(|error| {
        let why = error.message().lines().collect::<Vec<_>>().join(", ");
        at_line(path, error.span().map_or(1, line_of), &why)
    })?;
    let settings = table.get_ref().iter().map(|(key, value)| {
        let line = line_of(key.span());
        let values = match value.get_ref() {
            DeValue::Array(values) => values.iter().map(|value| word(value.get_ref())).collect(),
            DeValue::Table(table) => {
                let pairs = table.iter().map(|(name, value)| {
                    Ok(format!("{}={}", name.get_ref(), word(value.get_ref())?))
                });
                pairs.collect::<Result<Vec<_>, String>>().map(|pairs| vec![pairs.join(",")])
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => word(value.get_ref()).map(|value| vec![value]),
        };
        let values =
            values.map_err(|why| at_line(path, line, &format!("{}: {why}", key.get_ref())))?;
        Ok(FileSetting { key: key.get_ref().to_string(), line, values })
    });
    settings.collect()
}

fn word(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
        DeValue::Float(number) => Ok(number.as_str().to_owned()),
        DeValue::Boolean(yes) => Ok(yes.to_string()),
        DeValue::Integer(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            Err("must be a text, a decimal number, true or false, or a list of these".to_owned())
        }
    }
}

/// Returns the arguments that say the same as the setting.
fn arguments_of(setting: &FileSetting) -> Result<Vec<String>, String> {
    let FileSetting { key, values, .. } = setting;
    if key == LOAD {
        return Ok(std::iter::once("--".to_owned()).chain(values.iter().cloned()).collect());
    }
    let command = LoadArguments::command();
    let flag = command.get_arguments().find(|flag| flag.get_long() == Some(key));
    if flag.is_some_and(|flag| matches!(flag.get_action(), ArgAction::SetTrue)) {
        return match values.as_slice() {
            [yes] if yes == "true" => Ok(vec![format!("--{key}")]),
            [no] if no == "false" => Ok(Vec::new()),
            _ => Err(format!("{key} must be true or false")),
        };
    }
    Ok(values.iter().map(|value| format!("--{key}={value}")).collect())
}

fn at_line(path: &Path, line: usize, why: &str) -> LoadFailure {
    LoadFailure::Usage(format!("{}, line {line}: {why}", path.display()))
}
