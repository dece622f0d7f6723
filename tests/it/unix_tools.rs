//! The tools that admins use give the right bytes: cat to rsync, jq to mmap.

use std::collections::BTreeMap;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use crate::harness::*;

const SID: &str = "74a5fc02-4d00-11e8-aee2-0242ac0a0002";
const DAY: &str = "events/2018-05-01.jsonl";

/// Days and sessions of three servers: plain, packed, split, damaged, in two namespaces.
pub(super) fn everything() -> (Audit, Recorder) {
    let audit = Audit::generated(&[
        "--split",
        "--gzip",
        "--sessions",
        "12",
        "--events",
        "400",
        "--days",
        "2",
    ]);
    let mut session = audit.record(SID);
    session.start("alice");
    for turn in 0..60 {
        session
            .print(format!("{turn} {}\r\n", "x".repeat(turn * 37)))
            .post([A, B, C][turn % 3]);
    }
    session.print("lost").lose().print("end\r\n").end().post(A);
    audit
        .record_in("prod", SID)
        .packing(Packing::Gzip)
        .start("bob")
        .print("prod")
        .end()
        .post(B);
    audit.daily(
        A,
        "2018-05-01",
        "no json\n{\"event\":\"x\",\"time\":\"2018-05-01T00:00:01Z\"}\n",
    );
    (audit, session)
}

/// All regular files below `dir`, by path.
pub(super) fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(top: &Path, dir: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let (path, kind) = {
                let e = entry.unwrap();
                (e.path(), e.file_type().unwrap())
            };
            if kind.is_dir() {
                walk(top, &path, found);
            } else if kind.is_file() {
                let name = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read(&path).unwrap());
            } else {
                assert!(kind.is_symlink() && !kind.is_fifo(), "{path:?}");
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(dir, dir, &mut found);
    found
}

/// What does not change while tools run.
fn still_files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = files(dir);
    found.remove(".auditfs/status.json");
    found
}

#[track_caller]
fn assert_same_files(got: &BTreeMap<String, Vec<u8>>, wanted: &BTreeMap<String, Vec<u8>>) {
    assert!(
        got.keys().eq(wanted.keys()),
        "{:?}\n{:?}",
        got.keys(),
        wanted.keys()
    );
    for (name, bytes) in wanted {
        assert_same_bytes(name, &got[name], bytes);
    }
}

#[test]
fn copies_by_cp_rsync_and_tar_are_true() {
    let (audit, _) = everything();
    let mount = Mount::of(&audit);
    let copies = tempfile::tempdir().unwrap();
    // Each first reader finds a mount that nobody has looked at.
    for command in [
        "cp -a \"$SRC/.\" .",
        "rsync -a \"$SRC/\" ./",
        "tar -C \"$SRC\" --exclude ./.auditfs/status.json -cf - . | tar -xf -",
    ] {
        let fresh = Mount::of(&audit);
        let copy = tempfile::tempdir_in(copies.path()).unwrap();
        sh(
            copy.path(),
            &command.replace("$SRC", fresh.point().to_str().unwrap()),
        )
        .ok();
        assert_same_files(&still_files(copy.path()), &still_files(&mount.point()));
        let second = sh(
            copy.path(),
            &format!(
                "rsync -ain --exclude .auditfs --exclude README.txt {}/ ./",
                mount.point().display()
            ),
        )
        .text();
        assert_eq!(
            second.lines().filter(|line| line.starts_with(">f")).count(),
            0,
            "{second}"
        );
    }
}

#[test]
fn readers_of_every_kind_see_the_same_bytes() {
    let (audit, session) = everything();
    let stream = format!("sessions/{SID}/stream");
    let len = session.stream.len();
    let python = "import sys,mmap,os; f=open(sys.argv[1],'rb'); ";
    let commands = [
        "cat F".to_owned(),
        "head -c 1000000000 F".to_owned(),
        format!("tail -c {len} F"),
        "dd if=F bs=777 status=none".to_owned(),
        "dd if=F bs=1M iflag=direct status=none".to_owned(),
        "{ dd bs=1000 skip=0 count=3 status=none; cat; } < F".to_owned(),
        "tail -c +1 F | cat".to_owned(),
        format!(
            "python3 -c \"{python} sys.stdout.buffer.write(mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ))\" F"
        ),
        format!(
            "python3 -c \"{python} n=os.fstat(f.fileno()).st_size; at=0\nwhile at<n: at+=os.sendfile(1,f.fileno(),at,n-at)\" F"
        ),
        format!(
            "python3 -c \"{python} n=os.fstat(f.fileno()).st_size\nfor at in range(0,n,997): sys.stdout.buffer.write(os.pread(f.fileno(),997,at))\" F"
        ),
    ];
    for command in commands {
        // Each on a mount of its own, so that none reads what another has left in the page cache; then again.
        let mount = Mount::of(&audit);
        for _ in 0..2 {
            let got = sh(
                &mount.point(),
                &command
                    .replace(" F", &format!(" {stream}"))
                    .replace("=F", &format!("={stream}")),
            )
            .ok();
            assert_same_bytes(&command, &got, &session.stream);
        }
    }
}

