//! The rooms of `src/` know only rooms of a lower rank: an import that points upward or sideways fails here.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

/// A room and its rank, also of rooms that are yet to be built. Rooms of one rank do not know each other, but for rank 0, whose
/// values all others are made of.
const ROOMS: [(&str, u8); 15] = [
    ("error", 0),
    ("clock", 0),
    ("observe", 0),
    ("sync", 0),
    ("token", 0),
    ("source", 1),
    ("transport", 1),
    ("store", 1),
    ("refresh", 2),
    ("grant", 2),
    ("id_token", 2),
    ("middleware", 3),
    ("provider", 4),
    ("adapter", 4),
    ("testing", 5),
];

/// The front door, and the prose of the guide: they lead to every room, and no room imports them.
const UNRANKED: [&str; 2] = ["lib", "guide"];

fn rank(room: &str) -> Option<u8> {
    ROOMS.iter().find(|(name, _)| *name == room).map(|(_, rank)| *rank)
}

/// The rooms that a file names by `crate::`, in a `use` or in an expression.
fn rooms_named(text: &str) -> Vec<String> {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let mut named = Vec::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            // The first word of each item of a group.
            Some(group) => {
                let (mut depth, mut item) = (1, String::new());
                for character in group.chars() {
                    match character {
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        ',' if depth == 1 => named.push(std::mem::take(&mut item)),
                        _ if depth == 1 => item.push(character),
                        _ => {}
                    }
                    if depth == 0 {
                        break;
                    }
                }
                named.push(item);
            }
            None => named.push(rest.to_owned()),
        }
    }
    let first_word =
        |item: String| item.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    named.into_iter().map(first_word).filter(|word| !word.is_empty()).collect()
}

fn check(room: &str, path: &Path, wrong: &mut Vec<String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            check(room, &entry.unwrap().path(), wrong);
        }
        return;
    }
    let own = rank(room).unwrap_or_else(|| panic!("`{room}` has no rank: give it one here and in the list in `lib.rs`"));
    for other in rooms_named(&fs::read_to_string(path).unwrap()) {
        let allowed = other == room || rank(&other).is_some_and(|rank| rank < own || (rank == 0 && own == 0));
        if !allowed {
            wrong.push(format!("{}: crate::{other}", path.display()));
        }
    }
}

#[test]
fn imports_point_to_lower_ranks() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for entry in fs::read_dir(&src).unwrap() {
        let path = entry.unwrap().path();
        let room = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if !UNRANKED.contains(&room.as_str()) {
            check(&room, &path, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "imports that point upward or sideways:\n{}", wrong.join("\n"));
}

#[test]
fn the_check_sees_every_form_of_import() {
    let text =
        "use crate::{\n    clock::{Clock, Moment},\n    error::TokenError,\n};\nlet x = crate::token::X; // crate::comment::Y\n";
    assert_eq!(rooms_named(text), ["clock", "error", "token"]);
}
