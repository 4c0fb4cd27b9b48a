//! Where roster files come from: a folder, a zip file, or one file.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use zip::ZipArchive;

use super::findings::Problem;

/// The most entries of a zip file or folder.
const ENTRIES_MAX: usize = 1_000;
/// The largest zip file, in bytes.
const ZIP_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// The ending of a roster file's name.
const CSV: &str = ".csv";

/// A set of named files.
pub(crate) trait Files {
    /// Returns the names of the CSV files, sorted.
    fn names(&self) -> Vec<String>;

    /// Opens a file by its name.
    fn open(&mut self, name: &str) -> Result<Box<dyn Read + '_>, Problem>;

    /// Returns what the owner of the files should know about the set.
    fn note(&self) -> Option<Problem> {
        None
    }
}

/// Opens a folder, a zip file or a CSV file.
pub(crate) fn open(path: &Path) -> Result<Box<dyn Files>, Problem> {
    let files = open_any(path)?;
    if files.names().is_empty() {
        let what = "it has no files that end with .csv";
        let fix = "give a CSV file, or a folder or zip file of them";
        return Err(Problem::of_file(&path.display().to_string(), what, fix));
    }
    Ok(files)
}

fn open_any(path: &Path) -> Result<Box<dyn Files>, Problem> {
    let shown = path.display().to_string();
    let unreadable =
        |error: std::io::Error| Problem::of_file(&shown, error.to_string(), "check the path");
    if path.is_dir() {
        let mut names = Vec::new();
        for entry in fs::read_dir(path).map_err(unreadable)?.take(ENTRIES_MAX) {
            let entry = entry.map_err(unreadable)?;
            if let Ok(name) = entry.file_name().into_string()
                && is_csv(&name)
            {
                names.push(name);
            }
        }
        names.sort();
        return Ok(Box::new(Folder {
            path: path.to_owned(),
            names,
        }));
    }
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.unwrap_or(&shown).to_owned();
    if name.to_ascii_lowercase().ends_with(".zip") {
        let bytes = fs::metadata(path).map_err(unreadable)?.len();
        if bytes > ZIP_BYTES_MAX {
            let what = format!("it has more than {} MiB", ZIP_BYTES_MAX / 1024 / 1024);
            return Err(Problem::of_file(
                &shown,
                what,
                "unpack it, and give the folder",
            ));
        }
        let file = File::open(path).map_err(unreadable)?;
        return Ok(Box::new(Zip::open(&name, file)?));
    }
    File::open(path).map_err(unreadable)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    Ok(Box::new(Folder {
        path: folder.to_owned(),
        names: vec![name],
    }))
}

fn is_csv(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(CSV) && !name.starts_with('.')
}

struct Folder {
    path: PathBuf,
    names: Vec<String>,
}

impl Files for Folder {
    fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    fn open(&mut self, name: &str) -> Result<Box<dyn Read + '_>, Problem> {
        let file = File::open(self.path.join(name));
        match file {
            Ok(file) => Ok(Box::new(file)),
            Err(error) => Err(Problem::of_file(name, error.to_string(), "check the file")),
        }
    }
}

/// A zip file whose CSV files are at the top, or all in one folder.
pub(super) struct Zip<R> {
    name: String,
    archive: ZipArchive<R>,
    /// The name and the index of each CSV file.
    entries: Vec<(String, usize)>,
    folder: String,
}

