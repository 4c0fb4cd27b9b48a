//! Classes and their owners.

use homeroom_api::{
    common::v1::{ErrorReason, Role},
    membership::v1::{
        ArchiveClassRequest, Class, DeleteClassRequest, GetClassMemberRequest, GetClassRequest,
        ListClassesRequest, TransferClassOwnershipRequest, UnarchiveClassRequest,
        UpdateClassRequest, admit_request::Route, class,
    },
};

use crate::{
    support::{Database, on_both_engines},
    world::{BIO, Caller, HAMILTON, World, add, answer, create_class},
};

on_both_engines!(
    teachers_own_what_they_create_and_administrators_may_name_an_owner,
    a_class_is_absent_for_who_may_not_see_it,
    an_archived_class_closes_its_queue_and_takes_nobody,
    ownership_is_transferred_and_the_owner_before_stays_as_co_teacher,
    a_deleted_class_ends_its_memberships_and_never_comes_back,
    classes_are_listed_to_administrators_and_to_their_members,
);

async fn get(caller: &mut Caller, name: &str) -> Result<Class, ErrorReason> {
    let name = name.to_owned();
    answer(caller.classes.get_class(GetClassRequest { name }).await)
}

async fn rename(caller: &mut Caller) -> Result<Class, ErrorReason> {
    let request = UpdateClassRequest {
        class: Some(Class {
            name: BIO.to_owned(),
            display_name: "Biology 2".to_owned(),
            ..Class::default()
        }),
        ..UpdateClassRequest::default()
    };
    answer(caller.classes.update_class(request).await)
}

async fn archive(caller: &mut Caller) -> Result<Class, ErrorReason> {
    let request = ArchiveClassRequest {
        name: BIO.to_owned(),
        ..ArchiveClassRequest::default()
    };
    answer(caller.classes.archive_class(request).await).map(|archived| archived.class.unwrap())
}

async fn transfer(caller: &mut Caller, owner: &str) -> Result<Class, ErrorReason> {
    let request = TransferClassOwnershipRequest {
        name: BIO.to_owned(),
        owner: owner.to_owned(),
        ..TransferClassOwnershipRequest::default()
    };
    let transferred = answer(caller.classes.transfer_class_ownership(request).await);
    transferred.map(|transferred| transferred.class.unwrap())
}

async fn role(caller: &mut Caller, user: &str) -> Result<Role, ErrorReason> {
    let name = format!("{BIO}/members/{user}");
    let request = GetClassMemberRequest { name };
    answer(caller.members.get_class_member(request).await).map(|member| member.role())
}

async fn teachers_own_what_they_create_and_administrators_may_name_an_owner(database: &Database) {
    let world = World::start(database).await;
    world.hamilton(0).await;
    let (mut ada, mut tess) = (world.user("ada"), world.user("tess"));
    add(&mut ada, HAMILTON, "sam", Role::Student).await.unwrap();
    assert_eq!(get(&mut tess, BIO).await.unwrap().owner, "tess");
    assert_eq!(role(&mut tess, "tess").await, Ok(Role::Owner));
    for (mut caller, id, owner, expected) in [
        (world.user("tess"), "bio", "", Err(ErrorReason::ClassExists)),
        (
            world.user("tess"),
            "chem",
            "ada",
            Err(ErrorReason::RoleRequired),
        ),
        (
            world.user("sam"),
            "chem",
            "",
            Err(ErrorReason::RoleRequired),
        ),
        (
            world.user("eve"),
            "chem",
            "",
            Err(ErrorReason::OrganizationNotFound),
        ),
        (world.platform(), "chem", "", Err(ErrorReason::RoleRequired)),
        (
            world.user("ada"),
            "chem",
            "eve",
            Err(ErrorReason::MemberNotFound),
        ),
        (
            world.user("ada"),
            "chem",
            "sam",
            Err(ErrorReason::MemberNotFound),
        ),
        (world.user("ada"), "chem", "tess", Ok("tess")),
        (world.user("ada"), "art", "", Ok("ada")),
    ] {
        let created = create_class(&mut caller, id, owner).await;
        let owner = created.as_ref().map(|class| class.owner.as_str());
        assert_eq!(
            owner.map_err(|reason| *reason),
            expected,
            "{id} for {owner:?}"
        );
    }
    world.end().await;
}

async fn a_class_is_absent_for_who_may_not_see_it(database: &Database) {
    let world = World::start(database).await;
    world.hamilton(0).await;
    let mut ada = world.user("ada");
    add(&mut ada, BIO, "sam", Role::Student).await.unwrap();
    add(&mut ada, BIO, "cora", Role::CoTeacher).await.unwrap();
    add(&mut ada, HAMILTON, "tom", Role::Teacher).await.unwrap();
    let absent = "organizations/hamilton/classes/none";
    for user in ["eve", "tom"] {
        let mut outsider = world.user(user);
        let refused = get(&mut outsider, BIO).await;
        assert_eq!(refused, get(&mut outsider, absent).await, "{user}");
        assert_eq!(refused, Err(ErrorReason::ClassNotFound), "{user}");
        assert_eq!(rename(&mut outsider).await, Err(ErrorReason::ClassNotFound));
        assert_eq!(
            role(&mut outsider, user).await,
            Err(ErrorReason::ClassNotFound)
        );
    }
    for user in ["sam", "cora"] {
        let mut insider = world.user(user);
        assert!(get(&mut insider, BIO).await.is_ok(), "{user}");
        assert_eq!(rename(&mut insider).await, Err(ErrorReason::RoleRequired));
    }
    for user in ["ada", "tess"] {
        assert!(rename(&mut world.user(user)).await.is_ok(), "{user}");
    }
    world.end().await;
}

