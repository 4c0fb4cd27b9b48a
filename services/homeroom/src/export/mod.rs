//! `homeroom export`: writes the roster of an organization for another system.

mod arguments;
mod lti;
mod oneroster;

use std::{
    fs::{self, DirBuilder, File},
    io::{Seek, Write},
    os::unix::fs::DirBuilderExt as _,
    path::Path,
};

use anstream::println;
pub(crate) use arguments::ExportArguments;
use arguments::Format;
use homeroom_api::membership::v1::{Class, Member};
use homeroom_kit::{Clock as _, clock::SystemClock};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::{Failure, list::resource_name, private_file, remote::Remote};

/// The classes that are written.
const ACTIVE: &str = r#"state = "ACTIVE""#;

/// A class with its members.
struct Roster {
    class: Class,
    members: Vec<Member>,
}

pub(crate) async fn run(arguments: &ExportArguments) -> Result<(), Failure> {
    let to = &arguments.to;
    if to.exists() {
        return Err(format!("{} is there already: give another path", to.display()).into());
    }
    let place = resource_name(&arguments.place);
    let (organization, class) = match place.split_once("/classes/") {
        Some((organization, _)) => (organization, Some(&*place)),
        None => (&*place, None),
    };
    let user = arguments.user.as_deref();
    let remote = Remote::connect(&arguments.membership, &arguments.caller, user).await?;
    let rosters = read(&remote, organization, class).await?;
    let files = match arguments.format {
        Format::Lti => lti::files(&rosters)?,
        Format::Oneroster => {
            let people = match class {
                None => remote.organization_members(organization).await?,
                Some(_) => Vec::new(),
            };
            let school = remote.organization(organization).await?;
            oneroster::files(&school, people, &rosters, SystemClock.now())?
        }
    };
    let is_zip = to
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("zip"));
    if is_zip {
        pack(to, &files)?;
    } else {
        lay_out(to, &files)?;
    }
    println!(
        "{}: {} files, {} classes",
        to.display(),
        files.len(),
        rosters.len()
    );
    Ok(())
}

/// Reads the active classes, or the one that is named, with their members.
async fn read(
    remote: &Remote,
    organization: &str,
    class: Option<&str>,
) -> Result<Vec<Roster>, Failure> {
    let classes = match class {
        None => remote.classes(organization, ACTIVE).await?,
        Some(class) => vec![remote.class(class).await?],
    };
    let mut rosters = Vec::with_capacity(classes.len());
    for class in classes {
        let members = remote.class_members(&class.name).await?;
        rosters.push(Roster { class, members });
    }
    Ok(rosters)
}

/// A file to write.
struct Written {
    name: String,
    content: Vec<u8>,
}

/// Writes the files into a new folder, for its owner only: they hold names and addresses.
fn lay_out(to: &Path, files: &[Written]) -> Result<(), Failure> {
    DirBuilder::new()
        .mode(0o700)
        .create(to)
        .map_err(|error| cannot(to, &error))?;
    for file in files {
        let path = to.join(&file.name);
        fs::write(&path, &file.content).map_err(|error| cannot(&path, &error))?;
    }
    Ok(())
}

fn pack(to: &Path, files: &[Written]) -> Result<(), Failure> {
    let file = private_file::open(File::options().create_new(true), to)
        .map_err(|error| cannot(to, &error))?;
    pack_into(file, files)
        .map_err(|error| format!("{} cannot be written: {error}", to.display()).into())
}

fn pack_into<W: Write + Seek>(file: W, files: &[Written]) -> Result<(), zip::result::ZipError> {
    let mut writer = ZipWriter::new(file);
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for file in files {
        writer.start_file(file.name.as_str(), options)?;
        writer.write_all(&file.content)?;
    }
    writer.finish().map(|_| ())
}

fn cannot(path: &Path, error: &std::io::Error) -> String {
    format!("{} cannot be written: {error}", path.display())
}

/// Returns the last part of a resource name.
fn id_of(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or_default()
}
