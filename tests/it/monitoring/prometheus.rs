//! A real Prometheus that scrapes a real daemon, with the rules as they stand in
//! `deploy/`: it fires the alert of a backup that is too old.

use std::{
    io::{BufRead as _, BufReader, ErrorKind},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{dashboard::expressions, program, read};
use crate::support::{postgres::Server, product::Product, tools::command};

/// Nothing here takes longer than this.
const PATIENCE: Duration = Duration::from_secs(90);

/// A program that serves, killed when dropped.
struct Served {
    child: Child,
    address: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Served {
    /// Waits until a line of its log, one JSON object each, says where it listens.
    fn wait(mut child: Child, is_it: impl Fn(&Value) -> Option<String>) -> Self {
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("it ended without listening").unwrap();
            if let Some(address) = serde_json::from_str(&line).ok().as_ref().and_then(&is_it) {
                break address;
            }
        };
        // Read to the end: a full pipe would stop it.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { child, address }
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let url = url::Url::parse_with_params(&format!("http://{}{path}", self.address), query);
        let answer = reqwest::get(url.unwrap()).await.unwrap();
        // Before it is ready it answers in plain text.
        answer.json().await.unwrap_or_default()
    }
}

fn daemon(product: &Product) -> Served {
    let child = product.command(&["run"]).stderr(Stdio::piped()).spawn().unwrap();
    Served::wait(child, |line| {
        let address = line.pointer("/fields/address").or_else(|| line.get("address"));
        address?.as_str().map(str::to_owned)
    })
}

/// Starts Prometheus with the configuration of `deploy/`, once a second instead
/// of twice a minute; `None` where there is none.
fn prometheus(test: &str, target: &str, folder: &std::path::Path) -> Option<Served> {
    let configuration = read("prometheus/prometheus.yml")
        .replace("30s", "1s")
        .replace("reliquary:8080", target)
        .replace("alertmanager:9093", "127.0.0.1:9");
    assert!(configuration.contains(target) && configuration.contains("1s"));
    std::fs::write(folder.join("prometheus.yml"), configuration).unwrap();
    std::fs::write(folder.join("rules.yml"), read("prometheus/rules.yml")).unwrap();
    let (path, named) = program("prometheus");
    let spawned = command(path)
        .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.format=json"])
        .arg("--web.listen-address=127.0.0.1:0")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let child = match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound && !named => {
            eprintln!(
                "SKIPPED {test}: there is no prometheus; tests/run.sh fetches it, or set PROMETHEUS"
            );
            return None;
        }
        Err(error) => panic!("prometheus does not start: {error}"),
    };
    let listens = |line: &Value| {
        let says = line["msg"] == "Listening on";
        line["address"].as_str().filter(|_| says).map(str::to_owned)
    };
    Some(Served::wait(child, listens))
}

/// The alerts that fire, with the database of each.
async fn firing(prometheus: &Served) -> Vec<(String, String)> {
    let answer = prometheus.get("/api/v1/alerts", &[]).await;
    let alerts = answer.pointer("/data/alerts").and_then(Value::as_array).cloned();
    let alerts = alerts.unwrap_or_default();
    let fires = alerts.iter().filter(|alert| alert["state"] == "firing");
    let label =
        |alert: &Value, name: &str| alert["labels"][name].as_str().unwrap_or_default().to_owned();
    fires.map(|alert| (label(alert, "alertname"), label(alert, "database"))).collect()
}

async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_real_prometheus_fires_when_backups_grow_old_and_can_draw_the_dashboard() {
    let name = "a_real_prometheus_fires_when_backups_grow_old_and_can_draw_the_dashboard";
    let server = Server::start(15);
    server.create_database("shop");
    server.psql("shop", "create table t (id int); insert into t select generate_series(1, 10)");
    let product = Product::of(&server, "shop")
        .set("RELIQUARY__HTTP__LISTEN", "127.0.0.1:0")
        .set("RELIQUARY__LOG__FORMAT", "json")
        .set("RELIQUARY__DATABASES__MAIN__STALE_AFTER", "5s")
        .set("RELIQUARY__DATABASES__MAIN__ATTEMPTS", "1");
    product.backup(&[]);
    // From here on the source takes nobody in, and the backup grows old.
    server.psql("postgres", "alter database shop allow_connections false");
    let daemon = daemon(&product);
    let folder = tempfile::tempdir().unwrap();
    let Some(prometheus) = prometheus(name, &daemon.address, folder.path()) else { return };

    let stale = ("ReliquaryBackupStale".to_owned(), "main".to_owned());
    let fired = until("the alert fires", async || {
        let firing = firing(&prometheus).await;
        firing.contains(&stale).then_some(firing)
    })
    .await;
    // It is the age, and neither a missing series nor a scrape gone wrong.
    for other in ["ReliquaryNoBackup", "ReliquaryDown", "ReliquaryScrapedWithoutItsLabels"] {
        assert!(!fired.iter().any(|(alert, _)| alert == other), "{fired:?}");
    }

    // Whatever the dashboard asks, this Prometheus understands, and of all that
    // is not about growth it has something to show.
    for (panel, expression) in expressions() {
        if expression.starts_with("label_values") {
            continue;
        }
        let expression = expression
            .replace("$__rate_interval", "1m")
            .replace("$__range", "1h")
            .replace("$database", ".*")
            .replace("$instance", ".*");
        let may_be_empty = expression.contains("> 0") || expression.contains("histogram_quantile");
        // A rate needs a second scrape.
        until(&format!("{panel}: {expression}"), async || {
            let answer = prometheus.get("/api/v1/query", &[("query", &expression)]).await;
            assert_eq!(answer["status"], "success", "{panel}: {expression}: {answer}");
            let found = answer.pointer("/data/result").and_then(Value::as_array).unwrap().len();
            (found > 0 || may_be_empty).then_some(())
        })
        .await;
    }
}
