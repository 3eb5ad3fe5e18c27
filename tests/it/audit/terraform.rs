//! `deploy/terraform`: it is valid; and what it makes of a local S3 API server
//! passes the audit. Both are skipped, with the reason, where `terraform` or
//! its plugin for AWS is not on the machine: nothing is downloaded.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use reliquary::{
    audit::policies::Place,
    words::{
        Check,
        CheckResult::{Fail, Pass, Unknown, Warn},
    },
};
use serde_json::Value;
use tempfile::TempDir;

use super::{Installation, NOBODY, came_to};
use crate::support::{postgres::Run as _, s3, tools::command};

/// Where plugins may be, laid out as a mirror of the registry.
const MIRRORS: [&str; 3] =
    ["/opt/tf-plugins", "/usr/share/terraform/plugins", "/usr/local/share/terraform/plugins"];

/// A copy of the module in which `terraform` was initialised.
struct Module {
    folder: TempDir,
}

impl Module {
    /// `None`, with the reason on stderr, where that cannot be.
    fn open() -> Option<Self> {
        let found = std::env::split_paths(&std::env::var_os("PATH")?)
            .any(|dir| dir.join("terraform").is_file());
        if !found {
            eprintln!("skipped: there is no `terraform` in PATH");
            return None;
        }
        let named = std::env::var("RELIQUARY_TEST_TERRAFORM_PLUGINS").ok().map(PathBuf::from);
        let plugin = |dir: &PathBuf| dir.join("registry.terraform.io/hashicorp/aws").is_dir();
        let Some(mirror) = named.into_iter().chain(MIRRORS.map(PathBuf::from)).find(plugin) else {
            eprintln!("skipped: terraform's plugin for AWS is in none of {MIRRORS:?}");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/terraform");
        for file in fs::read_dir(source).unwrap() {
            let file = file.unwrap();
            if file.path().extension().is_some_and(|extension| extension == "tf") {
                fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
            }
        }
        let cli = format!(
            "disable_checkpoint = true\nprovider_installation {{\n  filesystem_mirror {{\n    \
             path = {:?}\n  }}\n}}\n",
            mirror.display()
        );
        fs::write(folder.path().join("terraformrc"), cli).unwrap();
        let module = Self { folder };
        module.terraform(&["init", "-input=false"]).output_of(b"");
        Some(module)
    }

    fn terraform(&self, arguments: &[&str]) -> Command {
        let mut terraform = command("terraform");
        terraform
            .args(arguments)
            .current_dir(self.folder.path())
            .env("TF_CLI_CONFIG_FILE", self.folder.path().join("terraformrc"))
            .env("TF_IN_AUTOMATION", "1")
            .env("CHECKPOINT_DISABLE", "1");
        terraform
    }

    /// Sends everything to a local server.
    fn at(&self, endpoint: &str) {
        let services = ["s3", "iam", "sts", "kms"]
            .map(|service| format!("    {service} = \"{endpoint}\"\n"))
            .concat();
        let provider = format!(
            "provider \"aws\" {{\n  region = \"us-east-1\"\n  access_key = \"test\"\n  \
             secret_key = \"test\"\n  s3_use_path_style = true\n  skip_metadata_api_check = true\n  \
             endpoints {{\n{services}  }}\n}}\n"
        );
        fs::write(self.folder.path().join("provider.tf"), provider).unwrap();
    }

    /// What a resource looks like in the state.
    fn resource(&self, address: &str) -> Value {
        let state = self.terraform(&["show", "-json"]).output_of(b"");
        let state: Value = serde_json::from_str(&state).unwrap();
        let resources = state["values"]["root_module"]["resources"].as_array().unwrap();
        let found = resources.iter().find(|resource| resource["address"] == address);
        found.unwrap_or_else(|| panic!("{address}"))["values"].clone()
    }
}

#[test]
fn the_module_is_valid_and_formatted() {
    let Some(module) = Module::open() else { return };
    module.terraform(&["validate"]).output_of(b"");
    module.terraform(&["fmt", "-check", "-diff"]).output_of(b"");
}

/// What the plugin waits for before it believes in lifecycle rules makes this a
/// test of a minute.
#[tokio::test]
async fn what_the_module_makes_passes_the_audit() {
    let Some(module) = tokio::task::spawn_blocking(Module::open).await.unwrap() else { return };
    let moto = s3::moto_server().await;
    module.at(&moto.endpoint);
    let (policies, module) = tokio::task::spawn_blocking(move || {
        module
            .terraform(&["apply", "-input=false", "-auto-approve"])
            .args(["-var=bucket=backups", "-var=log_bucket=logs", "-var=object_lock_days=29"])
            .args(["-var=prefixes=[\"database/\",\"other/\"]"])
            .output_of(b"");
        let policy = |address: &str| {
            let text = module.resource(address)["policy"].as_str().unwrap().to_owned();
            serde_json::from_str::<Value>(&text).unwrap()
        };
        let policies =
            ["keeper", "restorer"].map(|role| policy(&format!("aws_iam_policy.this[\"{role}\"]")));
        let bucket = policy("aws_s3_bucket_policy.backups");
        (([policies[0].clone(), policies[1].clone()], bucket), module)
    })
    .await
    .unwrap();

    // The module's policies are those that the program prints.
    let ([keeper, restorer], bucket) = policies;
    let place = Place {
        bucket: "backups".to_owned(),
        prefixes: vec!["database/".to_owned(), "other/".to_owned()],
        kms_key: None,
        region: "us-east-1".to_owned(),
    };
    assert_eq!(normal(&keeper), normal(&place.keeper()));
    assert_eq!(normal(&restorer), normal(&place.restorer()));
    let users = ["keeper", "restorer"]
        .map(|role| format!("arn:aws:iam::123456789012:user/reliquary-{role}"));
    assert_eq!(normal(&bucket), normal(&place.bucket(&users)));

    let options = s3::options(&moto.endpoint, "backups", "test", "test");
    let installation = Installation::new(NOBODY).s3(&options);
    let report = installation.audit().await;
    for check in [
        Check::Region,
        Check::Encryption,
        Check::PublicAccess,
        Check::PolicyGrants,
        Check::PolicyTls,
        Check::AccessLists,
        Check::Versioning,
        Check::ObjectLock,
        Check::AccessLogging,
        Check::UnfinishedUploads,
        Check::Lifecycle,
        Check::Identity,
        Check::ClockStore,
    ] {
        came_to(&report, check, Pass);
    }
    // It speaks no TLS, the account is not the module's unless it is told so,
    // and only Amazon is asked for its policy.
    came_to(&report, Check::StoreTransport, Warn);
    came_to(&report, Check::AccountPublicAccess, Warn);
    came_to(&report, Check::PolicyChange, Unknown);
    // moto takes every Deny as one without a condition, so that nobody may
    // write at all: with the policy that is right, over the plain HTTP that it
    // refuses. Without it the rights themselves are seen.
    came_to(&report, Check::Write, Fail);
    let forget = reqwest::Client::new()
        .delete(format!("{}/backups?policy", moto.endpoint))
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, \
             SignedHeaders=host, Signature=0",
        )
        .send()
        .await
        .unwrap();
    assert!(forget.status().is_success());
    let report = installation.audit().await;
    for check in [Check::Write, Check::Delete, Check::ConditionalWrites] {
        came_to(&report, check, Pass);
    }
    drop(module);
}

/// A policy with its lists in order, and lists of one as what they hold.
fn normal(value: &Value) -> Value {
    match value {
        Value::Array(values) if values.len() == 1 => normal(&values[0]),
        Value::Array(values) => {
            let mut values: Vec<Value> = values.iter().map(normal).collect();
            values.sort_by_key(ToString::to_string);
            Value::Array(values)
        }
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), normal(value))).collect()
        }
        other => other.clone(),
    }
}
