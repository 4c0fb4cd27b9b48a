//! The writes of T1 and T3. On PostgreSQL each is one statement, because each round trip adds to the time of every
//! answer; on SQLite, where a round trip costs nothing, each is a few.

use homeroom_kit::database::Engine;

use super::redemptions::REDEMPTIONS;

/// Returns the count of the uses that the current row of `invitations` has spent on the user with the id in `user` (P4).
/// It is 0 for a user whose erasure is under way, because that person comes back as somebody new.
pub(super) fn uses_of_person(user: &str) -> String {
    format!(
        "(SELECT count(*) FROM redemptions AS spent \
         WHERE spent.invitation_id = invitations.invitation_id AND spent.user_id = {user} \
         AND spent.state IN ('RESERVED', 'QUEUED', 'COMMITTED') AND spent.state = 'COMMITTED' \
         AND spent.holds_use AND spent.epoch >= invitations.uses_since_epoch \
         AND NOT EXISTS (SELECT 1 FROM erasures \
         WHERE erasures.user_id = spent.user_id AND erasures.done_time IS NULL))"
    )
}

/// Inserts redemptions. One that holds a use is not inserted if a use has been spent on the person, and one that holds
/// none is not inserted if no use has been spent (P4): an erasure may have taken it away since it was read. One that
/// refuses people who are not known holds no use in any case (P3).
pub(super) fn insert_redemptions(on: Engine, rows: &str) -> String {
    format!(
        "{} JOIN invitations ON invitations.invitation_id = input.value->>'invitation_id' \
         WHERE input.value->>'refuse_if_unknown' <> '' OR CAST(input.value->>'holds_use' AS BOOLEAN) = ({} = 0) \
         ON CONFLICT DO NOTHING",
        REDEMPTIONS.insert(on, rows),
        uses_of_person("input.value->>'user_id'")
    )
}

/// Changes states. A first outcome stays (P9). A use that was handed over since the row was read is not counted for it.
pub(super) fn change_states(on: Engine, [rows, now]: [&str; 2]) -> String {
    format!(
        "UPDATE redemptions SET state = input.value->>'to', \
         outcome = CASE WHEN outcome = '' THEN input.value->>'outcome' ELSE outcome END, \
         refuse_reason = CASE WHEN outcome = '' THEN input.value->>'refuse_reason' ELSE refuse_reason END, \
         join_request = CASE WHEN input.value->>'join_request' = '' THEN join_request \
         ELSE input.value->>'join_request' END, \
         next_try_time = CAST(input.value->>'next_try_time' AS BIGINT), tries = 0, settle_time = {now} FROM {} \
         WHERE redemptions.redemption_id = input.value->>'id' \
         AND redemptions.state = input.value->>'from' \
         AND redemptions.holds_use = CAST(input.value->>'holds_use' AS BOOLEAN) \
         RETURNING redemption_id, user_id",
        on.rows(rows, "input")
    )
}

/// Changes counts. P4 once more: uses are only taken while there are any, whatever was judged before.
pub(super) fn change_uses(on: Engine, rows: &str) -> String {
    format!(
        "UPDATE invitations SET \
         uses_reserved = uses_reserved + CAST(input.value->>'reserved' AS BIGINT), \
         uses_queued = uses_queued + CAST(input.value->>'queued' AS BIGINT), \
         uses_committed = uses_committed + CAST(input.value->>'committed' AS BIGINT) FROM {} \
         WHERE invitations.invitation_id = input.value->>'id' \
         AND (max_uses IS NULL OR CAST(input.value->>'taken' AS BIGINT) <= 0 \
         OR uses_reserved + uses_queued + uses_committed + CAST(input.value->>'taken' AS BIGINT) <= max_uses)",
        on.rows(rows, "input")
    )
}

/// Records request ids. A row that is forgotten but not yet pruned is claimed anew, and a row whose redemption was
/// stale is pointed to the new one. The rows are sorted, so that two batches with common request ids wait for each
/// other without a deadlock.
pub(super) fn note_requests(on: Engine, [rows, now, forgotten_before]: [&str; 3]) -> String {
    format!(
        "INSERT INTO redemption_request_ids \
         (subject, acting_user, method, request_id, body_mac, redemption_id, create_time) \
         SELECT input.value->>'subject', input.value->>'acting_user', input.value->>'method', \
         input.value->>'request_id', {}, input.value->>'redemption_id', {now} FROM {} \
         WHERE true ORDER BY 1, 2, 3, 4 \
         ON CONFLICT (subject, acting_user, method, request_id) DO UPDATE \
         SET body_mac = excluded.body_mac, redemption_id = excluded.redemption_id, \
         create_time = excluded.create_time WHERE redemption_request_ids.create_time < {forgotten_before} \
         OR EXISTS (SELECT 1 FROM redemptions \
         WHERE redemptions.redemption_id = redemption_request_ids.redemption_id \
         AND redemptions.state = 'RELEASED' AND redemptions.outcome = '')",
        on.bytes("input.value->>'body_mac'"),
        on.rows(rows, "input")
    )
}

// Only PostgreSQL can run these.
homeroom_kit::statements! {
    RESERVE(on) = format!(
        "WITH inserted AS ({} RETURNING 1), noted AS ({} RETURNING 1), counted AS ({} RETURNING 1) \
         SELECT (SELECT count(*) FROM inserted), (SELECT count(*) FROM noted), (SELECT count(*) FROM counted)",
        insert_redemptions(on, "$1"),
        note_requests(on, ["$2", "$3", "$4"]),
        change_uses(on, "$5")
    );

    // Otherwise a count could fall below zero before it is noticed that nothing moved.
    SETTLE(on) = format!(
        "WITH moved AS ({}), counted AS ({} AND (SELECT count(*) FROM moved) = $4 RETURNING 1) \
         SELECT redemption_id, user_id, (SELECT count(*) FROM counted) FROM moved",
        change_states(on, ["$1", "$2"]),
        change_uses(on, "$3")
    );
}
