//! The guide's claims name their tests: those tests exist.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

/// The sources under a folder, one after the other.
fn sources(path: &Path) -> String {
    if path.is_dir() {
        fs::read_dir(path).unwrap().map(|entry| sources(&entry.unwrap().path())).collect()
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        fs::read_to_string(path).unwrap()
    } else {
        String::new()
    }
}

#[test]
fn the_tests_that_the_security_page_names_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let code = sources(&root.join("src")) + &sources(&root.join("tests"));
    let page = fs::read_to_string(root.join("src/guide/security.md")).unwrap();
    let table = page.split("# What is not").next().unwrap().lines().filter(|line| line.starts_with('|')).skip(2);
    let tests: Vec<_> = table.flat_map(|row| row.split('|').nth(2).unwrap().split('`').skip(1).step_by(2)).collect();
    assert!(tests.len() > 20, "{tests:?}");
    let missing: Vec<_> = tests.iter().filter(|test| !code.contains(&format!("fn {test}("))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
