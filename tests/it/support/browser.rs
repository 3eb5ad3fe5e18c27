//! A headless Chromium, spoken to over a pipe in its own protocol.

use std::{
    io::{BufRead as _, BufReader, ErrorKind, Write as _},
    process::{Child, ChildStdin, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::tools::command;

/// No test waits longer for the browser than this.
const PATIENCE: Duration = Duration::from_secs(60);

/// Programs that will do, as Debian's packages of the same name have them.
const PROGRAMS: [&str; 2] = ["chromium-headless-shell", "chromium"];

/// One browser with one page, which ends with it.
pub(crate) struct Browser {
    child: Child,
    stdin: Option<ChildStdin>,
    messages: Receiver<Value>,
    /// What came while something else was waited for.
    events: Vec<Value>,
    last: u64,
    session: Option<String>,
    _profile: TempDir,
}

/// A browser; `None` where there is none. `$CHROMIUM` says where it is when it is
/// not in the path; where that is set, a test is never skipped.
pub(crate) fn browser(test: &str) -> Option<Browser> {
    let named = std::env::var("CHROMIUM").ok();
    let found = named.or_else(|| {
        PROGRAMS.iter().find(|program| is_there(program)).map(|program| (*program).to_owned())
    });
    let Some(program) = found else {
        eprintln!(
            "SKIPPED {test}: there is no browser; install Debian's chromium-headless-shell or \
             chromium, or set CHROMIUM"
        );
        return None;
    };
    Some(Browser::start(&program))
}

fn is_there(program: &str) -> bool {
    match command(program).arg("--version").output() {
        Ok(output) => output.status.success(),
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => panic!("{program} does not start: {error}"),
    }
}

impl Browser {
    fn start(program: &str) -> Self {
        let profile = tempfile::tempdir().unwrap();
        // It reads the protocol from descriptor 3 and writes it to descriptor 4.
        let pipe = "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1";
        let mut command = command("sh");
        command.args(["-c", pipe, program, "--headless", "--remote-debugging-pipe"]);
        command.args(["--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        if nix::unistd::geteuid().is_root() {
            command.arg("--no-sandbox");
        }
        let spawned =
            command.arg("about:blank").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.expect("start the browser");
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let parts = BufReader::new(stdout).split(0).map_while(Result::ok);
            for message in parts.filter_map(|part| serde_json::from_slice(&part).ok()) {
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let (events, last, session) = (Vec::new(), 0, None);
        let mut browser = Self { child, stdin, messages, events, last, session, _profile: profile };
        let page = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": page["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", attach);
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Calls a method and waits for its result.
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let id = self.last;
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let stdin = self.stdin.as_mut().expect("a browser that runs");
        stdin.write_all(message.to_string().as_bytes()).unwrap();
        stdin.write_all(&[0]).unwrap();
        stdin.flush().unwrap();
        let answer = self.wait(method, |message| message["id"] == id);
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    fn wait(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let message = self.messages.recv_timeout(left);
            let message = message.unwrap_or_else(|error| panic!("no {what}: {error}"));
            if is_it(&message) {
                return message;
            }
            self.events.push(message);
        }
    }

    /// The size of the window, and `light` or `dark`.
    pub(crate) fn look(&mut self, width: u32, height: u32, scheme: &str) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500
        });
        self.call("Emulation.setDeviceMetricsOverride", size);
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// Opens a page and waits until it is loaded.
    pub(crate) fn open(&mut self, url: &str) {
        self.events.clear();
        let opened = self.call("Page.navigate", json!({"url": url}));
        assert!(opened.get("errorText").is_none(), "{opened}");
        let loaded = |message: &Value| message["method"] == "Page.loadEventFired";
        if !self.events.iter().any(loaded) {
            let event = self.wait("Page.loadEventFired", loaded);
            self.events.push(event);
        }
    }

    /// The value of an expression.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true});
        let result = self.call("Runtime.evaluate", params);
        assert!(result.get("exceptionDetails").is_none(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    pub(crate) fn until(&mut self, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.value(expression) != true {
            assert!(Instant::now() < deadline, "never: {expression}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the console, the log and uncaught errors have said since the last
    /// page was opened.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        // What was said before the answer to this has come by then.
        self.value("1");
        let complaint = |event: &Value| {
            let params = &event["params"];
            match event["method"].as_str()? {
                "Runtime.exceptionThrown" => Some(params["exceptionDetails"].to_string()),
                "Runtime.consoleAPICalled" => Some(params["args"].to_string()),
                "Log.entryAdded" => Some(params["entry"].to_string()),
                // What a page was waiting for when it was left is no failure.
                "Network.loadingFailed" if params["canceled"] != true => Some(params.to_string()),
                _ => None,
            }
        };
        self.events.iter().filter_map(complaint).collect()
    }

    /// A picture of the whole page, as a PNG in base64.
    pub(crate) fn picture(&mut self) -> String {
        let params = json!({"format": "png", "captureBeyondViewport": true});
        let size = self.call("Page.getLayoutMetrics", json!({}))["cssContentSize"].clone();
        let mut params = params;
        params["clip"] = json!({
            "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1
        });
        let picture = self.call("Page.captureScreenshot", params);
        picture["data"].as_str().unwrap().to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The end of the pipe is the end of the browser, and of its children.
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}
