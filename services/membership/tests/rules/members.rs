//! Members and the seats that they hold.

use homeroom_api::{
    common::v1::{ErrorReason, Role},
    membership::v1::{
        GetOrganizationMemberRequest, ListClassMembersRequest, ListMembershipsRequest,
        ListOrganizationMembersRequest, Member, RemoveOrganizationMemberRequest,
        UpdateClassMemberRequest, UpdateOrganizationMemberRequest,
    },
};

use crate::{
    support::{Database, on_both_engines},
    world::{BIO, Caller, HAMILTON, World, add, answer},
};

on_both_engines!(
    r7_students_hold_seats_and_b14_a_full_organization_takes_nobody,
    r7_a_role_change_takes_or_frees_a_seat,
    r7_leaving_the_organization_frees_the_seat_and_closes_what_waits,
    an_owner_of_classes_stays_until_ownership_is_transferred,
    the_platform_gives_an_organization_that_lost_its_administrator_another,
    p8_a_person_who_is_added_waits_no_more,
    a10_the_roster_lists_who_joined_for_staff_only,
    members_are_read_by_themselves_teachers_and_administrators,
    memberships_are_ones_own,
);

async fn set_role(caller: &mut Caller, user: &str, role: Role) -> Result<Member, ErrorReason> {
    let request = UpdateOrganizationMemberRequest {
        member: Some(Member {
            name: format!("{HAMILTON}/members/{user}"),
            role: role.into(),
            ..Member::default()
        }),
        ..UpdateOrganizationMemberRequest::default()
    };
    answer(caller.members.update_organization_member(request).await)
}

async fn remove(caller: &mut Caller, user: &str) -> Result<(), ErrorReason> {
    let request = RemoveOrganizationMemberRequest {
        name: format!("{HAMILTON}/members/{user}"),
        ..RemoveOrganizationMemberRequest::default()
    };
    answer(caller.members.remove_organization_member(request).await)
}

async fn r7_students_hold_seats_and_b14_a_full_organization_takes_nobody(database: &Database) {
    let world = World::start(database).await;
    world.hamilton(2).await;
    let (mut ada, mut tess) = (world.user("ada"), world.user("tess"));
    assert_eq!(world.seats().await.seats_available, Some(2));
    let sam = add(&mut ada, HAMILTON, "sam", Role::Unspecified)
        .await
        .unwrap();
    assert_eq!(sam.role(), Role::Student);
    assert_eq!(sam.email, "sam@school.example");
    let again = add(&mut ada, HAMILTON, "sam", Role::Teacher).await;
    assert_eq!(again, Err(ErrorReason::MemberExists));
    // The class adds her to the organization in the same step.
    let sue = add(&mut tess, BIO, "sue", Role::CoTeacher).await.unwrap();
    assert_eq!(
        (sue.role(), sue.email.as_str()),
        (Role::CoTeacher, "sue@school.example")
    );
    assert_eq!(world.seats().await.seats_available, Some(0));
    for (parent, user) in [(HAMILTON, "tim"), (BIO, "tim")] {
        let refused = add(&mut ada, parent, user, Role::Student).await;
        assert_eq!(refused, Err(ErrorReason::NoSeats), "{parent}");
    }
    assert!(add(&mut ada, HAMILTON, "tom", Role::Teacher).await.is_ok());
    assert!(add(&mut ada, BIO, "sam", Role::Student).await.is_ok());
    let seats = world.seats().await;
    assert_eq!((seats.seats_used, seats.seat_limit), (2, 2));
    world.end().await;
}

async fn r7_a_role_change_takes_or_frees_a_seat(database: &Database) {
    let world = World::start(database).await;
    world.hamilton(1).await;
    let mut ada = world.user("ada");
    add(&mut ada, HAMILTON, "sam", Role::Student).await.unwrap();
    add(&mut ada, HAMILTON, "tom", Role::Teacher).await.unwrap();
    let refused = set_role(&mut ada, "tom", Role::Student).await;
    assert_eq!(refused, Err(ErrorReason::NoSeats));
    assert_eq!(
        set_role(&mut ada, "sam", Role::Teacher)
            .await
            .unwrap()
            .role(),
        Role::Teacher
    );
    assert_eq!(world.seats().await.seats_used, 0);
    let tom = set_role(&mut ada, "tom", Role::Student).await.unwrap();
    assert_eq!(world.seats().await.seats_used, 1);
    let same = set_role(&mut ada, "tom", Role::Student).await.unwrap();
    assert_eq!(same.etag, tom.etag);
    let owner = set_role(&mut ada, "tom", Role::Owner).await;
    assert_eq!(owner, Err(ErrorReason::InvalidRequest));
    world.end().await;
}

