//! Rows to store.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_api::{
    ids::{CodePrefix, OrganizationId, UserId},
    names::{ClassName, InvitationKind, Place},
};
use homeroom_kit::database::Options;
use homeroom_membership::{
    domain::{
        class::Class,
        member::{Member, Method, Particulars, Provenance, Role, SetByHand},
        organization::Organization,
    },
    store::{self, InsertOutcome, Repository, Store},
};

use crate::support::Database;

pub(crate) const HAMILTON: &str = "organizations/hamilton";
pub(crate) const BIO: &str = "organizations/hamilton/classes/bio";

pub(crate) async fn open(database: &Database) -> Arc<Store> {
    let options = Options {
        connections_max: 4,
        ..Options::default()
    };
    store::open(&database.url, options, false).await.unwrap()
}

pub(crate) fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::microseconds(1_700_000_000_123_456)
}

pub(crate) fn organization_id(text: &str) -> OrganizationId {
    OrganizationId::parse(text).unwrap()
}

pub(crate) fn user(text: &str) -> UserId {
    UserId::parse(text).unwrap()
}

pub(crate) fn place(name: &str) -> Place {
    Place::parse(name).unwrap()
}

pub(crate) fn class_name(name: &str) -> ClassName {
    ClassName::parse(name).unwrap()
}

pub(crate) fn organization(id: &str, prefix: &str) -> Organization {
    Organization {
        id: organization_id(id),
        display_name: format!("The {id} school"),
        code_prefix: CodePrefix::parse(prefix).unwrap(),
        seat_limit: 300,
        labels: BTreeMap::from([("region".to_owned(), "north \"1\"".to_owned())]),
        revision: 1,
        create_time: now(),
        update_time: now(),
    }
}

pub(crate) fn class(name: &str, owner: &str) -> Class {
    Class {
        display_name: "Biology 101".to_owned(),
        ..Class::new(class_name(name), user(owner), now())
    }
}

pub(crate) fn member(name: &str, who: &str, role: Role) -> Member {
    Member {
        place: place(name),
        user: user(who),
        particulars: Particulars {
            display_name: who.to_owned(),
            email: format!("{who}@school.example"),
            external_id: format!("x-{who}"),
        },
        told_time: now(),
        set_by_hand: SetByHand::default(),
        role,
        join_time: now(),
        provenance: Provenance {
            invitation: format!("{name}/enrollmentCodes/1"),
            redemption: "organizations/hamilton/redemptions/1".to_owned(),
            approved_by: "ada".to_owned(),
            method: Method::Invitation(InvitationKind::EnrollmentCode),
        },
        revision: 1,
    }
}

/// Opens the database, and begins to write.
pub(crate) async fn write(database: &Database) -> (Arc<Store>, Repository) {
    let store = open(database).await;
    let session = store.write().await.unwrap();
    (store, session)
}

/// Opens the database, and begins to write beside `hamilton`, which is not committed.
pub(crate) async fn write_to_hamilton(database: &Database) -> (Arc<Store>, Repository) {
    let (store, mut session) = write(database).await;
    hamilton(&mut session).await;
    (store, session)
}

/// Inserts `hamilton` with the class `bio`, owned by the teacher `tess`; the administrator is `ada`.
pub(crate) async fn hamilton(session: &mut Repository) {
    let hamilton = organization("hamilton", "HAMILTON");
    let inserted = session.insert_organization(&hamilton).await.unwrap();
    assert_eq!(inserted, InsertOutcome::Inserted);
    session.insert_class(&class(BIO, "tess")).await.unwrap();
    let members = [
        member(HAMILTON, "ada", Role::Admin),
        member(HAMILTON, "tess", Role::Teacher),
        member(BIO, "tess", Role::Owner),
    ];
    session.insert_members(&members).await.unwrap();
}
