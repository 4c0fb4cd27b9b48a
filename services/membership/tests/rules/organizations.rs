//! Organizations and their seat limits.

use homeroom_api::{
    common::v1::{ErrorReason, Role},
    membership::v1::{
        DeleteOrganizationRequest, GetOrganizationRequest, ListOrganizationsRequest, Organization,
        UpdateOrganizationRequest,
    },
};
use homeroom_kit::auth::Scope;
use prost_types::FieldMask;

use crate::{
    support::{Database, on_both_engines},
    world::{Caller, HAMILTON, World, add, answer, create_class, create_organization},
};

on_both_engines!(
    only_the_platform_creates_organizations_and_an_id_is_given_once,
    b4_the_code_prefix_is_made_from_the_id_unique_and_fixed,
    u4_prefixes_that_read_alike_are_one_too_many,
    only_the_platform_sets_the_license,
    an_organization_is_absent_for_who_may_not_see_it,
    organizations_are_listed_for_their_members_within_the_token,
    deleting_takes_an_empty_organization_or_force,
    an_etag_guards_an_update,
);

async fn update(
    caller: &mut Caller,
    organization: Organization,
    mask: &[&str],
) -> Result<Organization, ErrorReason> {
    let request = UpdateOrganizationRequest {
        organization: Some(Organization {
            name: HAMILTON.to_owned(),
            ..organization
        }),
        update_mask: Some(FieldMask {
            paths: mask.iter().map(ToString::to_string).collect(),
        }),
        request_id: String::new(),
    };
    answer(caller.organizations.update_organization(request).await)
}

async fn delete(caller: &mut Caller, force: bool) -> Result<(), ErrorReason> {
    let request = DeleteOrganizationRequest {
        name: HAMILTON.to_owned(),
        force,
        ..DeleteOrganizationRequest::default()
    };
    answer(caller.organizations.delete_organization(request).await)
}

async fn get(caller: &mut Caller) -> Result<Organization, ErrorReason> {
    let name = HAMILTON.to_owned();
    answer(
        caller
            .organizations
            .get_organization(GetOrganizationRequest { name })
            .await,
    )
}

async fn only_the_platform_creates_organizations_and_an_id_is_given_once(database: &Database) {
    let world = World::start(database).await;
    let mut platform = world.platform();
    let refused = create_organization(&mut world.user("ada"), "hamilton", 0).await;
    assert_eq!(refused, Err(ErrorReason::ScopeMissing));
    let invalid = create_organization(&mut platform, "Hamilton!", -1).await;
    assert_eq!(invalid, Err(ErrorReason::InvalidRequest));
    let bound = world.caller("platform", &[Scope::Platform], Some(&["other"]));
    let refused = create_organization(&mut bound.clone(), "hamilton", 0).await;
    assert_eq!(refused, Err(ErrorReason::ScopeMissing));
    let made = create_organization(&mut platform, "hamilton", 2)
        .await
        .unwrap();
    assert_eq!((made.name.as_str(), made.seat_limit), (HAMILTON, 2));
    let again = create_organization(&mut platform, "hamilton", 0).await;
    assert_eq!(again, Err(ErrorReason::OrganizationExists));
    assert_eq!(delete(&mut platform, false).await, Ok(()));
    assert_eq!(
        get(&mut platform).await,
        Err(ErrorReason::OrganizationNotFound)
    );
    let again = create_organization(&mut platform, "hamilton", 0).await;
    assert_eq!(again, Err(ErrorReason::OrganizationExists));
    let made = create_organization(&mut platform, "", 0).await.unwrap();
    assert!(
        made.name.len() > "organizations/".len() + 30,
        "{}",
        made.name
    );
    world.end().await;
}

