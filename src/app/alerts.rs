//! What tells people: the channels of the settings, who watches, who delivers.

use std::sync::Arc;

use anyhow::Result;

use crate::{
    catalog::Layout,
    channels,
    jobs::watch::Watch,
    metrics::Metrics,
    notify::{Channel, Delivery, Desk, Timing},
    settings::Settings,
    state::State,
    store::Store,
    words::ChannelKind,
};

/// The channels, who watches, and who delivers. Without a channel nobody does.
pub(super) fn alerts(
    settings: &Settings,
    store: &Arc<dyn Store>,
    state: &State,
    metrics: &Arc<Metrics>,
    layouts: &[(String, Layout)],
) -> Result<(Vec<Channel>, Option<Watch>, Vec<Delivery>)> {
    let channels = channels::channels(&settings.notify)?;
    if channels.is_empty() {
        return Ok((channels, None, Vec::new()));
    }
    let observer = {
        let (state, metrics) = (state.clone(), Arc::clone(metrics));
        Arc::new(move |kind: ChannelKind, result: Result<(), String>| {
            metrics.notified(kind, result.is_ok());
            let now = state.now();
            if let Err(error) = &result {
                tracing::error!(channel = kind.as_str(), error, "an alert did not arrive");
            }
            state.update_channel(kind, |channel| match result {
                Ok(()) => {
                    channel.last_sent = Some(now);
                    channel.error = None;
                }
                Err(error) => {
                    channel.last_failed = Some(now);
                    channel.error = Some(error);
                }
            });
        })
    };
    let scrub = channels::scrub(settings);
    let (desk, deliveries) = Desk::new(channels.clone(), scrub, Timing::default(), observer);
    let settings = channels::watch_settings(settings);
    let watch = Watch::new(state.clone(), Arc::clone(store), desk, settings, layouts.to_vec());
    Ok((channels, Some(watch), deliveries))
}

/// Says which channels there are and whether each could be reached.
pub(super) async fn reach(channels: Vec<Channel>, state: State) {
    if channels.is_empty() {
        tracing::warn!("no channel is configured under [notify]: nobody is told of problems");
        return;
    }
    for (kind, error) in probe(&channels, &state).await {
        match &error {
            None => tracing::info!(channel = kind.as_str(), "alerts go here; it can be reached"),
            Some(error) => {
                let channel = kind.as_str();
                tracing::error!(channel, error, "alerts go here, and it cannot be reached");
            }
        }
    }
}

/// Looks whether each channel can be reached, tells nobody anything, and notes
/// what it found; gives back why one cannot.
pub async fn probe(channels: &[Channel], state: &State) -> Vec<(ChannelKind, Option<String>)> {
    let probes = channels.iter().map(|channel| async {
        let error = channel.deliver.probe().await.err().map(|error| error.to_string());
        (channel.kind, error)
    });
    let found = futures::future::join_all(probes).await;
    for (kind, error) in &found {
        state.update_channel(*kind, |channel| channel.error.clone_from(error));
    }
    found
}
