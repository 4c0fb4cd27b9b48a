//! `EnrollmentCodeService`.

use homeroom_api::invitations::v1::{
    CreateEnrollmentCodeRequest, DeleteEnrollmentCodeRequest, EnrollmentCode,
    GetEnrollmentCodeRequest, ListEnrollmentCodesRequest, ListEnrollmentCodesResponse,
    UpdateEnrollmentCodeRequest,
};

use super::{
    Method,
    composer::{Composer, Effect, Request, mask},
    read,
};
use crate::world::World;

const SERVICE: &str = "homeroom.invitations.v1.EnrollmentCodeService";
/// The words of codes; few, so that some are already taken.
const CODES: &[&str] = &["BIO101", "ART-2026", "MUSIC CLASS 7", "HISTORYOFTHEWORLD"];

pub(super) const METHODS: &[Method] = &[
    Method::new(SERVICE, "CreateEnrollmentCode", 6, create)
        .learning(|world, answer| learn(world, read(answer)))
        .agreeing_on(|answer| name_and_etag(&read(answer))),
    Method::new(SERVICE, "GetEnrollmentCode", 1, get)
        .learning(|world, answer| learn(world, read(answer))),
    Method::new(SERVICE, "ListEnrollmentCodes", 1, list).learning(|world, answer| {
        let page: ListEnrollmentCodesResponse = read(answer);
        world
            .page_tokens
            .insert("enrollment_codes".to_owned(), page.next_page_token);
    }),
    Method::new(SERVICE, "UpdateEnrollmentCode", 7, update)
        .learning(|world, answer| learn(world, read(answer)))
        .agreeing_on(|answer| name_and_etag(&read(answer))),
    Method::new(SERVICE, "DeleteEnrollmentCode", 3, delete),
];

fn name_and_etag(code: &EnrollmentCode) -> Vec<u8> {
    format!("{} {}", code.name, code.etag).into_bytes()
}

fn learn(world: &mut World, code: EnrollmentCode) {
    if code.name.contains("/enrollmentCodes/") {
        World::note(&mut world.enrollment_codes, &code.name);
        world.hand_out(&code.full_code, &code.name);
        world.etags.insert(code.name, code.etag);
    }
}

/// Returns the effect of a changed code, which may make a code that somebody typed before work
/// again.
fn revived_by(code: &str) -> Effect {
    Effect::Revives(vec![code.to_owned()])
}

fn code(composer: &mut Composer<'_>) -> EnrollmentCode {
    let text = (*composer.dice.pick(CODES)).to_owned();
    EnrollmentCode {
        code: text,
        valid_from_time: composer.dice.chance(15).then(|| composer.time(24, 48)),
        valid_till_time: composer.dice.chance(20).then(|| composer.time(-1, 24 * 20)),
        email_domains: if composer.dice.chance(25) {
            vec!["hamiltonschools.org".to_owned()]
        } else {
            Vec::new()
        },
        enabled: composer.dice.chance(10).then_some(false),
        max_uses: Some(*composer.dice.pick(&[0, 1, 1, 2, 3])),
        allow_rejoin: composer.dice.chance(30),
        ..Default::default()
    }
}

fn create(composer: &mut Composer<'_>) -> Request {
    let enrollment_code = code(composer);
    let effect = revived_by(&enrollment_code.code);
    let message = CreateEnrollmentCodeRequest {
        parent: composer.place(),
        enrollment_code: Some(enrollment_code),
        acknowledge_weak: composer.dice.chance(95),
        request_id: composer.request_id(),
    };
    Request::new(composer.staff(), &message).with_effect(effect)
}

fn known(composer: &mut Composer<'_>) -> String {
    let absent = format!("{}/enrollmentCodes", composer.world.classes[0]);
    composer.known(&composer.world.enrollment_codes, &absent)
}

fn get(composer: &mut Composer<'_>) -> Request {
    let name = known(composer);
    Request::new(composer.staff(), &GetEnrollmentCodeRequest { name })
}

fn list(composer: &mut Composer<'_>) -> Request {
    let message = ListEnrollmentCodesRequest {
        parent: composer.place(),
        page_size: composer.page_size(),
        page_token: composer.page_token("enrollment_codes"),
        filter: composer.filter(&["enabled = true", "enabled = false"]),
    };
    Request::new(composer.staff(), &message)
}

fn update(composer: &mut Composer<'_>) -> Request {
    let name = known(composer);
    let texts = composer.world.texts_of(&name);
    let mut changed = code(composer);
    let (path, effect) = match composer.dice.weighted([40, 12, 20, 20, 8].into_iter()) {
        0 => {
            changed.enabled = Some(false);
            ("enabled", Effect::Ends(texts))
        }
        1 => {
            changed.enabled = Some(true);
            ("enabled", Effect::Revives(vec![name.clone()]))
        }
        // A code that stays the same ends no credential.
        2 => ("code", revived_by(&changed.code)),
        3 => ("max_uses", Effect::Nothing),
        _ => ("valid_till_time", Effect::Nothing),
    };
    changed.etag = composer.etag(&name);
    changed.name = name;
    let message = UpdateEnrollmentCodeRequest {
        enrollment_code: Some(changed),
        update_mask: mask(&[path]),
        acknowledge_weak: true,
        request_id: composer.request_id(),
    };
    Request::new(composer.staff(), &message).with_effect(effect)
}

fn delete(composer: &mut Composer<'_>) -> Request {
    let name = known(composer);
    let ends = Effect::Ends(composer.world.texts_of(&name));
    let message = DeleteEnrollmentCodeRequest {
        etag: composer.etag(&name),
        name,
        request_id: composer.request_id(),
    };
    Request::new(composer.staff(), &message).with_effect(ends)
}
