//! Compose, Fly, systemd, Kubernetes and GitHub.

use std::fs;

use serde_json::Value;

use super::{BTreeMap, URL, is_pinned, root, settings, text, texts, understood, variables, yaml};

/// The image that this version goes by.
fn image_of_this_version(image: &str) -> bool {
    image.ends_with(concat!("reliquary:", env!("CARGO_PKG_VERSION")))
}

#[test]
fn compose_s_images_are_pinned_and_its_files_are_there() {
    let document = &yaml("deploy/compose.yaml")[0];
    let services = document["services"].as_object().unwrap();
    for (name, service) in services {
        let image = service["image"].as_str().unwrap();
        assert!(is_pinned(image), "{name}: {image}");
        let mut mounted = Vec::new();
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let (source, inside) = volume.as_str().unwrap().split_once(':').unwrap();
            if source.starts_with('.') {
                let source = root().join("deploy").join(source);
                assert!(source.exists(), "{name}: {}", source.display());
                mounted.push((inside.trim_end_matches(":ro").to_owned(), source));
            } else {
                assert!(document["volumes"].get(source).is_some(), "{name}: {source}");
            }
        }
        // A file that a program is told to read must come with what is mounted.
        for argument in service["command"].as_array().into_iter().flatten() {
            if let Some(file) = argument.as_str().unwrap().strip_prefix("--config.file=") {
                let found = mounted.iter().find_map(|(inside, source)| {
                    Some(source.join(file.strip_prefix(inside)?.trim_start_matches('/')))
                });
                assert!(found.is_some_and(|file| file.is_file()), "{name}: {file}");
            }
        }
        // Everybody else on the network has no business here.
        for port in service["ports"].as_array().into_iter().flatten() {
            assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{name}: {port}");
        }
    }
    assert!(image_of_this_version(services["reliquary"]["image"].as_str().unwrap()));
}

#[test]
fn compose_s_settings_load() {
    let document = &yaml("deploy/compose.yaml")[0];
    let env = variables(&document["services"]["reliquary"]["environment"]);
    let dir = tempfile::tempdir().unwrap();
    let settings = settings("compose.yaml", env, "", dir.path());
    assert_eq!(settings.databases.len(), 1);
}

#[test]
fn fly_s_settings_load_and_its_checks_ask_real_routes() {
    let document: toml::Table = toml::from_str(&text("deploy/fly/fly.toml")).unwrap();
    let env = document["env"].as_table().unwrap();
    let mut env: BTreeMap<_, _> =
        env.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().into())).collect();
    env.insert("DIRECT_URL".to_owned(), URL.to_owned());
    let dir = tempfile::tempdir().unwrap();
    let settings = settings("fly.toml", env, "", dir.path());
    assert_eq!(document["checks"]["alive"]["path"].as_str(), Some("/livez"));
    assert_eq!(document["metrics"]["path"].as_str(), Some("/metrics"));
    let patience = document["kill_timeout"].as_str().unwrap().trim_end_matches('s');
    assert!(patience.parse::<u64>().unwrap() > settings.grace.as_secs());
}

/// The values of a key of the unit.
fn unit(key: &str) -> Vec<String> {
    let text = text("deploy/systemd/reliquary.service");
    let lines = text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    lines.map(str::to_owned).collect()
}

#[test]
fn systemd_s_settings_load_from_its_credentials() {
    let dir = tempfile::tempdir().unwrap();
    let credentials = unit("LoadCredential");
    assert!(!credentials.is_empty());
    for credential in credentials {
        let name = credential.split(':').next().unwrap();
        fs::write(dir.path().join(name), URL).unwrap();
    }
    let mut env = BTreeMap::new();
    for variable in unit("Environment").iter().flat_map(|line| line.split_whitespace()) {
        let (name, value) = variable.split_once('=').unwrap();
        env.insert(name.to_owned(), value.replace("%d", dir.path().to_str().unwrap()));
    }
    let file = "store.url = \"s3://my-backups\"\nstore.region = \"us-east-1\"\n";
    let settings = settings("reliquary.service", env, file, dir.path());
    assert!(settings.databases.contains_key("main"));
    assert!(settings.store.credentials.is_some());
    let patience = unit("TimeoutStopSec")[0].parse::<u64>().unwrap();
    assert!(patience > settings.grace.as_secs());
    let start = unit("ExecStart")[0].clone();
    let arguments: Vec<_> = start.split_whitespace().skip(1).map(str::to_owned).collect();
    understood("ExecStart", &arguments);
}

