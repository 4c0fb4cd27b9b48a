//! The tables of members of organizations and classes.

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
    /// The organization or class of the members.
    pub place: Place,
    /// Only those of this role.
    pub role: Option<Role>,
    /// Only those with this address, in canonical form.
    pub email: Option<String>,
    /// Only those with this external id.
    pub external_id: Option<String>,
    /// Only those after this user.
    pub after: Option<UserId>,
    /// The maximum number of members.
    pub limit: u32,
}

/// The tables `organization_members` and `class_members`.
#[async_trait]
pub trait Members: Send {
    /// Returns the place with the user's roles in it, in one statement. None if the organization does not exist.
    async fn standing(&mut self, place: &Place, user: &UserId) -> Result<Option<Standing>>;
    /// Returns one membership.
    async fn member(&mut self, place: &Place, user: &UserId) -> Result<Option<Member>>;
    /// Inserts memberships of organizations, then of classes, each with the first revision. A class member must be a
    /// member of the organization (I2), which keeps the particulars.
    async fn insert_members(&mut self, members: &[Member]) -> Result<()>;
    /// Stores the role and, for a member of an organization, the particulars; the revision grows by one.
    async fn save_member(&mut self, member: &Member) -> Result<()>;
    /// Deletes one membership. Those of an organization's classes must be deleted first.
    async fn delete_member(&mut self, place: &Place, user: &UserId) -> Result<()>;
    /// Deletes every membership of the place, and for an organization those of its classes.
    async fn delete_members(&mut self, place: &Place) -> Result<()>;
    /// Returns the user's memberships of the organization's classes, in the order of class ids.
    async fn class_memberships(
        &mut self,
        organization: &OrganizationId,
        user: &UserId,
    ) -> Result<Vec<Member>>;
    /// Lists members of a place.
    async fn list_members(&mut self, query: &MemberQuery) -> Result<Vec<Member>>;
    /// Lists the user's memberships, each organization before its classes, in the order of ids, after `after`.
    async fn list_memberships(
        &mut self,
        user: &UserId,
        after: Option<&Place>,
        limit: u32,
    ) -> Result<Vec<Member>>;
    /// Returns the users whom events of each place notify (C6): the class's owner, then its co-teachers; or the
    /// organization's administrators. At most 100 for each place; a place without staff is left out.
    async fn staff(&mut self, places: &BTreeSet<Place>) -> Result<BTreeMap<Place, Vec<UserId>>>;
    /// Returns true if the organization has members other than its administrators.
    async fn has_members_besides_administrators(
        &mut self,
        organization: &OrganizationId,
    ) -> Result<bool>;
}
