//! The nodes that a client talks to at once: a slice of a file with an address a line.

use std::{fs::File, io::Read as _};

use crate::client::{Server, check_address};

/// Bytes of a file of addresses; those of ten thousand nodes take a fraction.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Nodes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    /// How many the file has.
    pub listed: usize,
    /// Addresses `host:port` of the slice.
    pub addresses: Vec<String>,
}

/// Reads the addresses `start` to before `end`, counted from 0; a file that has fewer ends before.
/// Empty lines and those that begin with `#` do not count.
///
/// # Errors
///
/// Returns a text that says what is wrong with the file or the slice.
pub fn read(path: &str, start: i64, end: i64) -> Result<Targets, String> {
    let mut content = String::new();
    let read = File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut content));
    let length = read.map_err(|error| format!("{path}: {error}"))?;
    if length as u64 > FILE_BYTES_MAX {
        let allowed = FILE_BYTES_MAX >> 20;
        return Err(format!(
            "{path}: more than {allowed} MiB; a line HOST:PORT a node is expected"
        ));
    }
    let mut listed = Vec::new();
    for (number, line) in (1..).zip(content.lines().map(str::trim)) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        check_address(line, Server::Node)
            .map_err(|error| format!("{path}, line {number}: {error}"))?;
        listed.push(line.to_owned());
    }
    let count = listed.len();
    let slice = |start, end: i64| {
        let end = usize::try_from(end).ok()?.min(count);
        listed.get(usize::try_from(start).ok()?..end).filter(|slice| !slice.is_empty())
    };
    match slice(start, end) {
        Some(slice) => Ok(Targets { listed: count, addresses: slice.to_vec() }),
        None => Err(format!(
            "invalid index range: start-index={start} end-index={end} (num IPs={count})"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(content: &str) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ips.tsv");
        std::fs::write(&path, content).expect("written");
        let path = path.to_str().expect("UTF-8").to_owned();
        (folder, path)
    }

    #[test]
    fn blanks_and_comments_do_not_count_and_the_end_is_capped() {
        let (_folder, path) = written("# nodes\n a:1 \n\nb:2\r\nc:3");
        for (start, end, addresses) in
            [(0, 10_000, &["a:1", "b:2", "c:3"][..]), (1, 2, &["b:2"]), (2, 3, &["c:3"])]
        {
            let targets = read(&path, start, end).expect("a slice");
            assert_eq!(
                (targets.listed, &targets.addresses[..]),
                (
                    3,
                    addresses
                        .to_vec()
                        .iter()
                        .map(|a| (*a).to_owned())
                        .collect::<Vec<_>>()
                        .as_slice()
                )
            );
        }
    }

    #[test]
    fn a_slice_without_a_node_is_told_with_its_bounds() {
        let (_folder, path) = written("a:1\nb:2\n");
        for (start, end) in [(2, 10_000), (1, 1), (2, 1), (-1, 2), (0, -1), (0, 0)] {
            let expected =
                format!("invalid index range: start-index={start} end-index={end} (num IPs=2)");
            assert_eq!(read(&path, start, end), Err(expected));
        }
        let (_folder, path) = written("# nobody\n");
        assert!(read(&path, 0, 1).expect_err("empty").contains("num IPs=0"));
    }

    #[test]
    fn a_line_that_is_no_address_is_told_with_its_number() {
        let (_folder, path) = written("a:1\n\nnode two\n");
        let error = read(&path, 0, 1).expect_err("no address");
        assert!(error.contains("line 3") && error.contains("\"node two\""), "{error}");
        let error = read("/nowhere/ips.tsv", 0, 1).expect_err("no file");
        assert!(error.starts_with("/nowhere/ips.tsv: "), "{error}");
        let error = read("/dev/zero", 0, 1).expect_err("it has no end");
        assert!(error.contains("/dev/zero: more than 16 MiB"), "{error}");
    }
}
