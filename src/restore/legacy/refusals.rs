//! What stands in the way of a legacy archive: first what the target alone
//! says, then what only the archive can say.

use super::{
    super::{error::OTHERWISE, guards, identity, platform::Platform},
    PreparedLegacy,
    found::Found,
};

/// What can be said before the archive is read.
pub(super) fn of_target(prepared: &PreparedLegacy) -> Vec<String> {
    let PreparedLegacy { request, facts, asked, .. } = prepared;
    let mut refusals: Vec<String> = hosted(prepared).into_iter().collect();
    let (clean, given) = (request.clean, request.not_the_source);
    refusals.extend(identity::refusal(facts, asked, clean, given));
    refusals.extend(guards::no_place(facts));
    if !request.clean && refusals.is_empty() {
        let room = guards::room(prepared.wants_word());
        refusals.extend(guards::not_empty(facts, &Platform::default(), room));
    }
    refusals
}

/// A platform keeps schemas that the stream would make again, and whoever is no
/// superuser there can neither make nor drop them.
fn hosted(prepared: &PreparedLegacy) -> Option<String> {
    let facts = &prepared.facts;
    let platform = Platform::detect(facts).name.filter(|_| !facts.superuser)?;
    Some(format!(
        "the target is hosted on {platform}, and a legacy archive is one stream that would make \
         the platform's own schemas again; restore it into a plain PostgreSQL, take a backup of \
         that with reliquary, and restore that backup here, or write it with --to - and take out \
         by hand what belongs to the platform"
    ))
}

/// Whether the archive is not what was stored, where that is known.
pub(super) fn differs(prepared: &PreparedLegacy, found: &Found) -> Option<String> {
    let PreparedLegacy { request, .. } = prepared;
    let known = request.sha256.as_ref()?;
    (*known != found.sha256).then(|| {
        format!(
            "{}: its SHA-256 is {}, and its checksum file says otherwise; it was damaged or \
             replaced",
            request.archive.store.uri(&request.archive.key),
            found.sha256
        )
    })
}

/// What the archive says.
pub(super) fn of_archive(prepared: &PreparedLegacy, found: &Found) -> Vec<String> {
    let PreparedLegacy { request, facts, .. } = prepared;
    let mut refusals = Vec::new();
    if !request.damaged {
        refusals.extend(differs(prepared, found).map(|differs| format!("{differs}; {OTHERWISE}")));
    }
    if found.major().is_some_and(|major| facts.server.major < major) {
        refusals.push(format!(
            "the target is PostgreSQL {}, older than the dump's {}: it would not understand it",
            facts.server.text,
            found.server.as_deref().unwrap_or_default()
        ));
    }
    refusals.extend(guards::rights(found.created.iter(), facts));
    refusals
}
