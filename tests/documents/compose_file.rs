//! The compose file holds no secret, bounds every service, and publishes nothing beyond this machine
//! without tokens.

use std::collections::BTreeMap;

use crate::{read, root};

/// The lines of each service.
fn services(file: &str) -> BTreeMap<&str, Vec<&str>> {
    let (_, services) = file.split_once("\nservices:\n").expect("services");
    let mut found = BTreeMap::<&str, Vec<&str>>::new();
    let mut name = "";
    let is_inner = |line: &&str| line.is_empty() || line.starts_with([' ', '#']);
    for line in services.lines().take_while(is_inner) {
        match line.strip_prefix("  ").filter(|line| !line.starts_with([' ', '#'])) {
            Some(head) => name = head.trim_end_matches(':'),
            None => found.entry(name).or_default().push(line.trim()),
        }
    }
    found.remove("");
    found
}

#[test]
fn every_service_has_its_networks_its_secrets_and_a_bound_of_memory() {
    let file = read("docker-compose.yml");
    let (own, _) = file.split_once("x-environment").expect("what our services share");
    assert!(own.contains("mem_limit: ") && own.contains("read_only: true"), "{own}");
    let services = services(&file);
    assert_eq!(services.len(), 7, "{:?}", services.keys());
    for (name, lines) in &services {
        let has = |start: &str| lines.iter().any(|line| line.starts_with(start));
        assert!(has("mem_limit: ") || has("<<: *galley"), "{name} has no bound of memory");
        // Prometheus asks addresses without a password.
        assert_eq!(has("secrets: ["), *name != "prometheus", "{name} and its secrets");
        let networks = lines.iter().find(|line| line.starts_with("networks: "));
        let expected = match *name {
            "gateway" => "networks: [front, back]",
            "prometheus" => "networks: [watch, back]",
            "grafana" => "networks: [watch]",
            _ => "networks: [back]",
        };
        assert_eq!(networks, Some(&expected), "{name}");
        assert_eq!(has("ports:"), !expected.ends_with(" [back]"), "{name}");
    }
    assert!(file.contains("\n  back:\n    internal: true\n"), "nothing in `back` reaches out");
}

#[test]
fn prometheus_and_grafana_come_when_they_are_asked_for_and_stay_on_this_machine() {
    let file = read("docker-compose.yml");
    let services = services(&file);
    for name in ["prometheus", "grafana"] {
        let lines = &services[name];
        for line in ["profiles: [observability]", "read_only: true", "cap_drop: [ALL]"] {
            assert!(lines.contains(&line), "{name}: {line}");
        }
        let at = lines.iter().position(|line| *line == "ports:").expect("a port");
        assert!(lines[at + 1].starts_with("- \"127.0.0.1:"), "{}", lines[at + 1]);
        for line in lines {
            let Some((from, to)) = line.strip_prefix("- ./").and_then(|line| line.split_once(':'))
            else {
                continue;
            };
            assert!(root().join(from).exists(), "{name}: there is no {from}");
            assert!(to.ends_with(":ro"), "{name} may write {from}");
        }
        let image = lines.iter().find_map(|line| line.strip_prefix("image: ")).expect("an image");
        let version = image.rsplit(':').next().expect("a version");
        assert!(version.trim_start_matches('v').starts_with(char::is_numeric), "{image}");
    }
    // Prometheus asks where the programs listen, and nobody publishes that port.
    for name in ["gateway", "worker"] {
        assert!(services[name].contains(&"GALLEY_METRICS_LISTEN: \":9464\""), "{name}");
        let scraped = read("deploy/observability/prometheus.yml");
        assert!(scraped.contains(&format!("names: [{name}], type: A, port: 9464")), "{scraped}");
    }
    assert_eq!(file.matches("9464").count(), 2, "it is not published");
}

#[test]
fn no_secret_stands_in_the_environment() {
    let made = read("docker/make-secrets");
    for file in ["docker-compose.yml", "docker-compose.public.yml", ".env.example", "Dockerfile"] {
        for line in read(file).lines().filter(|line| !line.trim_start().starts_with('#')) {
            let setting = line.trim_start().split([':', '=']).next().unwrap_or_default();
            let is_setting = setting.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
            for secret in ["PASSWORD", "SECRET", "_URL", "TOKEN"] {
                assert!(!is_setting || !setting.ends_with(secret), "{file}: {line}");
            }
            if let Some((_, name)) = line.split_once("file: ./secrets/") {
                let name = name.trim_end_matches(" }");
                assert!(made.contains(&format!("\nmake {name} ")), "nobody makes {name}");
            }
        }
    }
}

#[test]
fn without_tokens_the_gateway_is_published_on_loopback_alone() {
    let file = read("docker-compose.yml");
    let services = services(&file);
    let gateway = &services["gateway"];
    let at = gateway.iter().position(|line| *line == "ports:").expect("a port");
    assert!(gateway[at + 1].starts_with("- \"127.0.0.1:"), "{}", gateway[at + 1]);
    assert_eq!(file.matches("INSECURE_NO_AUTH: \"1\"").count(), 1);
    let public = read("docker-compose.public.yml");
    assert!(public.contains("GALLEY_AUTH: jwt\n") && !public.contains("NO_AUTH: \"1\""));
}
