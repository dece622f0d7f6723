//! What stands behind `-o`: our options, and those that mount(8), fstab and systemd add.

use anyhow::bail;

use super::mount_writing::WriteArgs;

/// Options of a mount, from all `-o` lists in order.
#[derive(Clone, Debug, Default)]
pub struct MountOptions {
    /// `rw`, and not `ro` behind it.
    pub writable: bool,
    /// Other users may come in.
    pub allow_other: bool,
    /// Owner of every file.
    pub uid: Option<u32>,
    /// Group of every file.
    pub gid: Option<u32>,
    /// What concerns writing, on top of what was typed as `--name`.
    pub writing: WriteArgs,
}

/// Options that mean nothing here and are accepted: a line in fstab must not fail for them (DESIGN 9).
const IGNORED: [&str; 26] = [
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
    /// Reads the lists given with `-o`, and what was typed besides.
    ///
    /// # Errors
    /// Names the option that is not known or has a bad value.
    pub fn parse(lists: &[String], typed: &WriteArgs) -> anyhow::Result<Self> {
        let mut options = MountOptions {
            writing: typed.clone(),
            ..MountOptions::default()
        };
        let mut decided = false;
        for option in lists
            .iter()
            .flat_map(|list| list.split(','))
            .map(str::trim)
            .filter(|option| !option.is_empty())
        {
            if options.writing.take_mount_option(option)? {
                continue;
            }
            match option.split_once('=') {
                None if option == "ro" || option == "rw" => {
                    decided = true;
                    options.writable = option == "rw";
                }
                None if option == "allow_other" => options.allow_other = true,
                None if IGNORED.contains(&option) || option.starts_with("x-") => {}
                Some(("uid", value)) => options.uid = Some(number(option, value)?),
                Some(("gid", value)) => options.gid = Some(number(option, value)?),
                Some((key, _)) if key.starts_with("x-") || key == "comment" => {}
                _ => bail!("-o {option}: unknown mount option"),
            }
        }
        if !decided && options.writing.names_a_server() {
            bail!("a server ID is for writing: add -o rw, or -o ro if this is to be read-only");
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

    fn check(list: &str) -> Result<(bool, bool, Option<u32>, Option<u32>), String> {
        MountOptions::parse(&[list.to_owned()], &WriteArgs::default())
            .map(|read| (read.writable, read.allow_other, read.uid, read.gid))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_fstab_adds_is_accepted() {
        assert_eq!(
            check("ro,nofail,_netdev,x-systemd.automount,allow_other,uid=5,gid=6,sync,owner"),
            Ok((false, true, Some(5), Some(6)))
        );
        assert_eq!(
            check("rw,dev,suid,server_id=a1,sync=always"),
            Ok((true, false, None, None))
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

    #[test]
    fn a_server_id_alone_does_not_say_enough() {
        assert!(check("server_id=a1").is_err());
        assert!(check("ro,server_id=a1").is_ok());
    }
}
