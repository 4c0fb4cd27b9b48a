//! Rows of invitations, and functions to write and read one.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use homeroom_api::{
    ids::{ClassId, OrganizationId},
    names::Place,
};
use homeroom_invitations::{
    domain::invitation::InvitationKind,
    store::{InvitationRow, Store, StoredSecret},
};
use uuid::Uuid;

pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 123_456_000).unwrap()
}

pub(crate) fn organization(id: &str) -> OrganizationId {
    OrganizationId::parse(id).unwrap()
}

pub(crate) fn class() -> Place {
    let class = ClassId::parse("bio-101").unwrap();
    Place::new(organization("hamilton"), Some(class))
}

/// Returns ids in the order of `number`.
pub(crate) fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + number)
}

pub(crate) fn row(number: u128, kind: InvitationKind) -> InvitationRow {
    let mut row = InvitationRow::new(id(number), kind, class(), now());
    row.secret = Some(StoredSecret {
        lookup_mac: vec![u8::try_from(number).unwrap(); 32],
        folded_mac: None,
        sealed: vec![1, 2, 3],
        key_version: 1,
    });
    row
}

pub(crate) async fn insert(store: &Arc<Store>, rows: &[InvitationRow]) -> Vec<bool> {
    let mut session = store.write().await.unwrap();
    let inserted = session.insert_invitations(rows).await.unwrap();
    session.commit("test").await.unwrap();
    inserted
}

pub(crate) async fn get(store: &Arc<Store>, id: Uuid) -> Option<InvitationRow> {
    let mut session = store.read().await.unwrap();
    session.get_invitation(id).await.unwrap()
}

pub(crate) async fn update(store: &Arc<Store>, row: &InvitationRow) -> bool {
    let mut session = store.write().await.unwrap();
    let written = session.update_invitation(row).await.unwrap();
    session.commit("test").await.unwrap();
    written
}
