use super::*;

fn shell(script: &str) -> Program {
    Program::new("/bin/sh").arg("-c").arg(script)
}

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn output_is_returned_and_the_environment_is_clean() {
    let out = shell("echo $SECRET-$AWS_SECRET_ACCESS_KEY").env("SECRET", "x").output(SOON).await;
    assert_eq!(out.unwrap(), b"x-\n");
}

#[tokio::test]
async fn a_failure_carries_stderr() {
    let error = shell("echo first >&2; echo last >&2; exit 3").output(SOON).await.unwrap_err();
    assert_eq!(error.to_string(), "sh ended with exit code 3: first\nlast");
}

#[tokio::test]
async fn stderr_is_bounded_and_keeps_the_newest_and_the_oldest() {
    let script = "i=0; while [ $i -lt 4000 ]; do echo line$i >&2; i=$((i+1)); done; exit 1";
    let error = shell(script).output(SOON).await.unwrap_err();
    let ProcessError::Failed { stderr, .. } = error else { panic!("{error}") };
    assert!(stderr.len() <= STDERR_KEPT);
    assert!(stderr.starts_with("line0\n") && stderr.ends_with("line3999\n"));
}

#[tokio::test]
async fn a_child_that_outlives_its_deadline_is_ended_with_its_children() {
    let program = shell("sleep 600 & echo $!; wait");
    let mut child = program.spawn(Stream::Null, Stream::Piped).unwrap();
    let mut pid = [0_u8; 16];
    let count = child.stdout().unwrap().read(&mut pid).await.unwrap();
    let pid: i32 = std::str::from_utf8(&pid[..count]).unwrap().trim().parse().unwrap();
    child.stop(Duration::from_millis(200)).await;
    // Gone, or a zombie that nobody has reaped yet: the kernel takes a moment.
    let alive = || {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z"))
    };
    let gone = async {
        while alive() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, gone).await.expect("the grandchild is ended too");

    let error = shell("sleep 600").output(Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(error, ProcessError::TimedOut { .. }), "{error}");
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let error = Program::new("/nowhere/pg_dump").output(SOON).await.unwrap_err();
    assert!(error.to_string().starts_with("start pg_dump: "), "{error}");
}

#[tokio::test]
async fn a_child_of_low_priority_is_nice() {
    let own: i32 = String::from_utf8(shell("nice").output(SOON).await.unwrap())
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    // It waits until it has been told.
    let program = shell("read -r _; nice").priority(Priority::Low);
    let mut child = program.spawn(Stream::Piped, Stream::Piped).unwrap();
    drop(child.stdin());
    let mut nice = String::new();
    child.stdout().unwrap().read_to_string(&mut nice).await.unwrap();
    child.wait().await.unwrap();
    assert_eq!(nice.trim(), own.max(NICE).to_string());
}
