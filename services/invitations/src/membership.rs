//! The port to the membership service: what this service asks of it, and nothing more.

mod client;
mod convert;

use std::{fmt, time::Instant};

use async_trait::async_trait;
use homeroom_api::{
    common::v1::{ListEventsResponse, Role},
    ids::UserId,
    membership::v1::{AdmitRequest, JoinRequest, Member, Permission},
    names::{Place, RedemptionName},
};
use homeroom_kit::Result;

pub use client::{MembershipClient, MembershipUrlMalformed};

use crate::{
    domain::{
        invitation::Epoch,
        redemption::{MembershipAnswer, RequestEnd},
    },
    store::PersonKnown,
};

/// Redemptions in one [`Membership::admit`] at most: so many of the largest fit into a message that membership takes.
pub const ADMIT_BATCH_MAX: usize = 400;

/// What membership answered for one redemption (T2).
#[derive(Debug, Clone, PartialEq)]
pub struct Admission {
    /// The answer, for ever the same (P1).
    pub answer: MembershipAnswer,
    /// The membership, where there is one and it still stands.
    pub member: Option<Member>,
    /// The join request as it is now, where the answer was `QUEUED` or `ALREADY_PENDING`.
    pub join_request: Option<JoinRequest>,
    /// How that join request ended; None while it waits.
    pub request_end: Option<RequestEnd>,
    /// What the organization is called.
    pub organization_display_name: String,
    /// What the class is called; empty for an organization.
    pub class_display_name: String,
    /// Licensed seats; 0: no limit.
    pub seat_limit: i64,
    /// To whom: after an erasure a pseudonym (R13). None where membership is too old to say, or to erase.
    pub user: Option<UserId>,
    /// It had been answered before this call.
    pub answered_before: bool,
}

/// Whether a user may do something in a place, and what membership knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Whether the user may know that it exists.
    pub visible: bool,
    /// Whether the user may do it.
    pub allowed: bool,
    /// The role by which; None for none.
    pub role: Option<Role>,
    /// It is an archived class.
    pub archived: bool,
    /// What the organization is called.
    pub organization_display_name: String,
    /// What the class is called; empty for an organization.
    pub class_display_name: String,
    /// The word before the organization's enrolment codes (B4).
    pub code_prefix: String,
    /// Licensed seats; 0: no limit.
    pub seat_limit: i64,
    /// Whom events of the place tell.
    pub notify: Vec<UserId>,
}

/// The membership service. What it does not answer is `MEMBERSHIP_UNAVAILABLE`.
///
/// `deadline` is the caller's: what is passed on is a margin less, so that an answer in time is
/// still sent on; None leaves the client's own.
#[async_trait]
pub trait Membership: Send + Sync + fmt::Debug {
    /// Admits or queues the people of redemptions (T2), at most [`ADMIT_BATCH_MAX`]. One result
    /// for each request, in their order; `MEMBERSHIP_UNAVAILABLE` means unknown, never refused (P11).
    async fn admit(
        &self,
        requests: &[AdmitRequest],
        deadline: Option<Instant>,
    ) -> Vec<Result<Admission>>;

    /// What was answered for a redemption, and what became of its request since (P10).
    /// None where membership has never heard of it.
    async fn get_admission(
        &self,
        redemption: &RedemptionName,
        deadline: Option<Instant>,
    ) -> Result<Option<Admission>>;

    /// Raises an invitation's fence: once answered, nothing below `epoch` is admitted (P7).
    /// Gives where it stands, which is never below `epoch`.
    async fn raise_fence(
        &self,
        invitation: &str,
        epoch: Epoch,
        deadline: Option<Instant>,
    ) -> Result<Epoch>;

    /// Whether `user` may do something in `place`.
    async fn check_access(
        &self,
        user: &UserId,
        place: &Place,
        permission: Permission,
        deadline: Option<Instant>,
    ) -> Result<Access>;

    /// What membership knows of a person who is to be erased (R13). `LAST_OWNER` for who may not be.
    async fn look_at_person(
        &self,
        user: &UserId,
        deadline: Option<Instant>,
    ) -> Result<Vec<PersonKnown>>;

    /// Erases the person, once for each pseudonym; its feed tells of it then. `LAST_OWNER` changes nothing.
    async fn erase_user(&self, user: &UserId, pseudonym: &UserId) -> Result<()>;

    /// The feed of every organization after `page_token` (empty: from its beginning), at most
    /// `page_size` events (P5).
    async fn list_events(&self, page_size: u32, page_token: &str) -> Result<ListEventsResponse>;
}
