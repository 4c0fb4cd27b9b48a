//! Checks of the invitations database by itself: I3, I4, I5, I7 and I8.

use super::check::{Check, Count, Weight, checks};
use super::report::Invariant;

checks! {
    counts {
        I3 "invitations": "invitations";
        I3 "uses held": "redemptions WHERE holds_use AND state IN ('RESERVED', 'QUEUED', 'COMMITTED')";
    }
    I3 "the counts of uses are not those of the redemptions":
        "SELECT i.kind || ' ' || i.invitation_id AS subject, 'reserved, queued, committed are ' || \
         i.uses_reserved || ', ' || i.uses_queued || ', ' || i.uses_committed || '; redemptions ' || \
         coalesce(h.reserved, 0) || ', ' || coalesce(h.queued, 0) || ', ' || coalesce(h.committed, 0) AS detail \
         FROM invitations i LEFT JOIN {held} h ON h.invitation_id = i.invitation_id \
         WHERE i.uses_reserved <> coalesce(h.reserved, 0) OR i.uses_queued <> coalesce(h.queued, 0) \
         OR i.uses_committed <> coalesce(h.committed, 0)";
    I3 "more uses are held than were allowed when one was reserved":
        "{over_max_uses}AND (i.revision = 1 OR h.last_time > i.update_time + {tolerance})";
    I3 Note "more uses are held than are allowed now; max_uses was lowered":
        "{over_max_uses}AND i.revision > 1 AND h.last_time <= i.update_time + {tolerance}";
    // A redemption that waits without a use has handed its use over, or came back to wait.
    I3 "a person has two living redemptions of an invitation":
        "SELECT 'invitation ' || invitation_id AS subject, user_id || ' in epoch ' || epoch || ': ' || count(*) \
         AS detail FROM redemptions WHERE state = 'RESERVED' OR (state = 'QUEUED' AND holds_use) \
         GROUP BY invitation_id, epoch, user_id HAVING count(*) > 1";
    I3 "let in or queued without a use of the person's":
        "SELECT 'redemption ' || r.redemption_id AS subject, r.state || ', refuse_if_unknown ' || \
         r.refuse_if_unknown AS detail FROM redemptions r WHERE NOT r.holds_use \
         AND r.state IN ('QUEUED', 'COMMITTED') AND NOT EXISTS (SELECT 1 FROM redemptions o \
         WHERE o.invitation_id = r.invitation_id AND o.user_id = r.user_id AND o.holds_use \
         AND o.state IN ('RESERVED', 'QUEUED', 'COMMITTED'))";
    I4 "a redemption's state and settle_time do not agree":
        "SELECT 'redemption ' || redemption_id AS subject, state || CASE WHEN settle_time IS NULL THEN ', never \
         settled' ELSE ', settled' END AS detail FROM redemptions WHERE (state = 'RESERVED' \
         AND settle_time IS NOT NULL) OR (state <> 'RESERVED' AND settle_time IS NULL) \
         OR state NOT IN ('RESERVED', 'QUEUED', 'COMMITTED', 'RELEASED', 'REFUSED')";
    I4 Note "stuck: RESERVED after 10 tries of recovery or more":
        "SELECT 'redemption ' || redemption_id AS subject, tries || ' tries' AS detail FROM redemptions \
         WHERE state = 'RESERVED' AND tries >= 10";
    I4 Note "an event of membership's feed was skipped":
        "SELECT 'event ' || event_id AS subject, event_type || ' of ' || subject || ': ' || cause AS detail \
         FROM skipped_events";
    I8 ViolationIfQuiescent "an erasure or a move is under way":
        "SELECT pseudonym AS subject, 'a person stands in one service and another id in the other' AS detail \
         FROM erasures WHERE done_time IS NULL";
    I8 "an erasure is done and still tells of somebody":
        "SELECT pseudonym AS subject, 'user_id, target, particulars or actor is not empty' AS detail FROM erasures \
         WHERE done_time IS NOT NULL AND (user_id <> '' OR target <> '' OR particulars <> '[]' OR actor <> '')";
    I5 ViolationIfQuiescent "a fence is pending":
        "SELECT kind || ' ' || invitation_id AS subject, 'epoch ' || epoch || ', fence confirmed to ' || \
         fence_epoch AS detail FROM invitations WHERE fence_epoch < epoch";
    I5 "epochs are not in order":
        "SELECT kind || ' ' || invitation_id AS subject, 'epoch ' || epoch || ', fence_epoch ' || fence_epoch || \
         ', uses_since_epoch ' || uses_since_epoch AS detail FROM invitations WHERE fence_epoch > epoch \
         OR uses_since_epoch > epoch";
    I7 "a request id is answered by a redemption that is not there":
        "SELECT 'redemption ' || q.redemption_id AS subject, q.method || ' ' || q.request_id AS detail \
         FROM redemption_request_ids q LEFT JOIN redemptions r ON r.redemption_id = q.redemption_id \
         WHERE r.redemption_id IS NULL";
    I8 "a redemption is not of its invitation's organization, class, kind or epochs":
        "SELECT 'redemption ' || r.redemption_id AS subject, r.kind || ' ' || r.organization_id || '/' || \
         r.class_id || ' epoch ' || r.epoch || '; the invitation: ' || coalesce(i.kind || ' ' || \
         i.organization_id || '/' || i.class_id || ' epoch ' || i.epoch, 'none') AS detail \
         FROM redemptions r LEFT JOIN invitations i ON i.invitation_id = r.invitation_id \
         WHERE i.invitation_id IS NULL OR r.organization_id <> i.organization_id OR r.class_id <> i.class_id \
         OR r.kind <> i.kind OR r.epoch > i.epoch";
    I8 "a redemption names another organization's invitation, or another invitation":
        "SELECT 'redemption ' || redemption_id AS subject, organization_id || '/' || class_id || ', but ' || \
         invitation AS detail FROM redemptions WHERE substr(invitation, 1, length(organization_id) + 15) <> \
         'organizations/' || organization_id || '/' OR (kind IN ('class_token', 'enrollment_code') \
         AND substr(invitation, length(invitation) - 35) <> invitation_id)";
}
