//! `homeroom serve` on a data folder of its own, and the other commands beside it.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The arguments that make the teacher's token.
pub(crate) const TEACHER: [&str; 2] = ["--user", "teacher"];

pub(crate) fn homeroom(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeroom"));
    command.args(arguments);
    command
}

/// Returns what a command that ends prints, to both streams.
pub(crate) fn printed(output: &Output) -> String {
    let printed = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8(printed).unwrap()
}

/// Returns what a command that must succeed prints.
pub(crate) fn succeeds(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", printed(&output));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A data folder, and `homeroom serve` on it until it is dropped.
pub(crate) struct Served {
    child: Child,
    pub(crate) membership: String,
    pub(crate) invitations: String,
    pub(crate) data: PathBuf,
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns the command that serves a folder.
pub(crate) fn serve(data: &Path) -> Command {
    let data = text(data);
    let any = "127.0.0.1:0";
    let mut serve = homeroom(&["serve", "--data", data]);
    serve.args(["--membership", any, "--invitations", any]);
    serve
}

impl Served {
    pub(crate) fn start(data: &Path) -> Self {
        fs::create_dir_all(data).unwrap();
        let log = File::options()
            .create(true)
            .append(true)
            .open(data.join("log"));
        let mut serve = serve(data);
        serve.stdout(Stdio::piped()).stderr(log.unwrap());
        let mut child = serve.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut address = |of: &str| {
            let line = lines.next();
            let line = line
                .unwrap_or_else(|| panic!("it has not started"))
                .unwrap();
            let (name, address) = line.split_once("http://").unwrap();
            assert_eq!(name.trim(), of);
            address.to_owned()
        };
        Self {
            membership: address("membership"),
            invitations: address("invitations"),
            child,
            data: data.to_owned(),
        }
    }

    pub(crate) fn token(&self, arguments: &[&str]) -> String {
        token(&self.data, arguments)
    }

    /// Returns the answer of the method's service; the error is the text of a refusal.
    pub(crate) fn call(
        &self,
        method: &str,
        request: &Value,
        arguments: &[&str],
    ) -> Result<Value, String> {
        let of_invitations = ["ClassCodeService", "JoinUrlService", "RedemptionService"];
        let service = method.split('/').next().unwrap();
        // Both forms of an address are taken.
        let address = if of_invitations.contains(&service) {
            self.invitations.clone()
        } else {
            format!("http://{}", self.membership)
        };
        let request = request.to_string();
        let mut command = homeroom(&["call", &address, method, &request]);
        let output = command.args(arguments).output().unwrap();
        if output.status.success() {
            return Ok(serde_json::from_slice(&output.stdout).unwrap());
        }
        Err(printed(&output))
    }

    /// Returns the answer to the holder of a token that these arguments make.
    pub(crate) fn ask(
        &self,
        method: &str,
        request: &Value,
        holder: &[&str],
    ) -> Result<Value, String> {
        let token = self.token(holder);
        self.call(method, request, &["--token", &token])
    }

    /// Creates the school `hamilton` with the administrator `admin`, the teacher `teacher` and the class `biology`, and
    /// returns the class's code.
    pub(crate) fn school(&self) -> String {
        let platform = ["--user", "platform", "--scope", "homeroom.platform"];
        let organization = json!({
            "organizationId": "hamilton", "organization": {"displayName": "Hamilton"}, "admin": "teacher"
        });
        let class = json!({
            "parent": "organizations/hamilton", "classId": "biology", "class": {"displayName": "Biology"}
        });
        let code = json!({"name": "organizations/hamilton/classes/biology/classCode"});
        let create = "OrganizationService/CreateOrganization";
        self.ask(create, &organization, &platform).unwrap();
        self.ask("ClassService/CreateClass", &class, &TEACHER)
            .unwrap();
        let code = self.ask("ClassCodeService/GetClassCode", &code, &TEACHER);
        code.unwrap()["code"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn token(data: &Path, arguments: &[&str]) -> String {
    let mut command = homeroom(&["token", "--data", text(data)]);
    command.args(arguments);
    succeeds(command)
}

pub(crate) fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    (folder, data)
}
