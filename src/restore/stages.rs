//! The stages of a restore, one after another, each with its time.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use super::{failure::Failure, progress::Progress, report::StageTime};
use crate::words::RestoreStage;

/// Times stages as they run.
#[derive(Debug)]
pub(super) struct Stages {
    progress: Progress,
    began: Instant,
    times: Mutex<Vec<StageTime>>,
}

impl Stages {
    /// None has run yet.
    pub(super) fn new(progress: &Progress) -> Self {
        let (began, times) = (Instant::now(), Mutex::new(Vec::new()));
        Self { progress: progress.clone(), began, times }
    }

    /// Runs a stage in which there is so much to do, and notes its time.
    pub(super) async fn run<T>(
        &self,
        stage: RestoreStage,
        total: u64,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        self.progress.enter(stage, total);
        let began = Instant::now();
        let result = work.await;
        let seconds = began.elapsed().as_secs_f64();
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.push(StageTime { stage, seconds });
        result
    }

    /// How long each took.
    pub(super) fn times(&self) -> Vec<StageTime> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How long all took so far, in seconds.
    pub(super) fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }
}
