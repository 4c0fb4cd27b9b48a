//! The keys of stored secrets, on both engines: rotation row by row, and the refusal of keys that do not belong to the
//! database.

use std::{collections::BTreeMap, pin::pin, sync::Arc, time::Duration};

use homeroom_api::{ids::CodePrefix, names::Place};
use homeroom_invitations::{
    app::{
        check_keys::{KeysRefused, check_and_note},
        rotate_keys::{Progress, RotateError, Rotated, rotate_keys},
        secrets::{NotRotated, Secrets},
    },
    domain::audit_entry::AuditFilter,
    domain::{
        invitation::InvitationKind,
        lock::{Lock, LockPeriod},
        ways::enrollment_code::EnrollmentCode,
    },
    store::{
        InvitationRow, KeyCheck, OrganizationProfile, RotatedSecret, RowLock, Store, StoredSecret,
    },
};
use homeroom_kit::{
    clock::ManualClock, keys::KeyRing, random::SystemRandomness, secret::SecretText,
};

use uuid::Uuid;

use crate::{
    databases::on_both_engines,
    rows::{class, get, id, insert, now, organization, update},
};

const ONE: &str = "1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const OTHER_ONE: &str = "1:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
const TWO: &str = "2:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
/// The number of rows in one transaction: fewer than there are.
const BATCH_ROWS: u32 = 2;

fn ring(entries: &[&str]) -> KeyRing {
    KeyRing::parse(&entries.join(",")).unwrap()
}

/// Returns an invitation whose secret is stored under the ring's current key.
fn stored(number: u128, kind: InvitationKind, text: &str, keys: &KeyRing) -> InvitationRow {
    let mut row = InvitationRow::new(id(number), kind, class(), now());
    if kind == InvitationKind::ClassCode {
        row.invitation.lock = Some(Lock::open(now(), LockPeriod::NEVER));
    }
    let shown = SecretText::new(text);
    let canonical = match kind {
        InvitationKind::EnrollmentCode => EnrollmentCode::parse(text)
            .unwrap()
            .full_canonical(&CodePrefix::parse("HAM").unwrap()),
        _ => shown.clone(),
    };
    let secrets = Secrets::new(keys, &SystemRandomness);
    row.secret = Some(secrets.store(&row.invitation, &canonical, &shown).unwrap());
    row
}

fn token(number: u128, keys: &KeyRing) -> InvitationRow {
    let text = format!("phrase-{number}");
    stored(number, InvitationKind::ClassToken, &text, keys)
}

async fn save_prefix(store: &Arc<Store>) {
    let mut session = store.write().await.unwrap();
    let profile = OrganizationProfile {
        organization: organization("hamilton"),
        code_prefix: "HAM".to_owned(),
        display_name: String::new(),
        seat_limit: 0,
    };
    session.save_profile(&profile, now()).await.unwrap();
    session.commit("test").await.unwrap();
}

async fn note(store: &Arc<Store>, entries: &[&str]) -> Result<(), KeysRefused> {
    check_and_note(store.as_ref(), &ring(entries), now()).await
}

async fn rotate(store: &Arc<Store>, entries: &[&str]) -> Result<Rotated, RotateError> {
    rotate_telling(store, entries, BATCH_ROWS, |_| {}).await
}

async fn rotate_telling(
    store: &Arc<Store>,
    entries: &[&str],
    batch_rows: u32,
    tell: impl FnMut(Progress) + Send,
) -> Result<Rotated, RotateError> {
    let (keys, clock) = (ring(entries), ManualClock::new(now()));
    let (store, random) = (store.as_ref(), &SystemRandomness);
    rotate_keys(store, &keys, &clock, random, batch_rows, tell).await
}

async fn under(store: &Arc<Store>, version: u32) -> u64 {
    let mut session = store.read().await.unwrap();
    session.count_of_key_version(version).await.unwrap()
}

