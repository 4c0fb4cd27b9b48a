//! The resource name of an invitation: the subject of its events and the key of its fence.

use homeroom_api::names::{
    ClassCodeName, EnrollmentCodeName, InviteTokenName, JoinUrlName, Place, TokenName,
};
use uuid::Uuid;

use crate::domain::invitation::{Invitation, InvitationKind};

/// Returns the resource name of an invitation.
#[must_use]
pub fn of(invitation: &Invitation) -> String {
    name(invitation.kind, &invitation.place, invitation.id)
}

/// Returns the resource name of the invitation `id` of `kind` under `place`. Singletons need no id.
#[must_use]
pub fn name(kind: InvitationKind, place: &Place, id: Uuid) -> String {
    match (kind, place) {
        (InvitationKind::ClassCode, Place::Class(class)) => {
            ClassCodeName(class.clone()).to_string()
        }
        (InvitationKind::JoinUrl, Place::Class(class)) => JoinUrlName(class.clone()).to_string(),
        (InvitationKind::ClassToken, place) => TokenName {
            place: place.clone(),
            id,
        }
        .to_string(),
        (InvitationKind::EnrollmentCode, place) => EnrollmentCodeName {
            place: place.clone(),
            id,
        }
        .to_string(),
        // Class codes and join URLs have a class, so this is the organization's own token.
        (
            InvitationKind::OrganizationToken | InvitationKind::ClassCode | InvitationKind::JoinUrl,
            place,
        ) => InviteTokenName(place.organization().clone()).to_string(),
    }
}
