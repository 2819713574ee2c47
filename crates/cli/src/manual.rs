//! The manual page of a program, made of the flags that its help lists.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use roff::{Roff, bold, italic, roman};

use crate::flags::Flags;

/// Returns where the page is to be written, if that is what was asked for: `man --out FOLDER`, as the
/// other programs have it. No client takes arguments that are no flags.
pub(crate) fn wanted(rest: &[String]) -> Option<PathBuf> {
    match rest {
        [man, out, folder] if man == "man" && out == "--out" => Some(PathBuf::from(folder)),
        _ => None,
    }
}

/// Writes the page into `folder`, which is made if it is not there; returns the page's path.
pub(crate) fn write(flags: &Flags, folder: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let path = folder.join(format!("{}.1", name(flags)));
    let mut file = fs::File::create(&path)?;
    file.write_all(page(flags).as_bytes())?;
    Ok(path)
}

/// What the program is called, without the folder that it was called in.
fn name(flags: &Flags) -> &str {
    flags.program().rsplit('/').next().unwrap_or_default()
}

fn page(flags: &Flags) -> String {
    let (name, about, sorted) = (name(flags), flags.about(), flags.sorted());
    let mut page = Roff::new();
    page.control("TH", [name, "1"]);
    page.control("SH", ["NAME"]).text([roman(format!("{name} - {about}"))]);
    page.control("SH", ["SYNOPSIS"]);
    let options = if sorted.is_empty() { "" } else { " [-flag=value]..." };
    page.text([bold(name), roman(options)]);
    if !sorted.is_empty() {
        page.control("SH", ["OPTIONS"]);
    }
    for flag in sorted {
        page.control("TP", []);
        let mut words = vec![bold(format!("-{}", flag.name))];
        if !flag.kind().is_empty() {
            words.push(italic(flag.kind()));
        }
        page.text(words);
        page.text([roman(format!("{}{}", flag.usage, flag.shown_default()))]);
    }
    page.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_lists_the_flags_as_the_help_does() {
        let flags = Flags::new("./bin/client", "does what it's told")
            .text("addr", "localhost:1", "where")
            .switch("all", "everything");
        let folder = tempfile::tempdir().expect("a folder");
        let path = write(&flags, &folder.path().join("new")).expect("written");
        assert_eq!(path, folder.path().join("new/client.1"));
        let page = fs::read_to_string(path).expect("a page");
        let end = concat!(
            ".TH client 1\n",
            ".SH NAME\nclient \\- does what it\\*(Aqs told\n",
            ".SH SYNOPSIS\n\\fBclient\\fR [\\-flag=value]...\n",
            ".SH OPTIONS\n",
            ".TP\n\\fB\\-addr\\fR\\fI string\\fR\nwhere (default \"localhost:1\")\n",
            ".TP\n\\fB\\-all\\fR\neverything\n",
        );
        assert!(page.ends_with(end), "{page}");
    }

    #[test]
    fn a_page_is_written_only_where_it_was_asked_for() {
        let rest = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        assert_eq!(wanted(&rest(&["man", "--out", "here"])), Some(PathBuf::from("here")));
        for words in [&["man"][..], &["man", "--out"], &["man", "--in", "here"], &[]] {
            assert_eq!(wanted(&rest(words)), None, "{words:?}");
        }
    }
}