async fn every_kind_is_stored_anew_and_nothing_else_of_its_row(store: Arc<Store>) {
    let one = ring(&[ONE]);
    let mut before = vec![
        stored(1, InvitationKind::OrganizationToken, "TOKEN", &one),
        stored(2, InvitationKind::ClassToken, "happy-panda", &one),
        stored(3, InvitationKind::EnrollmentCode, "BIO-101", &one),
        stored(4, InvitationKind::ClassCode, "0123456789AB", &one),
        stored(5, InvitationKind::JoinUrl, "JOINKEY", &one),
        token(6, &one),
        token(7, &ring(&[ONE, TWO])),
    ];
    before[0].invitation.place = Place::Organization(organization("hamilton"));
    let (text, secrets) = (
        SecretText::new("TOKEN"),
        Secrets::new(&one, &SystemRandomness),
    );
    before[0].secret = secrets.store(&before[0].invitation, &text, &text).ok();
    // A destroyed secret is not rotated.
    before[5].secret = None;
    insert(&store, &before).await;
    save_prefix(&store).await;
    note(&store, &[ONE, TWO]).await.unwrap();
    assert_eq!(under(&store, 1).await, 5);

    let mut progress = Vec::new();
    let tell = |made| progress.push(made);
    let rotated = rotate_telling(&store, &[ONE, TWO], BATCH_ROWS, tell).await;
    let rotated = rotated.unwrap();
    assert_eq!((rotated.current, rotated.rotated), (2, 5));
    assert_eq!(rotated.left, BTreeMap::from([(1, 0)]));
    assert_eq!(rotated.not_rotated, BTreeMap::new());
    let at = |rotated| Progress {
        version: 1,
        rotated,
        of: 5,
    };
    assert_eq!(progress, [at(2), at(4), at(5)]);
    // R12: each transaction writes an entry.
    let mut session = store.read().await.unwrap();
    let all = AuditFilter::default();
    let entries = session.list_audit_entries(&all, None, 9).await.unwrap();
    assert_eq!(entries.len(), progress.len());
    for entry in entries {
        let told = (
            entry.subject.as_str(),
            entry.method.as_str(),
            entry.create_time,
        );
        assert_eq!(told, ("keyVersions/2", "rotate-keys", now()));
        assert_eq!(entry.place, None);
    }
    drop(session);

    let two = ring(&[TWO]);
    let secrets = Secrets::new(&two, &SystemRandomness);
    let codes = ["TOKEN", "happy-panda", "BIO-101", "0123456789AB", "JOINKEY"];
    for (old, text) in before.iter().zip(codes) {
        let new = get(&store, old.invitation.id).await.unwrap();
        assert_eq!(secrets.show(&new).unwrap().unwrap().expose(), text);
        let canonical = if text == "BIO-101" { "HAMBIO101" } else { text };
        let canonical = SecretText::new(canonical);
        let macs = secrets.look_up(new.invitation.kind, &canonical).macs;
        let mut session = store.read().await.unwrap();
        let found = session.find_all_by_lookup_macs(&macs).await.unwrap();
        assert_eq!(found, std::slice::from_ref(&new));
        let unchanged = InvitationRow {
            secret: old.secret.clone(),
            ..new
        };
        assert_eq!(unchanged, *old, "but for its secret");
    }
    for same in &before[5..] {
        assert_eq!(get(&store, same.invitation.id).await.as_ref(), Some(same));
    }
    assert_eq!(rotate(&store, &[ONE, TWO]).await.unwrap().rotated, 0);
}

async fn u4_a_code_is_folded_under_its_own_key_and_rotated_with_it(store: Arc<Store>) {
    let one = ring(&[ONE]);
    let mut of_old = stored(1, InvitationKind::EnrollmentCode, "BIO-101", &one);
    of_old.secret.as_mut().unwrap().folded_mac = None;
    let now_made = stored(2, InvitationKind::EnrollmentCode, "CHEM-202", &one);
    insert(&store, &[of_old.clone(), now_made, token(3, &one)]).await;
    save_prefix(&store).await;
    note(&store, &[ONE, TWO]).await.unwrap();
    let unfolded = async || {
        let mut session = store.read().await.unwrap();
        let [hamilton, nobody] = ["hamilton", "nobody"].map(organization);
        let mut of = async |whom| session.list_unfolded(whom, None, 9).await.unwrap();
        let rows = of(None).await;
        assert_eq!(of(Some(&hamilton)).await, rows);
        assert_eq!(of(Some(&nobody)).await, []);
        rows
    };
    assert_eq!(unfolded().await, [of_old]);
    assert_eq!(rotate(&store, &[ONE, TWO]).await.unwrap().rotated, 3);
    assert_eq!(unfolded().await, [], "a rotation folds");
    let two = ring(&[TWO]);
    let secrets = Secrets::new(&two, &SystemRandomness);
    for (reads, number) in [
        ("HAM81O101", None),
        ("HAMBI0L0L", Some(1)),
        ("HAMCHEM2O2", Some(2)),
    ] {
        let look_up = secrets.look_up(InvitationKind::EnrollmentCode, &SecretText::new(reads));
        let mut session = store.read().await.unwrap();
        let found = session.find_living(&[look_up], None).await.unwrap();
        let ids: Vec<_> = found.iter().map(|(_, row, _)| row.invitation.id).collect();
        assert_eq!(ids, Vec::from_iter(number.map(id)), "{reads}");
    }
}