async fn r7_leaving_the_organization_frees_the_seat_and_closes_what_waits(database: &Database) {
    let world = World::start(database).await;
    world.hamilton(1).await;
    let mut ada = world.user("ada");
    crate::world::create_class(&mut ada, "chem", "")
        .await
        .unwrap();
    add(&mut ada, BIO, "sam", Role::Student).await.unwrap();
    world
        .queue("organizations/hamilton/classes/chem", "sam", 1)
        .await;
    let before = world.seats().await;
    assert_eq!((before.seats_used, before.requests_waiting), (1, 1));
    let mut sam = world.user("sam");
    assert_eq!(
        remove(&mut sam, "tess").await,
        Err(ErrorReason::RoleRequired)
    );
    assert_eq!(remove(&mut sam, "sam").await, Ok(()));
    let after = world.seats().await;
    assert_eq!((after.seats_used, after.requests_waiting), (0, 0));
    assert_eq!(
        remove(&mut sam, "sam").await,
        Err(ErrorReason::OrganizationNotFound)
    );
    assert_eq!(
        remove(&mut ada, "sam").await,
        Err(ErrorReason::MemberNotFound)
    );
    let types = world.event_types(HAMILTON).await;
    let last: Vec<&str> = types.iter().rev().take(3).map(String::as_str).collect();
    assert_eq!(last, ["member.left", "join_request.closed", "member.left"]);
    world.end().await;
}

async fn an_owner_of_classes_stays_until_ownership_is_transferred(database: &Database) {
    let world = World::start(database).await;
    world.hamilton(0).await;
    let (mut ada, mut tess) = (world.user("ada"), world.user("tess"));
    assert_eq!(remove(&mut ada, "tess").await, Err(ErrorReason::LastOwner));
    assert_eq!(remove(&mut tess, "tess").await, Err(ErrorReason::LastOwner));
    let student = set_role(&mut ada, "tess", Role::Student).await;
    assert_eq!(student, Err(ErrorReason::LastOwner));
    assert!(set_role(&mut ada, "tess", Role::Admin).await.is_ok());
    let request = UpdateClassMemberRequest {
        member: Some(Member {
            name: format!("{BIO}/members/tess"),
            role: Role::Student.into(),
            ..Member::default()
        }),
        ..UpdateClassMemberRequest::default()
    };
    let demoted = answer(ada.members.update_class_member(request).await);
    assert_eq!(demoted, Err(ErrorReason::LastOwner));
    let name = format!("{BIO}/members/tess");
    let request = homeroom_api::membership::v1::RemoveClassMemberRequest {
        name,
        ..Default::default()
    };
    let removed = answer(ada.members.remove_class_member(request).await);
    assert_eq!(removed, Err(ErrorReason::LastOwner));
    world.end().await;
}

async fn the_platform_gives_an_organization_that_lost_its_administrator_another(
    database: &Database,
) {
    let world = World::start(database).await;
    world.hamilton(0).await;
    let mut ada = world.user("ada");
    assert_eq!(remove(&mut ada, "ada").await, Ok(()));
    let nobody = add(&mut world.user("tess"), HAMILTON, "zoe", Role::Admin).await;
    assert_eq!(nobody, Err(ErrorReason::RoleRequired));
    let stranger = add(&mut world.user("zoe"), HAMILTON, "zoe", Role::Admin).await;
    assert_eq!(stranger, Err(ErrorReason::OrganizationNotFound));
    let zoe = add(&mut world.platform(), HAMILTON, "zoe", Role::Admin).await;
    assert_eq!(zoe.unwrap().role(), Role::Admin);
    let kim = add(&mut world.user("zoe"), HAMILTON, "kim", Role::Student).await;
    assert!(kim.is_ok());
    world.end().await;
}

async fn p8_a_person_who_is_added_waits_no_more(database: &Database) {
    let world = World::start(database).await;
    world.hamilton(0).await;
    let mut ada = world.user("ada");
    world.queue(HAMILTON, "sam", 1).await;
    world.queue(BIO, "sam", 2).await;
    assert_eq!(world.seats().await.requests_waiting, 2);
    add(&mut ada, HAMILTON, "sam", Role::Student).await.unwrap();
    assert_eq!(world.seats().await.requests_waiting, 1);
    add(&mut ada, BIO, "sam", Role::Student).await.unwrap();
    assert_eq!(world.seats().await.requests_waiting, 0);
    world.end().await;
}

