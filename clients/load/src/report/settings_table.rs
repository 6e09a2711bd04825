//! The settings of a report in words.

use std::fmt::Write as _;
use std::time::Duration;

use humantime::format_duration;
use serde_json::Value;

/// Returns the name and the value of each setting in words, without those that were not set.
pub fn settings_in_words(settings: &Value) -> Vec<(&str, String)> {
    let settings = settings.as_object().into_iter().flatten();
    let set = settings.filter(|(_, value)| !value.is_null());
    set.map(|(name, value)| (label(name), words(name, value))).collect()
}

fn label(name: &str) -> &str {
    match name {
        "scenario" => "load",
        "delay_ms" => "preparation",
        "duration_s" => "duration",
        "over" => "orders over",
        "ordering" => "heroes that order",
        "slow_permille" => "slow readers",
        "event_stream_permille" => "event streams",
        "connections" => "connections over REST",
        "keys" => "idempotency keys",
        other => other,
    }
}

fn words(name: &str, value: &Value) -> String {
    let number = |name: &str| plain(&value[name]);
    match name {
        "burst" => format!("{} orders at once, every {}", number("orders"), every(value)),
        "storm" => {
            format!("{} of the sockets are cut, every {}", share(&value["permille"]), every(value))
        }
        "slow_permille" | "event_stream_permille" => format!("{} of the sockets", share(value)),
        "duration_s" => time(value.as_f64().unwrap_or(0.0)),
        "delay_ms" => time(value.as_f64().unwrap_or(0.0) / 1e3),
        "rate" if value.is_number() => format!("{} a second", plain(value)),
        "rate" => "as fast as answers come".to_owned(),
        "stages" => {
            let stages = value.as_array().into_iter().flatten().map(stage);
            stages.collect::<Vec<_>>().join(", then ")
        }
        _ => plain(value),
    }
}

fn stage(stage: &Value) -> String {
    let mut words = format!("within {}", time(stage["duration_s"].as_f64().unwrap_or(0.0)));
    for (name, unit) in [("sockets", "sockets"), ("rate", "a second")] {
        if !stage[name].is_null() {
            write!(words, " to {} {unit}", plain(&stage[name])).expect("memory takes it");
        }
    }
    words
}

fn every(value: &Value) -> String {
    time(value["every_ms"].as_f64().unwrap_or(0.0) / 1e3)
}

fn share(permille: &Value) -> String {
    format!("{} %", permille.as_f64().unwrap_or(0.0) / 10.0)
}

fn time(seconds: f64) -> String {
    let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    format_duration(time).to_string()
}

/// Returns a value without the signs of JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("{name} {}", plain(value)));
            fields.collect::<Vec<_>>().join(", ")
        }
        Value::Number(number) => match number.as_f64() {
            Some(whole) if whole.fract() == 0.0 => format!("{whole:.0}"),
            Some(_) | None => number.to_string(),
        },
        Value::Null => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::settings_in_words;

    #[test]
    fn settings_are_words_and_no_json() {
        let settings = json!({
            "burst": {"orders": 1000, "every_ms": 10_000},
            "gateways": ["http://a/", "http://b/"],
            "new": {"some": [1, true]},
            "rate": 100.0,
            "slow_permille": 205,
            "stages": [{"duration_s": 90.0, "sockets": 100, "rate": null}],
            "storm": null,
        });
        let words = settings_in_words(&settings);
        let words: Vec<_> = words.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(
            words,
            [
                ("burst", "1000 orders at once, every 10s"),
                ("gateways", "http://a/, http://b/"),
                ("new", "some 1, yes"),
                ("rate", "100 a second"),
                ("slow readers", "20.5 % of the sockets"),
                ("stages", "within 1m 30s to 100 sockets"),
            ]
        );
    }
}
