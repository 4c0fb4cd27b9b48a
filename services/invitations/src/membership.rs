//! The port to the membership service: the questions that this service asks it, and nothing more.

mod client;
mod convert;

use std::{fmt, time::Instant};

use async_trait::async_trait;
use homeroom_api::{
    common::v1::ListEventsResponse,
    ids::UserId,
    membership::v1::{AdmitRequest, JoinRequest, Member, Permission},
    names::{Place, RedemptionName},
};
use homeroom_kit::{Result, erasure::Replacement};

pub use client::{MembershipClient, MembershipUrlMalformed};

use crate::{
    domain::{
        invitation::Epoch,
        redemption::{MembershipAnswer, RequestEnd},
    },
    store::PersonKnown,
};

/// The maximum number of redemptions in one [`Membership::admit`]: this many of the largest fit into a message that
/// membership accepts.
pub const ADMIT_BATCH_MAX: usize = 300;

/// The answer of membership for one redemption (T2).
#[derive(Debug, Clone, PartialEq)]
pub struct Admission {
    /// The answer, which never changes (P1).
    pub answer: MembershipAnswer,
    /// The membership, if there is one and it still exists.
    pub member: Option<Member>,
    /// The join request as it is now, if the answer was `QUEUED` or `ALREADY_PENDING`.
    pub join_request: Option<JoinRequest>,
    /// The end of that join request; None while it waits.
    pub request_end: Option<RequestEnd>,
    /// The display name of the organization.
    pub organization_display_name: String,
    /// The display name of the class; empty for an organization.
    pub class_display_name: String,
    /// The user whom the answer is about; after an erasure, a pseudonym (R13). None if membership is of a version that
    /// does not say, and cannot erase.
    pub user: Option<UserId>,
    /// True if it was answered before this call.
    pub answered_before: bool,
}

/// The permission of a user in a place, and the data that membership has about the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// True if the user may know that the place exists.
    pub visible: bool,
    /// True if the user has the permission.
    pub allowed: bool,
    /// True if the place is an archived class.
    pub archived: bool,
    /// The display name of the organization.
    pub organization_display_name: String,
    /// The display name of the class; empty for an organization.
    pub class_display_name: String,
    /// The prefix of the organization's enrollment codes (B4).
    pub code_prefix: String,
    /// The number of licensed seats; 0: no limit.
    pub seat_limit: i64,
    /// The users whom events of the place notify.
    pub notify: Vec<UserId>,
}

pub use homeroom_api::membership::v1::UserRecord as MembershipRecord;

/// A page of what membership keeps about a person.
#[derive(Debug, Clone, PartialEq)]
pub struct UserRecords {
    /// The records.
    pub records: Vec<MembershipRecord>,
    /// The token of the next page; empty at the end.
    pub next_page_token: String,
    /// The data by which organizations know the person; on the first page only.
    pub known: Vec<PersonKnown>,
}

/// The membership service. Calls that it does not answer fail with `MEMBERSHIP_UNAVAILABLE`.
///
/// `deadline` is the caller's. The deadline that is passed on is a margin earlier, so that an answer in time can still
/// be sent on; None leaves the client's own deadline.
#[async_trait]
pub trait Membership: Send + Sync + fmt::Debug {
    /// Admits or queues the people of at most [`ADMIT_BATCH_MAX`] redemptions (T2). Returns one result for each
    /// request, in their order; `MEMBERSHIP_UNAVAILABLE` means unknown, never refused (P11).
    async fn admit(
        &self,
        requests: &[AdmitRequest],
        deadline: Option<Instant>,
    ) -> Vec<Result<Admission>>;

    /// Returns the answer for a redemption, and what has become of its join request since (P10). None if membership has
    /// never heard of the redemption.
    async fn get_admission(
        &self,
        redemption: &RedemptionName,
        deadline: Option<Instant>,
    ) -> Result<Option<Admission>>;

    /// Raises an invitation's fence: once this is answered, nothing below `epoch` is admitted (P7). Returns the fence's
    /// epoch, which is never below `epoch`.
    async fn raise_fence(
        &self,
        invitation: &str,
        epoch: Epoch,
        deadline: Option<Instant>,
    ) -> Result<Epoch>;

    /// Returns whether `user` has a permission in `place`.
    async fn check_access(
        &self,
        user: &UserId,
        place: &Place,
        permission: Permission,
        deadline: Option<Instant>,
    ) -> Result<Access>;

    /// Returns the data that membership has about a person who is to be erased (R13). Fails with `LAST_OWNER` if the
    /// person may not be erased.
    async fn look_at_person(
        &self,
        user: &UserId,
        deadline: Option<Instant>,
    ) -> Result<Vec<PersonKnown>>;

    /// Erases the person, once for each pseudonym; the feed then has events about it. `LAST_OWNER` changes nothing.
    async fn erase_user(&self, user: &UserId, pseudonym: &UserId) -> Result<()>;

    /// Makes the user's records those of the other account, once for each id of a move (R15); the feed then has events
    /// about it.
    async fn move_user(&self, replacement: &Replacement, id: &UserId) -> Result<()>;

    /// Returns a page of what membership keeps about the person. Fails with `INVALID_PAGE_TOKEN`.
    async fn user_records(
        &self,
        user: &UserId,
        page_size: u32,
        page_token: &str,
        deadline: Option<Instant>,
    ) -> Result<UserRecords>;

    /// Returns at most `page_size` events of the feed of every organization after `page_token` (empty: from its
    /// beginning) (P5).
    async fn list_events(&self, page_size: u32, page_token: &str) -> Result<ListEventsResponse>;
}
