//! Names for the parts of schemas. Generators of clients make a type of each object, enum and
//! choice, and can only number those that have no name.

use serde_json::{Map, Value, json};

use super::schemas::PREFIX;

/// The keywords of schemas that become types.
const TYPES: [&str; 4] = ["properties", "enum", "oneOf", "anyOf"];

/// Moves every object, enum and choice within the schemas to the top, under a name of its own.
pub fn name_parts(schemas: &Value) -> Value {
    let mut named = Map::new();
    for (name, schema) in schemas.as_object().cloned().unwrap_or_default() {
        let schema = without_parts(&name, schema, &mut named);
        insert(&mut named, name, schema);
    }
    Value::Object(named)
}

/// Returns a word such as `order` as a part of the name of a type.
pub fn type_name(word: &str) -> String {
    let capital = |part: &str| part[..1].to_uppercase() + &part[1..];
    word.split('_').filter(|part| !part.is_empty()).map(capital).collect()
}

fn without_parts(name: &str, mut schema: Value, named: &mut Map<String, Value>) -> Value {
    for (keyword, value) in schema.as_object_mut().into_iter().flatten() {
        match (keyword.as_str(), value) {
            ("properties", Value::Object(fields)) => {
                for (field, part) in fields {
                    *part = reference(&format!("{name}{}", type_name(field)), part.take(), named);
                }
            }
            ("items", item) => *item = reference(&format!("{name}Item"), item.take(), named),
            ("oneOf" | "anyOf", Value::Array(choices)) => {
                for (index, choice) in choices.iter_mut().enumerate() {
                    let name = choice_name(name, index, choice);
                    *choice = reference(&name, choice.take(), named);
                }
            }
            (_, _) => {}
        }
    }
    // A single word is no type of its own.
    if let Some([word]) = schema["enum"].as_array().map(Vec::as_slice) {
        return json!({"type": "string", "const": word});
    }
    schema
}

/// Returns the title of a choice. A page has none: it is named after its entries.
fn choice_name(name: &str, index: usize, choice: &Value) -> String {
    let entry = choice.pointer("/properties/items/items/$ref").and_then(Value::as_str);
    match (choice["title"].as_str(), entry) {
        (Some(title), _) => title.to_owned(),
        (None, Some(entry)) => {
            let entry = entry.trim_start_matches(PREFIX);
            format!("{}{entry}Page", name.trim_end_matches("Frame"))
        }
        (None, None) => format!("{name}{index}"),
    }
}

/// Returns the schema, or a reference to it when it becomes a type.
fn reference(name: &str, part: Value, named: &mut Map<String, Value>) -> Value {
    if let Some((target, description)) = nullable(&part) {
        let name = format!("Nullable{}", target.trim_start_matches(PREFIX));
        let reference = json!({"$ref": format!("{PREFIX}{name}"), "description": description});
        insert(named, name, json!({"oneOf": [{"$ref": target}, {"type": "null"}]}));
        return reference;
    }
    let part = without_parts(name, part, named);
    if !TYPES.iter().any(|keyword| part.get(keyword).is_some()) {
        return part;
    }
    insert(named, name.to_owned(), part);
    json!({"$ref": format!("{PREFIX}{name}")})
}

/// Returns the target and the description of a reference that may be `null`.
fn nullable(part: &Value) -> Option<(&str, &Value)> {
    match part.get("oneOf")?.as_array()?.as_slice() {
        [reference, null] if null["type"] == "null" => {
            Some((reference["$ref"].as_str()?, &reference["description"]))
        }
        _ => None,
    }
}

fn insert(named: &mut Map<String, Value>, name: String, schema: Value) {
    let taken = named.get(&name).is_some_and(|other| *other != schema);
    assert!(!taken, "two schemas are named {name}");
    named.insert(name, schema);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::name_parts;

    #[test]
    fn objects_enums_and_choices_get_names_and_single_words_do_not() {
        let id = json!({"$ref": "#/components/schemas/Id", "description": "Which."});
        let frame = json!({"type": "object", "properties": {
            "type": {"type": "string", "enum": ["news"]},
            "id": {"oneOf": [id, {"type": "null"}]},
            "how_it_was": {"type": "string", "enum": ["good", "bad"]},
            "list": {"type": "array", "items": {"anyOf": [
                {"title": "Short", "properties": {"a": {"type": "string"}}}, {"type": "string"},
                {"properties": {"items": {"items": {"$ref": "#/components/schemas/Id"}}}}]}},
        }});
        let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
        let named = name_parts(&json!({"Id": {"type": "integer"}, "News": frame}));
        let fields = &named["News"]["properties"];
        assert_eq!(fields["type"], json!({"type": "string", "const": "news"}));
        assert_eq!(fields["id"]["$ref"], "#/components/schemas/NullableId");
        assert_eq!(fields["id"]["description"], "Which.");
        assert_eq!(fields["how_it_was"], reference("NewsHowItWas"));
        assert_eq!(fields["list"]["items"], reference("NewsListItem"));
        assert_eq!(named["NullableId"]["oneOf"][0], reference("Id"));
        assert_eq!(named["NewsHowItWas"]["enum"], json!(["good", "bad"]));
        assert_eq!(named["NewsListItem"]["anyOf"][0], reference("Short"));
        assert_eq!(named["NewsListItem"]["anyOf"][2], reference("NewsListItemIdPage"));
        assert_eq!(named["Short"]["properties"]["a"], json!({"type": "string"}));
    }
}