/// The specification of a pod in a `Deployment` or a `CronJob`.
fn pod(document: &Value) -> Option<&Value> {
    ["/spec/template/spec", "/spec/jobTemplate/spec/template/spec"]
        .iter()
        .find_map(|path| document.pointer(path))
}

#[test]
fn kubernetes_settings_load_from_its_secrets() {
    let documents = yaml("deploy/kubernetes/settings.yaml");
    let of = |kind: &str| documents.iter().find(|document| document["kind"] == kind).unwrap();
    let dir = tempfile::tempdir().unwrap();
    for (name, value) in variables(&of("Secret")["stringData"]) {
        fs::write(dir.path().join(name), value).unwrap();
    }
    let file = of("ConfigMap")["data"]["reliquary.toml"].as_str().unwrap();
    let file = file.replace("/run/secrets/reliquary", dir.path().to_str().unwrap());
    let settings = settings("settings.yaml", BTreeMap::new(), &file, dir.path());

    for name in ["daemon", "jobs"] {
        let documents = yaml(&format!("deploy/kubernetes/{name}.yaml"));
        let pods: Vec<_> = documents.iter().filter_map(pod).collect();
        assert!(!pods.is_empty());
        for pod in pods {
            let patience = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
            assert!(patience > settings.grace.as_secs());
            let container = &pod["containers"][0];
            assert!(image_of_this_version(container["image"].as_str().unwrap()));
            understood(name, &texts(&container["args"]));
            assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
            for mount in container["volumeMounts"].as_array().unwrap() {
                let volumes = pod["volumes"].as_array().unwrap();
                assert!(volumes.iter().any(|volume| volume["name"] == mount["name"]), "{mount}");
            }
            for probe in ["livenessProbe", "readinessProbe"] {
                if let Some(probe) = container.get(probe) {
                    assert_eq!(probe["httpGet"]["path"], "/livez");
                }
            }
        }
    }
}

#[test]
fn the_service_monitor_finds_the_service() {
    let monitor = &yaml("deploy/kubernetes/servicemonitor.yaml")[0]["spec"];
    let documents = yaml("deploy/kubernetes/daemon.yaml");
    let service = documents.iter().find(|document| document["kind"] == "Service").unwrap();
    let labels = monitor["selector"]["matchLabels"].as_object().unwrap();
    for (name, value) in labels {
        assert_eq!(&service["metadata"]["labels"][name], value);
    }
    let endpoint = &monitor["endpoints"][0];
    assert_eq!(endpoint["port"], service["spec"]["ports"][0]["name"]);
    assert_eq!(endpoint["path"], "/metrics");
    // Without it Prometheus overwrites our own label `job`.
    assert_eq!(endpoint["honorLabels"], true);
}

#[test]
fn github_s_commands_are_understood_and_its_settings_load() {
    let document = &yaml("deploy/github/backup.yml")[0];
    let job = &document["jobs"]["reliquary"];
    assert!(image_of_this_version(job["env"]["IMAGE"].as_str().unwrap()));
    let choices = &document["on"]["workflow_dispatch"]["inputs"]["command"]["options"];
    for choice in texts(choices) {
        let words: Vec<_> = choice.split_whitespace().map(str::to_owned).collect();
        understood("backup.yml", &words);
    }

    let steps = job["steps"].as_array().unwrap();
    let run = steps.iter().find(|step| step["name"] == "Run").unwrap()["run"].as_str().unwrap();
    let mut commands = 0;
    for command in run.split("reliquary ").skip(1) {
        let command = command.split(['&', ';', '(']).next().unwrap();
        // The function's own text, and the words that a person chose.
        if command.contains('"') || command.contains('{') || command.starts_with('-') {
            continue;
        }
        let words: Vec<_> = command.split_whitespace().map(str::to_owned).collect();
        if !words.is_empty() {
            understood("backup.yml", &words);
            commands += 1;
        }
    }
    assert!(commands >= 4, "{commands} commands are shown");
    // Each schedule is answered by a line, and by one only.
    for schedule in document["on"]["schedule"].as_array().unwrap() {
        let case = format!("\"{}\")", schedule["cron"].as_str().unwrap());
        assert_eq!(run.matches(&case).count(), 1, "{case}");
    }

    let mut env = variables(&job["env"]);
    env.retain(|name, _| name.starts_with("RELIQUARY__"));
    for name in env.keys() {
        assert!(run.contains(&format!("--env {name} ")), "{name} does not reach the container");
    }
    env.insert("RELIQUARY__STORE__URL".to_owned(), "s3://my-backups".to_owned());
    env.insert("DIRECT_URL".to_owned(), URL.to_owned());
    let dir = tempfile::tempdir().unwrap();
    settings("backup.yml", env, "", dir.path());
}
