//! What an ordinary user can do: mount by fusermount3, read, write, and be told what is missing.

use crate::harness::*;

const LINE: &str = "{\"event\":\"x\",\"time\":\"2018-05-01T10:00:00Z\"}\n";

fn give_to_nobody(path: &std::path::Path) {
    if is_root() {
        run(&["chown", "-R", "65534:65534", path.to_str().unwrap()]).ok();
    }
}

/// An ordinary user's shell: `$SRC` and `$MNT` are theirs, `$HOME` is empty. In a mount namespace of its own, where
/// /dev/fuse is open to all, as Debian makes it; containers often do not.
fn as_ordinary_user(script: &str) -> Ran {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    std::fs::create_dir(at("mnt")).unwrap();
    std::fs::create_dir_all(at(&format!("src/{A}"))).unwrap();
    std::fs::write(at(&format!("src/{A}/2018-05-01.00:00:00.log")), LINE).unwrap();
    std::fs::write(at("script"), script).unwrap();
    let env = [
        format!("HOME={}", at("")),
        format!("SRC={}", at("src")),
        format!("MNT={}", at("mnt")),
        format!("AUDITFS={}", env!("CARGO_BIN_EXE_auditfs")),
        "PATH=/usr/bin:/bin".to_owned(),
    ];
    let user = format!("env -i {} bash -eux {}", env.join(" "), at("script"));
    if !is_root() {
        return sh(home.path(), &user);
    }
    give_to_nobody(home.path());
    let (device, user_id) = (at("fuse"), "--reuid 65534 --regid 65534 --clear-groups");
    let device = format!("mknod -m 666 {device} c 10 229 && mount --bind {device} /dev/fuse");
    run(&[
        "unshare",
        "-m",
        "bash",
        "-c",
        &format!("{device} && exec setpriv {user_id} {user}"),
    ])
}

#[test]
fn an_ordinary_user_mounts_by_fusermount3() {
    let script = r#"
        "$AUDITFS" mount "$SRC" "$MNT"
        trap '"$AUDITFS" umount "$MNT" || true' EXIT
        cat "$MNT/events/2018-05-01.jsonl"
        findmnt -n -o FSTYPE "$MNT"
        jq -c .passthrough.used "$MNT/.auditfs/status.json"
        ls "$HOME/.local/state/auditfs"/*/mount.log >&2
        ! "$AUDITFS" mount "$SRC" "$MNT"
        "$AUDITFS" umount "$MNT"
        ! findmnt "$MNT" >&2
        XDG_STATE_HOME="$HOME/xdg" "$AUDITFS" mount "$SRC" "$MNT"
        ls "$HOME/xdg/auditfs"/*/mount.log >&2
        "$AUDITFS" umount "$MNT"
    "#;
    assert_eq!(
        as_ordinary_user(script).text(),
        format!("{LINE}fuse.auditfs\nfalse\n")
    );
}

#[test]
fn an_ordinary_user_writes() {
    let script = r#"
        session=sessions/74a5fc01-4d00-11e8-aee2-0242ac0a0001
        "$AUDITFS" mount -o rw,server_id=11111111-2222-4333-8444-555555555555 "$SRC" "$MNT"
        trap '"$AUDITFS" umount "$MNT" || true' EXIT
        echo '{"event":"user.login"}' >> "$MNT/events/current"
        mkdir "$MNT/$session"
        printf hello >> "$MNT/$session/stream"
        cat "$MNT/$session/stream"
        ! rm "$MNT/README.txt"
        "$AUDITFS" umount "$MNT"
        stat -c ' %u' "$SRC"/1*/sessions/default/*.index
    "#;
    let owner = match is_root() {
        true => 65534,
        false => rustix::process::geteuid().as_raw(),
    };
    assert_eq!(as_ordinary_user(script).text(), format!("hello {owner}\n"));
}

#[test]
fn the_dead_mount_of_an_ordinary_user_is_replaced() {
    let script = r#"
        "$AUDITFS" mount "$SRC" "$MNT"
        trap '"$AUDITFS" umount "$MNT" || true' EXIT
        kill -9 $(jq '.keeper_pid, .pid' "$MNT/.auditfs/status.json")
        until ! stat -f "$MNT" >&2; do :; done
        "$AUDITFS" mount "$SRC" "$MNT"
        cat "$MNT/events/2018-05-01.jsonl"
    "#;
    let ran = as_ordinary_user(script);
    assert!(
        ran.stderr().contains("removed the dead mount"),
        "{}",
        ran.told()
    );
    assert_eq!(ran.text(), LINE);
}

#[test]
fn what_an_ordinary_user_lacks_is_said() {
    let lacking = |script: &str, words: &[&str]| {
        let ran = as_ordinary_user(script);
        let said = ran.stderr();
        assert!(
            ran.code() == 2 && words.iter().all(|word| said.contains(word)),
            "{}",
            ran.told()
        );
    };
    // A directory that is not theirs, no helper, nowhere to keep state.
    lacking(r#""$AUDITFS" mount "$SRC" /usr"#, &["fusermount3", "/usr"]);
    lacking(
        r#"PATH=/none exec "$AUDITFS" mount "$SRC" "$MNT""#,
        &["fusermount3 is not installed"],
    );
    lacking(
        r#"unset HOME; "$AUDITFS" mount "$SRC" "$MNT""#,
        &["HOME", "--state-dir"],
    );
}
