//! Codes that read alike (B4): O and 0, and I, L and 1, make no difference, except where two codes of an earlier
//! version differ only by them.

use homeroom_api::{common::v1::ErrorReason, ids::OrganizationId, names::Place};
use homeroom_invitations::{
    domain::invitation::InvitationKind,
    limiter::{Budgets, GuessScope},
    store::{InvitationRow, OrganizationProfile},
};

use crate::world::{CODE, World, class, organization, start};

/// Returns another class of the same organization.
fn chemistry() -> Place {
    Place::parse("organizations/hamilton/classes/chem-202").unwrap()
}

async fn code(world: &World, text: &str, change: impl FnOnce(&mut InvitationRow)) {
    world
        .invitation(InvitationKind::EnrollmentCode, text, change)
        .await;
}

/// Makes every code one that an earlier version stored.
async fn as_of_old(world: &World) {
    world
        .tamper("UPDATE invitations SET folded_mac = NULL, folded_lookup_mac = NULL")
        .await;
}

/// Returns the place that the text leads a new person to; None if it opens nothing.
async fn leads_to(world: &World, text: &str) -> Option<Place> {
    let name = format!("reader-{}", world.redemptions().await.len());
    match world.redeem(&name, text, "").await {
        Ok(redeemed) => Some(redeemed.place),
        Err(refused) => {
            assert_eq!(refused.reason(), ErrorReason::CodeNotUsable, "{text}");
            None
        }
    }
}

#[tokio::test]
async fn u4_phrases_are_not_folded() {
    let world = World::new().await;
    world
        .invitation(InvitationKind::ClassToken, "lily-silver", |_| {})
        .await;
    for (text, is_found) in [
        ("lily silver", true),
        ("1i1y si1ver", false),
        ("IiIy siIver", false),
        // Two words of the list.
        ("lily sliver", false),
    ] {
        assert_eq!(leads_to(&world, text).await.is_some(), is_found, "{text}");
    }
}

#[tokio::test]
async fn u4_codes_of_old_that_collide_keep_working_as_typed() {
    let world = World::new().await;
    code(&world, "HAMILTON-BIO101", |_| {}).await;
    code(&world, "HAMILTON-BI0101", |row| {
        row.invitation.place = chemistry();
    })
    .await;
    let off = |row: &mut InvitationRow| row.enabled = false;
    code(&world, "HAMILTON-GEO7", off).await;
    code(&world, "HAMILTON-GE07", |row| {
        row.invitation.place = chemistry();
    })
    .await;
    for folded in [false, true] {
        if folded {
            assert_eq!(world.app.fold_codes_once().await.unwrap(), 4);
        } else {
            as_of_old(&world).await;
        }
        assert_eq!(leads_to(&world, "HAMILTON-BIO101").await, Some(class()));
        assert_eq!(
            leads_to(&world, "hamilton bi0 101").await,
            Some(chemistry())
        );
        // A text that reads like both opens neither.
        assert_eq!(leads_to(&world, "HAMILTON-BIOIOI").await, None);
        // And a text that is exactly a code that is switched off does not lead to the other one.
        assert_eq!(leads_to(&world, "HAMILTON-GEO7").await, None);
        assert_eq!(leads_to(&world, "HAMILTON-GE07").await, Some(chemistry()));
    }
    assert_eq!(world.app.fold_codes_once().await.unwrap(), 0, "once");
}

#[tokio::test]
async fn u4_a_code_of_old_is_found_as_it_reads_once_it_is_folded() {
    let world = World::new().await;
    code(&world, CODE, |_| {}).await;
    as_of_old(&world).await;
    assert_eq!(leads_to(&world, "HAMILTON-BI0101").await, None);
    assert_eq!(world.app.fold_codes_once().await.unwrap(), 1);
    assert_eq!(leads_to(&world, "HAMILTON-BI0101").await, Some(class()));
}

