//! The command line of `homeroom qr`, `slips` and `board`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::page::Paper;
use crate::connection_arguments::{
    CallerArguments, INVITATIONS_ADDRESS_DEFAULT, MEMBERSHIP_ADDRESS_DEFAULT,
};

/// The argument that stands for standard input.
pub(super) const STANDARD_INPUT: &str = "-";

/// Names what `homeroom qr` makes.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum QrFormat {
    /// A vector picture.
    Svg,
    /// A picture of pixels.
    Png,
    /// Characters for a terminal.
    Text,
}

/// Names what `homeroom slips` makes.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum SlipsFormat {
    /// A sheet to print from a browser.
    Html,
    /// A table for a mail merge.
    Csv,
}

#[derive(Debug, Args)]
pub(crate) struct QrArguments {
    /// The text; by default that of standard input, so that no list of processes shows a credential.
    #[arg(value_name = "TEXT", default_value = STANDARD_INPUT)]
    pub(crate) text: String,
    /// The format.
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "svg")]
    pub(crate) format: QrFormat,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

#[derive(Debug, Args)]
pub(crate) struct OutputArguments {
    /// The file to write, which is made for its owner only; an existing one is replaced. By default standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct SlipsArguments {
    /// The class, such as `hamilton/biology`.
    #[arg(value_name = "CLASS")]
    pub(crate) class: String,
    /// The roster, a CSV file in UTF-8 with the column `name` and, if you like, `email` and `external_id`; by default
    /// that of standard input.
    #[arg(value_name = "ROSTER", default_value = STANDARD_INPUT)]
    pub(crate) roster: PathBuf,
    /// The format.
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "html")]
    pub(crate) format: SlipsFormat,
    #[command(flatten)]
    pub(crate) sheet: SheetArguments,
}

#[derive(Debug, Args)]
pub(crate) struct BoardArguments {
    /// The class, such as `hamilton/biology`; with --enrollment-code it may be an organization, such as `hamilton`.
    #[arg(value_name = "CLASS")]
    pub(crate) place: String,
    /// Show the class's join URL in place of its class code.
    #[arg(long, conflicts_with = "enrollment_code")]
    pub(crate) join_url: bool,
    /// Show this enrollment code in place of the class code; ID is the last part of its name, as `homeroom code` lists
    /// it.
    #[arg(long, value_name = "ID")]
    pub(crate) enrollment_code: Option<String>,
    #[command(flatten)]
    pub(crate) sheet: SheetArguments,
}

/// A sheet of paper, and how its contents are read.
#[derive(Debug, Args)]
pub(crate) struct SheetArguments {
    /// The size of the paper.
    #[arg(long, value_name = "SIZE", value_enum, default_value = "a4")]
    pub(crate) paper: Paper,
    /// The address at which people type a code, as the steps name it; by default that of the links.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) site: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
    /// The address of membership.
    #[arg(long, value_name = "ADDR", default_value = MEMBERSHIP_ADDRESS_DEFAULT)]
    pub(crate) membership: String,
    /// The address of invitations.
    #[arg(long, value_name = "ADDR", default_value = INVITATIONS_ADDRESS_DEFAULT)]
    pub(crate) invitations: String,
    /// The user to act for, which needs a token with the scope `homeroom.act_as`.
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    #[command(flatten)]
    pub(crate) caller: CallerArguments,
}