async fn what_cannot_be_rotated_is_named_and_left(store: Arc<Store>) {
    let (one, both) = (ring(&[ONE]), ring(&[ONE, TWO]));
    let mut altered = token(1, &one);
    altered.secret.as_mut().unwrap().sealed[20] ^= 1;
    let mut exchanged = token(2, &one);
    exchanged.secret.as_mut().unwrap().lookup_mac[0] ^= 1;
    // A process that lacked the old key has made the same phrase.
    let (old, new) = (
        stored(3, InvitationKind::ClassToken, "twice", &one),
        stored(4, InvitationKind::ClassToken, "twice", &both),
    );
    let without_prefix = stored(5, InvitationKind::EnrollmentCode, "BIO-101", &one);
    let right = [token(6, &one), token(7, &one), token(8, &one)];
    let wrong = [altered, exchanged, old, new, without_prefix];
    insert(&store, &wrong).await;
    insert(&store, &right).await;
    note(&store, &[ONE, TWO]).await.unwrap();

    let rotated = rotate(&store, &[ONE, TWO]).await.unwrap();
    assert_eq!(rotated.rotated, 3);
    assert_eq!(rotated.left, BTreeMap::from([(1, 4)]));
    assert_eq!(rotated.not_rotated.len(), 4);
    for (number, why) in [
        (1, NotRotated::DoesNotOpen),
        (2, NotRotated::IsNotFoundByItself),
        (3, NotRotated::Taken),
        (5, NotRotated::PrefixUnknown),
    ] {
        let of = |(name, _): &(&String, &NotRotated)| name.ends_with(&id(number).to_string());
        let found = rotated.not_rotated.iter().find(of).unwrap();
        assert_eq!(*found.1, why);
    }
    for same in &wrong {
        assert_eq!(get(&store, same.invitation.id).await.as_ref(), Some(same));
    }
    // Once the organization is known again, its code is rotated too.
    save_prefix(&store).await;
    assert_eq!(rotate(&store, &[ONE, TWO]).await.unwrap().rotated, 1);
}

async fn rotate_one(store: &Arc<Store>, rotated: RotatedSecret) -> Vec<Uuid> {
    let mut session = store.write().await.unwrap();
    let written = session.rotate_secrets(&[rotated]).await.unwrap();
    session.commit("test").await.unwrap();
    written
}

async fn a_secret_that_changed_meanwhile_is_left_alone(store: Arc<Store>) {
    let (one, both) = (ring(&[ONE]), ring(&[ONE, TWO]));
    let read = token(1, &one);
    insert(&store, std::slice::from_ref(&read)).await;
    let rotated = |row: &InvitationRow| RotatedSecret {
        invitation_id: row.invitation.id,
        sealed_before: row.secret.clone().unwrap().sealed,
        secret: token(1, &both).secret.unwrap(),
    };
    // The secret was reset since it was read: nothing is written.
    let mut reset = stored(1, InvitationKind::ClassToken, "another", &one);
    reset.revision = 2;
    assert!(update(&store, &reset).await);
    assert!(rotate_one(&store, rotated(&read)).await.is_empty());
    assert_eq!(get(&store, read.invitation.id).await, Some(reset.clone()));

    // The secret was rotated since an edit read it: the edit stands, and so does the rotation.
    let written = rotate_one(&store, rotated(&reset)).await;
    assert_eq!(written, [reset.invitation.id]);
    let mut edited = reset.clone();
    edited.revision = 3;
    "edited".clone_into(&mut edited.display_name);
    assert!(update(&store, &edited).await);
    let now = get(&store, reset.invitation.id).await.unwrap();
    assert_eq!(now.display_name, "edited");
    assert_eq!(now.secret.unwrap().key_version, 2);

    // A new epoch's secret and a destroyed one are written in any case.
    edited.revision = 4;
    edited.invitation.epoch = edited.invitation.epoch.next();
    assert!(update(&store, &edited).await);
    assert_eq!(get(&store, id(1)).await.unwrap().secret, edited.secret);
    edited.revision = 5;
    edited.secret = None;
    assert!(update(&store, &edited).await);
    assert_eq!(get(&store, id(1)).await.unwrap().secret, None);
}

async fn a_locked_row_is_passed_over_and_seen_again(store: Arc<Store>) {
    let one = ring(&[ONE]);
    let tokens: Vec<_> = (1..=5).map(|number| token(number, &one)).collect();
    insert(&store, &tokens).await;
    note(&store, &[ONE, TWO]).await.unwrap();
    let held = store.clone();
    let (locked, is_locked) = tokio::sync::oneshot::channel();
    let (release, released) = tokio::sync::oneshot::channel();
    let holder = tokio::spawn(async move {
        let mut session = held.write().await.unwrap();
        let rows = session
            .list_of_key_version(1, None, 1, RowLock::Skipping)
            .await;
        assert_eq!(rows.unwrap()[0].invitation.id, id(1));
        locked.send(()).unwrap();
        released.await.unwrap();
        session.rollback().await;
    });
    is_locked.await.unwrap();
    let mut release = Some(release);
    let mut told = Vec::new();
    let mut letting_go = |progress: Progress| {
        told.push(progress.rotated);
        // Four of five are done while the first is held; then it is released.
        if progress.rotated == 4
            && let Some(release) = release.take()
        {
            release.send(()).unwrap();
        }
    };
    // SQLite has one writer: there it is released before.
    if store_is_sqlite(&store) {
        letting_go(Progress {
            version: 1,
            rotated: 4,
            of: 5,
        });
    }
    let rotated = rotate_telling(&store, &[ONE, TWO], 100, &mut letting_go);
    assert_eq!(rotated.await.unwrap().left, BTreeMap::from([(1, 0)]));
    holder.await.unwrap();
    assert_eq!(told.last(), Some(&5));
}