#[tokio::test]
async fn u4_c8_what_the_version_before_changes_or_deletes_is_found_as_it_read_no_more() {
    let world = World::new().await;
    let id = world.code(None).await;
    // Another code is written as an earlier version does, without the folded form.
    let mut changed = world.stored(id).await;
    crate::world::set_secret(&mut changed, "HAMILTON-OTHER7", &world.app.keys);
    let secret = changed.secret.unwrap();
    let mut repository = world.app.store.write().await.unwrap();
    let mut row = repository.get_invitation(id).await.unwrap().unwrap();
    let folded_before = row.secret.as_ref().unwrap().folded_mac.clone();
    row.secret = Some(secret);
    row.revision += 1;
    assert!(repository.update_invitation(&row).await.unwrap());
    repository.commit("test").await.unwrap();
    let folded_before = folded_before.unwrap();
    let hex = folded_before
        .iter()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    world
        .tamper(&format!(
            "UPDATE invitations SET folded_mac = unhex('{hex}'), folded_lookup_mac = unhex('00')"
        ))
        .await;
    assert_eq!(leads_to(&world, "HAMILTON-BI0101").await, None);
    assert_eq!(world.stored(id).await.secret.unwrap().folded_mac, None);
    // The current code is folded in its turn.
    assert_eq!(world.app.fold_codes_once().await.unwrap(), 1);
    assert_eq!(leads_to(&world, "HAMILTON-0THER7").await, Some(class()));
    world
        .tamper("UPDATE invitations SET lookup_mac = NULL, sealed = NULL, delete_time = 1")
        .await;
    assert_eq!(leads_to(&world, "HAMILTON-0THER7").await, None);
    assert_eq!(world.app.fold_codes_once().await.unwrap(), 0);
}

/// Makes an organization whose prefix reads like that of Hamilton, as earlier versions allowed.
async fn ham1lton(world: &World) -> OrganizationId {
    let id = OrganizationId::parse("ham1lton").unwrap();
    let mut repository = world.app.store.write().await.unwrap();
    let profile = OrganizationProfile {
        organization: id.clone(),
        code_prefix: "HAM1LTON".to_owned(),
        display_name: "Ham1lton".to_owned(),
        seat_limit: 0,
    };
    repository.save_profile(&profile, start()).await.unwrap();
    repository.commit("test").await.unwrap();
    id
}

#[tokio::test]
async fn u4_ham1lton_does_not_shadow_hamilton() {
    let world = World::new().await;
    let other = Place::Organization(ham1lton(&world).await);
    code(&world, "HAMILTON-BIO101", |_| {}).await;
    code(&world, "HAM1LTON-BIO101", |row| {
        row.invitation.place = other.clone();
    })
    .await;
    code(&world, "HAMILTON-CHEM202", |_| {}).await;
    assert_eq!(leads_to(&world, "HAMILTON-BIO101").await, Some(class()));
    assert_eq!(leads_to(&world, "HAM1LTON-BIO101").await, Some(other));
    assert_eq!(leads_to(&world, "HAMLLTON-BIO101").await, None);
    // This is a code that only Hamilton has.
    assert_eq!(leads_to(&world, "HAM1LTON-CHEM202").await, Some(class()));
}

#[tokio::test]
async fn u4_r10_a_guess_counts_for_the_organization_whose_prefix_it_reads_like() {
    let world = World::with_budgets(Budgets {
        organization_daily_min: 1,
        ..Budgets::default()
    })
    .await;
    let guarded = async |id: &OrganizationId| {
        let scopes = [GuessScope::Organization(id.clone())];
        world.app.redemptions.limiter.guarded(&scopes).await[0]
    };
    for user in ["eve", "mallory"] {
        world.redeem(user, "HAM1LT0N-WRONG7", "").await.unwrap_err();
    }
    assert!(guarded(&organization()).await);
    // If the prefix is exactly another organization's, the guess counts for that one.
    let other = ham1lton(&world).await;
    for user in ["eve", "mallory"] {
        world.redeem(user, "HAMILTON-WRONG9", "").await.unwrap_err();
    }
    assert!(!guarded(&other).await);
    for user in ["eve", "mallory"] {
        world.redeem(user, "HAM1LTON-WRONG8", "").await.unwrap_err();
    }
    assert!(guarded(&other).await);
}

#[tokio::test]
async fn u4_i8_what_several_prefixes_read_like_is_filed_under_none() {
    let world = World::new().await;
    ham1lton(&world).await;
    for (text, place) in [
        ("HAMILTON-WRONG7", Some("organizations/hamilton")),
        ("HAM1LTON-WRONG7", Some("organizations/ham1lton")),
        ("HAMLLTON-WRONG7", None),
    ] {
        world.advance(chrono::TimeDelta::minutes(1));
        world.redeem("ann", text, "").await.unwrap_err();
        world.quiet().await;
        let platform =
            crate::world::caller("operator").with_scopes([homeroom_kit::auth::Scope::Platform]);
        let listed = crate::world::list_refused_attempts(&world.app, &platform, None, (1, "", ""));
        let newest = listed.await.unwrap().items.remove(0);
        let place = place.map(|place| Place::parse(place).unwrap());
        assert_eq!(newest.place, place, "{text}");
    }
}
