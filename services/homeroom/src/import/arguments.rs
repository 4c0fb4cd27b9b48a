//! The command line of `homeroom import`.

use std::path::PathBuf;

use clap::Args;
use homeroom_kit::auth::Namespace;

use crate::{
    connection_arguments::{CallerArguments, MEMBERSHIP_ADDRESS_DEFAULT},
    roster::{Reading, Role},
};

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct ImportArguments {
    /// The organization, such as `hamilton`.
    #[arg(value_name = "ORG")]
    pub(super) organization: String,
    /// The roster: a folder, a zip file or a CSV file.
    #[arg(value_name = "PATH")]
    pub(super) path: PathBuf,
    /// The address of membership.
    #[arg(long, value_name = "ADDR", default_value = MEMBERSHIP_ADDRESS_DEFAULT)]
    pub(super) membership: String,
    /// Carry the import out. Without it, the command only says what would be done.
    #[arg(long)]
    pub(super) commit: bool,
    /// Print the report as JSON.
    #[arg(long)]
    pub(super) json: bool,
    /// Create the classes that the organization lacks, with the title of the file and its id as external id;
    /// Homeroom makes the class id. The owner is the primary
    /// teacher of the file, or else its first teacher, or else the caller.
    #[arg(long)]
    pub(super) create_classes: bool,
    /// Remove from each class of the file the students and co-teachers that the file does not have; for files that list
    /// everybody.
    #[arg(long, requires = "removals_percent_max")]
    pub(super) remove_absent: bool,
    /// The largest share of the members of any class that the import may remove, in percent. Without it, nobody is
    /// removed.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(i32).range(0..=100))]
    pub(super) removals_percent_max: Option<i32>,
    /// The column of the user ids of your platform; by default `sourcedId` (`OneRoster`), `user_id` (Canvas) or `user`.
    #[arg(long, value_name = "COLUMN")]
    pub(super) user_id: Option<String>,
    /// The name space of the user ids, if the people's issuer has one.
    #[arg(long, value_name = "NAMESPACE", value_parser = Namespace::parse)]
    pub(super) user_prefix: Option<Namespace>,
    /// The meaning of a role that the format does not know: `student`, `co-teacher` or `none`, as
    /// `--role Grader=co-teacher`; may be repeated.
    #[arg(long = "role", value_name = "NAME=ROLE", value_parser = role)]
    pub(super) roles: Vec<(String, Option<Role>)>,
    /// The user to act for, which needs a token with the scope `homeroom.act_as`.
    #[arg(long, value_name = "USER")]
    pub(super) user: Option<String>,
    #[command(flatten)]
    pub(super) caller: CallerArguments,
}

impl ImportArguments {
    pub(super) fn reading(&self) -> Reading {
        Reading {
            user_column: self.user_id.clone(),
            namespace: self.user_prefix.clone(),
            roles: self.roles.iter().cloned().collect(),
        }
    }
}

fn role(text: &str) -> Result<(String, Option<Role>), String> {
    let (name, role) = text.rsplit_once('=').unwrap_or((text, ""));
    let role = match role {
        "student" => Some(Role::Student),
        "co-teacher" => Some(Role::Assistant),
        "none" => None,
        _ => return Err("write NAME=student, NAME=co-teacher or NAME=none".to_owned()),
    };
    Ok((name.to_owned(), role))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_of_an_account_is_given_a_meaning() {
        assert_eq!(
            role("a=b=student"),
            Ok(("a=b".to_owned(), Some(Role::Student)))
        );
        assert_eq!(
            role("Grader=co-teacher"),
            Ok(("Grader".to_owned(), Some(Role::Assistant)))
        );
        assert_eq!(role("parent=none"), Ok(("parent".to_owned(), None)));
        assert!(role("student").is_err() && role("Grader=owner").is_err());
    }
}
