//! Each rule broken once with made-up text, and kept once.

use super::*;

/// The rule complains of the text at that path once, in line 2; and not of `fine`.
#[track_caller]
fn check(rule: fn(&[File]) -> Vec<String>, path: &str, broken: &str, fine: &str) {
    let complaints = |text: &str| rule(&[(path.into(), format!("//! x.\n{text}\n"))]);
    let of_broken = complaints(broken);
    assert!(
        of_broken.len() == 1 && of_broken[0].starts_with(&format!("{path}:2: ")),
        "{broken}: {of_broken:?}"
    );
    assert_eq!(complaints(fine), [""; 0], "{fine}");
}

#[test]
fn each_way_to_name_a_layer_is_seen() {
    let rule = layers_know_only_those_before_them;
    check(
        rule,
        "src/merge/kway.rs",
        "use crate::format::X;",
        "use crate::{event::{A, B}, merge::format};",
    );
    check(
        rule,
        "src/merge/kway.rs",
        "use crate::{event::A, disk::{B as D}};",
        "// crate::disk",
    );
    check(
        rule,
        "src/event/id.rs",
        "fn f() -> crate::merge::X {}",
        r#"const X: &str = "crate::merge";"#,
    );
    check(
        rule,
        "src/view/node.rs",
        "use super::super::event::X;",
        "#[cfg(test)] mod tests { use super::super::inode; }",
    );
    check(
        rule,
        "src/mount/mod.rs",
        "use super::view::X;",
        "use crate::view::X;",
    );
    assert_eq!(rule(&[("src/extra/x.rs".into(), String::new())]).len(), 1);
}

#[test]
fn each_name_out_of_place_is_seen() {
    let rule = names_stay_where_they_belong;
    check(
        rule,
        "src/view/node.rs",
        "use fuser::INodeNo;",
        "let fuser_like = 1; // fuser::X",
    );
    check(
        rule,
        "src/log/mod.rs",
        "#[derive(clap::Args)]",
        "#[derive(Debug)]",
    );
    check(
        rule,
        "src/merge/kway.rs",
        "use std::{fmt, fs::File};",
        "use std::{fmt, io};",
    );
    check(
        rule,
        "src/merge/kway.rs",
        "use std::fs::{self};",
        "#[cfg(test)] mod tests { use std::fs; }",
    );
    check(
        rule,
        "src/spool/day.rs",
        "let now = std::time::SystemTime::now();",
        "let x = SystemTime::UNIX_EPOCH;",
    );
    check(
        rule,
        "src/view/node.rs",
        "let now = Utc::now();",
        "let now: Utc;",
    );
    check(
        rule,
        "src/main.rs",
        "println!(\"x\");",
        "writeln!(out, \"println!\");",
    );
    check(rule, "src/disk/scan.rs", "dbg!(x);", "let x = a.dbg;");
    check(
        rule,
        "src/mount/mod.rs",
        "process::exit(1);",
        "process::id();",
    );
}

#[test]
fn each_other_rule_is_seen() {
    check(
        unsafe_stays_in_its_files,
        "src/disk/x.rs",
        "unsafe { f() }",
        "'a'; '\\''; // unsafe",
    );
    check(
        unsafe_stays_in_its_files,
        "src/disk/x.rs",
        "#![allow(unsafe_code)]",
        "r#\"unsafe\"#; fn f<'a>() {}",
    );
    assert_eq!(
        a_file_begins_with_a_sentence(&[("src/a.rs".into(), "//! Title\n\nuse x;".into())]).len(),
        1
    );
    assert_eq!(
        a_file_begins_with_a_sentence(&[("src/a.rs".into(), "use x;".into())]).len(),
        1
    );
    assert!(
        a_file_begins_with_a_sentence(&[(
            "src/a.rs".into(),
            "//! A\n//! b.\n//!\n//! - c\n".into()
        )])
        .is_empty()
    );
    assert_eq!(
        a_file_is_short(&[("src/a.rs".into(), "x\n".repeat(401))]).len(),
        1
    );
    assert!(a_file_is_short(&[("src/a.rs".into(), "x\n".repeat(400))]).is_empty());
    assert_eq!(
        names_say_something(&[
            ("src/disk/util.rs".into(), "".into()),
            ("src/types/a.rs".into(), "".into())
        ])
        .len(),
        2
    );
    assert_eq!(
        the_top_holds_only_what_is_meant(&[
            ("notes.md".into(), "".into()),
            ("src/x.rs".into(), "".into())
        ])
        .len(),
        1
    );
    let cargo = |name: &str| {
        (
            "Cargo.toml".into(),
            format!("[package]\nname = \"x\"\n[dev-dependencies]\n{name} = \"1\"\n"),
        )
    };
    let reasons: File = ("docs/ARCHITECTURE.md".into(), "`serde` does it".into());
    assert_eq!(
        each_dependency_has_a_reason(&[cargo("nix"), reasons.clone()]).len(),
        1
    );
    assert!(each_dependency_has_a_reason(&[cargo("serde.workspace"), reasons]).is_empty());
}
