//! How long a drill may take.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::fault::Fault;
use crate::words::DrillReason;

/// How long all of it may take.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    pub(super) began: Instant,
    pub(super) timeout: Duration,
}

impl Limit {
    /// Does a part of it, unless it is told to stop, or the time is up.
    pub(super) async fn within<T>(
        self,
        cancel: &CancellationToken,
        part: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        tokio::select! {
            biased;
            () = cancel.cancelled() => {
                Err(Fault::unproven(DrillReason::Interrupted, "it was told to stop"))
            }
            () = sleep_until(self.began + self.timeout) => {
                let message = format!("it did not finish within {} s", self.timeout.as_secs());
                Err(Fault::unproven(DrillReason::Timeout, message))
            }
            result = part => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whatever_a_drill_waits_for_its_time_is_up_when_it_is() {
        const LONG: Duration = Duration::from_hours(1);
        let hangs = std::future::pending::<Result<(), Fault>>;
        let (never, stopped) = (CancellationToken::new(), CancellationToken::new());
        stopped.cancel();
        let began = Instant::now();
        let reason = async |timeout, cancel: &CancellationToken| {
            let limit = Limit { began, timeout };
            limit.within(cancel, hangs()).await.unwrap_err().reason
        };
        let short = Duration::from_millis(20);
        assert_eq!(reason(short, &never).await, DrillReason::Timeout);
        // What is left of it is what the next part has.
        let left = Limit { began, timeout: short }.within(&never, async { Ok(()) }).await;
        assert_eq!(left.unwrap_err().reason, DrillReason::Timeout);
        assert_eq!(reason(LONG, &stopped).await, DrillReason::Interrupted);
        let done = Limit { began, timeout: LONG }.within(&never, async { Ok(7) }).await;
        assert_eq!(done.unwrap(), 7);
    }
}
