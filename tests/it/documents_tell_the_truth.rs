//! What docs/SEMANTICS.md shows is what happens: its examples are run.
//!
//! A fenced block `sh` is a transcript in one shell, in the root of a mount of a generated directory: a line `$ command`
//! and below it what the command prints. `...` stands for any lines, and `…` for anything within one. Before
//! each block `$SID` is a session and `$SRC` the audit directory; blocks follow one another in one mount.

use std::path::Path;

use crate::harness::*;

/// A command of a document and what it prints there.
#[derive(Debug)]
struct Example {
    line_number: usize,
    command: String,
    output: Vec<String>,
}

/// The examples of all `sh` blocks.
fn examples(text: &str) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let mut inside = false;
    for (at, line) in text.lines().enumerate() {
        match line.strip_prefix("$ ") {
            _ if line.starts_with("```") => inside = line == "```sh",
            _ if !inside => {}
            Some(command) => found.push(Example {
                line_number: at + 1,
                command: command.to_owned(),
                output: Vec::new(),
            }),
            None => found
                .last_mut()
                .expect("a block begins with `$ `")
                .output
                .push(line.to_owned()),
        }
    }
    found
}

/// Whether the printed lines are the documented ones.
fn fits(documented: &[String], printed: &[&str]) -> bool {
    let Some((first, rest)) = documented.split_first() else {
        return printed.is_empty();
    };
    if first == "..." {
        return (0..=printed.len()).any(|skipped| fits(rest, &printed[skipped..]));
    }
    let Some((line, later)) = printed.split_first() else {
        return false;
    };
    line_fits(first, line) && fits(rest, later)
}

fn line_fits(documented: &str, printed: &str) -> bool {
    let Some((before, after)) = documented.split_once('…') else {
        return documented == printed;
    };
    let Some(rest) = printed.strip_prefix(before) else {
        return false;
    };
    (0..=rest.len())
        .filter_map(|skipped| rest.get(skipped..))
        .any(|rest| line_fits(after, rest))
}

#[test]
fn the_examples_of_semantics_md_are_true() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/SEMANTICS.md");
    let examples = examples(&std::fs::read_to_string(document).unwrap());
    assert!(examples.len() > 10, "{examples:#?}");
    let audit = Audit::generated(&[
        "--servers",
        "3",
        "--days",
        "3",
        "--sessions",
        "6",
        "--events",
        "50",
        "--split",
        "--gzip",
    ]);
    // One record that is no JSON, one record of the seed document's form, one session with a hole.
    audit.daily(
        A,
        "2018-05-02",
        "2018-05-02T00:00:01Z,user.login,{\"user\":\"legacy\"}\nno json at all\n",
    );
    let mut holed = audit.record("74a5fc02-4d00-11e8-aee2-0242ac0a0002");
    holed
        .start("alice")
        .print("before")
        .post(A)
        .print("lost!")
        .lose()
        .print("after")
        .end()
        .post(B);
    let mount = Mount::of(&audit);
    let names = mount.names("sessions");
    let sid = names
        .iter()
        .find(|sid| !sid.starts_with("74a5fc02"))
        .unwrap();
    let set = format!(
        "export SID={sid} HOLED=74a5fc02-4d00-11e8-aee2-0242ac0a0002 SRC={}; auditfs() {{ {} \"$@\"; }}; ",
        audit.path().display(),
        env!("CARGO_BIN_EXE_auditfs")
    );
    for example in examples {
        let ran = sh(
            &mount.point(),
            &format!("{set} {{ {}\n}} 2>&1", example.command),
        );
        let printed = ran.stdout();
        let lines: Vec<&str> = printed.lines().collect();
        assert!(
            fits(&example.output, &lines),
            "docs/SEMANTICS.md:{}: {} printed\n{printed}",
            example.line_number,
            example.command
        );
    }
}

#[test]
fn a_wrong_example_is_found() {
    let text = "```sh\n$ echo a\na\n...\nz…y\n$ true\n```\n```\n$ not run\n```\n";
    let examples = examples(text);
    assert_eq!(examples.len(), 2);
    let fitting = |lines: &[&str]| fits(&examples[0].output, lines);
    assert!(fitting(&["a", "b", "c", "z and y"]) && fitting(&["a", "zy"]));
    assert!(!fitting(&["a", "b"]) && !fitting(&["b", "zy"]) && !fitting(&["a", "zy", "more"]));
    assert!(examples[1].output.is_empty());
}