#[test]
fn tools_that_look_into_files_find_what_is_there() {
    let (audit, session) = everything();
    let mount = Mount::of(&audit);
    let day = mount.text(DAY);
    let said = |line: &str| sh(&mount.point(), line).text();
    assert_eq!(
        said(&format!("wc -lc < {DAY}"))
            .split_whitespace()
            .collect::<Vec<_>>(),
        [day.lines().count().to_string(), day.len().to_string()]
    );
    assert_eq!(said(&format!("md5sum < sessions/{SID}/stream")), {
        let copy = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(copy.path(), &session.stream).unwrap();
        sh(
            Path::new("/"),
            &format!("md5sum < {}", copy.path().display()),
        )
        .text()
    });
    let hits = day.matches("\"event\":\"user.login\"").count();
    assert!(hits > 0);
    assert_eq!(
        said(&format!("grep -c '\"event\":\"user.login\"' {DAY}")).trim(),
        hits.to_string()
    );
    assert_eq!(
        said(&format!("rg -c '\"event\":\"user.login\"' {DAY}")).trim(),
        hits.to_string()
    );
    assert_eq!(
        said(&format!("rg --mmap -c '\"event\":\"user.login\"' {DAY}")).trim(),
        hits.to_string()
    );
    assert_eq!(
        said(&format!(
            "grep -rl --exclude='*.tar' 'x{{300}}' -E sessions/{SID}"
        ))
        .trim(),
        format!("sessions/{SID}/stream")
    );
    assert_eq!(
        said(&format!("jq -s length {DAY}")).trim(),
        day.lines().count().to_string()
    );
    assert_eq!(
        said("find events -name '*.jsonl' -size +0 | wc -l").trim(),
        "2"
    );
    assert_eq!(said("find sessions -name stream | wc -l").trim(), "13");
    assert!(said("file -b README.txt").contains("text"));
    assert!(said("ls -l events").contains("current -> 2018-05-02.jsonl"));
    assert!(
        said("du -s --apparent-size -B1 sessions")
            .split('\t')
            .next()
            .unwrap()
            .parse::<usize>()
            .unwrap()
            > session.stream.len()
    );
    assert!(said("stat -f -c %T .").starts_with("fuse"));
    assert!(
        said("df --output=size . | tail -1")
            .trim()
            .parse::<u64>()
            .unwrap()
            > 0
    );
}

#[test]
fn less_shows_the_end_of_a_day() {
    let (audit, _) = everything();
    let mount = Mount::of(&audit);
    let last = mount.text(DAY).lines().last().unwrap()[..60].to_owned();
    // On a terminal: G goes to the end, q leaves.
    let terminal = format!("printf Gq | TERM=dumb script -qec 'less -X {DAY}' /dev/null | tail -2");
    let shown = sh(&mount.point(), &terminal).text();
    assert!(shown.starts_with(&last), "{shown}");
}

#[test]
fn ls_and_cat_show_the_same_without_a_mount() {
    let (audit, _) = everything();
    let mount = Mount::of(&audit);
    let source = audit.path().to_str().unwrap();
    for (name, bytes) in still_files(&mount.point()) {
        assert_same_bytes(&name, &auditfs(&["cat", source, &name]).ok(), &bytes);
    }
    let names = mount.names("sessions").join("\n") + "\n";
    assert_eq!(auditfs(&["ls", source, "sessions"]).text(), names);
    let gone = auditfs(&["cat", source, "sessions/none/stream"]);
    assert_eq!(
        (gone.code(), gone.stdout().as_str()),
        (2, ""),
        "{}",
        gone.told()
    );
}
