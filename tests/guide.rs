//! The guide's claims name their tests, its pages link to each other, and what it lists is what there is.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, fs, path::Path};

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

/// The words in a text that start with `prefix`.
fn words(text: &str, prefix: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_' || (prefix.ends_with('.') && c == '.');
    let word = |at: usize| text[at..].chars().take_while(|c| is_part(*c)).collect::<String>();
    text.match_indices(prefix).map(|(at, _)| word(at).trim_end_matches('.').to_owned()).collect()
}

/// The first words in backticks of the rows of the table under this header.
fn table(page: &str, header: &str) -> BTreeSet<String> {
    let rows = page.split_once(&format!("\n| {header} |")).unwrap().1.split("\n\n").next().unwrap().lines().skip(2);
    rows.map(|row| row.split('`').nth(1).unwrap().to_owned()).collect()
}

/// L9: the page lists what the code tells, and nothing else; the dashboard asks for nothing that is not there.
#[test]
fn the_observability_page_lists_what_there_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("src/guide/observability.md")).unwrap();
    let code = sources(&root.join("src/observe"));
    let trace = fs::read_to_string(root.join("src/observe/trace.rs")).unwrap();

    let metrics = words(&fs::read_to_string(root.join("src/observe/metric.rs")).unwrap(), "tower_token_");
    assert_eq!(table(&page, "metric"), metrics);
    let asked = |text: &str| -> BTreeSet<_> {
        words(text, "tower_token_").into_iter().map(|name| name.trim_end_matches("_bucket").to_owned()).collect()
    };
    assert_eq!(asked(&page), metrics);

    let fields = |text: &str| words(text, "tower_token.");
    assert_eq!(fields(&page), fields(&trace));
    let conventional = ["error.type", "exception.message", "http.response.status_code", "http.request.resend_count"];
    let event_fields = trace.split("macro_rules!").nth(1).unwrap().split("\"{}\"").next().unwrap();
    let listed = table(&page, "field");
    let event_fields: BTreeSet<_> =
        event_fields.lines().filter_map(|line| line.trim().split_once(" = $event.")).map(|(name, _)| name.to_owned()).collect();
    assert_eq!(listed, event_fields);
    assert!(conventional.iter().all(|name| listed.contains(*name)));

    // A message is what stands in quotes and has a blank.
    let quoted = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>());
    let messages: BTreeSet<_> =
        quoted.filter(|text| text.contains(' ') && text.starts_with(|c: char| c.is_lowercase())).collect();
    let mut told = table(&page, "event");
    // What the lints are told.
    told.extend(["nobody is called without the features", "nobody reads it without the feature"].map(str::to_owned));
    assert_eq!(told, messages);

    let dashboard = fs::read_to_string(root.join("examples/grafana.json")).unwrap();
    assert_eq!(asked(&dashboard), metrics, "each metric has its panel, and no panel is empty");
}

/// The anchors that rustdoc and GitHub give to the headings of a page.
fn anchors(page: &str) -> Vec<String> {
    let kept = |c: char| c.is_alphanumeric() || c == '-' || c == '_' || c == ' ';
    let headings = page.lines().filter(|line| line.starts_with('#') && line.trim_start_matches('#').starts_with(' '));
    headings.map(|line| line.trim_start_matches('#').trim().to_lowercase().replace(|c| !kept(c), "").replace(' ', "-")).collect()
}

/// What stands in `](..)`, but for other sites and paths of the documentation.
fn links(page: &str) -> Vec<&str> {
    let targets = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.starts_with("http") && !target.contains("::")).collect()
}

#[test]
fn the_links_of_the_readme_and_the_guide_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = ["cookbook", "design", "limitations", "observability", "performance", "security"]
        .map(|page| format!("src/guide/{page}.md"));
    let mut seen = 0;
    for page in pages.into_iter().chain(["README.md".to_owned()]) {
        let text = fs::read_to_string(root.join(&page)).unwrap();
        for link in links(&text) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { root.join(&page) } else { root.join(file) };
            assert!(target.exists(), "{page}: {link}");
            let there = || anchors(&fs::read_to_string(&target).unwrap()).iter().any(|known| known == anchor);
            assert!(anchor.is_empty() || there(), "{page}: {link}");
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen}");
}
