//! `CheckAccess`: what the invitations service has to know of a place and a person before it acts.

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
    /// Whether the person may know that it exists.
    pub visible: bool,
    /// Whether the person may do what was asked.
    pub allowed: bool,
    /// The role by which.
    pub role: Option<Role>,
    /// The place; None where there is none.
    pub standing: Option<Standing>,
    /// Whom events of the place tell (C6).
    pub notify: Vec<UserId>,
}

impl Access {
    /// What is known of a place that does not exist.
    const ABSENT: Self = Self {
        visible: false,
        allowed: false,
        role: None,
        standing: None,
        notify: Vec::new(),
    };
}

impl App {
    /// Whether `user` may do something in the place. Absence is an answer, not an error.
    pub async fn check_access(
        &self,
        caller: &Caller,
        user: &UserId,
        place: &Place,
        permission: Permission,
    ) -> Result<Access> {
        if !caller.may_reach(place.organization()) {
            return Ok(Access::ABSENT);
        }
        let mut repository = self.store.read().await?;
        let standing = repository
            .standing(place, user)
            .await?
            .filter(|standing| place.class().is_none() || standing.class.is_some());
        let Some(standing) = standing else {
            return Ok(Access::ABSENT);
        };
        let mut staff = repository.staff(&BTreeSet::from([place.clone()])).await?;
        // Also of a place that the user may not see: invitations tells them of guesses.
        let notify = staff.remove(place).unwrap_or_default();
        let visible = standing.is_visible(place);
        Ok(Access {
            visible,
            allowed: visible && standing.permits(permission),
            role: if visible { standing.role() } else { None },
            standing: Some(standing),
            notify,
        })
    }
}
