//! The statements on `redemptions` and `redemption_request_ids`, and the changes that redeeming makes to `invitations`.
//! Each statement handles many rows, for both engines. Rows are passed as one JSON text, which both take apart.

use super::{
    invitations::select as select_invitations,
    redemption_writes::{change_states, change_uses, insert_redemptions, note_requests},
    redemptions::REDEMPTIONS,
};

/// Returns the selection of all columns, without the word `FROM`, so that others may follow.
fn select() -> String {
    format!("SELECT {} ", REDEMPTIONS.of("redemptions"))
}

/// Returns the selection of a page. The range of an index and the same columns in its order leave PostgreSQL that index
/// alone: for an equality, it may walk the primary key through the redemptions of all organizations, or sort those of
/// one.
fn list(range: &str, order: &str) -> String {
    format!(
        "{}FROM redemptions WHERE {range} \
         AND ($1 = '' OR organization_id = $1) AND ($2 = '' OR class_id = $2) \
         AND ($3 = '' OR invitation_id = $3) AND ($4 = '' OR user_id = $4) AND ($5 = '' OR state = $5) \
         AND create_time >= $6 AND create_time < $7 ORDER BY {order} DESC, redemption_id DESC LIMIT $9",
        select()
    )
}

homeroom_kit::statements! {
    LOCK_INVITATIONS(on) = format!(
        "{}FROM invitations WHERE invitation_id IN (SELECT input.value->>'id' FROM {}) ORDER BY invitation_id{}",
        select_invitations(),
        on.rows("$1", "input"),
        on.for_update()
    );

    /// Reads the redemptions that request ids name, each with its request, and the earlier redemptions of some users of
    /// an invitation.
    STANDING(on) = format!(
        "{select}, CAST(input.value->>'index' AS BIGINT) AS request_index, known.body_mac FROM {requests} \
         JOIN redemption_request_ids AS known ON known.subject = input.value->>'subject' \
         AND known.acting_user = input.value->>'acting_user' \
         AND known.method = input.value->>'method' \
         AND known.request_id = input.value->>'request_id' \
         JOIN redemptions ON redemptions.redemption_id = known.redemption_id \
         WHERE known.create_time >= $2 UNION ALL \
         {select}, CAST(NULL AS BIGINT), NULL FROM {keys} \
         JOIN redemptions ON redemptions.invitation_id = input.value->>'invitation_id' \
         AND redemptions.user_id = input.value->>'user_id' \
         WHERE redemptions.state IN ('RESERVED', 'QUEUED', 'COMMITTED') \
         AND (redemptions.state <> 'COMMITTED' OR NOT EXISTS (SELECT 1 FROM erasures \
         WHERE erasures.user_id = redemptions.user_id AND erasures.done_time IS NULL))",
        select = select(),
        requests = on.rows("$1", "input"),
        keys = on.rows("$3", "input"),
    );

    /// Locks the organizations, which orders their changes and events, and then the invitations; each in sorted order.
    LOCK_FOR_SETTLEMENT(on) = format!(
        "WITH organizations AS MATERIALIZED (SELECT organization_id FROM organization_profiles \
         WHERE organization_id IN (SELECT input.value->>'id' FROM {}) ORDER BY organization_id{lock}), \
         locked AS MATERIALIZED (SELECT invitation_id, uses_since_epoch FROM invitations \
         WHERE invitation_id IN (SELECT input.value->>'id' FROM {}) \
         AND (SELECT count(*) FROM organizations) >= 0 ORDER BY invitation_id{lock}) \
         SELECT organization_id, CAST(NULL AS BIGINT) FROM organizations \
         UNION ALL SELECT invitation_id, uses_since_epoch FROM locked",
        on.rows("$1", "input"),
        on.rows("$2", "input"),
        lock = on.for_update(),
    );

    GET(on) = format!(
        "{}FROM {} JOIN redemptions ON redemptions.redemption_id = input.value->>'id'",
        select(),
        on.rows("$1", "input")
    );

    HAND_USES(on) = format!(
        "UPDATE redemptions SET holds_use = $2 FROM {} \
         WHERE redemptions.redemption_id = input.value->>'id' \
         AND redemptions.state IN ('QUEUED', 'COMMITTED') AND redemptions.holds_use <> $2",
        on.rows("$1", "input")
    );

    IS_ANY_DUE = "SELECT EXISTS (SELECT 1 FROM redemptions WHERE state IN ('RESERVED', 'QUEUED') AND state = $1 \
         AND next_try_time <= $2) OR EXISTS (SELECT 1 FROM redemptions WHERE state IN ('RESERVED', 'QUEUED') \
         AND state = $1 AND next_try_time > $3)";

    TAKE_DUE(on) = format!(
        "UPDATE redemptions SET next_try_time = $3, tries = tries + 1 WHERE redemption_id IN (\
         SELECT redemption_id FROM redemptions WHERE state IN ('RESERVED', 'QUEUED') AND state = $1 \
         AND next_try_time <= $2 ORDER BY next_try_time LIMIT $4{}) RETURNING redemption_id",
        on.skip_locked()
    );

    /// Brings back tries that were scheduled while the clock was too far ahead, after it was set back.
    BRING_BACK(on) = format!(
        "UPDATE redemptions SET next_try_time = $2 WHERE redemption_id IN (\
         SELECT redemption_id FROM redemptions WHERE state IN ('RESERVED', 'QUEUED') AND state = $1 \
         AND next_try_time > $3 ORDER BY next_try_time LIMIT $4{})",
        on.skip_locked()
    );

    SET_NEXT_TRIES(on) = format!(
        "UPDATE redemptions SET next_try_time = CAST(input.value->>'time' AS BIGINT) FROM {} \
         WHERE redemptions.redemption_id = input.value->>'id' \
         AND redemptions.state IN ('RESERVED', 'QUEUED')",
        on.rows("$1", "input")
    );

    HASTEN = "UPDATE redemptions SET next_try_time = $1 \
        WHERE state IN ('RESERVED', 'QUEUED') AND state = 'RESERVED' AND tries > 0 AND next_try_time > $1";

    COUNT_STUCK = "SELECT count(*) FROM redemptions \
        WHERE state IN ('RESERVED', 'QUEUED') AND state = 'RESERVED' AND tries >= $1";

    LIST_BY_ORGANIZATION = list(
        "organization_id >= $1 AND (organization_id, redemption_id) < ($1, $8)",
        "organization_id"
    );

    LIST_BY_CLASS = list(
        "organization_id = $1 AND class_id >= $2 AND (class_id, redemption_id) < ($2, $8)",
        "class_id"
    );

    LIST_BY_INVITATION = list(
        "invitation_id >= $3 AND (invitation_id, redemption_id) < ($3, $8)",
        "invitation_id"
    );

    LIST_BY_USER = list("user_id >= $4 AND (user_id, redemption_id) < ($4, $8)", "user_id");

    INSERT_REDEMPTIONS(on) = insert_redemptions(on, "$1");
    NOTE_REQUESTS(on) = note_requests(on, ["$1", "$2", "$3"]);
    CHANGE_STATES(on) = change_states(on, ["$1", "$2"]);
    CHANGE_USES(on) = change_uses(on, "$1");

    PRUNE_REQUESTS = "DELETE FROM redemption_request_ids \
        WHERE (subject, acting_user, method, request_id) IN ( \
        SELECT subject, acting_user, method, request_id FROM redemption_request_ids \
        WHERE create_time < $1 ORDER BY create_time LIMIT $2)";

    /// Deletes redemptions of people who were members already: they are not needed once no request id names them.
    PRUNE_REDEMPTIONS = "DELETE FROM redemptions WHERE redemption_id IN ( \
        SELECT redemption_id FROM redemptions WHERE state = 'RELEASED' AND outcome = 'ALREADY_MEMBER' \
        AND settle_time < $1 ORDER BY settle_time LIMIT $2)";
}
