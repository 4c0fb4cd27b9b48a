//! Rows whose ids are version 7 UUIDs made from their times: they are listed and pruned by id alone.

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_api::names::Place;
use homeroom_kit::store::columns::class_id;
use uuid::Uuid;

use super::before_text;

/// The number of bits below the milliseconds in a version 7 UUID.
const BITS_BELOW_MILLIS: u32 = 80;

/// Returns the least id of a time, rounded down to the millisecond.
pub(super) fn least_id(time: DateTime<Utc>) -> String {
    let millis = u128::try_from(time.timestamp_millis()).unwrap_or(0);
    Uuid::from_u128(millis << BITS_BELOW_MILLIS).to_string()
}

/// Returns the half-open range of ids of a list's page: from `from` on, below `till` and below `before`. Within the
/// first and the last millisecond, the condition on `create_time` decides.
pub(super) fn id_bounds(
    from: Option<DateTime<Utc>>,
    till: Option<DateTime<Utc>>,
    before: Option<Uuid>,
) -> (String, String) {
    let least = from.map(least_id).unwrap_or_default();
    let till = till.map(|till| least_id(till + TimeDelta::milliseconds(1)));
    let end = before_text(before);
    (least, till.map_or(end.clone(), |till| till.min(end)))
}

/// Returns the two columns of a place; both are empty for none.
pub(super) fn place_columns(place: Option<&Place>) -> (&str, &str) {
    let organization = place.map_or("", |place| place.organization().as_str());
    (organization, place.map_or("", class_id))
}
