//! Files that are there whole or not at all.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

/// Makes `folder` and what leads to it, mode 0755.
pub(crate) fn create_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o755);
    builder.create(folder)
}

/// Writes `bytes` to `path` in one step: to a new file beside it (mode 0600, or that of an
/// existing `path`), which then takes its place. Both the file and the folder are synced.
///
/// # Errors
///
/// Returns the error of the step that failed; `path` is then as it was, and nothing is left
/// beside it.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(std::process::id().to_string());
    let temporary = folder.join(name);
    let result = write_new(&temporary, path, bytes)
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| File::open(folder)?.sync_all());
    if result.is_err() {
        // It may not even be there; the first error is the one to tell.
        let _absent = fs::remove_file(&temporary);
    }
    result
}

fn write_new(temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(temporary)?;
    file.write_all(bytes)?;
    if let Ok(existing) = fs::metadata(path) {
        file.set_permissions(existing.permissions())?;
    }
    file.sync_all()
}