fn store_is_sqlite(store: &Arc<Store>) -> bool {
    format!("{store:?}").contains("SQLite")
}

async fn keys_of_another_database_are_refused(store: Arc<Store>) {
    // The key is recorded at the first start, before there is a secret.
    note(&store, &[ONE]).await.unwrap();
    note(&store, &[ONE]).await.unwrap();
    let refused = note(&store, &[OTHER_ONE]).await.unwrap_err();
    assert!(matches!(refused, KeysRefused::OtherKey { version: 1 }));
    let said = refused.to_string();
    assert!(said.contains("KEYS_FILE"), "{said}");
    assert!(said.contains("version 1"), "{said}");
    // A version without a record is recorded now.
    note(&store, &[ONE, TWO]).await.unwrap();
    let refused = note(&store, &[ONE, &OTHER_ONE.replace("1:", "2:")]).await;
    assert!(matches!(refused, Err(KeysRefused::OtherKey { version: 2 })));

    // Nothing is under version 1, so it may be missing; then something is.
    note(&store, &[TWO]).await.unwrap();
    insert(&store, &[token(1, &ring(&[ONE])), token(2, &ring(&[ONE]))]).await;
    let refused = note(&store, &[TWO]).await.unwrap_err();
    let said = refused.to_string();
    assert!(said.contains("version 1"), "{said}");
    assert!(said.contains("2 invitations"), "{said}");
    let refused = rotate(&store, &[TWO]).await.unwrap_err();
    let missing = matches!(
        refused,
        RotateError::Keys(KeysRefused::Missing { version: 1, .. })
    );
    assert!(missing, "{refused:?}");
}

async fn a_refused_start_notes_no_key(store: Arc<Store>) {
    // Given a process that has noted another key of version 1, and has not committed
    let noted = KeyCheck {
        key_version: 1,
        check_mac: ring(&[OTHER_ONE]).check_mac(1).to_vec(),
        create_time: now(),
    };
    let mut other = store.write().await.unwrap();
    other.note_key_check(&noted).await.unwrap();
    // When a start finds no key noted, and waits to note its own
    let mut starting = pin!(note(&store, &[ONE, TWO]));
    let waited = tokio::time::timeout(Duration::from_millis(300), &mut starting).await;
    assert!(waited.is_err());
    other.commit("test").await.unwrap();
    // Then it is refused and has noted none.
    let refused = starting.await;
    assert!(matches!(refused, Err(KeysRefused::OtherKey { version: 1 })));
    let mut session = store.read().await.unwrap();
    assert_eq!(session.list_key_checks().await.unwrap(), [noted]);
}

async fn keys_that_were_never_noted_are_tried_on_what_is_stored(store: Arc<Store>) {
    // A version from before there were records left it so; one value was altered since.
    let mut altered = token(1, &ring(&[ONE]));
    altered.secret = Some(StoredSecret {
        lookup_mac: vec![7; 32],
        folded_mac: None,
        sealed: vec![0; 40],
        key_version: 1,
    });
    insert(&store, &[altered, token(2, &ring(&[ONE]))]).await;
    let refused = note(&store, &[OTHER_ONE]).await;
    assert!(matches!(refused, Err(KeysRefused::OtherKey { version: 1 })));
    note(&store, &[ONE]).await.unwrap();
    assert!(note(&store, &[OTHER_ONE]).await.is_err());
    let early = rotate(&store, &[ONE, TWO]).await.unwrap_err();
    assert!(matches!(early, RotateError::NotInUse { version: 2 }));
}

on_both_engines!(
    every_kind_is_stored_anew_and_nothing_else_of_its_row,
    u4_a_code_is_folded_under_its_own_key_and_rotated_with_it,
    what_cannot_be_rotated_is_named_and_left,
    a_secret_that_changed_meanwhile_is_left_alone,
    a_locked_row_is_passed_over_and_seen_again,
    keys_of_another_database_are_refused,
    a_refused_start_notes_no_key,
    keys_that_were_never_noted_are_tried_on_what_is_stored,
);
