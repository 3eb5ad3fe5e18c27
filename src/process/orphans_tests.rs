use std::{
    fs,
    time::{Duration, Instant},
};

use nix::errno::Errno;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::*;
use crate::process::{Program, Stream};

fn sleep() -> Child {
    Program::new("sleep").arg("600").spawn(Stream::Null, Stream::Null).unwrap()
}

/// A child that waits a moment to be marked, as a server does before it runs anything,
/// and says whom it leaves behind.
async fn leaving(script: &str) -> (Child, Adoption, Vec<i32>) {
    let script = format!("sleep 0.2; {script} sleep 0.2");
    let mut child =
        Program::new("sh").args(["-c", &script]).spawn(Stream::Null, Stream::Piped).unwrap();
    let adoption = Adoption::of(&child, getuid().as_raw()).unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout().unwrap());
    stdout.read_line(&mut line).await.unwrap();
    let left = line.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    child.wait().await.unwrap();
    (child, adoption, left)
}

fn runs(pid: i32) -> bool {
    fs::metadata(format!("/proc/{pid}")).is_ok()
}

fn number(child: &Child) -> i32 {
    i32::try_from(child.id().unwrap()).unwrap()
}

async fn until(mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_a_child_leaves_behind_is_ended_whatever_it_has_shed_and_no_child_of_ours() {
    let mut own = sleep();
    let sheds = "cd /; env -i setsid sh -c 'sleep 600 & echo $! $$; exec sleep 600' 2>/dev/null &";
    let (_child, adoption, left) = leaving(sheds).await;
    assert_eq!(left.len(), 2);
    assert!(left.iter().all(|&pid| runs(pid)), "they outlive it");
    until(|| adoption.end_orphans()).await;
    assert!(!left.iter().any(|&pid| runs(pid)));
    assert!(runs(number(&own)));
    own.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn what_comes_from_elsewhere_is_left_alone_although_we_are_its_parent() {
    let (_child, adoption, _) = leaving("echo;").await;
    // As a shell in the container leaves it to the first process.
    let elsewhere = "env -i setsid sh -c 'echo $$; exec sleep 600' 2>/dev/null & sleep 0.2";
    let mut shell =
        Program::new("sh").args(["-c", elsewhere]).spawn(Stream::Null, Stream::Piped).unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(shell.stdout().unwrap());
    stdout.read_line(&mut line).await.unwrap();
    let stays: i32 = line.trim().parse().unwrap();
    shell.wait().await.unwrap();
    assert!(Process::read(stays).unwrap().is_our_child());
    assert!(adoption.end_orphans());
    assert!(runs(stays));
    // Its end is taken all the same, and no child of ours is waited for but by itself.
    let mut own = Program::new("true").spawn(Stream::Null, Stream::Null).unwrap();
    let number = number(&own);
    until(|| Process::read(number).unwrap().has_ended).await;
    kill(Pid::from_raw(stays), Signal::SIGKILL).unwrap();
    until(|| {
        take_those_of(&ours().strangers().0);
        !runs(stays)
    })
    .await;
    assert!(own.wait().await.unwrap().success().is_ok());
}

#[test]
fn a_child_that_cannot_be_looked_at_now_is_still_ours() {
    let error = |errno: Errno| Err(io::Error::from(errno));
    for (seen, gone) in [
        (error(Errno::EMFILE), false),
        (error(Errno::ENOMEM), false),
        (error(Errno::EACCES), false),
        (error(Errno::ENOENT), true),
        (error(Errno::ESRCH), true),
    ] {
        assert_eq!(has_left(&seen), gone, "{seen:?}");
    }
    let child = Process {
        pid: 70,
        parent: getpid().as_raw(),
        group: 70,
        user: 0,
        began: 1,
        has_ended: true,
    };
    // What is another's child has our child's number, and is not it.
    assert!(!has_left(&Ok(child.clone())));
    assert!(has_left(&Ok(Process { parent: 1, ..child })));
}
