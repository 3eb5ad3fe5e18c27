//! Words of alerts.

words! {
    /// How much an alert matters, from least to most.
    Severity {
        /// Good to know; nobody need act.
        Info = "info",
        /// Look at it on the next working day.
        Warning = "warning",
        /// Backups are not made: get up.
        Critical = "critical",
    }
}

words! {
    /// What an alert tells.
    Event {
        /// A problem has begun.
        Opened = "opened",
        /// It still lasts.
        Reminder = "reminder",
        /// It is over.
        Resolved = "resolved",
        /// Something happened that is no problem.
        Info = "info",
        /// A person asked for it, to see whether it arrives.
        Test = "test",
    }
}

words! {
    /// Where alerts go.
    ChannelKind {
        /// An issue on GitHub.
        Github = "github",
        /// A message in Slack.
        Slack = "slack",
        /// An event for PagerDuty.
        Pagerduty = "pagerduty",
        /// A letter.
        Email = "email",
        /// JSON, signed, to whoever wants it.
        Webhook = "webhook",
        /// Signs of life for a dead man's switch.
        Heartbeat = "heartbeat",
        /// A message in Discord.
        Discord = "discord",
        /// A card in Microsoft Teams.
        Teams = "teams",
    }
}
