//! How a child stands to whatever else wants to run on the machine.

use nix::unistd::Pid;

/// What a child is given of the processors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Priority {
    /// As this process.
    #[default]
    Usual,
    /// It lets others go first.
    Low,
}

/// How much a child of low priority steps back; the nice value of a server in a
/// drill, too.
pub(crate) const NICE: i32 = 10;

/// Makes a child that has just started give way; one that gives way more already
/// is left so. That it cannot be done is no reason not to run it.
pub(super) fn step_back(child: Option<Pid>) {
    let Some(pid) = child.and_then(|pid| rustix::process::Pid::from_raw(pid.as_raw())) else {
        return;
    };
    let now = rustix::process::getpriority_process(Some(pid));
    if now.is_ok_and(|now| now < NICE) {
        let _ = rustix::process::setpriority_process(Some(pid), NICE);
    }
}
