//! What the annotations cannot say of parameters, for the document.

use serde_json::Value;

/// `*`, or some entity tags.
const TAGS: &str = r#"^(\*|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*"){0,15})$"#;
/// Visible characters of ASCII, with spaces between them.
const KEY: &str = "^[!-~]([ -~]*[!-~])?$";

/// Says in the document that a parameter which may be left out is never `null`, for there is no way to write that, and how the headers
/// look that are more than a text.
pub fn refine(document: &mut Value) {
    let paths = document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    let operations = paths.filter_map(Value::as_object_mut).flat_map(|path| path.values_mut());
    for parameter in operations.filter_map(|operation| operation.get_mut("parameters")?.as_array_mut()).flatten() {
        let pattern = match parameter["name"].as_str() {
            Some("If-Match" | "If-None-Match") => Some(TAGS),
            Some("Idempotency-Key") => Some(KEY),
            _ => None,
        };
        let schema = &mut parameter["schema"];
        never_null(schema);
        if let Some(pattern) = pattern {
            schema["pattern"] = pattern.into();
        }
    }
}

fn never_null(schema: &mut Value) {
    if let Some(types) = schema["type"].as_array() {
        schema["type"] = types.iter().find(|kind| *kind != "null").cloned().unwrap_or_default();
    }
    for several in ["oneOf", "anyOf"] {
        let Some(choices) = schema.get(several).and_then(Value::as_array) else { continue };
        if let [null, other] = choices.as_slice()
            && null["type"] == "null"
        {
            *schema = other.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::refine;

    #[test]
    fn a_parameter_is_never_null_and_a_header_looks_like_something() {
        let parameters = json!([
            {"name": "If-Match", "schema": {"type": ["string", "null"]}},
            {"name": "cursor", "schema": {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/PageCursor"}]}},
            {"name": "limit", "schema": {"type": "integer", "minimum": 1}},
        ]);
        let mut document = json!({"paths": {"/meals": {"get": {"parameters": parameters}, "post": {}}}});
        refine(&mut document);
        let refined = &document["paths"]["/meals"]["get"]["parameters"];
        assert_eq!(refined[0]["schema"]["type"], "string");
        assert!(refined[0]["schema"]["pattern"].is_string());
        assert_eq!(refined[1]["schema"], json!({"$ref": "#/components/schemas/PageCursor"}));
        assert_eq!(refined[2]["schema"], json!({"type": "integer", "minimum": 1}));
    }
}
