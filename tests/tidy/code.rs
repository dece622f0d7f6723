//! The paths that Rust code names, found without a parser: comments and strings are blanked, groups in braces spread out.

/// A path as the code says it, `crate::event::Day`; a macro has its `!`. A word alone is a path too.
pub(crate) struct Named {
    pub(crate) path: String,
    /// From 1.
    pub(crate) line: usize,
    /// Is it in a test?
    pub(crate) in_test: bool,
}

/// Every path in the code, groups in braces spread out. Tests are what follows `#[cfg(test)] mod name {`.
pub(crate) fn paths(path: &str, text: &str) -> Vec<Named> {
    let code = without_comments_and_strings(text);
    let tests = code.match_indices("#[cfg(test)]").find(|(at, mark)| {
        let rest = code[at + mark.len()..].trim_start();
        rest.starts_with("mod ") && rest.find('{') < rest.find(';')
    });
    let tests = if is_test_file(path) {
        0
    } else {
        tests.map_or(code.len(), |(at, _)| at)
    };
    let mut found = Vec::new();
    let mut groups: Vec<Option<String>> = Vec::new(); // for each open brace, the path before it, if it is a group
    let mut prefix = String::new(); // of the path that is being read, with its `::`
    let mut at = 0;
    let mut line = 1;
    while let Some(next) = code[at..].chars().next() {
        let word: String = code[at..]
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        let rest = &code[at + word.len()..];
        if word.is_empty() {
            match next {
                '{' => groups.push((!prefix.is_empty()).then(|| prefix.clone())),
                '}' => drop(groups.pop()),
                '\n' => line += 1,
                _ => {}
            }
            prefix = groups
                .iter()
                .rev()
                .map_while(Option::as_ref)
                .next()
                .cloned()
                .unwrap_or_default();
            at += next.len_utf8();
        } else if rest.starts_with("::") {
            prefix = format!("{prefix}{word}::");
            at += word.len() + 2;
        } else {
            let mark = if rest.starts_with('!') && !rest.starts_with("!=") {
                "!"
            } else {
                ""
            };
            let path = if word == "self" {
                prefix.trim_end_matches(':').into()
            } else {
                format!("{prefix}{word}{mark}")
            };
            found.push(Named {
                path,
                line,
                in_test: at >= tests,
            });
            at += word.len();
        }
    }
    found
}

/// The text with comments, strings and character literals blanked; lines stay lines.
fn without_comments_and_strings(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let hashes = rest
            .strip_prefix('r')
            .map(|raw| raw.chars().take_while(|c| *c == '#').count());
        let raw = hashes.filter(|n| {
            rest[1 + n..].starts_with('"')
                && !code.ends_with(|c: char| c.is_alphanumeric() && c != 'b')
        });
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |at| at + 2)
        } else if let Some(hashes) = raw {
            let end = format!("\"{}", "#".repeat(hashes));
            let begin = 1 + hashes + 1;
            rest[begin..]
                .find(&end)
                .map_or(rest.len(), |at| begin + at + end.len())
        } else if first == '"' {
            quoted(rest, '"')
        } else if first == '\''
            && (rest[1..].starts_with('\\') || rest[1..].chars().nth(1) == Some('\''))
        {
            quoted(rest, '\'')
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        code.extend(
            rest[..length]
                .chars()
                .map(|c| if c == '\n' { c } else { ' ' }),
        );
        rest = &rest[length..];
    }
    code
}

/// The length of the literal that `text` begins with, up to and with the closing quote.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

pub(crate) fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/") || path.ends_with("tests.rs") || path.contains("/tests/")
}
