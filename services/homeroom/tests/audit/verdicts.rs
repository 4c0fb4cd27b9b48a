//! Verdicts of the auditor: healthy databases, mere notes, databases that cannot be judged, and the exit status.

use crate::databases::{Databases, Engine, In, homeroom_audit};

async fn a_healthy_school_is_clean_while_a_redemption_is_under_way(engine: Engine) {
    let databases = Databases::school(engine).await;

    let live = databases.audit(&[]);
    let strict = databases.audit(&["--quiescent", "--json"]);

    assert_eq!(live.status(), 0, "{}", live.text());
    assert!(live.text().contains("3 Students"), "{}", live.text());
    assert!(live.text().contains("Every invariant holds."));
    assert_eq!(strict.status(), 1);
    assert_eq!(strict.broken(), ["I4"], "{}", strict.text());
}

async fn what_is_lowered_later_is_a_note(engine: Engine) {
    let databases = Databases::school(engine).await;
    let lowered = "UPDATE organizations SET revision = 2, update_time = {now}; \
                   UPDATE organization_seats SET seat_limit = 2";
    databases.run(In::Membership, lowered).await;
    let lowered = "UPDATE invitations SET revision = 2, update_time = {now}, max_uses = 1 \
                   WHERE kind = 'join_url'; \
                   UPDATE invitations SET epoch = 3 WHERE kind = 'class_code'";
    databases.run(In::Invitations, lowered).await;

    let live = databases.audit(&[]);
    let strict = databases.audit(&["--quiescent", "--json"]);

    assert_eq!(live.status(), 0, "{}", live.text());
    for note in [
        "the license has now; it was lowered: 1",
        "are allowed now; max_uses was lowered: 1",
        "a fence is pending: 1",
    ] {
        assert!(live.text().contains(note), "{note}: {}", live.text());
    }
    assert_eq!(strict.broken(), ["I4", "I5"], "{}", strict.text());
}

async fn what_is_not_followed_yet_is_tolerated(engine: Engine) {
    let databases = Databases::school(engine).await;
    // Kim's approval was written just now, dan's denial an hour ago; the feed skipped the denial.
    let fresh = "UPDATE events SET create_time = {now} WHERE event_id = 'e3'";
    databases.run(In::Membership, fresh).await;
    let queued = "UPDATE redemptions SET state = 'QUEUED' WHERE user_id IN ('kim', 'dan'); \
                  UPDATE invitations SET uses_queued = 3, uses_committed = 0, max_uses = NULL \
                  WHERE kind = 'join_url'; \
                  INSERT INTO skipped_events VALUES ('membership', 'e6', 'join_request.denied', \
                  'organizations/hamilton/classes/biology/joinRequests/00000000-0000-7000-8000-0000000000f3', \
                  'poisoned', {now})";
    databases.run(In::Invitations, queued).await;

    let live = databases.audit(&[]);
    let strict = databases.audit(&["--quiescent", "--json"]);

    assert_eq!(live.status(), 0, "{}", live.text());
    assert_eq!(strict.broken(), ["I4"], "{}", strict.text());
}

async fn f9_events_past_their_retention_are_not_missed_and_later_ones_are(engine: Engine) {
    let databases = Databases::school(engine).await;
    // Given every event but the newest pruned, of admissions, and of requests that ended and that wait,
    let pruned = "INSERT INTO pruned_events (organization_id, class_id, position, create_time) \
                  SELECT '', '', max(position), max(create_time) FROM events WHERE position < 8; \
                  DELETE FROM events WHERE position < 8";
    databases.run(In::Membership, pruned).await;

    let whole = databases.audit(&[]);
    databases.run(In::Membership, "DELETE FROM events").await;
    let lost = databases.audit(&["--json"]);
    let forgotten = "UPDATE pruned_events SET create_time = 0";
    databases.run(In::Membership, forgotten).await;
    let all_lost = databases.audit(&["--json"]);

    assert_eq!(whole.status(), 0, "{}", whole.text());
    assert_eq!(lost.broken(), ["I7"], "{}", lost.text());
    assert_eq!(all_lost.broken(), ["I6", "I7"], "{}", all_lost.text());
}

async fn r13_r15_an_erasure_or_a_move_under_way_may_name_the_person_differently(engine: Engine) {
    for (id, target, other) in [
        ("erased-1", "", "erased-1"),
        ("moved-1", "zed-new", "zed-new"),
    ] {
        let databases = Databases::school(engine).await;
        let given = format!("UPDATE admissions SET user_id = '{other}' WHERE user_id = 'zed'");
        databases.run(In::Membership, &given).await;
        let begun = format!(
            "INSERT INTO erasures (pseudonym, user_id, target, particulars, actor, create_time) \
             VALUES ('{id}', 'zed', '{target}', '[]', 'platform', {{now}})"
        );
        databases.run(In::Invitations, &begun).await;

        let live = databases.audit(&[]);
        let strict = databases.audit(&["--quiescent", "--json"]);

        assert_eq!(live.status(), 0, "{}", live.text());
        assert!(
            live.text().contains("an erasure or a move is under way: 1"),
            "{}",
            live.text()
        );
        assert_eq!(strict.broken(), ["I4", "I8"], "{}", strict.text());
    }
}

async fn every_row_is_counted_and_the_first_are_shown(engine: Engine) {
    let databases = Databases::school(engine).await;
    let spoilt = "UPDATE redemptions SET organization_id = 'lincoln'";
    databases.run(In::Invitations, spoilt).await;

    let audited = databases.audit(&["--rows", "2"]);

    assert_eq!(audited.status(), 1);
    let text = audited.text();
    assert!(
        text.contains("place, person, invitation and epoch: 8"),
        "{text}"
    );
    assert!(text.contains("and 6 more"), "{text}");
    assert!(text.contains("Broken: I8."), "{text}");
}

async fn databases_that_cannot_be_judged_end_with_2(engine: Engine) {
    let Databases {
        membership,
        invitations,
    } = Databases::school(engine).await;

    let swapped = Databases {
        membership: invitations,
        invitations: membership,
    };
    let swapped = swapped.audit(&[]);

    assert_eq!(swapped.status(), 2);
    let text = swapped.text();
    assert!(text.contains("the database of invitations"), "{text}");
}

#[test]
fn a_command_line_that_cannot_be_read_ends_with_2_and_repeats_no_password() {
    for line in [
        "--membership mysql://homeroom:hush@nowhere/db --invitations sqlite://x.db",
        "--membership postgres://homeroom:hush@127.0.0.1:1/db --invitations sqlite:///nowhere/x.db",
        "--membership sqlite:///nowhere/x.db",
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let output = homeroom_audit(&arguments);
        assert_eq!(output.status.code(), Some(2), "{line}");
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!text.contains("hush"), "{text}");
    }
}

on_both_engines! {
    a_healthy_school_is_clean_while_a_redemption_is_under_way,
    what_is_lowered_later_is_a_note,
    what_is_not_followed_yet_is_tolerated,
    f9_events_past_their_retention_are_not_missed_and_later_ones_are,
    r13_r15_an_erasure_or_a_move_under_way_may_name_the_person_differently,
    every_row_is_counted_and_the_first_are_shown,
    databases_that_cannot_be_judged_end_with_2,
}
