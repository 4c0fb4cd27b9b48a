//! `TokenService`.

use homeroom_api::invitations::v1::{
    BatchCreateTokensRequest, BatchCreateTokensResponse, CreateTokenRequest, GetInviteTokenRequest,
    GetTokenRequest, InviteToken, ListTokensRequest, ListTokensResponse, ResetInviteTokenRequest,
    ResetInviteTokenResponse, RevealTokenRequest, RevealTokenResponse, RevokeTokenRequest,
    RevokeTokenResponse, Token, UpdateInviteTokenRequest, UpdateTokenRequest,
    batch_create_tokens_response::result::Outcome,
};

use super::{
    Method,
    composer::{Composer, Effect, Request, mask},
    read,
};
use crate::world::World;

const SERVICE: &str = "homeroom.invitations.v1.TokenService";

pub(super) const METHODS: &[Method] = &[
    Method::new(SERVICE, "GetInviteToken", 3, get_invite_token)
        .learning(|world, answer| learn_invite_token(world, read(answer))),
    Method::new(SERVICE, "UpdateInviteToken", 1, update_invite_token)
        .learning(|world, answer| learn_invite_token(world, read(answer)))
        .agreeing_on(|answer| read::<InviteToken>(answer).etag.into_bytes()),
    Method::new(SERVICE, "ResetInviteToken", 3, reset_invite_token)
        .learning(|world, answer| {
            let response: ResetInviteTokenResponse = read(answer);
            learn_invite_token(world, response.invite_token.unwrap_or_default());
        })
        .agreeing_on(|answer| {
            let response: ResetInviteTokenResponse = read(answer);
            response.invite_token.unwrap_or_default().etag.into_bytes()
        }),
    Method::new(SERVICE, "CreateToken", 5, create)
        .learning(|world, answer| learn(world, read(answer)))
        .agreeing_on(|answer| name_and_etag(&read(answer))),
    Method::new(SERVICE, "BatchCreateTokens", 2, create_many)
        .learning(|world, answer| {
            for token in tokens_of(answer) {
                learn(world, token);
            }
        })
        .agreeing_on(|answer| tokens_of(answer).iter().flat_map(name_and_etag).collect()),
    Method::new(SERVICE, "GetToken", 1, get).learning(|world, answer| learn(world, read(answer))),
    Method::new(SERVICE, "ListTokens", 1, list).learning(|world, answer| {
        let page: ListTokensResponse = read(answer);
        world
            .page_tokens
            .insert("tokens".to_owned(), page.next_page_token);
    }),
    Method::new(SERVICE, "UpdateToken", 2, update)
        .learning(|world, answer| learn(world, read(answer)))
        .agreeing_on(|answer| name_and_etag(&read(answer))),
    Method::new(SERVICE, "RevokeToken", 4, revoke).agreeing_on(|answer| {
        let response: RevokeTokenResponse = read(answer);
        name_and_etag(&response.token.unwrap_or_default())
    }),
    Method::new(SERVICE, "RevealToken", 1, reveal).learning(|world, answer| {
        let response: RevealTokenResponse = read(answer);
        learn(world, response.token.unwrap_or_default());
    }),
];

fn name_and_etag(token: &Token) -> Vec<u8> {
    format!("{} {}", token.name, token.etag).into_bytes()
}

fn tokens_of(answer: &[u8]) -> Vec<Token> {
    let response: BatchCreateTokensResponse = read(answer);
    let tokens = response
        .results
        .into_iter()
        .map(|result| match result.outcome {
            Some(Outcome::Token(token)) => Some(token),
            _ => None,
        });
    tokens.flatten().collect()
}

fn learn(world: &mut World, token: Token) {
    if !token.name.contains("/tokens/") {
        return;
    }
    World::note(&mut world.tokens, &token.name);
    // Masked tokens have no URL.
    if !token.invite_url.is_empty() {
        world.hand_out(&token.phrase, &token.name);
        world.hand_out(&token.invite_url, &token.name);
    }
    world.etags.insert(token.name, token.etag);
}

fn learn_invite_token(world: &mut World, token: InviteToken) {
    world.hand_out(&token.token, &token.name);
    world.hand_out(&token.invite_url, &token.name);
    world.etags.insert(token.name, token.etag);
}

