//! Classes.

use homeroom_membership::{
    domain::class::{Class, ClassState},
    store::InsertOutcome,
};

use crate::{
    samples::{BIO, class, class_name, now, organization_id, user, write_to_hamilton},
    support::{Database, on_both_engines},
};

on_both_engines!(
    a_class_is_read_as_it_was_stored,
    a_class_id_is_taken_once_and_stays_taken,
);

async fn a_class_is_read_as_it_was_stored(database: &Database) {
    let (_store, mut session) = write_to_hamilton(database).await;
    let name = class_name(BIO);
    let found = session.class(&name).await.unwrap();
    assert_eq!(found, Some(class(BIO, "tess")));
    let changed = Class {
        display_name: "Biology 102".to_owned(),
        owner: user("ada"),
        state: ClassState::Archived,
        labels: [("term".to_owned(), "fall".to_owned())].into(),
        external_id: "sis-102".to_owned(),
        revision: 2,
        ..class(BIO, "tess")
    };
    session.save_class(&changed).await.unwrap();
    assert_eq!(session.class(&name).await.unwrap(), Some(changed));
    let hamilton = organization_id("hamilton");
    assert!(session.has_classes(&hamilton).await.unwrap());
    let elsewhere = organization_id("elsewhere");
    for (owner, organization, owned) in [
        ("ada", None, true),
        ("ada", Some(&hamilton), true),
        ("ada", Some(&elsewhere), false),
        ("tess", None, false),
        ("tess", Some(&hamilton), false),
    ] {
        let user = user(owner);
        let found = session.classes_owned_by(&user, organization, 1).await;
        let expected = owned.then(|| name.clone());
        assert_eq!(found.unwrap(), Vec::from_iter(expected), "{owner}");
    }
    session.delete_classes(&hamilton, now()).await.unwrap();
    assert!(!session.has_classes(&hamilton).await.unwrap());
    let owned = session.classes_owned_by(&user("ada"), None, 1).await;
    assert_eq!(owned.unwrap(), []);
}

async fn a_class_id_is_taken_once_and_stays_taken(database: &Database) {
    let (_store, mut session) = write_to_hamilton(database).await;
    for _ in 0..2 {
        let again = session.insert_class(&class(BIO, "ada")).await.unwrap();
        assert_eq!(again, InsertOutcome::IdTaken);
        session.delete_class(&class_name(BIO), now()).await.unwrap();
        assert_eq!(session.class(&class_name(BIO)).await.unwrap(), None);
    }
}
