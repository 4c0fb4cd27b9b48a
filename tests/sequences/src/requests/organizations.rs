//! `OrganizationService`.

use homeroom_api::membership::v1::{
    CreateOrganizationRequest, DeleteOrganizationRequest, GetOrganizationRequest,
    GetSeatUsageRequest, ListOrganizationsRequest, ListOrganizationsResponse, Organization,
    UpdateOrganizationRequest,
};

use super::{
    Method,
    composer::{Caller, Composer, Request, mask},
    read,
};
use crate::world::{ADMIN, World};

const SERVICE: &str = "homeroom.membership.v1.OrganizationService";

pub(super) const METHODS: &[Method] = &[
    Method::new(SERVICE, "CreateOrganization", 2, create).learning(learn),
    Method::new(SERVICE, "GetOrganization", 1, get).learning(learn),
    Method::new(SERVICE, "ListOrganizations", 1, list).learning(|world, answer| {
        let page: ListOrganizationsResponse = read(answer);
        world
            .page_tokens
            .insert("organizations".to_owned(), page.next_page_token);
    }),
    Method::new(SERVICE, "UpdateOrganization", 4, update).learning(learn),
    Method::new(SERVICE, "DeleteOrganization", 1, delete),
    Method::new(SERVICE, "GetSeatUsage", 1, get_seats),
];

fn learn(world: &mut World, answer: &[u8]) {
    let organization: Organization = read(answer);
    if organization.name.starts_with("organizations/") {
        World::note(&mut world.organizations, &organization.name);
        world.etags.insert(organization.name, organization.etag);
    }
}

fn create(composer: &mut Composer<'_>) -> Request {
    let place = composer.dice.weighted([2, 5, 3].into_iter());
    let letter = ["a", "b", "c"][place];
    let seat_limit = composer.dice.between(0, 4);
    let message = CreateOrganizationRequest {
        organization_id: format!("{}-{letter}", composer.world.tag),
        organization: Some(Organization {
            display_name: format!("School {letter}"),
            seat_limit,
            ..Default::default()
        }),
        admin: composer.world.people[ADMIN].clone(),
        request_id: composer.request_id(),
    };
    Request::new(Caller::Platform, &message)
}

fn get(composer: &mut Composer<'_>) -> Request {
    let name = composer.organization();
    Request::new(composer.oneself(), &GetOrganizationRequest { name })
}

fn list(composer: &mut Composer<'_>) -> Request {
    let message = ListOrganizationsRequest {
        page_size: composer.page_size(),
        page_token: composer.page_token("organizations"),
        filter: String::new(),
    };
    Request::new(composer.oneself(), &message)
}

fn update(composer: &mut Composer<'_>) -> Request {
    let name = composer.organization();
    let sets_seats = composer.dice.chance(70);
    let caller = if sets_seats {
        Caller::Platform
    } else {
        composer.staff()
    };
    let organization = Organization {
        seat_limit: composer.dice.between(0, 6),
        display_name: format!("School {}", composer.dice.below(9)),
        etag: composer.etag(&name),
        name,
        ..Default::default()
    };
    let path = if sets_seats {
        "seat_limit"
    } else {
        "display_name"
    };
    let message = UpdateOrganizationRequest {
        organization: Some(organization),
        update_mask: mask(&[path]),
        request_id: composer.request_id(),
    };
    Request::new(caller, &message)
}

fn delete(composer: &mut Composer<'_>) -> Request {
    let name = composer.organization();
    let message = DeleteOrganizationRequest {
        force: composer.dice.chance(40),
        etag: composer.etag(&name),
        name,
        request_id: composer.request_id(),
    };
    let caller = if composer.dice.chance(50) {
        Caller::Platform
    } else {
        composer.staff()
    };
    Request::new(caller, &message)
}

fn get_seats(composer: &mut Composer<'_>) -> Request {
    let name = format!("{}/seatUsage", composer.organization());
    Request::new(composer.staff(), &GetSeatUsageRequest { name })
}
