//! The statements on `redemptions` and `redemption_request_ids`, and the changes that redeeming makes to `invitations`.
//! Each statement handles many rows, for both engines. Rows are passed as one JSON text, which both take apart
//! (`json_rows!`).

use super::invitations::{invitation_columns, select_invitations};

macro_rules! redemption_columns {
    () => {
        "SELECT redemptions.redemption_id, redemptions.invitation_id, redemptions.invitation, \
         redemptions.kind, redemptions.epoch, redemptions.organization_id, redemptions.class_id, \
         redemptions.user_id, redemptions.display_name, redemptions.email, redemptions.external_id, \
         redemptions.vouch_time, redemptions.route, redemptions.queue_cause, redemptions.refuse_if_unknown, \
         redemptions.issue_time, redemptions.allow_rejoin, redemptions.holds_use, redemptions.state, \
         redemptions.outcome, redemptions.refuse_reason, redemptions.join_request, redemptions.tries, \
         redemptions.next_try_time, redemptions.create_time, redemptions.settle_time"
    };
}

macro_rules! select {
    ($($rest:tt)+) => {
        concat!(redemption_columns!(), " FROM ", $($rest)+)
    };
}

/// Counts the uses that the current row of `invitations` has spent on the user with the id in `$user` (P4). It is 0 for
/// a user whose erasure is under way, because that person comes back as somebody new.
macro_rules! uses_of_person {
    ($user:literal) => {
        concat!(
            "(SELECT count(*) FROM redemptions AS spent \
             WHERE spent.invitation_id = invitations.invitation_id AND spent.user_id = ",
            $user,
            " AND spent.state IN ('RESERVED', 'QUEUED', 'COMMITTED') AND spent.state = 'COMMITTED' \
             AND spent.holds_use AND spent.epoch >= invitations.uses_since_epoch \
             AND NOT EXISTS (SELECT 1 FROM erasures \
             WHERE erasures.user_id = spent.user_id AND erasures.done_time IS NULL))"
        )
    };
}
pub(super) use {redemption_columns, select as select_redemptions};

/// Inserts redemptions. One that holds a use is not inserted if a use has been spent on the person, and one that holds
/// none is not inserted if no use has been spent (P4): an erasure may have taken it away since it was read. One that
/// refuses people who are not known holds no use in any case (P3).
macro_rules! insert_redemptions {
    ($rows:literal) => {
        concat!(
        "INSERT INTO redemptions (redemption_id, invitation_id, invitation, kind, epoch, \
        organization_id, class_id, user_id, display_name, email, external_id, vouch_time, route, queue_cause, \
        refuse_if_unknown, issue_time, allow_rejoin, holds_use, state, outcome, refuse_reason, \
        join_request, tries, next_try_time, create_time, settle_time) \
        SELECT input.value->>'redemption_id', input.value->>'invitation_id', \
        input.value->>'invitation', input.value->>'kind', CAST(input.value->>'epoch' AS BIGINT), \
        input.value->>'organization_id', input.value->>'class_id', input.value->>'user_id', \
        input.value->>'display_name', input.value->>'email', input.value->>'external_id', \
        CAST(input.value->>'vouch_time' AS BIGINT), input.value->>'route', input.value->>'queue_cause', input.value->>'refuse_if_unknown', \
        CAST(input.value->>'issue_time' AS BIGINT), CAST(input.value->>'allow_rejoin' AS BOOLEAN), \
        CAST(input.value->>'holds_use' AS BOOLEAN), input.value->>'state', input.value->>'outcome', \
        input.value->>'refuse_reason', input.value->>'join_request', \
        CAST(input.value->>'tries' AS BIGINT), CAST(input.value->>'next_try_time' AS BIGINT), \
        CAST(input.value->>'create_time' AS BIGINT), CAST(input.value->>'settle_time' AS BIGINT) FROM ",
        json_rows!($rows),
        " JOIN invitations ON invitations.invitation_id = input.value->>'invitation_id' \
        WHERE input.value->>'refuse_if_unknown' <> '' OR CAST(input.value->>'holds_use' AS BOOLEAN) = (",
        uses_of_person!("input.value->>'user_id'"),
        " = 0) ON CONFLICT DO NOTHING"
        )
    };
}

/// Changes states. A first outcome stays (P9). A use that was handed over since the row was read is not counted for it.
macro_rules! change_states {
    ($rows:literal, $now:literal) => {
        concat!(
        "UPDATE redemptions SET state = input.value->>'to', \
        outcome = CASE WHEN outcome = '' THEN input.value->>'outcome' ELSE outcome END, \
        refuse_reason = CASE WHEN outcome = '' THEN input.value->>'refuse_reason' ELSE refuse_reason END, \
        join_request = CASE WHEN input.value->>'join_request' = '' THEN join_request \
        ELSE input.value->>'join_request' END, \
        next_try_time = CAST(input.value->>'next_try_time' AS BIGINT), tries = 0, settle_time = ",
        $now,
        " FROM ",
        json_rows!($rows),
        " WHERE redemptions.redemption_id = input.value->>'id' \
        AND redemptions.state = input.value->>'from' \
        AND redemptions.holds_use = CAST(input.value->>'holds_use' AS BOOLEAN) \
        RETURNING redemption_id, user_id"
        )
    };
}

