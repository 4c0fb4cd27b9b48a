//! The command line of `homeroom export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::connection_arguments::CallerArguments;

#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// The address of membership.
    #[arg(value_name = "ADDR")]
    pub(super) address: String,
    /// The organization, such as `hamilton` or `organizations/hamilton`.
    #[arg(value_name = "ORG")]
    pub(super) organization: String,
    /// The id of one class; by default all active classes.
    #[arg(value_name = "CLASS")]
    pub(super) class: Option<String>,
    /// The format.
    #[arg(long, value_enum)]
    pub(super) format: Format,
    /// The new folder, or the new zip file if it ends with `.zip`; accessible to its owner only.
    #[arg(long, value_name = "PATH")]
    pub(super) to: PathBuf,
    /// The user to act for, which needs a token with the scope `homeroom.act_as`.
    #[arg(long, value_name = "USER")]
    pub(super) user: Option<String>,
    #[command(flatten)]
    pub(super) caller: CallerArguments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A set of `OneRoster` 1.2 CSV files.
    Oneroster,
    /// A JSON file of LTI Names and Roles for each class.
    Lti,
}
