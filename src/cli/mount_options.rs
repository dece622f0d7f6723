//! What stands behind `-o`: our options, and those that mount(8), fstab and systemd add.

use anyhow::bail;

/// Options of a mount, from all `-o` lists in order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MountOptions {
    /// Other users may come in.
    pub allow_other: bool,
    /// Owner of every file.
    pub uid: Option<u32>,
    /// Group of every file.
    pub gid: Option<u32>,
}

/// Options that mean nothing here and are accepted: a line in fstab must not fail for them (DESIGN 9).
const IGNORED: [&str; 28] = [
    // mount(8) adds rw where fstab does not say ro; auditfs only reads.
    "ro",
    "rw",
    "nofail",
    "_netdev",
    "user",
    "users",
    "nouser",
    "owner",
    "group",
    "auto",
    "noauto",
    "defaults",
    "dev",
    "nodev",
    "suid",
    "nosuid",
    "exec",
    "noexec",
    "atime",
    "noatime",
    "relatime",
    "norelatime",
    "sync",
    "async",
    "default_permissions",
    "diratime",
    "nodiratime",
    "strictatime",
];

impl MountOptions {
    /// Reads the lists given with `-o`.
    ///
    /// # Errors
    /// Names the option that is not known or has a bad value.
    pub fn parse(lists: &[String]) -> anyhow::Result<Self> {
        let mut options = MountOptions::default();
        for option in lists
            .iter()
            .flat_map(|list| list.split(','))
            .map(str::trim)
            .filter(|option| !option.is_empty())
        {
            match option.split_once('=') {
                None if option == "allow_other" => options.allow_other = true,
                None if IGNORED.contains(&option) || option.starts_with("x-") => {}
                Some(("uid", value)) => options.uid = Some(number(option, value)?),
                Some(("gid", value)) => options.gid = Some(number(option, value)?),
                Some((key, _)) if key.starts_with("x-") || key == "comment" => {}
                _ => bail!("-o {option}: unknown mount option"),
            }
        }
        Ok(options)
    }
}

fn number(option: &str, value: &str) -> anyhow::Result<u32> {
    value
        .parse()
        .map_err(|_| anyhow::anyhow!("-o {option}: needs a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(list: &str) -> Result<MountOptions, String> {
        MountOptions::parse(&[list.to_owned()]).map_err(|error| error.to_string())
    }

    #[test]
    fn what_fstab_adds_is_accepted() {
        let read = check("ro,nofail,_netdev,x-systemd.automount,allow_other,uid=5,gid=6");
        assert_eq!(
            read,
            Ok(MountOptions {
                allow_other: true,
                uid: Some(5),
                gid: Some(6)
            })
        );
    }

    #[test]
    fn an_unknown_option_is_named() {
        assert_eq!(
            check("ro,sparkle"),
            Err("-o sparkle: unknown mount option".into())
        );
        assert_eq!(check("uid=me"), Err("-o uid=me: needs a number".into()));
    }
}
