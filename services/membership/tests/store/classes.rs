//! Classes.

use homeroom_api::ids::ClassId;
use homeroom_membership::{
    domain::class::{Class, ClassState},
    store::{ClassQuery, InsertOutcome},
};

use crate::{
    samples::{class, class_name, hamilton, member, now, open, organization_id, user},
    support::{Database, on_both_engines},
};

on_both_engines!(
    a_class_is_read_as_it_was_stored,
    a_class_id_is_taken_once_and_stays_taken,
    classes_are_listed_by_member_state_and_owner,
);

const BIO: &str = "organizations/hamilton/classes/bio";

async fn a_class_is_read_as_it_was_stored(database: &Database) {
    let store = open(database).await;
    let mut session = store.write().await.unwrap();
    hamilton(session.as_mut()).await;
    let name = class_name(BIO);
    assert_eq!(
        session.class(&name).await.unwrap(),
        Some(class(BIO, "tess"))
    );
    let changed = Class {
        display_name: "Biology 102".to_owned(),
        owner: user("ada"),
        state: ClassState::Archived,
        labels: [("term".to_owned(), "fall".to_owned())].into(),
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
    let store = open(database).await;
    let mut session = store.write().await.unwrap();
    hamilton(session.as_mut()).await;
    for _ in 0..2 {
        let again = session.insert_class(&class(BIO, "ada")).await.unwrap();
        assert_eq!(again, InsertOutcome::IdTaken);
        session.delete_class(&class_name(BIO), now()).await.unwrap();
        assert_eq!(session.class(&class_name(BIO)).await.unwrap(), None);
    }
}

async fn classes_are_listed_by_member_state_and_owner(database: &Database) {
    let store = open(database).await;
    let mut session = store.write().await.unwrap();
    hamilton(session.as_mut()).await;
    let chemistry = "organizations/hamilton/classes/chem";
    let archived = Class {
        state: ClassState::Archived,
        ..class(chemistry, "ada")
    };
    session.insert_class(&archived).await.unwrap();
    let student = homeroom_membership::domain::member::Role::Student;
    session
        .insert_members(&[
            member("organizations/hamilton", "sam", student),
            member(chemistry, "sam", student),
        ])
        .await
        .unwrap();
    let all = ClassQuery {
        organization: organization_id("hamilton"),
        member: None,
        state: None,
        owner: None,
        after: None,
        limit: 10,
    };
    for (query, expected) in [
        (all.clone(), vec!["bio", "chem"]),
        (
            ClassQuery {
                limit: 1,
                ..all.clone()
            },
            vec!["bio"],
        ),
        (
            ClassQuery {
                after: Some(ClassId::parse("bio").unwrap()),
                ..all.clone()
            },
            vec!["chem"],
        ),
        (
            ClassQuery {
                state: Some(ClassState::Archived),
                ..all.clone()
            },
            vec!["chem"],
        ),
        (
            ClassQuery {
                owner: Some(user("tess")),
                ..all.clone()
            },
            vec!["bio"],
        ),
        (
            ClassQuery {
                member: Some(user("sam")),
                ..all.clone()
            },
            vec!["chem"],
        ),
        (
            ClassQuery {
                member: Some(user("sam")),
                state: Some(ClassState::Active),
                ..all.clone()
            },
            vec![],
        ),
    ] {
        let found = session.list_classes(&query).await.unwrap();
        let ids: Vec<String> = found
            .iter()
            .map(|found| found.name.class.to_string())
            .collect();
        assert_eq!(ids, expected, "{query:?}");
    }
}
