//! `homeroom org`, `class`, `code` and `redemption`: lists as tables.

use anstream::println;
use anstyle::Style;
use serde_json::{Map, Value};

use crate::{
    Failure,
    arguments::ListArguments,
    dynamic::{Contract, message},
    remote::Remote,
};

const HEAD: Style = Style::new().bold();
/// The most items that one call asks for.
const PAGE_ITEMS_MAX: usize = 1_000;

/// A list: its method, the field of its items in the answer, and the fields shown.
pub(crate) struct List {
    method: &'static str,
    items: &'static str,
    columns: &'static [&'static str],
}

pub(crate) const ORGANIZATIONS: List = List {
    method: "OrganizationService/ListOrganizations",
    items: "organizations",
    columns: &[
        "name",
        "displayName",
        "codePrefix",
        "seatLimit",
        "createTime",
    ],
};
pub(crate) const CLASSES: List = List {
    method: "ClassService/ListClasses",
    items: "classes",
    columns: &["name", "displayName", "externalId", "owner", "createTime"],
};
pub(crate) const CODES: List = List {
    method: "EnrollmentCodeService/ListEnrollmentCodes",
    items: "enrollmentCodes",
    columns: &[
        "name",
        "fullCode",
        "enabled",
        "useCount",
        "maxUses",
        "validTillTime",
    ],
};
pub(crate) const REDEMPTIONS: List = List {
    method: "RedemptionService/ListRedemptions",
    items: "redemptions",
    columns: &[
        "name",
        "user",
        "outcome",
        "state",
        "refuseReason",
        "createTime",
    ],
};

/// Prints the list of a place, in a table or as JSON. `parent` is `organizations/hamilton` or `hamilton`, or with a
/// class `hamilton/biology`; organizations have neither that nor a filter.
pub(crate) async fn run(
    list: &List,
    address: &str,
    parent_and_filter: Option<(&str, &str)>,
    arguments: &ListArguments,
) -> Result<(), Failure> {
    let mut request = Map::new();
    if let Some((parent, filter)) = parent_and_filter {
        request.insert("parent".to_owned(), resource_name(parent).into());
        request.insert("filter".to_owned(), filter.into());
    }
    let items = all(list, address, request, arguments).await?;
    if arguments.json {
        println!("{:#}", Value::Array(items));
    } else {
        for line in table(list.columns, &items) {
            println!("{line}");
        }
    }
    Ok(())
}

async fn all(
    list: &List,
    address: &str,
    mut request: Map<String, Value>,
    arguments: &ListArguments,
) -> Result<Vec<Value>, Failure> {
    let (limit, user) = (arguments.limit, arguments.user.as_deref());
    let method = Contract::load()?.method(list.method)?;
    let remote = Remote::connect(address, &arguments.caller, user).await?;
    let mut items = Vec::new();
    loop {
        let page_size = (limit - items.len()).min(PAGE_ITEMS_MAX);
        request.insert("pageSize".to_owned(), page_size.into());
        let asked = message(&method, &Value::Object(request.clone()))?;
        let mut page = remote.answer(&method, asked).await?;
        if let Some(Value::Array(found)) = page.get_mut(list.items).map(Value::take) {
            items.extend(found);
        }
        let next = page.get("nextPageToken").and_then(Value::as_str);
        let next = next.filter(|next| !next.is_empty() && items.len() < limit);
        let Some(next) = next else {
            return Ok(items);
        };
        request.insert("pageToken".to_owned(), next.into());
    }
}

/// Returns the resource name of a place that may be written in short.
pub(crate) fn resource_name(place: &str) -> String {
    match place.split_once('/') {
        Some(("organizations", _)) => place.to_owned(),
        Some((organization, class)) => format!("organizations/{organization}/classes/{class}"),
        None => format!("organizations/{place}"),
    }
}

/// Returns the lines of a table with a row for each item.
pub(crate) fn table(columns: &[&str], items: &[Value]) -> Vec<String> {
    let rows: Vec<Vec<String>> = items
        .iter()
        .map(|item| columns.iter().map(|column| shown(&item[column])).collect())
        .collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let cells = rows.iter().filter_map(|row| row.get(index));
            let widest = cells.map(|cell| cell.chars().count()).max();
            widest.unwrap_or(0).max(column.len())
        })
        .collect();
    let line = |cells: &[String]| {
        let padded = cells.iter().zip(&widths);
        let padded: Vec<String> = padded
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    let head: Vec<String> = columns.iter().map(|&column| column.to_owned()).collect();
    let mut lines = vec![format!("{HEAD}{}{HEAD:#}", line(&head))];
    lines.extend(rows.iter().map(|row| line(row.as_slice())));
    lines
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        // An enum's default says nothing.
        Value::String(text) if text.ends_with("_UNSPECIFIED") => String::new(),
        Value::String(text) => text.replace(char::is_control, " "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_place_may_be_written_in_short() {
        for (place, name) in [
            ("hamilton", "organizations/hamilton"),
            ("hamilton/biology", "organizations/hamilton/classes/biology"),
            (
                "organizations/hamilton/classes/biology",
                "organizations/hamilton/classes/biology",
            ),
        ] {
            assert_eq!(resource_name(place), name);
        }
    }

    #[test]
    fn a_table_has_a_row_for_each_item_and_no_control_characters() {
        let items = [
            json!({"name": "a", "displayName": "Ada\u{1b}[31m", "seatLimit": 30}),
            json!({"name": "longer", "displayName": "B", "state": "STATE_UNSPECIFIED"}),
        ];
        let lines = table(&["name", "displayName", "seatLimit", "state"], &items);
        let plain = anstream::adapter::strip_str(&lines[0]).to_string();
        assert_eq!(plain, "name    displayName  seatLimit  state");
        assert_eq!(lines[1], "a       Ada [31m     30");
        assert_eq!(lines[2], "longer  B");
    }
}
