//! `CheckAccess`: the facts about a place and a person that the invitations service needs before it acts.

use std::collections::BTreeSet;

use homeroom_api::{ids::UserId, names::Place};
use homeroom_kit::{Result, auth::Caller};

use super::App;
use crate::domain::{
    access::{Permission, Standing},
    member::Role,
};

/// A place, and what a person may do there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// True if the person may know that the place exists.
    pub visible: bool,
    /// True if the person may do what was asked.
    pub allowed: bool,
    /// The role that decided it.
    pub role: Option<Role>,
    /// The place.
    pub standing: Standing,
    /// The users whom events of the place notify (C6).
    pub notify: Vec<UserId>,
}

impl App {
    /// Checks if `user` may do something in the place. Returns None if the place does not exist.
    pub async fn check_access(
        &self,
        caller: &Caller,
        user: &UserId,
        place: &Place,
        permission: Permission,
    ) -> Result<Option<Access>> {
        if !caller.may_reach(place.organization()) {
            return Ok(None);
        }
        let mut repository = self.store.read().await?;
        let standing = repository
            .standing(place, user)
            .await?
            .filter(|standing| place.class().is_none() || standing.class.is_some());
        let Some(standing) = standing else {
            return Ok(None);
        };
        let mut staff = repository.staff(&BTreeSet::from([place.clone()])).await?;
        // Returned even for a place that the user may not see: invitations notifies these people of guesses.
        let notify = staff.remove(place).unwrap_or_default();
        let visible = standing.is_visible(place);
        Ok(Some(Access {
            visible,
            allowed: visible && standing.permits(permission),
            role: if visible { standing.role() } else { None },
            standing,
            notify,
        }))
    }
}
