//! The kernel's list of mounts (proc(5), /proc/self/mountinfo): is one of ours mounted here?

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::mount_error::MountError;

/// One line of the list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MountEntry {
    /// `major:minor` of the mounted file system.
    pub device: String,
    /// Where it is mounted.
    pub mountpoint: PathBuf,
    /// Its type.
    pub fs_type: String,
}

impl MountEntry {
    /// Whether an auditfs is mounted here.
    pub fn is_ours(&self) -> bool {
        self.fs_type == "fuse.auditfs"
    }
}

/// What is mounted on exactly `mountpoint`, the topmost mount if there are several.
///
/// # Errors
/// [`MountError::MountTable`].
pub fn find_mount(mountpoint: &Path) -> Result<Option<MountEntry>, MountError> {
    let table = std::fs::read("/proc/self/mountinfo").map_err(MountError::MountTable)?;
    Ok(table
        .split(|byte| *byte == b'\n')
        .filter_map(parse)
        .rfind(|entry| entry.mountpoint == mountpoint))
}

fn parse(line: &[u8]) -> Option<MountEntry> {
    let mut fields = line.split(|byte| *byte == b' ');
    let device = fields.nth(2)?;
    let mountpoint = fields.nth(1)?;
    let fs_type = fields.skip_while(|field| *field != b"-").nth(1)?;
    Some(MountEntry {
        device: String::from_utf8_lossy(device).into_owned(),
        mountpoint: PathBuf::from(OsString::from_vec(unescape(mountpoint))),
        fs_type: String::from_utf8_lossy(fs_type).into_owned(),
    })
}

/// Blanks, tabs, newlines and backslashes are written as three octal digits.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        let octal = after
            .get(..3)
            .filter(|digits| *byte == b'\\' && digits.iter().all(|d| (b'0'..=b'7').contains(d)));
        match octal {
            Some(digits) => {
                out.push(digits.iter().fold(0_u8, |value, digit| {
                    value.wrapping_mul(8).wrapping_add(digit - b'0')
                }));
                rest = after.get(3..).unwrap_or(&[]);
            }
            None => {
                out.push(*byte);
                rest = after;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_mountinfo_gives_device_place_and_type() {
        let line = br"98 31 0:52 / /mnt/a\040b ro,nosuid shared:5 master:2 - fuse.auditfs /src ro,user_id=0";
        let expected = MountEntry {
            device: "0:52".into(),
            mountpoint: "/mnt/a b".into(),
            fs_type: "fuse.auditfs".into(),
        };
        assert_eq!(parse(line), Some(expected));
    }

    #[test]
    fn a_line_that_is_cut_short_is_no_mount() {
        assert_eq!(parse(b"98 31 0:52 / /mnt"), None);
    }
}
