//! The table of classes.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::{
    ids::{ClassId, OrganizationId, UserId},
    names::ClassName,
};

use super::{InsertOutcome, Result};
use crate::domain::class::{Class, ClassState};

/// A part of an organization's classes, in the order of their ids.
#[derive(Debug, Clone)]
pub struct ClassQuery {
    /// The organization of the classes.
    pub organization: OrganizationId,
    /// Only those of which this user is a member.
    pub member: Option<UserId>,
    /// Only those in this state.
    pub state: Option<ClassState>,
    /// Only those that this user owns.
    pub owner: Option<UserId>,
    /// Only those after this id.
    pub after: Option<ClassId>,
    /// The maximum number of classes.
    pub limit: u32,
}

/// The table `classes`. A deleted class is absent, but its id stays taken.
#[async_trait]
pub trait Classes: Send {
    /// Inserts a class; the caller adds its owner's membership.
    async fn insert_class(&mut self, class: &Class) -> Result<InsertOutcome>;
    /// Returns one class.
    async fn class(&mut self, name: &ClassName) -> Result<Option<Class>>;
    /// Lists classes of an organization.
    async fn list_classes(&mut self, query: &ClassQuery) -> Result<Vec<Class>>;
    /// Stores all fields that can change.
    async fn save_class(&mut self, class: &Class) -> Result<()>;
    /// Deletes a class permanently. The caller must end its memberships first.
    async fn delete_class(&mut self, name: &ClassName, now: DateTime<Utc>) -> Result<()>;
    /// Deletes every class of an organization permanently.
    async fn delete_classes(
        &mut self,
        organization: &OrganizationId,
        now: DateTime<Utc>,
    ) -> Result<()>;
    /// Returns true if the organization has a class.
    async fn has_classes(&mut self, organization: &OrganizationId) -> Result<bool>;
    /// Returns up to `limit` classes that the user owns in this organization, or in any if None, in the order of their
    /// names.
    async fn classes_owned_by(
        &mut self,
        user: &UserId,
        organization: Option<&OrganizationId>,
        limit: u32,
    ) -> Result<Vec<ClassName>>;
}