async fn b4_the_code_prefix_is_made_from_the_id_unique_and_fixed(database: &Database) {
    let world = World::start(database).await;
    let mut platform = world.platform();
    let first = create_organization(&mut platform, "hamilton", 0)
        .await
        .unwrap();
    assert_eq!(first.code_prefix, "HAMILTON");
    let second = create_organization(&mut platform, "hamil-ton", 0)
        .await
        .unwrap();
    assert_eq!(second.code_prefix, "2HAMILTON");
    let mut ada = world.user("ada");
    let same = Organization {
        code_prefix: "Hamilton".to_owned(),
        ..Organization::default()
    };
    let kept = update(&mut ada, same, &["code_prefix"]).await.unwrap();
    assert_eq!(kept.etag, first.etag);
    let other = Organization {
        code_prefix: "HAM".to_owned(),
        ..Organization::default()
    };
    let refused = update(&mut ada, other, &["code_prefix"]).await;
    assert_eq!(refused, Err(ErrorReason::InvalidRequest));
    let chosen = homeroom_api::membership::v1::CreateOrganizationRequest {
        organization_id: "third".to_owned(),
        organization: Some(Organization {
            display_name: "Third".to_owned(),
            code_prefix: "hamilton2".to_owned(),
            ..Organization::default()
        }),
        ..Default::default()
    };
    let taken = answer(platform.organizations.create_organization(chosen).await);
    assert_eq!(taken, Err(ErrorReason::CodeTaken));
    world.end().await;
}

async fn u4_prefixes_that_read_alike_are_one_too_many(database: &Database) {
    let world = World::start(database).await;
    let mut platform = world.platform();
    create_organization(&mut platform, "hamilton", 0)
        .await
        .unwrap();
    create_organization(&mut platform, "l0ndon", 0)
        .await
        .unwrap();
    let mut choose = async |id: &str, code_prefix: &str| {
        let chosen = homeroom_api::membership::v1::CreateOrganizationRequest {
            organization_id: id.to_owned(),
            organization: Some(Organization {
                display_name: id.to_owned(),
                code_prefix: code_prefix.to_owned(),
                ..Organization::default()
            }),
            ..Default::default()
        };
        answer(platform.organizations.create_organization(chosen).await)
            .map(|created| created.code_prefix)
    };
    for alike in [
        "HAM1LTON",
        "hamilt0n",
        "HAMLLTON",
        "HAM1",
        "HAMI",
        "Hamilt0n2",
        "LONDON",
        "IOND0N",
        "1O",
    ] {
        assert_eq!(
            choose("another", alike).await,
            Err(ErrorReason::CodeTaken),
            "{alike}"
        );
    }
    for (id, chosen, made) in [
        ("hamburg", "HAMBURG", "HAMBURG"),
        ("lindon", "LINDON", "LINDON"),
        // A prefix made from an id gives way to an existing one.
        ("ham1lton", "", "2HAM1LTON"),
        ("london", "", "2LONDON"),
    ] {
        assert_eq!(choose(id, chosen).await, Ok(made.to_owned()), "{id}");
    }
    world.end().await;
}

async fn only_the_platform_sets_the_license(database: &Database) {
    let world = World::start(database).await;
    world.hamilton(10).await;
    let license = |seat_limit| Organization {
        seat_limit,
        display_name: "Hamilton High".to_owned(),
        ..Organization::default()
    };
    let mut ada = world.user("ada");
    let refused = update(&mut ada, license(11), &["seat_limit"]).await;
    assert_eq!(refused, Err(ErrorReason::ScopeMissing));
    let renamed = update(&mut ada, license(10), &["seat_limit", "display_name"]).await;
    assert_eq!(renamed.unwrap().display_name, "Hamilton High");
    let mut platform = world.platform();
    let raised = update(&mut platform, license(11), &["seat_limit"]).await;
    assert_eq!(raised.unwrap().seat_limit, 11);
    let refused = update(&mut platform, license(11), &["display_name"]).await;
    assert_eq!(refused, Err(ErrorReason::RoleRequired));
    let above = update(&mut platform, license(1_000_000_001), &["seat_limit"]).await;
    assert_eq!(above, Err(ErrorReason::InvalidRequest));
    let highest = update(&mut platform, license(1_000_000_000), &["seat_limit"]).await;
    assert_eq!(highest.unwrap().seat_limit, 1_000_000_000);
    world.end().await;
}

