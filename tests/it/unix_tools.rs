//! The tools that admins use give the right bytes: cat to rsync, jq to mmap, and stat never lies about a size.

use std::collections::BTreeMap;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::{SeekFrom, seek};

use crate::harness::*;

const SID: &str = "74a5fc02-4d00-11e8-aee2-0242ac0a0002";
const DAY: &str = "events/2018-05-01.jsonl";

/// Days and sessions of three servers: plain, packed, split, damaged, in two namespaces.
fn everything() -> (Audit, Recorder) {
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
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
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
fn every_size_is_exact_before_and_after_reading() {
    let (audit, _) = everything();
    let mount = Mount::of(&audit);
    for (name, bytes) in files(&mount.point()) {
        if name != ".auditfs/status.json" {
            assert_eq!(mount.size(&name), bytes.len() as u64, "{name}");
        }
    }
    // Nobody has read the sessions of a second mount: sizes are right all the same.
    let fresh = Mount::of(&audit);
    let sizes = sh(
        &fresh.point(),
        "find sessions namespaces -type f -printf '%p %s\\n'",
    )
    .text();
    let wanted = files(&mount.point());
    assert!(sizes.lines().count() > 30);
    for line in sizes.lines() {
        let (name, size) = line.rsplit_once(' ').unwrap();
        assert_eq!(size, wanted[name].len().to_string(), "{name}");
    }
}

#[test]
fn inode_numbers_links_and_times_are_the_same_after_a_remount() {
    let (audit, _) = everything();
    let mount = Mount::of(&audit);
    let look = |mount: &Mount| {
        sh(
            &mount.point(),
            "find events sessions namespaces README.txt -printf '%p %i %n %y\\n' | sort",
        )
        .text()
    };
    let times = |mount: &Mount| {
        sh(
            &mount.point(),
            "find events sessions -type f -printf '%p %T@\\n' | sort",
        )
        .text()
    };
    let (before, before_times) = (look(&mount), times(&mount));
    let mount = mount.again();
    assert_eq!(look(&mount), before);
    assert_eq!(times(&mount), before_times);
    let inodes: Vec<&str> = before
        .lines()
        .map(|line| line.rsplit(' ').nth(2).unwrap())
        .collect();
    let mut apart = inodes.clone();
    apart.sort();
    apart.dedup();
    assert_eq!(apart.len(), inodes.len(), "two names with one number");
    assert!(
        before
            .lines()
            .filter(|line| line.ends_with(" f"))
            .all(|line| line.ends_with(" 1 f"))
    );
}

#[test]
fn mtime_is_that_of_the_newest_source() {
    let audit = Audit::new();
    audit.daily(
        A,
        "2018-05-01",
        "{\"event\":\"a\",\"time\":\"2018-05-01T10:00:00Z\"}\n",
    );
    audit.daily(
        B,
        "2018-05-01",
        "{\"event\":\"b\",\"time\":\"2018-05-01T10:00:00Z\"}\n",
    );
    let mut session = audit.record(SID);
    session.start("alice").print("x").post(A).end().post(B);
    sh(audit.path(), &format!("find . -type f -exec touch -d 2018-05-01T12:00:00Z {{}} + && touch -d 2018-05-01T13:00:00Z {B}/*.log {A}/sessions/default/*.chunks")).ok();
    let mount = Mount::of(&audit);
    for path in [
        DAY,
        &format!("sessions/{SID}/stream"),
        &format!("sessions/{SID}/events.jsonl"),
    ] {
        assert_eq!(
            std::fs::metadata(mount.at(path)).unwrap().mtime(),
            1_525_179_600,
            "{path}"
        );
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
        said(&format!("grep -rl 'x{{300}}' -E sessions/{SID}")).trim(),
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
fn holes_are_told_by_seek_hole() {
    let audit = Audit::new();
    let mut session = audit.record(SID);
    session
        .start("alice")
        .print("before")
        .post(A)
        .print("lost!")
        .lose()
        .print("after")
        .end()
        .post(B);
    let mount = Mount::of(&audit);
    let file = std::fs::File::open(mount.at(&format!("sessions/{SID}/stream"))).unwrap();
    assert_eq!(seek(&file, SeekFrom::Hole(0)), Ok(6));
    assert_eq!(seek(&file, SeekFrom::Data(6)), Ok(11));
    assert_eq!(seek(&file, SeekFrom::Hole(11)), Ok(16));
    assert!(seek(&file, SeekFrom::Data(16)).is_err());
    // cp looks for holes with it, and must not lose what is behind one.
    let copy = tempfile::tempdir().unwrap();
    sh(
        copy.path(),
        &format!(
            "cp --sparse=always {}/sessions/{SID}/stream .",
            mount.point().display()
        ),
    )
    .ok();
    assert_same_bytes(
        "copy",
        &std::fs::read(copy.path().join("stream")).unwrap(),
        &session.stream,
    );
}

#[test]
fn nothing_can_be_changed() {
    let (audit, _) = everything();
    let mount = Mount::of(&audit);
    let day = mount.text(DAY);
    for line in [
        "echo x >> F",
        "echo x > F",
        "truncate -s 0 F",
        "rm -f F",
        "mv F events/other",
        "touch F",
        "mkdir sessions/x",
        "ln F events/link",
        "chmod 777 F",
    ] {
        let ran = sh(&mount.point(), &line.replace('F', DAY));
        assert_ne!(ran.code(), 0, "{line}");
        assert!(
            ran.stderr().contains("Read-only file system"),
            "{line}: {}",
            ran.told()
        );
    }
    assert_eq!(mount.text(DAY), day);
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
