//! Classes.

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
    /// Of which organization.
    pub organization: OrganizationId,
    /// Only those of which this user is a member.
    pub member: Option<UserId>,
    /// Only those in this state.
    pub state: Option<ClassState>,
    /// Only those that this user owns.
    pub owner: Option<UserId>,
    /// Only those after this id.
    pub after: Option<ClassId>,
    /// How many at most.
    pub limit: u32,
}

/// The table `classes`. A deleted one is absent for all but its id, which stays taken.
#[async_trait]
pub trait Classes: Send {
    /// Makes a class; its owner's membership is the caller's to add.
    async fn insert_class(&mut self, class: &Class) -> Result<InsertOutcome>;
    /// One class.
    async fn class(&mut self, name: &ClassName) -> Result<Option<Class>>;
    /// Classes of an organization.
    async fn list_classes(&mut self, query: &ClassQuery) -> Result<Vec<Class>>;
    /// Stores everything that can change.
    async fn save_class(&mut self, class: &Class) -> Result<()>;
    /// Deletes it for ever. Its members are the caller's to end first.
    async fn delete_class(&mut self, name: &ClassName, now: DateTime<Utc>) -> Result<()>;
    /// Deletes every class of an organization for ever.
    async fn delete_classes(
        &mut self,
        organization: &OrganizationId,
        now: DateTime<Utc>,
    ) -> Result<()>;
    /// Whether the organization has a class.
    async fn has_classes(&mut self, organization: &OrganizationId) -> Result<bool>;
    /// The classes that the user owns, of this organization or of any, at most `limit`, in the order of their names.
    async fn classes_owned_by(
        &mut self,
        user: &UserId,
        organization: Option<&OrganizationId>,
        limit: u32,
    ) -> Result<Vec<ClassName>>;
}