async fn an_organization_is_absent_for_who_may_not_see_it(database: &Database) {
    let world = World::start(database).await;
    world.hamilton(0).await;
    let elsewhere = world.caller("ada", &[Scope::Platform], Some(&["other"]));
    for mut stranger in [world.user("eve"), elsewhere] {
        let absent = Err(ErrorReason::OrganizationNotFound);
        assert_eq!(get(&mut stranger).await, absent);
        let renamed = Organization {
            display_name: "Mine".to_owned(),
            ..Organization::default()
        };
        assert_eq!(
            update(&mut stranger, renamed, &["display_name"]).await,
            absent
        );
        assert_eq!(
            delete(&mut stranger, true).await,
            Err(ErrorReason::OrganizationNotFound)
        );
    }
    let mut tess = world.user("tess");
    assert!(get(&mut tess).await.is_ok());
    assert_eq!(
        delete(&mut tess, true).await,
        Err(ErrorReason::RoleRequired)
    );
    world.end().await;
}

async fn organizations_are_listed_for_their_members_within_the_token(database: &Database) {
    let world = World::start(database).await;
    let mut platform = world.platform();
    for id in ["alpha", "beta", "gamma"] {
        create_organization(&mut platform, id, 0).await.unwrap();
    }
    let bound = world.caller("ada", &[], Some(&["gamma", "beta", "none"]));
    for (mut caller, expected) in [
        (world.platform(), vec!["alpha", "beta", "gamma"]),
        (world.user("ada"), vec!["alpha", "beta", "gamma"]),
        (world.user("eve"), vec![]),
        (bound, vec!["beta", "gamma"]),
    ] {
        let mut ids = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = ListOrganizationsRequest {
                page_size: 1,
                page_token,
                filter: String::new(),
            };
            let page = answer(caller.organizations.list_organizations(request).await).unwrap();
            ids.extend(page.organizations.into_iter().map(|found| found.name));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        let names: Vec<String> = expected
            .iter()
            .map(|id| format!("organizations/{id}"))
            .collect();
        assert_eq!(ids, names);
    }
    world.end().await;
}

async fn deleting_takes_an_empty_organization_or_force(database: &Database) {
    let world = World::start(database).await;
    world.hamilton(0).await;
    let mut ada = world.user("ada");
    add(&mut ada, HAMILTON, "sam", Role::Student).await.unwrap();
    world.queue(HAMILTON, "eve", 1).await;
    let refused = delete(&mut ada, false).await;
    assert_eq!(refused, Err(ErrorReason::OrganizationNotEmpty));
    assert_eq!(delete(&mut ada, true).await, Ok(()));
    assert_eq!(get(&mut ada).await, Err(ErrorReason::OrganizationNotFound));
    let gone = create_class(&mut world.user("tess"), "chem", "").await;
    assert_eq!(gone, Err(ErrorReason::OrganizationNotFound));
    let types = world.event_types("organizations/-").await;
    let last: Vec<&str> = types.iter().rev().take(2).map(String::as_str).collect();
    assert_eq!(last, ["organization.deleted", "join_request.closed"]);
    world.end().await;
}

async fn an_etag_guards_an_update(database: &Database) {
    let world = World::start(database).await;
    world.hamilton(0).await;
    let mut ada = world.user("ada");
    let before = get(&mut ada).await.unwrap();
    let renamed = Organization {
        display_name: "Hamilton High".to_owned(),
        etag: before.etag.clone(),
        ..Organization::default()
    };
    let after = update(&mut ada, renamed.clone(), &["*"]).await;
    // `*` names labels, prefix and seat limit too: the prefix cannot be emptied.
    assert_eq!(after, Err(ErrorReason::InvalidRequest));
    let after = update(&mut ada, renamed.clone(), &[]).await.unwrap();
    assert_ne!(after.etag, before.etag);
    let stale = Organization {
        display_name: "Hamilton Low".to_owned(),
        ..renamed
    };
    let refused = update(&mut ada, stale, &["display_name"]).await;
    assert_eq!(refused, Err(ErrorReason::EtagMismatch));
    world.end().await;
}
