//! The part of the effective settings that the runbook is made of.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Serialize;

use super::{Contact, RunbookSettings};

#[derive(Serialize)]
pub(super) struct ShownRunbook<'s> {
    #[serde(skip_serializing_if = "Option::is_none")]
    product: Option<&'s str>,
    incidents: Cow<'s, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    escalation: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    announce: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    test_log: Option<&'s str>,
    drill_owner: &'s str,
    review_owner: &'s str,
    contacts: Vec<ShownContact<'s>>,
    steps: BTreeMap<&'static str, &'s [String]>,
}

#[derive(Serialize)]
struct ShownContact<'s> {
    role: &'s str,
    reach: &'s str,
    duties: &'s str,
}

impl<'s> ShownRunbook<'s> {
    pub(super) fn of(settings: &'s RunbookSettings) -> Self {
        let contact = |contact: &'s Contact| ShownContact {
            role: &contact.role,
            reach: &contact.reach,
            duties: &contact.duties,
        };
        let steps = RunbookSettings::STEPS.into_iter().zip(&settings.steps);
        Self {
            product: settings.product.as_deref(),
            incidents: settings.incidents.to_string_lossy(),
            escalation: settings.escalation.as_deref(),
            announce: settings.announce.as_deref(),
            test_log: settings.test_log.as_deref(),
            drill_owner: &settings.drill_owner,
            review_owner: &settings.review_owner,
            contacts: settings.contacts.iter().map(contact).collect(),
            steps: steps.map(|(name, lines)| (name, lines.as_slice())).collect(),
        }
    }
}
