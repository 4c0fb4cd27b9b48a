//! `ClassCodeService`.

use homeroom_api::invitations::v1::{
    ClassCode, GetClassCodeRequest, LockClassCodeRequest, LockClassCodeResponse,
    ResetClassCodeRequest, ResetClassCodeResponse, UnlockClassCodeRequest, UnlockClassCodeResponse,
    UpdateClassCodeRequest,
};

use super::{
    Method,
    composer::{Composer, Effect, Request, mask},
    read,
};
use crate::world::World;

const SERVICE: &str = "homeroom.invitations.v1.ClassCodeService";

pub(super) const METHODS: &[Method] = &[
    Method::new(SERVICE, "GetClassCode", 6, get)
        .learning(|world, answer| learn(world, read(answer))),
    Method::new(SERVICE, "UpdateClassCode", 2, update)
        .learning(|world, answer| learn(world, read(answer)))
        .agreeing_on(|answer| read::<ClassCode>(answer).etag.into_bytes()),
    Method::new(SERVICE, "LockClassCode", 4, lock)
        .learning(|world, answer| learn(world, locked(answer)))
        .agreeing_on(|answer| locked(answer).etag.into_bytes()),
    Method::new(SERVICE, "UnlockClassCode", 3, unlock)
        .learning(|world, answer| learn(world, unlocked(answer)))
        .agreeing_on(|answer| unlocked(answer).etag.into_bytes()),
    Method::new(SERVICE, "ResetClassCode", 9, reset)
        .learning(|world, answer| learn(world, made_anew(answer)))
        .agreeing_on(|answer| made_anew(answer).etag.into_bytes()),
];

fn locked(answer: &[u8]) -> ClassCode {
    read::<LockClassCodeResponse>(answer)
        .class_code
        .unwrap_or_default()
}

fn unlocked(answer: &[u8]) -> ClassCode {
    read::<UnlockClassCodeResponse>(answer)
        .class_code
        .unwrap_or_default()
}

fn made_anew(answer: &[u8]) -> ClassCode {
    read::<ResetClassCodeResponse>(answer)
        .class_code
        .unwrap_or_default()
}

fn learn(world: &mut World, code: ClassCode) {
    if !code.name.is_empty() {
        world.hand_out(&code.code, &code.name);
        world.hand_out(&code.join_link, &code.name);
        world.etags.insert(code.name, code.etag);
    }
}

fn name(composer: &mut Composer<'_>) -> String {
    format!("{}/classCode", composer.class())
}

fn get(composer: &mut Composer<'_>) -> Request {
    let name = name(composer);
    Request::new(composer.staff(), &GetClassCodeRequest { name })
}

fn update(composer: &mut Composer<'_>) -> Request {
    let name = name(composer);
    let seconds = *composer.dice.pick(&[0, 3_600, 86_400, 14 * 86_400]);
    let message = UpdateClassCodeRequest {
        class_code: Some(ClassCode {
            lock_period: Some(prost_types::Duration { seconds, nanos: 0 }),
            etag: composer.etag(&name),
            name,
            ..Default::default()
        }),
        update_mask: mask(&["lock_period"]),
        request_id: composer.request_id(),
    };
    Request::new(composer.staff(), &message)
}

fn lock(composer: &mut Composer<'_>) -> Request {
    let name = name(composer);
    let message = LockClassCodeRequest {
        etag: composer.etag(&name),
        name,
        request_id: composer.request_id(),
    };
    Request::new(composer.staff(), &message)
}

fn unlock(composer: &mut Composer<'_>) -> Request {
    let name = name(composer);
    let message = UnlockClassCodeRequest {
        etag: composer.etag(&name),
        name,
        request_id: composer.request_id(),
    };
    Request::new(composer.staff(), &message)
}

fn reset(composer: &mut Composer<'_>) -> Request {
    let name = name(composer);
    let ends = Effect::Ends(composer.world.texts_of(&name));
    let message = ResetClassCodeRequest {
        etag: composer.etag(&name),
        name,
        request_id: composer.request_id(),
    };
    Request::new(composer.staff(), &message).with_effect(ends)
}
