//! Taking the few files we need out of a zip archive.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use zip::ZipArchive;

/// Unpacks from `archive` into the folder `into` every file for which `place` gives a relative
/// path. Fails if there is none, since the layout of the archive is then not the one we know.
pub(super) fn unpack(
    archive: &Path,
    into: &Path,
    place: impl Fn(&str) -> Option<String>,
) -> anyhow::Result<()> {
    let file = File::open(archive).with_context(|| format!("cannot open {}", archive.display()))?;
    let mut entries = ZipArchive::new(file)
        .with_context(|| format!("{} is not a zip archive", archive.display()))?;
    let mut unpacked = 0;
    for index in 0..entries.len() {
        let mut entry = entries.by_index(index)?;
        let name = entry.name()?.into_owned();
        let Some(place) = place(&name).filter(|_| entry.is_file()) else {
            continue;
        };
        if entry.enclosed_name().is_none() {
            bail!(
                "{} holds a file outside of itself: {name}",
                archive.display()
            );
        }
        let path = into.join(place);
        write(&mut entry, &path).with_context(|| {
            format!(
                "cannot unpack {name} of {} to {}",
                archive.display(),
                path.display()
            )
        })?;
        // The file mode of the umask would do, were it not for a root with umask 077: the embedded
        // Postgres runs as another user, who must be able to read and execute its files.
        let executable = entry.unix_mode().is_some_and(|mode| mode & 0o100 != 0);
        let mode = if executable { 0o755 } else { 0o644 };
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
        unpacked += 1;
    }
    ensure!(
        unpacked > 0,
        "{} holds none of the files that are needed",
        archive.display()
    );
    Ok(())
}

/// Makes `folder` and its missing parents, open to every user whatever the umask says.
pub(super) fn create_open_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        create_open_folder(parent)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => fs::set_permissions(folder, Permissions::from_mode(0o755)),
    }
}

fn write(entry: &mut impl io::Read, path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        create_open_folder(folder)?;
    }
    io::copy(entry, &mut File::create(path)?)?;
    Ok(())
}
