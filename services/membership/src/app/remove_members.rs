//! Removes those who joined by one invitation, such as a code that has leaked (R14).

use chrono::{DateTime, Utc};
use homeroom_api::names::{InvitationName, Place};
use homeroom_kit::Result;

use super::{Change, class_members, organization_members, rules};
use crate::domain::{
    member::{Member, MemberFilter, Role},
    removal::MEMBERS_REMOVED_MAX,
};

/// The members to remove.
#[derive(Debug, Clone)]
pub struct JoinedBy {
    /// The invitation by which they joined.
    pub invitation: InvitationName,
    /// When the first of them joined; None for all.
    pub joined_from: Option<DateTime<Utc>>,
    /// True to remove nobody.
    pub validate_only: bool,
}

/// The members who were removed.
#[derive(Debug)]
pub struct Removed {
    /// The members as they were.
    pub members: Vec<Member>,
    /// True if there are more than one call removes.
    pub more: bool,
}

/// Removes the place's Students who joined by an invitation, as if staff removed one after another. Staff of the place
/// stay, however they joined.
pub async fn remove(change: &mut Change, place: Place, asked: JoinedBy) -> Result<Removed> {
    let rule = &rules::BATCH_REMOVE_MEMBERS;
    let seats = if asked.validate_only {
        // Whoever only looks holds back nobody.
        change.authorize(&place, rule, None).await?;
        None
    } else {
        Some(change.enter(&place, rule, None).await?.0)
    };
    let wanted = MemberFilter {
        role: Some(Role::Student),
        invitation: Some(asked.invitation.to_string()),
        joined_from: asked.joined_from,
        ..MemberFilter::default()
    };
    let limit = u32::try_from(MEMBERS_REMOVED_MAX + 1).unwrap_or(u32::MAX);
    let mut members = change
        .repository
        .list_members(&place, &wanted, None, limit)
        .await?;
    let more = members.len() > MEMBERS_REMOVED_MAX;
    members.truncate(MEMBERS_REMOVED_MAX);
    if let Some(seats) = seats {
        match place {
            Place::Organization(_) => {
                organization_members::remove_all(change, &place, seats, &members).await?;
            }
            Place::Class(_) => class_members::remove_all(change, &place, seats, &members).await?,
        }
    }
    Ok(Removed { members, more })
}
