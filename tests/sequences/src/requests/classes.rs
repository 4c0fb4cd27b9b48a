//! `ClassService`.

use homeroom_api::membership::v1::{
    ArchiveClassRequest, ArchiveClassResponse, Class, CreateClassRequest, DeleteClassRequest,
    GetClassRequest, ListClassesRequest, ListClassesResponse, TransferClassOwnershipRequest,
    UnarchiveClassRequest, UnarchiveClassResponse, UpdateClassRequest,
};

use super::{
    Method,
    composer::{Composer, Request, mask},
    read,
};
use crate::world::{ADMIN, FIRST_STUDENT, TEACHER, World};

const SERVICE: &str = "homeroom.membership.v1.ClassService";

pub(super) const METHODS: &[Method] = &[
    Method::new(SERVICE, "CreateClass", 3, create)
        .learning(|world, answer| learn(world, read(answer))),
    Method::new(SERVICE, "GetClass", 1, get).learning(|world, answer| learn(world, read(answer))),
    Method::new(SERVICE, "ListClasses", 1, list).learning(|world, answer| {
        let page: ListClassesResponse = read(answer);
        world
            .page_tokens
            .insert("classes".to_owned(), page.next_page_token);
    }),
    Method::new(SERVICE, "UpdateClass", 1, update)
        .learning(|world, answer| learn(world, read(answer))),
    Method::new(SERVICE, "ArchiveClass", 2, archive).learning(|world, answer| {
        let response: ArchiveClassResponse = read(answer);
        learn(world, response.class.unwrap_or_default());
    }),
    Method::new(SERVICE, "UnarchiveClass", 3, unarchive).learning(|world, answer| {
        let response: UnarchiveClassResponse = read(answer);
        learn(world, response.class.unwrap_or_default());
    }),
    Method::new(SERVICE, "DeleteClass", 1, delete),
    Method::new(SERVICE, "TransferClassOwnership", 3, transfer),
];

fn learn(world: &mut World, class: Class) {
    if class.name.contains("/classes/") {
        World::note(&mut world.classes, &class.name);
        world.etags.insert(class.name, class.etag);
    }
}

fn create(composer: &mut Composer<'_>) -> Request {
    let owner = [ADMIN, TEACHER, FIRST_STUDENT][composer.dice.weighted([2, 7, 1].into_iter())];
    let message = CreateClassRequest {
        parent: composer.organization(),
        class_id: (*composer.dice.pick(&["art", "biology", "chemistry"])).to_owned(),
        class: Some(Class {
            display_name: "A class".to_owned(),
            owner: composer.world.people[owner].clone(),
            ..Default::default()
        }),
        request_id: composer.request_id(),
    };
    Request::new(composer.staff(), &message)
}

fn get(composer: &mut Composer<'_>) -> Request {
    let name = composer.class();
    Request::new(composer.oneself(), &GetClassRequest { name })
}

fn list(composer: &mut Composer<'_>) -> Request {
    let message = ListClassesRequest {
        parent: composer.organization(),
        page_size: composer.page_size(),
        page_token: composer.page_token("classes"),
        filter: composer.filter(&["state = \"ACTIVE\"", "state = \"ARCHIVED\""]),
    };
    Request::new(composer.oneself(), &message)
}

fn update(composer: &mut Composer<'_>) -> Request {
    let name = composer.class();
    let message = UpdateClassRequest {
        class: Some(Class {
            display_name: format!("Class {}", composer.dice.below(9)),
            etag: composer.etag(&name),
            name,
            ..Default::default()
        }),
        update_mask: mask(&["display_name"]),
        request_id: composer.request_id(),
    };
    Request::new(composer.staff(), &message)
}

fn archive(composer: &mut Composer<'_>) -> Request {
    let name = composer.class();
    let message = ArchiveClassRequest {
        etag: composer.etag(&name),
        name,
        request_id: composer.request_id(),
    };
    Request::new(composer.staff(), &message)
}

fn unarchive(composer: &mut Composer<'_>) -> Request {
    let name = composer.class();
    let message = UnarchiveClassRequest {
        etag: composer.etag(&name),
        name,
        request_id: composer.request_id(),
    };
    Request::new(composer.staff(), &message)
}

fn delete(composer: &mut Composer<'_>) -> Request {
    let name = composer.class();
    let message = DeleteClassRequest {
        etag: composer.etag(&name),
        name,
        request_id: composer.request_id(),
    };
    Request::new(composer.staff(), &message)
}

fn transfer(composer: &mut Composer<'_>) -> Request {
    let name = composer.class();
    let message = TransferClassOwnershipRequest {
        etag: composer.etag(&name),
        name,
        owner: composer.anyone(),
        request_id: composer.request_id(),
    };
    Request::new(composer.staff(), &message)
}
