//! The files of the repository, and Rust text without its comments and literals.

use std::fs;
use std::path::Path;

/// A text file of the repository.
pub(super) struct File {
    /// From the root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
    /// The text with comments and literals blanked out, line for line; empty unless it is Rust.
    pub(super) code: String,
}

const KINDS: &[&str] = &["rs", "toml", "md", "py", "pyi", "sh", "yml"];
const SKIPPED: &[&str] = &["target", "results", "corpus", "__pycache__"];

/// Every text file below `root`, sorted by path.
pub(super) fn read(root: &Path) -> Result<Vec<File>, String> {
    let mut files = Vec::new();
    walk(root, root, &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<File>) -> Result<(), String> {
    let fail = |path: &Path, e| format!("cannot read {}: {e}", path.display());
    for entry in fs::read_dir(folder).map_err(|e| fail(folder, e))? {
        let path = entry.map_err(|e| fail(folder, e))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && !SKIPPED.contains(&name.as_str()) {
                walk(root, &path, files)?;
            }
            continue;
        }
        let kind = path.extension().unwrap_or_default().to_string_lossy();
        if KINDS.contains(&&*kind) {
            let text = fs::read_to_string(&path).map_err(|e| fail(&path, e))?;
            let code = if kind == "rs" { code_of(&text) } else { String::new() };
            let path = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            files.push(File { path, text, code });
        }
    }
    Ok(())
}

/// Rust text in which comments, strings and characters are blanks, so that a search finds only code.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, is_code) = match token(rest, code.chars().next_back()) {
            Some(length) => (length, false),
            None => (first.len_utf8(), true),
        };
        let (head, tail) = rest.split_at(length);
        code.extend(head.chars().map(|c| if is_code || c == '\n' { c } else { ' ' }));
        rest = tail;
    }
    code
}

/// The length of the comment or literal that `rest` begins with.
fn token(rest: &str, before: Option<char>) -> Option<usize> {
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if rest.starts_with("//") {
        Some(rest.find('\n').unwrap_or(rest.len()))
    } else if rest.starts_with("/*") {
        Some(block_comment(rest))
    } else if rest.starts_with('"') {
        Some(quoted(rest, 1))
    } else if !in_word && (rest.starts_with("r\"") || rest.starts_with("r#")) {
        raw_string(rest)
    } else if rest.starts_with('\'') {
        character(rest)
    } else {
        None
    }
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if here.starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// To the end of a string whose contents begin at byte `at`.
fn quoted(rest: &str, mut at: usize) -> usize {
    let bytes = rest.as_bytes();
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// `None` for a raw identifier such as `r#type`.
fn raw_string(rest: &str) -> Option<usize> {
    let hashes = rest[1..].bytes().take_while(|&b| b == b'#').count();
    let contents = rest[1 + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = contents.find(&end).map_or(contents.len(), |at| at + end.len());
    Some(2 + hashes + length)
}

/// `None` for a lifetime.
fn character(rest: &str) -> Option<usize> {
    let mut chars = rest.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first == '\\' {
        return rest[3..].find('\'').map(|at| at + 4);
    }
    let (at, second) = chars.next()?;
    (second == '\'').then_some(at + 1)
}

#[cfg(test)]
mod tests {
    use super::code_of;

    #[test]
    fn comments_and_literals_vanish_and_lines_stay() {
        let text = "let a = \"std::\"; // std::x\n/* alloc:: /* twice */ */ let b = 'c';\n";
        let code = code_of(text);
        assert!(!code.contains("std") && !code.contains("alloc") && !code.contains("'c'"));
        assert!(code.contains("let a =") && code.contains("let b ="));
        assert_eq!(code.lines().count(), text.lines().count());
    }

    #[test]
    fn lifetimes_escapes_and_raw_names_stay_apart() {
        assert_eq!(code_of("fn f<'a>(r#type: &'a str)"), "fn f<'a>(r#type: &'a str)");
        assert_eq!(code_of(r##"x(r#"a " b"#, '\'', "\"", y)"##).replace(' ', ""), "x(,,,y)");
    }
}
