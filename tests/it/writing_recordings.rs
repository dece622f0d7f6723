//! Recordings are uploaded by copying them: checked at close, taken whole or refused whole.

use crate::harness::*;

const SID: &str = "74a5fc01-4d00-11e8-aee2-0242ac0a0001";
const OTHER: &str = "74a5fc01-4d00-11e8-aee2-0242ac0a0002";

/// Where a session was recorded as server A, its recording `x.tar`, and a second audit directory written as B.
struct Case {
    files: tempfile::TempDir,
    from: Mount,
    target: Audit,
    to: Mount,
}

impl Case {
    fn new() -> Case {
        let audit = Audit::new();
        let from = Mount::writing(&audit, A, &[]);
        let line = format!(
            "mkdir sessions/{SID}; cd sessions/{SID}; echo '{{\"event\":\"session.start\",\"user\":\"alice\"}}' >> events.jsonl; \
             echo hello >> stream; echo '{{\"event\":\"session.end\"}}' >> events.jsonl"
        );
        sh(&from.point(), &line).ok();
        let files = tempfile::tempdir().unwrap();
        std::fs::copy(
            from.at(&format!("sessions/{SID}/archive.tar")),
            files.path().join("x.tar"),
        )
        .unwrap();
        let target = Audit::new();
        let to = Mount::writing(&target, B, &[]);
        Case {
            files,
            from,
            target,
            to,
        }
    }

    /// Runs a line of shell beside `x.tar`; `$R` is the directory that takes recordings.
    fn sh(&self, line: &str) -> Ran {
        sh(
            self.files.path(),
            &format!("R={}; {line}", self.to.at("recordings").display()),
        )
    }

    /// No file but the lock, and nothing listed.
    #[track_caller]
    fn check_nothing_left(&self, why: &str) {
        let left = sh(self.target.path(), "find . -type f ! -name .auditfs.lock");
        assert_eq!(left.text(), "", "{why}");
        assert!(self.to.names("recordings").is_empty(), "{why}");
    }
}

#[test]
fn a_recording_that_is_copied_is_stored_and_listed() {
    let case = Case::new();
    case.sh(&format!("cp x.tar $R/{SID}.tar")).ok();
    assert_eq!(case.to.names("recordings"), [format!("{SID}.tar")]);
    for part in ["stream", "events.jsonl"] {
        let path = format!("sessions/{SID}/{part}");
        assert_eq!(case.to.text(&path), case.from.text(&path));
    }
    case.sh(&format!("cmp x.tar $R/{SID}.tar")).ok();
    let again = case.sh(&format!("cp x.tar $R/{SID}.tar"));
    assert!(again.stderr().contains("not permitted"), "{}", again.told());
}

#[test]
fn every_program_uploads() {
    for line in [
        "cat x.tar > $R/SID.tar",
        "cp -p x.tar $R/SID.tar",
        "dd if=x.tar of=$R/SID.tar bs=100 status=none",
        "rsync --inplace x.tar $R/SID.tar",
        "(head -c 1000 x.tar; tail -c +1001 x.tar) | tee $R/SID.tar > /dev/null",
    ] {
        let case = Case::new();
        case.sh(&line.replace("SID", SID)).ok();
        assert_eq!(
            case.to.names("recordings"),
            [format!("{SID}.tar")],
            "{line}: {}",
            case.to.log()
        );
    }
}

#[test]
fn bytes_may_come_from_several_processes() {
    let case = Case::new();
    let line = format!("{{ head -c 1000 x.tar; tail -c +1001 x.tar; }} > $R/{SID}.tar");
    case.sh(&line);
    assert_eq!(
        case.to.names("recordings"),
        [format!("{SID}.tar")],
        "{}",
        case.to.log()
    );
}

#[test]
fn a_bad_recording_is_refused_at_close_and_leaves_nothing() {
    let case = Case::new();
    for (make, errno, reason) in [
        (
            "head -c 2000 x.tar > y.tar",
            "Invalid argument",
            "recordings/SID.tar",
        ),
        ("echo hello > y.tar", "Invalid argument", "not a recording"),
        (
            "tar xf x.tar; tar cf y.tar SID-0.events SID-0.chunks",
            "Invalid argument",
            "no index file",
        ),
        (
            "tar cf y.tar SID.index SID-0.events",
            "Invalid argument",
            "the index",
        ),
        (
            "tar cPf y.tar --transform 's,^SID-0.chunks,../SID-0.chunks,' SID.index SID-0.events SID-0.chunks",
            "Invalid argument",
            "../",
        ),
        (
            "ln -s x.tar SID-9.chunks; tar cf y.tar SID.index SID-0.events SID-0.chunks SID-9.chunks",
            "Invalid argument",
            "SID-9.chunks",
        ),
        (
            "sed -i 's/\"user\":\"alice\"/\"server_id\":\"x\"/; $s/{/{\"server_id\":\"y\",/' SID-0.events; tar cf y.tar SID.index SID-0.events SID-0.chunks",
            "Invalid argument",
            "server_id",
        ),
    ] {
        case.sh(&make.replace("SID", SID)).ok();
        let ran = case.sh(&format!("cp y.tar $R/{SID}.tar"));
        assert!(ran.stderr().contains(errno), "{make}: {}", ran.told());
        let log = case.to.log();
        assert!(log.contains(&reason.replace("SID", SID)), "{make}: {log}");
        case.check_nothing_left(make);
    }
    let ran = case.sh(&format!("cp x.tar $R/{OTHER}.tar"));
    assert!(ran.stderr().contains("Invalid argument"), "{}", ran.told());
    assert!(
        case.to
            .log()
            .contains(&format!("is no file of session {OTHER}"))
    );
    case.check_nothing_left("a recording of another session");
}

#[test]
fn only_recordings_are_made_there() {
    let case = Case::new();
    for name in [
        "x.tar",
        "x",
        &format!("{SID}.tgz"),
        &format!("{}.tar", SID.to_uppercase()),
    ] {
        let ran = case.sh(&format!("cp x.tar $R/{name}"));
        assert!(
            ran.stderr().contains("Invalid argument"),
            "{name}: {}",
            ran.told()
        );
    }
    assert!(case.sh("mkdir $R/x").stderr().contains("not permitted"));
}

#[test]
fn an_upload_does_not_outlive_its_worker() {
    let case = Case::new();
    let script =
        format!("exec 3>$R/{SID}.tar; head -c 1000 x.tar >&3; kill -9 $W; tail -c +1001 x.tar >&3");
    let worker = &case.to.json(".auditfs/status.json")["pid"];
    let ran = case.sh(&format!("W={worker}; {script}"));
    assert!(
        ran.stderr().contains("Input/output error"),
        "{}",
        ran.told()
    );
    case.sh(&format!("cp x.tar $R/{SID}.tar")).ok();
}