/// Changes counts. P4 once more: uses are only taken while there are any, whatever was judged before.
macro_rules! change_uses {
    ($rows:literal) => {
        concat!(
        "UPDATE invitations SET \
        uses_reserved = uses_reserved + CAST(input.value->>'reserved' AS BIGINT), \
        uses_queued = uses_queued + CAST(input.value->>'queued' AS BIGINT), \
        uses_committed = uses_committed + CAST(input.value->>'committed' AS BIGINT) FROM ",
        json_rows!($rows),
        " WHERE invitations.invitation_id = input.value->>'id' \
        AND (max_uses IS NULL OR CAST(input.value->>'taken' AS BIGINT) <= 0 \
        OR uses_reserved + uses_queued + uses_committed + CAST(input.value->>'taken' AS BIGINT) <= max_uses)"
        )
    };
}

/// Records request ids. A row that is forgotten but not yet pruned is claimed anew, and a row whose redemption was
/// stale is pointed to the new one. The rows are sorted, so that two batches with common request ids wait for each
/// other without a deadlock.
macro_rules! note_requests {
    ($rows:literal, $now:literal, $forgotten_before:literal) => {
        concat!(
            "INSERT INTO redemption_request_ids \
        (subject, acting_user, method, request_id, body_mac, redemption_id, create_time) \
        SELECT input.value->>'subject', input.value->>'acting_user', input.value->>'method', \
        input.value->>'request_id', ",
            from_hex!("input.value->>'body_mac'"),
            ", input.value->>'redemption_id', ",
            $now,
            " FROM ",
            json_rows!($rows),
            " WHERE true ORDER BY 1, 2, 3, 4 \
        ON CONFLICT (subject, acting_user, method, request_id) DO UPDATE \
        SET body_mac = excluded.body_mac, redemption_id = excluded.redemption_id, \
        create_time = excluded.create_time WHERE redemption_request_ids.create_time < ",
            $forgotten_before,
            " \
        OR EXISTS (SELECT 1 FROM redemptions \
        WHERE redemptions.redemption_id = redemption_request_ids.redemption_id \
        AND redemptions.state = 'RELEASED' AND redemptions.outcome = '')"
        )
    };
}

pub(in super::super) use {
    change_states, change_uses, insert_redemptions, note_requests, uses_of_person,
};

/// Selects a page. The range of an index and the same columns in its order leave PostgreSQL that index alone: for an
/// equality, it may walk the primary key through the redemptions of all organizations, or sort those of one.
macro_rules! list {
    ($range:literal, $order:literal) => {
        select!(
            "redemptions WHERE ",
            $range,
            " AND ($1 = '' OR organization_id = $1) AND ($2 = '' OR class_id = $2) \
             AND ($3 = '' OR invitation_id = $3) AND ($4 = '' OR user_id = $4) AND ($5 = '' OR state = $5) \
             AND create_time >= $6 AND create_time < $7 ORDER BY ",
            $order,
            ", redemption_id DESC LIMIT $9"
        )
    };
}

