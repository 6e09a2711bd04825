//! JSON schemas (draft 7, the dialect of `AsyncAPI`), derived from the types.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// The beginning of a reference to a named schema.
pub const PREFIX: &str = "#/components/schemas/";

/// The named schemas, and the names of those in use.
#[derive(Default)]
pub struct Schemas {
    named: BTreeMap<String, Value>,
    used: BTreeSet<String>,
}

impl Schemas {
    /// Returns the schema of a type. Schemas within it are references.
    pub fn of<T: ToSchema>(&mut self) -> Value {
        let mut inner = Vec::new();
        T::schemas(&mut inner);
        self.named.extend(inner.into_iter().map(|(name, schema)| (name, json!(schema))));
        json!(T::schema())
    }

    /// Names a schema, and returns a reference to it.
    pub fn publish(&mut self, name: String, schema: Value) -> Value {
        let reference = json!({"$ref": format!("{PREFIX}{name}")});
        self.named.insert(name, schema);
        self.keep(reference)
    }

    /// Names the schema of a type after the type.
    pub fn add<T: ToSchema>(&mut self) {
        let schema = self.of::<T>();
        self.named.insert(T::name().into_owned(), schema);
    }

    /// Returns the alternatives of an enum that is tagged by `type`: the name, the description and
    /// the possible objects of each.
    pub fn tagged<T: ToSchema>(&mut self) -> Vec<(String, String, Vec<Value>)> {
        let whole = self.of::<T>();
        self.alternatives(&whole).iter().map(|alternative| self.named(alternative)).collect()
    }

    /// Returns the schema of a single object.
    pub fn object<T: ToSchema>(&mut self) -> Value {
        let whole = self.of::<T>();
        let object =
            self.objects(&whole).into_iter().next().expect("an object is at least one object");
        self.keep(object)
    }

    /// Marks the schemas that `schema` refers to as used, and returns `schema`.
    pub fn keep(&mut self, schema: Value) -> Value {
        let mut waiting = references(&schema);
        while let Some(name) = waiting.pop() {
            if let Some(found) = self.named.get(&name)
                && self.used.insert(name)
            {
                // A schema may refer to further ones.
                waiting.extend(references(found));
            }
        }
        schema
    }

    /// Returns the named schemas in use.
    pub fn used(mut self) -> Value {
        self.named.retain(|name, _| self.used.contains(name));
        json!(self.named)
    }

    /// Returns the members of a `oneOf`. The fields next to a flattened enum belong to each member.
    fn alternatives(&self, schema: &Value) -> Vec<Value> {
        if let Some(parts) = schema["allOf"].as_array() {
            let (whole, beside): (Vec<&Value>, Vec<&Value>) =
                parts.iter().partition(|part| self.resolve(part)["oneOf"].is_array());
            let members = whole.into_iter().flat_map(|part| self.alternatives(self.resolve(part)));
            let join = |member: Value| {
                let parts: Vec<&Value> =
                    std::iter::once(&member).chain(beside.iter().copied()).collect();
                json!({"allOf": parts, "description": member["description"]})
            };
            return members.map(join).collect();
        }
        schema["oneOf"].as_array().cloned().unwrap_or_default()
    }

    fn named(&self, alternative: &Value) -> (String, String, Vec<Value>) {
        let objects = self.objects(alternative);
        let tag = objects[0]["properties"]["type"]["enum"][0]
            .as_str()
            .expect("a tagged alternative names its type");
        let description =
            alternative["description"].as_str().expect("each alternative has a doc comment");
        (tag.to_owned(), description.to_owned(), objects)
    }

    /// The plain objects of a composed schema; draft 7 can forbid unknown fields only in these.
    fn objects(&self, schema: &Value) -> Vec<Value> {
        let schema = self.resolve(schema);
        if let Some(members) = schema["oneOf"].as_array() {
            return members.iter().flat_map(|member| self.objects(member)).collect();
        }
        let Some(parts) = schema["allOf"].as_array() else { return vec![schema.clone()] };
        // A part may be one of several objects: all combinations are returned.
        parts.iter().fold(vec![json!({"type": "object"})], |whole, part| {
            let part = self.objects(part);
            whole.iter().flat_map(|one| part.iter().map(|other| merge(one, other))).collect()
        })
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let name = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix(PREFIX));
        name.and_then(|name| self.named.get(name)).unwrap_or(schema)
    }
}

/// Returns an object with the fields of both. Of other keywords, those of `one` take precedence.
fn merge(one: &Value, other: &Value) -> Value {
    let mut merged: Map<String, Value> = one.as_object().cloned().unwrap_or_default();
    for (keyword, value) in other.as_object().into_iter().flatten() {
        match (merged.get_mut(keyword), value) {
            (Some(Value::Object(mine)), Value::Object(theirs)) => mine.extend(theirs.clone()),
            (Some(Value::Array(mine)), Value::Array(theirs)) => mine.extend(theirs.iter().cloned()),
            (Some(_), _) => {}
            (None, value) => drop(merged.insert(keyword.clone(), value.clone())),
        }
    }
    Value::Object(merged)
}

fn references(schema: &Value) -> Vec<String> {
    match schema {
        Value::Object(keywords) => {
            let own = keywords
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|reference| reference.strip_prefix(PREFIX));
            own.map(str::to_owned)
                .into_iter()
                .chain(keywords.values().flat_map(references))
                .collect()
        }
        Value::Array(members) => members.iter().flat_map(references).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}