async fn a10_the_roster_lists_who_joined_for_staff_only(database: &Database) {
    let world = World::start(database).await;
    world.hamilton(0).await;
    let mut ada = world.user("ada");
    for user in ["sam", "sue"] {
        add(&mut ada, BIO, user, Role::Student).await.unwrap();
    }
    world.queue(BIO, "waiting", 1).await;
    for (user, filter, expected) in [
        ("tess", "", Ok(vec!["sam", "sue", "tess"])),
        ("ada", "role = STUDENT", Ok(vec!["sam", "sue"])),
        ("tess", "email = \"SUE@school.example\"", Ok(vec!["sue"])),
        ("sam", "", Err(ErrorReason::RoleRequired)),
        ("waiting", "", Err(ErrorReason::ClassNotFound)),
        ("ada", "role = ADMIN", Err(ErrorReason::InvalidFilter)),
    ] {
        let request = ListClassMembersRequest {
            parent: BIO.to_owned(),
            filter: filter.to_owned(),
            ..ListClassMembersRequest::default()
        };
        let listed = answer(world.user(user).members.list_class_members(request).await);
        let users = listed.map(|listed| {
            let users = listed.members.into_iter();
            users.map(|member| member.user).collect::<Vec<_>>()
        });
        let expected = expected.map(|users| users.iter().map(ToString::to_string).collect());
        assert_eq!(users, expected, "{user}: {filter}");
    }
    world.end().await;
}

async fn members_are_read_by_themselves_teachers_and_administrators(database: &Database) {
    let world = World::start(database).await;
    world.hamilton(0).await;
    let mut ada = world.user("ada");
    for user in ["sam", "sue"] {
        add(&mut ada, HAMILTON, user, Role::Student).await.unwrap();
    }
    for (reader, expected) in [
        ("sam", Ok("sam")),
        ("tess", Ok("sam")),
        ("ada", Ok("sam")),
        ("sue", Err(ErrorReason::RoleRequired)),
        ("eve", Err(ErrorReason::OrganizationNotFound)),
    ] {
        let name = format!("{HAMILTON}/members/sam");
        let request = GetOrganizationMemberRequest { name };
        let found = answer(
            world
                .user(reader)
                .members
                .get_organization_member(request)
                .await,
        );
        let user = found.as_ref().map(|found| found.user.as_str());
        assert_eq!(user.map_err(|reason| *reason), expected, "{reader}");
    }
    let request = ListOrganizationMembersRequest {
        parent: HAMILTON.to_owned(),
        page_size: 2,
        ..ListOrganizationMembersRequest::default()
    };
    let mut tess = world.user("tess");
    let refused = answer(
        tess.members
            .list_organization_members(request.clone())
            .await,
    );
    assert_eq!(refused, Err(ErrorReason::RoleRequired));
    let first = answer(ada.members.list_organization_members(request.clone()).await).unwrap();
    let next = ListOrganizationMembersRequest {
        page_token: first.next_page_token,
        ..request
    };
    let second = answer(ada.members.list_organization_members(next.clone()).await).unwrap();
    assert_eq!(first.members.len() + second.members.len(), 4);
    assert!(second.next_page_token.is_empty());
    let elsewhere = ListOrganizationMembersRequest {
        filter: "role = STUDENT".to_owned(),
        ..next
    };
    let refused = answer(ada.members.list_organization_members(elsewhere).await);
    assert_eq!(refused, Err(ErrorReason::InvalidPageToken));
    world.end().await;
}

async fn memberships_are_ones_own(database: &Database) {
    let world = World::start(database).await;
    world.hamilton(0).await;
    for (parent, token, expected) in [
        ("users/me", None, Ok(vec![HAMILTON, BIO])),
        ("users/tess", None, Ok(vec![HAMILTON, BIO])),
        ("users/ada", None, Err(ErrorReason::MemberNotFound)),
        ("tess", None, Err(ErrorReason::InvalidRequest)),
        ("users/me", Some(["other"].as_slice()), Ok(vec![])),
    ] {
        let request = ListMembershipsRequest {
            parent: parent.to_owned(),
            ..ListMembershipsRequest::default()
        };
        let mut tess = world.caller("tess", &[], token);
        let listed = answer(tess.members.list_memberships(request).await);
        let names = listed.map(|listed| {
            let names = listed.memberships.into_iter();
            names.map(|member| member.name).collect::<Vec<_>>()
        });
        let expected = expected.map(|places| {
            let names = places.into_iter();
            names.map(|place| format!("{place}/members/tess")).collect()
        });
        assert_eq!(names, expected, "{parent}");
    }
    world.end().await;
}
