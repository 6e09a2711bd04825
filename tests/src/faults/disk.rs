//! A small private disk of a round, which can be filled.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// The size of the disk: enough for a new database and the write-ahead log of a round, and quickly
/// filled.
const SIZE: &str = "size=400m,mode=755";
const BALLAST: &str = "ballast";

/// A folder on a private disk; if this process may not mount one, on the usual disk, which is never
/// filled.
#[derive(Debug)]
pub struct Disk {
    folder: TempDir,
    small: bool,
}

impl Disk {
    /// Mounts the disk.
    #[must_use]
    pub fn mount() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(folder.path()).output();
        let small = mounted.is_ok_and(|output| output.status.success());
        if !small {
            open_to_all(folder.path());
        }
        Self { folder, small }
    }

    /// The path of the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Fills the disk.
    ///
    /// # Errors
    /// If it is not a private disk.
    pub fn fill(&self) -> Result<(), String> {
        if !self.small {
            return Err("this process may not mount a disk of its own".to_owned());
        }
        let mut ballast =
            fs::File::create(self.path().join(BALLAST)).map_err(|error| error.to_string())?;
        let chunk = vec![0; 64 * 1_024];
        while ballast.write_all(&chunk).is_ok() {}
        Ok(())
    }

    /// Makes room again.
    pub fn empty(&self) {
        // The file is missing if the disk was not filled.
        let _ = fs::remove_file(self.path().join(BALLAST));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.small {
            // Lazily, because a process that is about to end may still hold a file.
            let unmounted = Command::new("umount").arg("--lazy").arg(self.path()).status();
            if !unmounted.is_ok_and(|status| status.success()) {
                eprintln!("{} stays mounted", self.path().display());
            }
        }
    }
}

fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("the folder is ours");
}
