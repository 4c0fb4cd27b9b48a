//! `JoinUrlService`.

use homeroom_api::invitations::v1::{GetJoinUrlRequest, JoinUrl, UpdateJoinUrlRequest};

use super::{
    Method,
    composer::{Composer, Effect, Request, mask},
    read,
};
use crate::world::World;

const SERVICE: &str = "homeroom.invitations.v1.JoinUrlService";

pub(super) const METHODS: &[Method] = &[
    Method::new(SERVICE, "GetJoinUrl", 4, get).learning(|world, answer| learn(world, read(answer))),
    Method::new(SERVICE, "UpdateJoinUrl", 4, update)
        .learning(|world, answer| learn(world, read(answer)))
        .agreeing_on(|answer| read::<JoinUrl>(answer).etag.into_bytes()),
];

fn learn(world: &mut World, url: JoinUrl) {
    if !url.name.is_empty() {
        world.hand_out(&url.url, &url.name);
        world.etags.insert(url.name, url.etag);
    }
}

fn get(composer: &mut Composer<'_>) -> Request {
    let name = format!("{}/joinUrl", composer.class());
    Request::new(composer.staff(), &GetJoinUrlRequest { name })
}

fn update(composer: &mut Composer<'_>) -> Request {
    let name = format!("{}/joinUrl", composer.class());
    let enabled = composer.dice.chance(40);
    let effect = if enabled {
        Effect::Revives(vec![name.clone()])
    } else {
        Effect::Ends(composer.world.texts_of(&name))
    };
    let message = UpdateJoinUrlRequest {
        join_url: Some(JoinUrl {
            enabled,
            etag: composer.etag(&name),
            name,
            ..Default::default()
        }),
        update_mask: mask(&["enabled"]),
        request_id: composer.request_id(),
    };
    Request::new(composer.staff(), &message).with_effect(effect)
}
