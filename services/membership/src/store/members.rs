//! Members of organizations and classes.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use homeroom_api::{
    ids::{OrganizationId, UserId},
    names::Place,
};

use super::Result;
use crate::domain::{
    access::Standing,
    member::{Member, Role},
};

/// A part of a place's members, in the order of their user ids.
#[derive(Debug, Clone)]
pub struct MemberQuery {
    /// Of what.
    pub place: Place,
    /// Only those of this role.
    pub role: Option<Role>,
    /// Only those with this address, in canonical form.
    pub email: Option<String>,
    /// Only those with this external id.
    pub external_id: Option<String>,
    /// Only those after this user.
    pub after: Option<UserId>,
    /// How many at most.
    pub limit: u32,
}

/// The tables `organization_members` and `class_members`.
#[async_trait]
pub trait Members: Send {
    /// The place and what the user is in it, in one statement. None if there is no such organization.
    async fn standing(&mut self, place: &Place, user: &UserId) -> Result<Option<Standing>>;
    /// One membership.
    async fn member(&mut self, place: &Place, user: &UserId) -> Result<Option<Member>>;
    /// Adds memberships of organizations, then of classes, each with the first revision. A class's member
    /// must be one of the organization (03 I2); particulars are kept with the organization's.
    async fn insert_members(&mut self, members: &[Member]) -> Result<()>;
    /// Stores role and, for an organization's, particulars; its revision grows by one.
    async fn save_member(&mut self, member: &Member) -> Result<()>;
    /// Ends one membership. An organization's: those of its classes first.
    async fn delete_member(&mut self, place: &Place, user: &UserId) -> Result<()>;
    /// Ends every membership of the place, and for an organization those of its classes.
    async fn delete_members(&mut self, place: &Place) -> Result<()>;
    /// The user's memberships of the organization's classes, in the order of class ids.
    async fn class_memberships(
        &mut self,
        organization: &OrganizationId,
        user: &UserId,
    ) -> Result<Vec<Member>>;
    /// Members of a place.
    async fn list_members(&mut self, query: &MemberQuery) -> Result<Vec<Member>>;
    /// The user's memberships, each organization before its classes, in the order of ids, after `after`.
    async fn list_memberships(
        &mut self,
        user: &UserId,
        after: Option<&Place>,
        limit: u32,
    ) -> Result<Vec<Member>>;
    /// Whom events of each place tell (C6): the class's owner, then its co-teachers; or the
    /// organization's administrators. At most 100 for each; a place without staff is left out.
    async fn staff(&mut self, places: &BTreeSet<Place>) -> Result<BTreeMap<Place, Vec<UserId>>>;
    /// Whether the organization has members other than its administrators.
    async fn has_members_besides_administrators(
        &mut self,
        organization: &OrganizationId,
    ) -> Result<bool>;
}
