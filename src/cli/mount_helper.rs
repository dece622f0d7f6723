//! The command line as mount(8) makes it: `mount.auditfs SRC MNT -o OPTS`, or `auditfs SRC MNT -o OPTS` for
//! `mount -t fuse.auditfs`.
//!
//! mount(8) also gives `-s` (ignore what is unknown), `-v`, `-n` and `-f` (do all but mount); see mount(8), "External
//! helpers".

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// Flags of mount(8) that mean nothing here.
const IGNORED: [&str; 3] = ["-s", "-v", "-n"];

/// The words as clap expects them: those of mount(8) become `auditfs mount ...`.
pub fn words(typed: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<OsString> = typed.collect();
    let program = words
        .first()
        .map(Path::new)
        .and_then(Path::file_name)
        .unwrap_or(OsStr::new(""));
    let by_name = program == "mount.auditfs" || program == "mount.fuse.auditfs";
    // An audit directory is given as an absolute path there; no command of ours begins with a slash.
    let rest = || {
        words
            .iter()
            .skip(1)
            .filter(|word| !word.to_string_lossy().starts_with('-'))
    };
    let by_shape = rest()
        .next()
        .is_some_and(|word| word.to_string_lossy().starts_with('/'));
    if !by_name && !by_shape {
        return words;
    }
    words.retain(|word| !IGNORED.iter().any(|flag| word == flag));
    let fake = words.iter().any(|word| word == "-f");
    words.retain(|word| word != "-f");
    read_only_unless_a_server_is_named(&mut words);
    let command = if fake { "ls" } else { "mount" };
    if fake {
        // All but the mount: whether the audit directory can be read.
        words.truncate(2);
    }
    words.insert(1.min(words.len()), command.into());
    words
}

/// mount(8) says `rw` wherever fstab does not say `ro`; it is meant only where it is said as whom to write.
fn read_only_unless_a_server_is_named(words: &mut [OsString]) {
    let text = |word: &OsString| word.to_string_lossy().into_owned();
    let names_one = |word: &OsString| {
        let mut options = text(word);
        options.insert(0, ',');
        options.contains(",server_id=") || options.contains(",host_uuid=")
    };
    if words.iter().any(names_one) {
        return;
    }
    for at in 1..words.len() {
        let [option, list] = words.get_mut(at - 1..=at).unwrap_or_default() else {
            continue;
        };
        if option == "-o" {
            let options = text(list);
            let options = options.split(',').map(|o| if o == "rw" { "ro" } else { o });
            *list = options.collect::<Vec<_>>().join(",").into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(typed: &str) -> String {
        let words = words(typed.split(' ').map(OsString::from));
        words.join(OsStr::new(" ")).to_string_lossy().into_owned()
    }

    #[test]
    fn mount_8_by_its_helper_name() {
        assert_eq!(
            check("/sbin/mount.auditfs /src /mnt -s -v -o ro,nofail"),
            "/sbin/mount.auditfs mount /src /mnt -o ro,nofail"
        );
    }

    #[test]
    fn mount_8_by_the_type_fuse_auditfs() {
        assert_eq!(
            check("auditfs /src /mnt -o rw,dev,suid"),
            "auditfs mount /src /mnt -o ro,dev,suid"
        );
        assert_eq!(
            check("auditfs /src /mnt -o rw,dev,server_id=a1"),
            "auditfs mount /src /mnt -o rw,dev,server_id=a1"
        );
    }

    #[test]
    fn what_people_type_stays() {
        assert_eq!(
            check("auditfs mount /src /mnt -f"),
            "auditfs mount /src /mnt -f"
        );
        assert_eq!(check("auditfs --version"), "auditfs --version");
    }
}
