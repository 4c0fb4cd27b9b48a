//! A membership service whose answers the test sets.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use async_trait::async_trait;
use homeroom_api::{
    common::v1::{ErrorReason, ListEventsResponse, Role},
    ids::UserId,
    membership::v1::{AdmitRequest, Permission},
    names::{Place, RedemptionName},
};
use homeroom_invitations::{
    domain::invitation::Epoch,
    membership::{Access, Admission, Membership},
    store::PersonKnown,
};
use homeroom_kit::{Error, Result};

/// `owner` manages, `co-teacher` reads, `student` sees; everyone else sees nothing.
#[derive(Debug, Default)]
pub(crate) struct FakeMembership {
    fences: Mutex<BTreeMap<String, i64>>,
    /// True if fences are not raised.
    pub(crate) away: AtomicBool,
    /// True if the class is archived.
    pub(crate) archived: AtomicBool,
}

impl FakeMembership {
    /// Returns the epoch of a fence; 0 if it was never raised.
    pub(crate) fn fence(&self, invitation: &str) -> i64 {
        let fences = self.fences.lock().unwrap();
        fences.get(invitation).copied().unwrap_or(0)
    }

    fn check(&self) -> Result<()> {
        if self.away.load(Ordering::SeqCst) {
            return Err(Error::unavailable(
                ErrorReason::MembershipUnavailable,
                "away",
            ));
        }
        Ok(())
    }
}

#[async_trait]
impl Membership for FakeMembership {
    async fn admit(&self, requests: &[AdmitRequest], _: Option<Instant>) -> Vec<Result<Admission>> {
        requests
            .iter()
            .map(|_| {
                Err(Error::unavailable(
                    ErrorReason::MembershipUnavailable,
                    "away",
                ))
            })
            .collect()
    }

    async fn get_admission(
        &self,
        _: &RedemptionName,
        _: Option<Instant>,
    ) -> Result<Option<Admission>> {
        Ok(None)
    }

    async fn raise_fence(
        &self,
        invitation: &str,
        epoch: Epoch,
        _: Option<Instant>,
    ) -> Result<Epoch> {
        self.check()?;
        let mut fences = self.fences.lock().unwrap();
        let fence = fences.entry(invitation.to_owned()).or_default();
        *fence = epoch.value().max(*fence);
        Ok(Epoch::new(*fence))
    }

    async fn check_access(
        &self,
        user: &UserId,
        place: &Place,
        permission: Permission,
        _: Option<Instant>,
    ) -> Result<Access> {
        let (visible, reads, manages, role) = match user.as_str() {
            "owner" => (true, true, true, Some(Role::Owner)),
            "co-teacher" => (true, true, false, Some(Role::CoTeacher)),
            "student" => (true, false, false, Some(Role::Student)),
            _ => (false, false, false, None),
        };
        let allowed = match permission {
            Permission::View => visible,
            Permission::ReadInvitations => reads,
            _ => manages,
        };
        let prefix = place.organization().as_str().to_ascii_uppercase();
        Ok(Access {
            visible,
            allowed,
            role,
            archived: place.class().is_some() && self.archived.load(Ordering::SeqCst),
            organization_display_name: "Hamilton".to_owned(),
            class_display_name: String::new(),
            code_prefix: prefix,
            seat_limit: 300,
            notify: Vec::new(),
        })
    }

    async fn look_at_person(&self, _: &UserId, _: Option<Instant>) -> Result<Vec<PersonKnown>> {
        self.check()?;
        Ok(Vec::new())
    }

    async fn erase_user(&self, _: &UserId, _: &UserId) -> Result<()> {
        self.check()
    }

    async fn list_events(&self, _: u32, page_token: &str) -> Result<ListEventsResponse> {
        Ok(ListEventsResponse {
            events: Vec::new(),
            next_page_token: page_token.to_owned(),
        })
    }
}
