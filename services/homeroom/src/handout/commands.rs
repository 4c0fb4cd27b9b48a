//! `homeroom qr`, `slips` and `board`: read, call, render, write.

use std::{
    fs::File,
    io::{self, Read, Write as _},
    path::Path,
};

use homeroom_api::invitations::v1::{
    GetClassCodeRequest, GetEnrollmentCodeRequest, GetJoinUrlRequest,
    class_code_service_client::ClassCodeServiceClient,
    enrollment_code_service_client::EnrollmentCodeServiceClient,
    join_url_service_client::JoinUrlServiceClient, token_service_client::TokenServiceClient,
};

use super::{
    arguments::{
        BoardArguments, OutputArguments, QrArguments, QrFormat, STANDARD_INPUT, SheetArguments,
        SlipsArguments, SlipsFormat,
    },
    board::{self, Board},
    page::escaped,
    qr::{QR_TEXT_BYTES_MAX, Qr},
    roster::{self, ROSTER_BYTES_MAX},
    slips::{self, Sheet},
    texts,
};
use crate::{Failure, list::resource_name, private_file, remote::Remote};

/// Makes a QR code.
pub(crate) fn qr(arguments: &QrArguments) -> Result<(), Failure> {
    let text = if arguments.text == STANDARD_INPUT {
        // One more than a code may have, and the end of the line.
        read_at_most(io::stdin(), QR_TEXT_BYTES_MAX + 3)?
    } else {
        arguments.text.clone().into_bytes()
    };
    let code = Qr::of(text.trim_ascii_end())?;
    let output = &arguments.output;
    match arguments.format {
        QrFormat::Svg => write(output, code.svg().as_bytes()),
        QrFormat::Png => write(output, &code.png()?),
        QrFormat::Text if output.output.is_none() => {
            anstream::print!("{}", code.text());
            Ok(())
        }
        QrFormat::Text => {
            let plain = anstream::adapter::strip_str(&code.text()).to_string();
            write(output, plain.as_bytes())
        }
    }
}

/// Makes a class token for each student of a roster, and their slips.
pub(crate) async fn slips(arguments: &SlipsArguments) -> Result<(), Failure> {
    let sheet = &arguments.sheet;
    let students = roster::parse(&roster_of(&arguments.roster)?)?;
    let class = resource_name(&arguments.class);
    let [school, class_display_name] = names(sheet, &class).await?;
    let request = slips::request(&class, &students);
    let remote = invitations(sheet).await?;
    let mut tokens = TokenServiceClient::new(remote.service());
    let made = remote
        .ask(async || tokens.batch_create_tokens(request.clone()).await)
        .await?;
    let (made, without) = slips::slips_of(&students, made);
    if !made.is_empty() {
        let file = match arguments.format {
            SlipsFormat::Csv => slips::csv(&made)?,
            SlipsFormat::Html => {
                let common = Sheet {
                    school: &school,
                    class: &class_display_name,
                    site: sheet.site.as_deref(),
                    paper: sheet.paper,
                };
                slips::html(&common, &made)?.into_bytes()
            }
        };
        write(&sheet.output, &file)?;
    }
    if without.is_empty() {
        return Ok(());
    }
    let (count, all) = (without.len(), students.len());
    let lines = without.join("\n  ");
    Err(format!(
        "{count} of {all} students have no slip; give a roster with them alone, corrected\n  {lines}"
    )
    .into())
}

/// Makes a page for the board.
pub(crate) async fn board(arguments: &BoardArguments) -> Result<(), Failure> {
    let sheet = &arguments.sheet;
    let place = resource_name(&arguments.place);
    let [school, class] = names(sheet, &place).await?;
    let remote = invitations(sheet).await?;
    let (code, scanned, steps): (_, _, fn(&str) -> [String; 3]) =
        if let Some(id) = &arguments.enrollment_code {
            let name = format!("{place}/enrollmentCodes/{id}");
            let request = GetEnrollmentCodeRequest { name };
            let mut codes = EnrollmentCodeServiceClient::new(remote.service());
            let code = remote
                .ask(async || codes.get_enrollment_code(request.clone()).await)
                .await?
                .full_code;
            (code.clone(), code, texts::enrollment_code_steps)
        } else if arguments.join_url {
            let name = format!("{place}/joinUrl");
            let request = GetJoinUrlRequest { name };
            let mut urls = JoinUrlServiceClient::new(remote.service());
            let url = remote
                .ask(async || urls.get_join_url(request.clone()).await)
                .await?
                .url;
            (url.clone(), url, |_| texts::join_url_steps())
        } else {
            let name = format!("{place}/classCode");
            let request = GetClassCodeRequest { name };
            let mut codes = ClassCodeServiceClient::new(remote.service());
            let found = remote
                .ask(async || codes.get_class_code(request.clone()).await)
                .await?;
            (found.code, found.join_link, texts::class_code_steps)
        };
    let site = sheet.site.as_deref().or_else(|| texts::site_of(&scanned));
    let steps = steps(&escaped(site.unwrap_or(texts::SITE_UNKNOWN)));
    let page = board::html(&Board {
        school: &school,
        class: &class,
        code: &code,
        scanned: &scanned,
        steps,
        paper: sheet.paper,
    })?;
    write(&sheet.output, page.as_bytes())
}

/// Returns the names of an organization and of its class, as people see them; without a class the second is empty.
async fn names(sheet: &SheetArguments, place: &str) -> Result<[String; 2], Failure> {
    let user = sheet.user.as_deref();
    let remote = Remote::connect(&sheet.membership, &sheet.caller, user).await?;
    let (organization, class) = match place.split_once("/classes/") {
        Some((organization, _)) => (organization, remote.class(place).await?.display_name),
        None => (place, String::new()),
    };
    let school = remote.organization(organization).await?.display_name;
    Ok([school, class])
}

/// Connects to invitations.
async fn invitations(sheet: &SheetArguments) -> Result<Remote, Failure> {
    let user = sheet.user.as_deref();
    Remote::connect(&sheet.invitations, &sheet.caller, user).await
}

/// Reads the roster of a file, or of standard input.
fn roster_of(path: &Path) -> Result<Vec<u8>, Failure> {
    let most = ROSTER_BYTES_MAX + 1;
    if path == Path::new(STANDARD_INPUT) {
        return read_at_most(io::stdin(), most);
    }
    let cannot = |error: &dyn std::error::Error| {
        Failure::from(format!("{} cannot be read: {error}", path.display()))
    };
    let file = File::open(path).map_err(|error| cannot(&error))?;
    read_at_most(file, most).map_err(|error| cannot(error.as_ref()))
}

fn read_at_most(from: impl Read, most: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    from.take(u64::try_from(most)?).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a result to its file, which others may not read because it may contain credentials, or to standard output.
fn write(to: &OutputArguments, bytes: &[u8]) -> Result<(), Failure> {
    let Some(path) = &to.output else {
        io::stdout().write_all(bytes)?;
        return Ok(io::stdout().flush()?);
    };
    let file = private_file::open(File::options().create(true).truncate(true), path);
    let written = file.and_then(|mut file| file.write_all(bytes));
    written.map_err(|error| format!("{} cannot be written: {error}", path.display()).into())
}
