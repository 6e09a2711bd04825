//! Refines the parameters in the `OpenAPI` document where the annotations cannot express them.

use serde_json::{Value, json};

/// The pattern of a list of entity tags.
const TAGS: &str = r#"^(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*"){0,15}$"#;
/// The pattern of a key: visible ASCII characters, with spaces between them.
const KEY: &str = "^[!-~]([ -~]*[!-~])?$";

/// Removes `null` from the schemas of optional parameters, because a parameter cannot be written as
/// `null`, and adds the patterns of the headers.
pub fn refine(document: &mut Value) {
    let paths = document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    let operations = paths.filter_map(Value::as_object_mut).flat_map(|path| path.values_mut());
    for parameter in
        operations.filter_map(|operation| operation.get_mut("parameters")?.as_array_mut()).flatten()
    {
        never_null(&mut parameter["schema"]);
        match parameter["name"].as_str() {
            Some("If-Match" | "If-None-Match") => {
                parameter["schema"] = json!({"oneOf": [{"type": "string", "enum": ["*"]}, {"type": "string", "pattern": TAGS}]});
            }
            Some("Idempotency-Key") => parameter["schema"]["pattern"] = KEY.into(),
            Some(_) | None => {}
        }
    }
}

fn never_null(schema: &mut Value) {
    if let Some(types) = schema["type"].as_array() {
        schema["type"] = types.iter().find(|kind| *kind != "null").cloned().unwrap_or_default();
    }
    for several in ["oneOf", "anyOf"] {
        let choices = schema.get(several).and_then(Value::as_array).into_iter().flatten();
        let others: Vec<Value> =
            choices.filter(|choice| choice["type"] != "null").cloned().collect();
        if let [only] = others.as_slice() {
            *schema = only.clone();
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
            {"name": "Last-Event-ID", "schema": {"type": ["string", "null"]}},
            {"name": "limit", "schema": {"type": "integer", "minimum": 1}},
        ]);
        let mut document =
            json!({"paths": {"/meals": {"get": {"parameters": parameters}, "post": {}}}});
        refine(&mut document);
        let refined = &document["paths"]["/meals"]["get"]["parameters"];
        assert_eq!(refined[0]["schema"]["oneOf"][0]["enum"], json!(["*"]));
        assert_eq!(refined[1]["schema"], json!({"$ref": "#/components/schemas/PageCursor"}));
        assert_eq!(refined[2]["schema"], json!({"type": "string"}));
        assert_eq!(refined[3]["schema"], json!({"type": "integer", "minimum": 1}));
    }
}