impl<R: Read + std::io::Seek> Zip<R> {
    pub(super) fn open(name: &str, read: R) -> Result<Self, Problem> {
        let refused = |what: String, fix: &str| Problem::of_file(name, what, fix);
        let archive = ZipArchive::new(read).map_err(|error| {
            refused(
                error.to_string(),
                "pack it again as a zip file, or give the folder",
            )
        })?;
        if archive.len() > ENTRIES_MAX {
            let what = format!("it has more than {ENTRIES_MAX} entries");
            return Err(refused(what, "leave out what is no roster file"));
        }
        let (mut entries, mut folders) = (Vec::new(), Vec::new());
        for index in 0..archive.len() {
            let path = archive.name_for_index(index).unwrap_or_default();
            let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
            // Archives of macOS hold a shadow of each file.
            if is_csv(file) && !folder.starts_with("__MACOSX") {
                entries.push((file.to_owned(), index));
                folders.push(folder.to_owned());
            }
        }
        folders.sort();
        folders.dedup();
        if folders.len() > 1 {
            let what = "its CSV files are in several folders".to_owned();
            return Err(refused(what, "put all of them at the top"));
        }
        entries.sort();
        Ok(Self {
            name: name.to_owned(),
            archive,
            entries,
            folder: folders.pop().unwrap_or_default(),
        })
    }
}

impl<R: Read + std::io::Seek> Files for Zip<R> {
    fn names(&self) -> Vec<String> {
        self.entries.iter().map(|(name, _)| name.clone()).collect()
    }

    fn open(&mut self, name: &str) -> Result<Box<dyn Read + '_>, Problem> {
        let entry = self.entries.iter().find(|(entry, _)| entry == name);
        let index = entry.map_or(usize::MAX, |(_, index)| *index);
        match self.archive.by_index(index) {
            Ok(file) => Ok(Box::new(file)),
            Err(error) => Err(Problem::of_file(
                name,
                error.to_string(),
                "pack it again, without a password",
            )),
        }
    }

    fn note(&self) -> Option<Problem> {
        let what = format!(
            "its files are in the folder {}, not at the top",
            self.folder
        );
        (!self.folder.is_empty()).then(|| Problem::of_file(&self.name, what, ""))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

    use super::*;

    fn packed(files: &[(&str, &str)]) -> Cursor<Vec<u8>> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        for (name, text) in files {
            writer.start_file(*name, options).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        writer.finish().unwrap()
    }

    fn open(files: &[(&str, &str)]) -> Result<Zip<Cursor<Vec<u8>>>, Problem> {
        Zip::open("set.zip", packed(files))
    }

    #[test]
    fn zip_files_at_the_top_are_read_by_name() {
        let mut zip = open(&[
            ("users.csv", "a\n"),
            ("manifest.csv", "b\n"),
            ("read.me", ""),
        ])
        .unwrap();
        assert_eq!(zip.names(), ["manifest.csv", "users.csv"]);
        let mut text = String::new();
        zip.open("users.csv")
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!((text.as_str(), zip.note()), ("a\n", None));
    }

    #[test]
    fn zip_a_folder_inside_is_said() {
        let shadow = "__MACOSX/export/._users.csv";
        let zip = open(&[("export/users.csv", "a\n"), (shadow, "x")]).unwrap();
        assert_eq!(zip.names(), ["users.csv"]);
        let note = zip.note().unwrap();
        assert!(note.what.contains("the folder export"), "{note}");
        let several = open(&[("a/users.csv", "a\n"), ("b/users.csv", "a\n")]);
        assert!(several.err().unwrap().what.contains("several folders"));
    }

    #[test]
    fn a_folder_or_zip_file_without_csv_files_is_told_by_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let zip = folder.path().join("set.zip");
        fs::write(&zip, packed(&[("read.me", "")]).into_inner()).unwrap();
        for path in [folder.path(), &zip] {
            let said = super::open(path).err().unwrap().to_string();
            let expected = format!("{}: it has no files that end with .csv", path.display());
            assert!(said.starts_with(&expected), "{said}");
        }
    }

    #[test]
    fn zip_what_is_none_and_what_has_too_many_entries_is_refused() {
        assert!(Zip::open("a.zip", Cursor::new(b"PK, or not".to_vec())).is_err());
        let names: Vec<String> = (0..=ENTRIES_MAX)
            .map(|number| format!("{number}.csv"))
            .collect();
        let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
        assert!(open(&files[1..]).is_ok());
        assert!(open(&files).err().unwrap().what.contains("1000 entries"));
    }
}
