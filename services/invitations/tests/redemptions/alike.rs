//! Codes that read alike (B4): O and 0, and I, L and 1, make no difference, except where two codes of an earlier
//! version differ only by them.

use chrono::TimeDelta;
use homeroom_api::{common::v1::ErrorReason, ids::OrganizationId, names::Place};
use homeroom_invitations::{
    domain::invitation::InvitationKind, limiter::GuessScope, store::InvitationRow,
};

use crate::world::{CODE, World, class, organization, save_profile, set_secret};

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
    let unfolded = "UPDATE invitations SET folded_mac = NULL, folded_lookup_mac = NULL";
    world.tamper(unfolded).await;
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
    let phrase = world.invitation(InvitationKind::ClassToken, "lily-silver", |_| {});
    phrase.await;
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
    let of_chemistry = |row: &mut InvitationRow| row.invitation.place = chemistry();
    code(&world, "HAMILTON-BI0101", of_chemistry).await;
    let off = |row: &mut InvitationRow| row.enabled = false;
    code(&world, "HAMILTON-GEO7", off).await;
    code(&world, "HAMILTON-GE07", of_chemistry).await;
    for folded in [false, true] {
        if folded {
            assert_eq!(world.app.fold_codes_once().await.unwrap(), 4);
        } else {
            as_of_old(&world).await;
        }
        assert_eq!(leads_to(&world, "HAMILTON-BIO101").await, Some(class()));
        let typed = leads_to(&world, "hamilton bi0 101").await;
        assert_eq!(typed, Some(chemistry()));
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
    // Another code is written as an earlier version does, which leaves the folded form as it was.
    let folded = world.stored(id).await.secret.unwrap().folded_mac.unwrap();
    let keys = world.app.keys.clone();
    world
        .change(id, |row| set_secret(row, "HAMILTON-OTHER7", &keys))
        .await;
    let hex = folded
        .iter()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let as_it_was = format!(
        "UPDATE invitations SET folded_mac = unhex('{hex}'), folded_lookup_mac = unhex('00')"
    );
    world.tamper(&as_it_was).await;
    assert_eq!(leads_to(&world, "HAMILTON-BI0101").await, None);
    assert_eq!(world.stored(id).await.secret.unwrap().folded_mac, None);
    // The current code is folded in its turn.
    assert_eq!(world.app.fold_codes_once().await.unwrap(), 1);
    assert_eq!(leads_to(&world, "HAMILTON-0THER7").await, Some(class()));
    let deleted = "UPDATE invitations SET lookup_mac = NULL, sealed = NULL, delete_time = 1";
    world.tamper(deleted).await;
    assert_eq!(leads_to(&world, "HAMILTON-0THER7").await, None);
    assert_eq!(world.app.fold_codes_once().await.unwrap(), 0);
}

/// Makes an organization whose prefix reads like that of Hamilton, as earlier versions allowed.
async fn ham1lton(world: &World) -> OrganizationId {
    let id = OrganizationId::parse("ham1lton").unwrap();
    save_profile(&world.app.store, &id).await;
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
    let world = World::limited(|budgets| budgets.organization_daily_min = 1).await;
    let guarded = async |id: &OrganizationId| {
        let scopes = [GuessScope::Organization(id.clone())];
        world.app.redemptions.limiter.guarded(&scopes).await[0]
    };
    let guess = async |code: &str| {
        for user in ["eve", "mallory"] {
            world.redeem(user, code, "").await.unwrap_err();
        }
    };
    guess("HAM1LT0N-WRONG7").await;
    assert!(guarded(&organization()).await);
    // If the prefix is exactly another organization's, the guess counts for that one.
    let other = ham1lton(&world).await;
    guess("HAMILTON-WRONG9").await;
    assert!(!guarded(&other).await);
    guess("HAM1LTON-WRONG8").await;
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
        world.advance(TimeDelta::minutes(1));
        world.redeem("ann", text, "").await.unwrap_err();
        let newest = world.refused_attempts().await.remove(0);
        let place = place.map(|place| Place::parse(place).unwrap());
        assert_eq!(newest.place, place, "{text}");
    }
}
