//! The filters of the lists of attempts, redemptions and audit entries: values are compared by `=`, times by an order.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_kit::{
    Result,
    filter::{Condition, FieldKind, Filter, Operator, Value, invalid_filter},
};

/// The mark of a condition that no row can meet.
pub(super) struct NoRow;

/// The conditions of a filter, brought together.
#[derive(Debug, Default)]
pub struct Conditions {
    values: BTreeMap<String, String>,
    /// The first moment, inclusive, exact to the microsecond.
    pub(super) from: Option<DateTime<Utc>>,
    /// The end, exclusive.
    pub(super) till: Option<DateTime<Utc>>,
}

impl Conditions {
    /// Parses a filter on these fields; None if no row can meet it. Fails with `INVALID_FILTER`.
    pub(super) fn parse(filter: &str, fields: &[(&str, FieldKind)]) -> Result<Option<Self>> {
        let conditions = Filter::parse(filter, fields)?.0;
        check_operators(&conditions)?;
        let mut found = Self::default();
        for condition in conditions {
            match condition.value {
                Value::Time(time) => found.bound(condition.operator, time),
                value => {
                    let text = value.text().to_owned();
                    let before = found.values.insert(condition.field, text.clone());
                    if before.is_some_and(|before| before != text) {
                        return Ok(None);
                    }
                }
            }
        }
        Ok(Some(found))
    }

    /// Returns what `make` makes of the conditions of a filter; None if no row can meet them.
    pub(super) fn read<F>(
        filter: &str,
        fields: &[(&str, FieldKind)],
        make: impl FnOnce(Self) -> std::result::Result<F, NoRow>,
    ) -> Result<Option<F>> {
        let found = Self::parse(filter, fields)?;
        Ok(found.and_then(|found| make(found).ok()))
    }

    /// Returns the value that a field must have; None for any. Fails if `read` does not know the text.
    pub(super) fn value<T>(
        &self,
        field: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> std::result::Result<Option<T>, NoRow> {
        let text = self.values.get(field);
        text.map(|text| read(text).ok_or(NoRow)).transpose()
    }

    /// Narrows the span of times.
    fn bound(&mut self, operator: Operator, time: DateTime<Utc>) {
        let after = time + TimeDelta::microseconds(1);
        let (at_least, below) = match operator {
            Operator::Less => (None, Some(time)),
            Operator::LessOrEqual => (None, Some(after)),
            Operator::Greater => (Some(after), None),
            Operator::GreaterOrEqual => (Some(time), None),
            Operator::Equal | Operator::NotEqual => (Some(time), Some(after)),
        };
        self.from = self.from.max(at_least);
        self.till = match (self.till, below) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
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
