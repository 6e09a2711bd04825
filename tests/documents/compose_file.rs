//! The compose file holds no secret, bounds every service, and publishes nothing beyond this machine
//! without tokens.

use std::collections::BTreeMap;

use crate::read;

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
    assert_eq!(services.len(), 5, "{:?}", services.keys());
    for (name, lines) in &services {
        let has = |start: &str| lines.iter().any(|line| line.starts_with(start));
        assert!(has("mem_limit: ") || has("<<: *galley"), "{name} has no bound of memory");
        assert!(has("secrets: ["), "{name} has no secrets");
        let networks = lines.iter().find(|line| line.starts_with("networks: "));
        let expected =
            if *name == "gateway" { "networks: [front, back]" } else { "networks: [back]" };
        assert_eq!(networks, Some(&expected), "{name}");
        assert_eq!(has("ports:"), *name == "gateway", "{name}");
    }
    assert!(file.contains("\n  back:\n    internal: true\n"), "nothing in `back` reaches out");
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
