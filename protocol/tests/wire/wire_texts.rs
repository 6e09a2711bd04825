//! The patterns that the documents tell of texts and the parsers of texts come to the same verdict,
//! character by character.

use galley_protocol::{Allergy, Description, HeroName, IdempotencyKey, NamePart, ReasonText};
use jsonschema::{Draft, Validator};
use serde_json::{Value, json};
use utoipa::PartialSchema;

/// A type of text: its name, its schema, its parser.
struct TextKind(&'static str, Value, fn(&str) -> bool);

fn kinds() -> Vec<TextKind> {
    macro_rules! kinds {
        ($($name:ident)*) => {
            vec![$(TextKind(
                stringify!($name),
                serde_json::to_value($name::schema()).expect("JSON"),
                |text| $name::parse(text).is_ok(),
            )),*]
        };
    }
    kinds!(HeroName Allergy Description ReasonText NamePart IdempotencyKey)
}

fn compile(schema: &Value) -> Validator {
    jsonschema::options().with_draft(Draft::Draft7).build(schema).expect("a schema")
}

#[test]
fn the_parser_and_the_pattern_agree_on_every_character_of_the_basic_plane() {
    for TextKind(name, schema, takes) in kinds() {
        let schema = compile(&schema);
        for character in '\0'..='\u{ffff}' {
            for text in
                [format!("{character}"), format!("a{character}b"), format!("\u{200d}{character}")]
            {
                if text.trim() == text {
                    assert_eq!(schema.is_valid(&json!(text)), takes(&text), "{name} {text:?}");
                }
            }
        }
    }
}

#[test]
fn every_dialect_reads_the_patterns() {
    for TextKind(name, schema, _) in kinds() {
        let pattern = schema["pattern"].as_str().expect("a pattern");
        assert!(pattern.is_ascii(), "{name}");
        let escapes: Vec<&str> = pattern.split('\\').skip(1).map(|escape| &escape[..1]).collect();
        assert!(escapes.iter().all(|escape| *escape == "u"), "{name}: {pattern}");
    }
}
