//! The command line of `homeroom export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::connection_arguments::{CallerArguments, MEMBERSHIP_ADDRESS_DEFAULT};

#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// The organization, such as `hamilton`, of which all active classes are written, or a class, such as
    /// `hamilton/biology`.
    #[arg(value_name = "PLACE")]
    pub(super) place: String,
    /// The address of membership.
    #[arg(long, value_name = "ADDR", default_value = MEMBERSHIP_ADDRESS_DEFAULT)]
    pub(super) membership: String,
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