fn invite_token(composer: &mut Composer<'_>) -> String {
    format!("{}/inviteToken", composer.organization())
}

fn get_invite_token(composer: &mut Composer<'_>) -> Request {
    let name = invite_token(composer);
    Request::new(composer.staff(), &GetInviteTokenRequest { name })
}

fn update_invite_token(composer: &mut Composer<'_>) -> Request {
    let name = invite_token(composer);
    let message = UpdateInviteTokenRequest {
        invite_token: Some(InviteToken {
            expire_time: Some(composer.time(0, 24 * 60)),
            etag: composer.etag(&name),
            name,
            ..Default::default()
        }),
        update_mask: mask(&["expire_time"]),
        request_id: composer.request_id(),
    };
    Request::new(composer.staff(), &message)
}

fn reset_invite_token(composer: &mut Composer<'_>) -> Request {
    let name = invite_token(composer);
    let ends = Effect::Ends(composer.world.texts_of(&name));
    let message = ResetInviteTokenRequest {
        etag: composer.etag(&name),
        name,
        request_id: composer.request_id(),
    };
    Request::new(composer.staff(), &message).with_effect(ends)
}

/// Returns a token with few uses, sometimes for one person alone.
fn token(composer: &mut Composer<'_>) -> Token {
    let assigned = composer.dice.chance(15);
    let person = composer.student();
    let assigned_email = if assigned {
        composer.user(&person).email
    } else {
        String::new()
    };
    Token {
        max_uses: if assigned {
            None
        } else {
            Some(*composer.dice.pick(&[0, 1, 1, 2, 3]))
        },
        assigned_email,
        display_name: "A token".to_owned(),
        expire_time: composer.dice.chance(20).then(|| composer.time(-1, 72)),
        words: *composer.dice.pick(&[0, 2, 3, 4]),
        ..Default::default()
    }
}

fn create(composer: &mut Composer<'_>) -> Request {
    let message = CreateTokenRequest {
        parent: composer.class(),
        token: Some(token(composer)),
        request_id: composer.request_id(),
    };
    Request::new(composer.staff(), &message)
}

fn create_many(composer: &mut Composer<'_>) -> Request {
    let count = composer.dice.between(1, 3);
    let message = BatchCreateTokensRequest {
        parent: composer.class(),
        tokens: (0..count).map(|_| token(composer)).collect(),
        request_id: composer.request_id(),
    };
    Request::new(composer.staff(), &message)
}

fn known(composer: &mut Composer<'_>) -> String {
    let absent = format!("{}/tokens", composer.world.classes[0]);
    composer.known(&composer.world.tokens, &absent)
}

fn get(composer: &mut Composer<'_>) -> Request {
    let name = known(composer);
    Request::new(composer.staff(), &GetTokenRequest { name })
}

fn list(composer: &mut Composer<'_>) -> Request {
    let message = ListTokensRequest {
        parent: composer.class(),
        page_size: composer.page_size(),
        page_token: composer.page_token("tokens"),
        filter: String::new(),
    };
    Request::new(composer.staff(), &message)
}

fn update(composer: &mut Composer<'_>) -> Request {
    let name = known(composer);
    let message = UpdateTokenRequest {
        token: Some(Token {
            max_uses: Some(i32::try_from(composer.dice.between(0, 4)).unwrap_or(0)),
            etag: composer.etag(&name),
            name,
            ..Default::default()
        }),
        update_mask: mask(&["max_uses"]),
        request_id: composer.request_id(),
    };
    Request::new(composer.staff(), &message)
}

fn revoke(composer: &mut Composer<'_>) -> Request {
    let name = known(composer);
    let ends = Effect::Ends(composer.world.texts_of(&name));
    let message = RevokeTokenRequest {
        etag: composer.etag(&name),
        name,
        request_id: composer.request_id(),
    };
    Request::new(composer.staff(), &message).with_effect(ends)
}

fn reveal(composer: &mut Composer<'_>) -> Request {
    let name = known(composer);
    Request::new(composer.staff(), &RevealTokenRequest { name })
}
