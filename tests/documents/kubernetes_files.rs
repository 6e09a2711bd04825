//! Both overlays for Kubernetes are valid, hardened, bounded, and refer to what exists.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use crate::deployment_tools::{assert_setting, output, tool, yaml};
use crate::{read, root};

const OVERLAYS: [&str; 2] = ["single", "replicated"];
/// The oldest version of Kubernetes that `docs/deployment.md` names, and the newest known.
const VERSIONS: [&str; 2] = ["1.30", "1.37"];
/// The time of a stop beyond the delay and the drain.
const GRACE: u64 = 20;

/// An overlay as kubectl renders it.
struct Rendered {
    parts: Vec<Value>,
    file: PathBuf,
    _folder: TempDir,
}

/// The text at a path of a value; empty if there is none.
fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// The list at a path of a value; empty if there is none.
fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    value.pointer(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

impl Rendered {
    fn of(overlay: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("rendered.yaml");
        let source = root().join("deploy/kubernetes").join(overlay);
        let rendered = output(tool("bin/kubectl").arg("kustomize").arg(source));
        std::fs::write(&file, rendered).expect("a file");
        Self { parts: yaml(&file), file, _folder: folder }
    }

    fn kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.parts.iter().filter(move |part| part["kind"] == kind)
    }

    fn names(&self, kind: &str) -> BTreeSet<&str> {
        self.kind(kind).map(|part| text(part, "/metadata/name")).collect()
    }

    /// The templates of the pods.
    fn pods(&self) -> impl Iterator<Item = &Value> {
        self.kind("Deployment").chain(self.kind("Job")).map(|part| &part["spec"]["template"])
    }

    /// Returns true if pods have these labels.
    fn selects_pods(&self, labels: &Value) -> bool {
        let wanted = labels.as_object().expect("labels");
        !wanted.is_empty()
            && self.pods().any(|pod| {
                wanted.iter().all(|(name, value)| &pod["metadata"]["labels"][name] == value)
            })
    }

    /// The settings of all pods.
    fn settings(&self) -> &Value {
        &self.kind("ConfigMap").next().expect("a ConfigMap")["data"]
    }
}

/// The environment of a container: each name with its value.
fn environment(container: &Value) -> impl Iterator<Item = (&str, &str)> {
    list(container, "/env").iter().map(|entry| (text(entry, "/name"), text(entry, "/value")))
}

#[test]
fn kubernetes_knows_every_field_of_both_overlays() {
    for overlay in OVERLAYS {
        let rendered = Rendered::of(overlay);
        for version in VERSIONS {
            let mut validate = tool("bin/kubernetes-validate");
            validate.args(["--strict", "--quiet", "--kubernetes-version", version]);
            output(validate.arg(&rendered.file));
        }
        let kinds: BTreeSet<&str> = rendered.parts.iter().map(|part| text(part, "/kind")).collect();
        for kind in ["Deployment", "Job", "Service", "PodDisruptionBudget", "NetworkPolicy"] {
            assert!(kinds.contains(kind), "{overlay} has no {kind}");
        }
        assert_eq!(kinds.contains("HorizontalPodAutoscaler"), overlay == "replicated");
    }
}

#[test]
fn every_container_is_hardened_and_bounded_and_those_that_serve_are_probed() {
    for overlay in OVERLAYS {
        let rendered = Rendered::of(overlay);
        for pod in rendered.pods() {
            let spec = &pod["spec"];
            let user: u64 = text(spec, "/securityContext/runAsUser").parse().expect("a number");
            assert!(user > 0 && text(spec, "/securityContext/runAsNonRoot") == "true");
            assert_eq!(text(spec, "/securityContext/seccompProfile/type"), "RuntimeDefault");
            assert_eq!(text(spec, "/automountServiceAccountToken"), "false");
            for container in list(spec, "/containers") {
                let name = text(container, "/name");
                let security = &container["securityContext"];
                assert_eq!(security["allowPrivilegeEscalation"], "false", "{name}");
                assert_eq!(security["readOnlyRootFilesystem"], "true", "{name}");
                assert_eq!(list(security, "/capabilities/drop"), ["ALL"], "{name}");
                for bound in ["requests/cpu", "requests/memory", "limits/cpu", "limits/memory"] {
                    let bound = format!("/resources/{bound}");
                    assert!(!text(container, &bound).is_empty(), "{name} has no {bound}");
                }
                assert!(text(container, "/image").contains(':'), "{name} has an image with a tag");
                if text(spec, "/restartPolicy") != "OnFailure" {
                    assert_probed(name, container);
                }
            }
        }
    }
}

