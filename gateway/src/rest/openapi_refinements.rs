//! Refines the `OpenAPI` document where the annotations cannot express what generators of clients
//! need.

use serde_json::Value;

/// The pattern of `*` or a list of entity tags.
const TAGS: &str = r#"^(\*|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*"){0,15})$"#;
/// The pattern of a key: visible ASCII characters, with spaces between them.
const KEY: &str = "^[!-~]([ -~]*[!-~])?$";
/// The beginning of the name of a page, before the name of its entries.
const PAGE: &str = "Page_";

/// Removes `null` from the schemas of optional parameters and bodies, which are left out instead,
/// adds the patterns of the headers, and calls a page of heroes `HeroPage`.
pub fn refine(document: &mut Value) {
    let paths = document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    for operation in paths.filter_map(Value::as_object_mut).flat_map(|path| path.values_mut()) {
        for parameter in operation.get_mut("parameters").into_iter().filter_map(Value::as_array_mut)
        {
            parameter.iter_mut().for_each(refine_parameter);
        }
        let bodies = operation.pointer_mut("/requestBody/content").and_then(Value::as_object_mut);
        bodies.into_iter().flat_map(|bodies| bodies.values_mut()).for_each(|body| {
            never_null(&mut body["schema"]);
        });
    }
    if let Some(schemas) = document.pointer_mut("/components/schemas") {
        let named = schemas.take();
        let renamed = named.as_object().cloned().unwrap_or_default().into_iter();
        *schemas = renamed.map(|(name, schema)| (page_name(&name), schema)).collect();
    }
    rename_references(document);
}

fn refine_parameter(parameter: &mut Value) {
    never_null(&mut parameter["schema"]);
    match parameter["name"].as_str() {
        // One string: a choice of two has no type in some languages.
        Some("If-Match" | "If-None-Match") => parameter["schema"]["pattern"] = TAGS.into(),
        Some("Idempotency-Key") => parameter["schema"]["pattern"] = KEY.into(),
        Some(_) | None => {}
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

fn page_name(name: &str) -> String {
    name.strip_prefix(PAGE).map_or_else(|| name.to_owned(), |entry| format!("{entry}Page"))
}

fn rename_references(value: &mut Value) {
    match value {
        Value::Object(keywords) => {
            if let Some(Value::String(reference)) = keywords.get_mut("$ref")
                && let Some((folder, name)) = reference.rsplit_once('/')
            {
                *reference = format!("{folder}/{}", page_name(name));
            }
            keywords.values_mut().for_each(rename_references);
        }
        Value::Array(members) => members.iter_mut().for_each(rename_references),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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
        assert_eq!(refined[0]["schema"]["type"], "string");
        assert!(refined[0]["schema"]["pattern"].is_string());
        assert_eq!(refined[1]["schema"], json!({"$ref": "#/components/schemas/PageCursor"}));
        assert_eq!(refined[2]["schema"], json!({"type": "string"}));
        assert_eq!(refined[3]["schema"], json!({"type": "integer", "minimum": 1}));
    }

    #[test]
    fn an_optional_body_is_left_out_and_never_null() {
        let why = json!({"$ref": "#/components/schemas/Why"});
        let body = json!({"content": {"application/json": {"schema": {"oneOf": [why, {"type": "null"}]}}}});
        let mut document = json!({"paths": {"/orders/{id}": {"delete": {"requestBody": body}}}});
        refine(&mut document);
        let body = &document["paths"]["/orders/{id}"]["delete"]["requestBody"];
        assert_eq!(body["content"]["application/json"]["schema"], why);
        assert_eq!(body["required"], Value::Null);
    }

    #[test]
    fn a_page_is_named_after_its_entries() {
        let page = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
        let mut document = json!({
            "paths": {"/heroes": {"get": {"responses": {"200": {"schema": page("Page_Hero")}}}}},
            "components": {"schemas": {"Page_Hero": {}, "Hero": {}}},
        });
        refine(&mut document);
        assert_eq!(document["components"]["schemas"], json!({"HeroPage": {}, "Hero": {}}));
        let answer = &document["paths"]["/heroes"]["get"]["responses"]["200"];
        assert_eq!(answer["schema"], page("HeroPage"));
    }
}
