//! The manual pages of a daemon, made of what its help is made of.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

use clap::Command;
use roff::{Roff, bold, roman};

use crate::program::Variable;

/// Writes the page of `command` and one for each of its subcommands into `folder`, which is made if it
/// is not there. The variables are a section of the first, at its end.
pub(crate) fn write(command: Command, variables: &[Variable], folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let page = folder.join(format!("{}.1", command.get_name()));
    clap_mangen::generate_to(command, folder)?;
    OpenOptions::new().append(true).open(page)?.write_all(environment(variables).as_bytes())
}

fn environment(variables: &[Variable]) -> String {
    let mut section = Roff::new();
    section.control("SH", ["ENVIRONMENT"]);
    for (name, default, meaning) in variables {
        let default = default.trim_matches(['(', ')']);
        section.control("TP", []);
        section.text([bold(*name), roman(format!(" ({default})"))]);
        section.text([roman(*meaning)]);
    }
    section.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_ends_with_the_variables_and_names_no_hidden_command() {
        let folder = tempfile::tempdir().expect("a folder");
        let command = Command::new("daemon")
            .about("A daemon")
            .subcommand(Command::new("ask").about("Ask it"))
            .subcommand(Command::new("secret").hide(true));
        let variables = [("PORT", "80", "where"), ("KEY", "(none)", "path-like, such as '/key'")];
        write(command, &variables, &folder.path().join("new")).expect("written");

        let read = |name: &str| fs::read_to_string(folder.path().join("new").join(name));
        let page = read("daemon.1").expect("a page");
        assert!(page.contains("daemon \\- A daemon") && !page.contains("secret"), "{page}");
        let end = concat!(
            ".SH ENVIRONMENT\n",
            ".TP\n\\fBPORT\\fR (80)\nwhere\n",
            ".TP\n\\fBKEY\\fR (none)\npath\\-like, such as \\*(Aq/key\\*(Aq\n",
        );
        assert!(page.ends_with(end), "{page}");
        assert!(read("daemon-ask.1").expect("a page").contains("Ask it"));
        assert!(read("daemon-secret.1").is_err());
    }
}