async fn an_archived_class_closes_its_queue_and_takes_nobody(database: &Database) {
    let world = World::start(database).await;
    world.hamilton(5).await;
    world.queue(BIO, "eve", 1).await;
    assert_eq!(world.seats().await.requests_waiting, 1);
    let mut tess = world.user("tess");
    let archived = archive(&mut tess).await.unwrap();
    assert_eq!(archived.state(), class::State::Archived);
    assert_eq!(world.seats().await.requests_waiting, 0);
    let again = archive(&mut tess).await.unwrap();
    assert_eq!(again.etag, archived.etag);
    let refused = add(&mut tess, BIO, "sam", Role::Student).await;
    assert_eq!(refused, Err(ErrorReason::ClassArchived));
    let types = world.event_types(BIO).await;
    let expected = [
        "class.created",
        "member.joined",
        "join_request.created",
        "join_request.closed",
        "class.archived",
    ];
    assert_eq!(types, expected);
    let request = UnarchiveClassRequest {
        name: BIO.to_owned(),
        etag: archived.etag,
        request_id: String::new(),
    };
    let opened = answer(tess.classes.unarchive_class(request).await).unwrap();
    assert_eq!(opened.class.unwrap().state(), class::State::Active);
    assert!(add(&mut tess, BIO, "sam", Role::Student).await.is_ok());
    world.end().await;
}

async fn ownership_is_transferred_and_the_owner_before_stays_as_co_teacher(database: &Database) {
    let world = World::start(database).await;
    world.hamilton(5).await;
    let (mut ada, mut tess) = (world.user("ada"), world.user("tess"));
    add(&mut ada, BIO, "sam", Role::Student).await.unwrap();
    add(&mut ada, HAMILTON, "tom", Role::Teacher).await.unwrap();
    for (owner, expected) in [
        ("sam", ErrorReason::MemberNotFound),
        ("eve", ErrorReason::MemberNotFound),
    ] {
        assert_eq!(transfer(&mut tess, owner).await, Err(expected), "{owner}");
    }
    world.queue(BIO, "tom", 1).await;
    assert_eq!(transfer(&mut tess, "tom").await.unwrap().owner, "tom");
    assert_eq!(world.seats().await.requests_waiting, 0);
    assert_eq!(role(&mut ada, "tom").await, Ok(Role::Owner));
    assert_eq!(role(&mut ada, "tess").await, Ok(Role::CoTeacher));
    assert_eq!(
        transfer(&mut tess, "tess").await,
        Err(ErrorReason::RoleRequired)
    );
    assert_eq!(transfer(&mut ada, "tess").await.unwrap().owner, "tess");
    assert_eq!(role(&mut ada, "tess").await, Ok(Role::Owner));
    assert_eq!(role(&mut ada, "tom").await, Ok(Role::CoTeacher));
    world.end().await;
}

async fn a_deleted_class_ends_its_memberships_and_never_comes_back(database: &Database) {
    let world = World::start(database).await;
    world.hamilton(5).await;
    let (mut ada, mut tess) = (world.user("ada"), world.user("tess"));
    add(&mut ada, BIO, "sam", Role::Student).await.unwrap();
    world.queue(BIO, "eve", 1).await;
    let request = DeleteClassRequest {
        name: BIO.to_owned(),
        ..DeleteClassRequest::default()
    };
    answer(tess.classes.delete_class(request).await).unwrap();
    assert_eq!(get(&mut tess, BIO).await, Err(ErrorReason::ClassNotFound));
    assert_eq!(role(&mut ada, "sam").await, Err(ErrorReason::ClassNotFound));
    let seats = world.seats().await;
    assert_eq!((seats.seats_used, seats.requests_waiting), (1, 0));
    let again = create_class(&mut ada, "bio", "").await;
    assert_eq!(again, Err(ErrorReason::ClassExists));
    let admission = world.admit(BIO, "sam", Route::AdmitAtOnce, 2).await;
    assert_eq!(admission.refuse_reason(), ErrorReason::ClassNotFound);
    world.end().await;
}

async fn classes_are_listed_to_administrators_and_to_their_members(database: &Database) {
    let world = World::start(database).await;
    world.hamilton(0).await;
    let mut ada = world.user("ada");
    create_class(&mut ada, "art", "").await.unwrap();
    create_class(&mut ada, "chem", "tess").await.unwrap();
    add(&mut ada, BIO, "sam", Role::Student).await.unwrap();
    archive(&mut ada).await.unwrap();
    for (user, filter, expected) in [
        ("ada", "", Ok(vec!["art", "bio", "chem"])),
        ("ada", "state = ARCHIVED", Ok(vec!["bio"])),
        (
            "ada",
            "owner = \"tess\" AND state = ACTIVE",
            Ok(vec!["chem"]),
        ),
        ("tess", "", Ok(vec!["bio", "chem"])),
        ("sam", "", Ok(vec!["bio"])),
        ("eve", "", Err(ErrorReason::OrganizationNotFound)),
        ("ada", "state != ACTIVE", Err(ErrorReason::InvalidFilter)),
        ("ada", "color = red", Err(ErrorReason::InvalidFilter)),
    ] {
        let request = ListClassesRequest {
            parent: HAMILTON.to_owned(),
            filter: filter.to_owned(),
            ..ListClassesRequest::default()
        };
        let listed = answer(world.user(user).classes.list_classes(request).await);
        let names = listed.map(|listed| {
            let names = listed.classes.into_iter();
            names.map(|class| class.name).collect::<Vec<_>>()
        });
        let expected = expected.map(|ids| {
            let names = ids.into_iter();
            names.map(|id| format!("{HAMILTON}/classes/{id}")).collect()
        });
        assert_eq!(names, expected, "{user}: {filter}");
    }
    world.end().await;
}
