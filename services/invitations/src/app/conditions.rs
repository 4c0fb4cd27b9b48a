//! The filter conditions of the lists of attempts, redemptions and audit entries: values are compared by `=`, times by
//! an order.

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_kit::{
    Result,
    filter::{Condition, FieldKind, Filter, Operator, invalid_filter},
};

/// Parses a filter into conditions on these fields. Fails with `INVALID_FILTER`.
pub(super) fn conditions(filter: &str, fields: &[(&str, FieldKind)]) -> Result<Vec<Condition>> {
    let conditions = Filter::parse(filter, fields)?.0;
    check_operators(&conditions)?;
    Ok(conditions)
}

/// Checks the operators. Of those that the grammar allows, these lists accept `=` for values and an order for times.
fn check_operators(conditions: &[Condition]) -> Result<()> {
    let wrong = conditions.iter().find(|condition| {
        let is_time = condition.field == "create_time";
        condition.operator == Operator::NotEqual
            || (is_time && condition.operator == Operator::Equal)
    });
    let Some(condition) = wrong else {
        return Ok(());
    };
    let described = format!(
        "{} is not compared by {} in this list",
        condition.field,
        condition.operator.as_str()
    );
    Err(invalid_filter(described))
}

/// Narrows to one value. Returns false if it was narrowed to another one before.
pub(super) fn only<T: PartialEq>(slot: &mut Option<T>, value: T) -> bool {
    if slot.as_ref().is_some_and(|narrowed| *narrowed != value) {
        return false;
    }
    *slot = Some(value);
    true
}

/// Narrows a span of times, which is half open and exact to the microsecond. Returns false if the value is no time.
pub(super) fn bound(
    from: &mut Option<DateTime<Utc>>,
    till: &mut Option<DateTime<Utc>>,
    condition: &Condition,
) -> bool {
    let Some(time) = condition.value.time() else {
        return false;
    };
    let after = time + TimeDelta::microseconds(1);
    let (at_least, below) = match condition.operator {
        Operator::Less => (None, Some(time)),
        Operator::LessOrEqual => (None, Some(after)),
        Operator::Greater => (Some(after), None),
        Operator::GreaterOrEqual => (Some(time), None),
        Operator::Equal | Operator::NotEqual => return false,
    };
    *from = (*from).max(at_least);
    *till = match (*till, below) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    true
}
