//! Makes sure that the tests of `wgpu` find a Vulkan driver on Linux; other systems bring theirs along.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::invocation::{Invocation, Runner, find_program, is_root};

/// Where the Vulkan loader looks for driver manifests, besides the `vulkan/icd.d` of every folder in
/// `XDG_DATA_DIRS`.
const MANIFEST_FOLDERS: [&str; 3] = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"];

/// Mesa's software driver and the loader, as Debian and Ubuntu call them.
const PACKAGES: [&str; 2] = ["mesa-vulkan-drivers", "libvulkan1"];

const ADVICE: &str = "the tests of `wgpu` need one, and Mesa's software driver is enough; install it:
  Debian, Ubuntu: apt-get install mesa-vulkan-drivers libvulkan1
  Fedora:         dnf install mesa-vulkan-drivers vulkan-loader
  Arch:           pacman -S vulkan-swrast vulkan-icd-loader
or run the tests of the other backends: cargo xtask test --backends ndarray,flex";

/// Installs Mesa's software driver if there is no driver and apt-get may be used.
///
/// # Errors
/// If there is no driver and it cannot be installed; the message says how to.
pub(crate) fn ensure_driver(runner: &Runner) -> Result<()> {
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    let variable = |name: &str| env::var_os(name);
    let Some(missing) = missing_part(&variable, &manifest_folders(&variable), loader_is_installed()) else {
        return Ok(());
    };
    if let Missing::ForcedManifest(name) = missing {
        bail!("no Vulkan driver: `{name}` is set, but none of the files it lists exists; unset or correct it");
    }
    let what = match missing {
        Missing::Loader => "no Vulkan loader (libvulkan.so.1) found",
        _ => "no Vulkan driver found",
    };
    if find_program("apt-get").is_none() || !is_root() {
        bail!("{what}: {ADVICE}");
    }
    eprintln!("{what}; installing {}", PACKAGES.join(" and "));
    apt_invocations().iter().try_for_each(|invocation| runner.run(invocation))
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Missing {
    Driver,
    Loader,
    /// This variable replaces the search, and what it names is not there.
    ForcedManifest(&'static str),
}

fn missing_part(
    variable: &impl Fn(&str) -> Option<OsString>,
    folders: &[PathBuf],
    has_loader: bool,
) -> Option<Missing> {
    // The second name is the older one; the loader ignores it where the first is set.
    for name in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] {
        if let Some(list) = variable(name).filter(|list| !list.is_empty()) {
            let exists = env::split_paths(&list).any(|path| path.is_file() || has_manifest(&path));
            return match (exists, has_loader) {
                (false, _) => Some(Missing::ForcedManifest(name)),
                (true, false) => Some(Missing::Loader),
                (true, true) => None,
            };
        }
    }
    match (folders.iter().any(|folder| has_manifest(folder)), has_loader) {
        (false, _) => Some(Missing::Driver),
        (true, false) => Some(Missing::Loader),
        (true, true) => None,
    }
}

fn manifest_folders(variable: &impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let data_folders = variable("XDG_DATA_DIRS").unwrap_or_default();
    MANIFEST_FOLDERS
        .iter()
        .map(PathBuf::from)
        .chain(
            env::split_paths(&data_folders)
                .filter(|folder| folder.is_absolute())
                .map(|folder| folder.join("vulkan/icd.d")),
        )
        .collect()
}

fn has_manifest(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else {
        return false;
    };
    entries.flatten().any(|entry| entry.path().extension().is_some_and(|extension| extension == "json"))
}

/// `false` only where the linker's cache can be read and does not list the Vulkan loader. A driver that a
/// container host lends may come without it.
fn loader_is_installed() -> bool {
    let on_path = env::var_os("LD_LIBRARY_PATH")
        .is_some_and(|list| env::split_paths(&list).any(|folder| folder.join("libvulkan.so.1").exists()));
    let listing = ["ldconfig", "/sbin/ldconfig"]
        .iter()
        .find_map(|program| Command::new(program).arg("-p").output().ok().filter(|output| output.status.success()));
    on_path || listing.is_none_or(|output| String::from_utf8_lossy(&output.stdout).contains("libvulkan.so.1"))
}

fn apt_invocations() -> [Invocation; 2] {
    [
        Invocation::new("apt-get", ["update"]),
        Invocation::new("apt-get", ["install", "--yes", "--no-install-recommends"]).args(PACKAGES),
    ]
    .map(|invocation| invocation.env("DEBIAN_FRONTEND", "noninteractive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unset(_: &str) -> Option<OsString> {
        None
    }

    /// A folder of this test alone, removed at the end of the test.
    struct Folder(PathBuf);

    impl Folder {
        fn with_files(test: &str, names: &[&str]) -> Self {
            let path = env::temp_dir().join(format!("xtask-vulkan-{test}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("the temporary folder can be written");
            for name in names {
                fs::write(path.join(name), "{}").expect("the temporary folder can be written");
            }
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_manifest_and_the_loader_are_enough() {
        let folder = Folder::with_files("found", &["lvp_icd.x86_64.json"]);
        assert_eq!(missing_part(&unset, std::slice::from_ref(&folder.0), true), None);
        assert_eq!(missing_part(&unset, std::slice::from_ref(&folder.0), false), Some(Missing::Loader));
    }

    #[test]
    fn a_folder_without_manifest_is_no_driver() {
        let folder = Folder::with_files("empty", &["README"]);
        let absent = folder.0.join("absent");
        assert_eq!(missing_part(&unset, &[folder.0.clone(), absent], true), Some(Missing::Driver));
        assert_eq!(missing_part(&unset, &[], true), Some(Missing::Driver));
    }

    #[test]
    fn the_variables_replace_the_search() {
        let folder = Folder::with_files("forced", &["driver.json"]);
        for name in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] {
            let set_to = |path: PathBuf| move |asked: &str| (asked == name).then(|| path.clone().into_os_string());
            assert_eq!(missing_part(&set_to(folder.0.join("driver.json")), &[], true), None);
            assert_eq!(missing_part(&set_to(folder.0.clone()), &[], true), None);
            assert_eq!(
                missing_part(&set_to(folder.0.join("gone.json")), std::slice::from_ref(&folder.0), true),
                Some(Missing::ForcedManifest(name))
            );
        }
    }

    #[test]
    fn data_folders_are_searched_too() {
        let variable = |name: &str| (name == "XDG_DATA_DIRS").then(|| OsString::from("/opt/driver/share"));
        assert!(manifest_folders(&variable).contains(&PathBuf::from("/opt/driver/share/vulkan/icd.d")));
        assert_eq!(manifest_folders(&unset).len(), MANIFEST_FOLDERS.len());
    }

    #[test]
    fn the_package_list_is_fetched_before_the_installation() {
        let lines = apt_invocations().map(|invocation| invocation.line());
        assert_eq!(lines[0], "DEBIAN_FRONTEND=noninteractive apt-get update");
        assert_eq!(
            lines[1],
            "DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends mesa-vulkan-drivers libvulkan1"
        );
    }
}
