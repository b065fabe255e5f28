//! The documents: each link leads somewhere, and the book has every page.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const SUMMARY: &str = "docs/SUMMARY.md";

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(page: &str) -> String {
    fs::read_to_string(checkout().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// The pages in docs/, as paths from the checkout.
fn pages() -> BTreeSet<String> {
    let files = fs::read_dir(checkout().join("docs")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let pages = names.filter(|name| name.ends_with(".md"));
    pages.map(|name| format!("docs/{name}")).collect()
}

/// The lines that are no code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence && !line.starts_with("    ")
    })
}

/// The targets of links, without code between backticks.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    for line in prose(text) {
        let plain: String = line.split('`').step_by(2).collect();
        let targets = plain.split("](").skip(1);
        links.extend(targets.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())));
    }
    links
}

/// The names by which headings are linked to, as mdBook and GitHub make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    let names = headings.map(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter_map(|letter| match letter {
            ' ' => Some('-'),
            '-' | '_' => Some(letter),
            _ => letter.is_alphanumeric().then_some(letter),
        });
        kept.collect()
    });
    names.collect()
}

/// What is wrong with the links of a page.
fn broken(page: &str, text: &str) -> Vec<String> {
    let folder = Path::new(page).parent().unwrap();
    let in_book = page.starts_with("docs/");
    let mut broken = Vec::new();
    for link in links(text).iter().filter(|link| !link.contains("://")) {
        let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
        let target = match path {
            "" => page.to_owned(),
            _ => folder.join(path).to_str().unwrap().to_owned(),
        };
        let file = checkout().join(&target);
        if !file.is_file() {
            broken.push(format!("{page}: {link}: no such file"));
        } else if in_book && path.contains('/') {
            broken.push(format!("{page}: {link}: leads out of the book"));
        } else if !anchor.is_empty() && !anchors(&read(&target)).contains(anchor) {
            broken.push(format!("{page}: {link}: no such heading"));
        }
    }
    broken
}

#[test]
fn each_link_leads_somewhere() {
    let mut all = pages();
    all.extend(["README.md".to_owned(), "ARCHITECTURE.md".to_owned()]);
    let broken: Vec<_> = all
        .iter()
        .flat_map(|page| broken(page, &read(page)))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_book_has_each_page_once() {
    let listed: Vec<_> = links(&read(SUMMARY))
        .iter()
        .map(|link| format!("docs/{link}"))
        .collect();
    let mut pages = pages();
    pages.remove(SUMMARY);
    let unique: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!(unique, pages);
    assert_eq!(listed.len(), pages.len(), "a page is listed twice");
}

#[test]
fn broken_links_are_found() {
    let text = "[a](no-such.md) `[b](code.md)`\n    [c](code.md)\n# It's one\n[d](#its-one) [e](#two) [f](https://x)\n\
                [g](qemu.md#options) [h](qemu.md#no-such) [i](../README.md)";
    let complaints = [
        "docs/qemu.md: no-such.md: no such file",
        "docs/qemu.md: #its-one: no such heading",
        "docs/qemu.md: #two: no such heading",
        "docs/qemu.md: qemu.md#no-such: no such heading",
        "docs/qemu.md: ../README.md: leads out of the book",
    ];
    assert_eq!(broken("docs/qemu.md", text), complaints);
    assert_eq!(anchors(text), BTreeSet::from(["its-one".to_owned()]));
}
