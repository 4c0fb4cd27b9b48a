//! `EventService` of both services.

use homeroom_api::common::v1::{ListEventsRequest, ListEventsResponse, WatchEventsRequest};

use super::{
    Method,
    composer::{Caller, Composer, Request},
    read,
};
use crate::world::World;

const OF_MEMBERSHIP: &str = "homeroom.membership.v1.EventService";
const OF_INVITATIONS: &str = "homeroom.invitations.v1.EventService";

pub(super) const METHODS: &[Method] = &[
    Method::new(OF_MEMBERSHIP, "ListEvents", 1, list).learning(learn),
    Method::new(OF_MEMBERSHIP, "WatchEvents", 1, watch),
    Method::new(OF_INVITATIONS, "ListEvents", 1, list).learning(learn),
    Method::new(OF_INVITATIONS, "WatchEvents", 1, watch),
];

fn learn(world: &mut World, answer: &[u8]) {
    let page: ListEventsResponse = read(answer);
    world
        .page_tokens
        .insert("events".to_owned(), page.next_page_token);
}

fn caller(composer: &mut Composer<'_>) -> Caller {
    if composer.dice.chance(30) {
        Caller::Platform
    } else {
        composer.staff()
    }
}

fn list(composer: &mut Composer<'_>) -> Request {
    let message = ListEventsRequest {
        parent: composer.place(),
        page_size: composer.page_size(),
        page_token: composer.page_token("events"),
    };
    Request::new(caller(composer), &message)
}

fn watch(composer: &mut Composer<'_>) -> Request {
    let message = WatchEventsRequest {
        parent: composer.place(),
        page_token: String::new(),
    };
    Request::new(caller(composer), &message)
}