homeroom_kit::statements! {
    LOCK_INVITATIONS = select_invitations!(
        "WHERE invitation_id IN (SELECT input.value->>'id' FROM ",
        json_rows!("$1"),
        ") ORDER BY invitation_id",
        for_update!()
    );

    /// Reads the redemptions that request ids name, each with its request, and the earlier redemptions of some users of
    /// an invitation.
    STANDING = concat!(
        redemption_columns!(),
        ", CAST(input.value->>'index' AS BIGINT) AS request_index, known.body_mac FROM ",
        json_rows!("$1"),
        " JOIN redemption_request_ids AS known ON known.subject = input.value->>'subject' \
         AND known.acting_user = input.value->>'acting_user' \
         AND known.method = input.value->>'method' \
         AND known.request_id = input.value->>'request_id' \
         JOIN redemptions ON redemptions.redemption_id = known.redemption_id \
         WHERE known.create_time >= $2 UNION ALL ",
        redemption_columns!(),
        ", CAST(NULL AS BIGINT), NULL FROM ",
        json_rows!("$3"),
        " JOIN redemptions ON redemptions.invitation_id = input.value->>'invitation_id' \
         AND redemptions.user_id = input.value->>'user_id' \
         WHERE redemptions.state IN ('RESERVED', 'QUEUED', 'COMMITTED') \
         AND (redemptions.state <> 'COMMITTED' OR NOT EXISTS (SELECT 1 FROM erasures \
         WHERE erasures.user_id = redemptions.user_id AND erasures.done_time IS NULL))"
    );

    /// Locks the organizations, which orders their changes and events, and then the invitations; each in sorted order.
    LOCK_FOR_SETTLEMENT = concat!(
        "WITH organizations AS MATERIALIZED (SELECT organization_id FROM organization_profiles \
         WHERE organization_id IN (SELECT input.value->>'id' FROM ",
        json_rows!("$1"),
        ") ORDER BY organization_id",
        for_update!(),
        "), locked AS MATERIALIZED (SELECT invitation_id, uses_since_epoch FROM invitations \
         WHERE invitation_id IN (SELECT input.value->>'id' FROM ",
        json_rows!("$2"),
        ") AND (SELECT count(*) FROM organizations) >= 0 ORDER BY invitation_id",
        for_update!(),
        ") SELECT organization_id, CAST(NULL AS BIGINT) FROM organizations \
         UNION ALL SELECT invitation_id, uses_since_epoch FROM locked"
    );

    GET = select!(
        json_rows!("$1"),
        " JOIN redemptions ON redemptions.redemption_id = input.value->>'id'"
    );

    HAND_USES = concat!(
        "UPDATE redemptions SET holds_use = $2 FROM ",
        json_rows!("$1"),
        " WHERE redemptions.redemption_id = input.value->>'id' \
         AND redemptions.state IN ('QUEUED', 'COMMITTED') AND redemptions.holds_use <> $2"
    );

    TAKE_DUE = concat!(
        "UPDATE redemptions SET next_try_time = $3, tries = tries + 1 WHERE redemption_id IN (\
         SELECT redemption_id FROM redemptions WHERE state IN ('RESERVED', 'QUEUED') AND state = $1 \
         AND next_try_time <= $2 ORDER BY next_try_time LIMIT $4",
        skip_locked!(),
        ") RETURNING redemption_id"
    );

    /// Brings back tries that were scheduled while the clock was too far ahead, after it was set back.
    BRING_BACK = concat!(
        "UPDATE redemptions SET next_try_time = $2 WHERE redemption_id IN (\
         SELECT redemption_id FROM redemptions WHERE state IN ('RESERVED', 'QUEUED') AND state = $1 \
         AND next_try_time > $3 ORDER BY next_try_time LIMIT $4",
        skip_locked!(),
        ")"
    );

    SET_NEXT_TRIES = concat!(
        "UPDATE redemptions SET next_try_time = CAST(input.value->>'time' AS BIGINT) FROM ",
        json_rows!("$1"),
        " WHERE redemptions.redemption_id = input.value->>'id' \
         AND redemptions.state IN ('RESERVED', 'QUEUED')"
    );

    HASTEN = "UPDATE redemptions SET next_try_time = $1 \
        WHERE state IN ('RESERVED', 'QUEUED') AND state = 'RESERVED' AND tries > 0 AND next_try_time > $1";

    COUNT_STUCK = "SELECT count(*) FROM redemptions \
        WHERE state IN ('RESERVED', 'QUEUED') AND state = 'RESERVED' AND tries >= $1";

    LIST_BY_ORGANIZATION = list!(
        "organization_id >= $1 AND (organization_id, redemption_id) < ($1, $8)",
        "organization_id DESC"
    );

    LIST_BY_CLASS = list!(
        "organization_id = $1 AND class_id >= $2 AND (class_id, redemption_id) < ($2, $8)",
        "class_id DESC"
    );

    LIST_BY_INVITATION = list!(
        "invitation_id >= $3 AND (invitation_id, redemption_id) < ($3, $8)",
        "invitation_id DESC"
    );

    LIST_BY_USER = list!(
        "user_id >= $4 AND (user_id, redemption_id) < ($4, $8)",
        "user_id DESC"
    );

    NOTE_REQUESTS = note_requests!("$1", "$2", "$3");

    PRUNE_REQUESTS = "DELETE FROM redemption_request_ids \
        WHERE (subject, acting_user, method, request_id) IN ( \
        SELECT subject, acting_user, method, request_id FROM redemption_request_ids \
        WHERE create_time < $1 ORDER BY create_time LIMIT $2)";

    /// Deletes redemptions of people who were members already: they are not needed once no request id names them.
    PRUNE_REDEMPTIONS = "DELETE FROM redemptions WHERE redemption_id IN ( \
        SELECT redemption_id FROM redemptions WHERE state = 'RELEASED' AND outcome = 'ALREADY_MEMBER' \
        AND settle_time < $1 ORDER BY settle_time LIMIT $2)";
}