fn assert_probed(name: &str, container: &Value) {
    let ports: Vec<&str> =
        list(container, "/ports").iter().map(|port| text(port, "/name")).collect();
    for (probe, path) in
        [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")]
    {
        assert_eq!(text(container, &format!("/{probe}/httpGet/path")), path, "{name}: {probe}");
        let port = text(container, &format!("/{probe}/httpGet/port"));
        assert!(ports.contains(&port), "{name}: {probe} asks port {port}");
    }
}

#[test]
fn every_name_that_a_part_refers_to_exists() {
    let (documented, metrics) = (read("docs/deployment.md"), read("docs/metrics.md"));
    for overlay in OVERLAYS {
        let rendered = Rendered::of(overlay);
        for pod in rendered.pods() {
            let spec = &pod["spec"];
            assert!(rendered.names("ServiceAccount").contains(text(spec, "/serviceAccountName")));
            let mut files = BTreeSet::new();
            for volume in list(spec, "/volumes") {
                let secret = format!("secret generic {} ", text(volume, "/secret/secretName"));
                assert!(documented.contains(&secret), "nobody makes the {secret}");
                for item in list(volume, "/secret/items") {
                    let key = format!("--from-file={}", text(item, "/key"));
                    let is_made = documented.split_whitespace().any(|word| word == key);
                    assert!(is_made, "nobody makes {key}");
                    files.insert((text(volume, "/name"), text(item, "/path")));
                }
            }
            for container in list(spec, "/containers") {
                assert_container(&rendered, container, &files);
            }
        }
        for scaler in rendered.kind("HorizontalPodAutoscaler") {
            let target = text(scaler, "/spec/scaleTargetRef/name");
            assert!(rendered.names("Deployment").contains(target), "{target} is scaled");
            let metric = text(scaler, "/spec/metrics/0/external/metric/name");
            assert!(metrics.contains(metric), "{target} is scaled by {metric}");
        }
    }
}

/// Checks the `ConfigMap` and the files of a container; `files` are those of its volumes.
fn assert_container(rendered: &Rendered, container: &Value, files: &BTreeSet<(&str, &str)>) {
    let program = text(container, "/command/0");
    assert!(["galley", "galley-gateway", "galley-worker"].contains(&program), "{program}");
    for source in list(container, "/envFrom") {
        let name = text(source, "/configMapRef/name");
        assert!(rendered.names("ConfigMap").contains(name), "{program}: {name}");
    }
    for (variable, path) in environment(container).filter(|(name, _)| name.ends_with("_FILE")) {
        let mounted = list(container, "/volumeMounts").iter().any(|mount| {
            let (folder, volume) = (text(mount, "/mountPath"), text(mount, "/name"));
            let file = path.strip_prefix(folder).and_then(|path| path.strip_prefix('/'));
            file.is_some_and(|file| files.contains(&(volume, file)))
        });
        assert!(mounted, "{program}: {variable}: no volume has {path}");
    }
}

#[test]
fn every_selector_selects_pods_and_every_service_has_their_port() {
    for overlay in OVERLAYS {
        let rendered = Rendered::of(overlay);
        for (kind, path) in [
            ("Deployment", "/spec/selector/matchLabels"),
            (
                "Deployment",
                "/spec/template/spec/topologySpreadConstraints/0/labelSelector/matchLabels",
            ),
            (
                "Deployment",
                "/spec/template/spec/topologySpreadConstraints/1/labelSelector/matchLabels",
            ),
            ("PodDisruptionBudget", "/spec/selector/matchLabels"),
            ("NetworkPolicy", "/spec/podSelector/matchLabels"),
            ("Service", "/spec/selector"),
        ] {
            for part in rendered.kind(kind) {
                let labels = part.pointer(path).unwrap_or_else(|| panic!("{kind} has no {path}"));
                assert!(rendered.selects_pods(labels), "{kind} selects no pod: {labels}");
            }
        }
        let ports: BTreeSet<&str> = rendered
            .pods()
            .flat_map(|pod| list(pod, "/spec/containers/0/ports"))
            .map(|port| text(port, "/name"))
            .collect();
        for port in rendered.kind("Service").flat_map(|service| list(service, "/spec/ports")) {
            assert!(ports.contains(text(port, "/targetPort")), "{port}");
        }
    }
}

#[test]
fn every_setting_in_them_is_one_of_the_readme() {
    for overlay in OVERLAYS {
        let rendered = Rendered::of(overlay);
        let settings = rendered.settings().as_object().expect("settings");
        let containers = rendered.pods().flat_map(|pod| list(pod, "/spec/containers"));
        let own = containers.flat_map(environment).map(|(name, _)| name);
        let all: Vec<&str> = settings.keys().map(String::as_str).chain(own).collect();
        assert!(all.len() > 10, "{all:?}");
        for name in &all {
            assert_setting(name, overlay);
        }
    }
}

#[test]
fn a_pod_has_the_time_that_a_stop_takes() {
    for overlay in OVERLAYS {
        let rendered = Rendered::of(overlay);
        let seconds = |setting: &str| -> u64 {
            let value = text(rendered.settings(), &format!("/{setting}"));
            value.strip_suffix('s').and_then(|value| value.parse().ok()).expect("seconds")
        };
        let stop = seconds("GALLEY_SHUTDOWN_DELAY") + seconds("GALLEY_DRAIN") + GRACE;
        for deployment in rendered.kind("Deployment") {
            let spec = &deployment["spec"]["template"]["spec"];
            let pause = text(spec, "/containers/0/lifecycle/preStop/sleep/seconds");
            let is_gateway = text(deployment, "/metadata/name") == "galley-gateway";
            assert_eq!(is_gateway, !pause.is_empty(), "only the gateway has connections");
            let pause: u64 = pause.parse().unwrap_or_default();
            let granted: u64 =
                text(spec, "/terminationGracePeriodSeconds").parse().expect("seconds");
            assert!(granted > pause + stop, "{granted} s for {pause} s and {stop} s");
        }
    }
}
