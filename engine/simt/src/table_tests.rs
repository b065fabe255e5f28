//! The table against itself.

use super::{all, counts, coverage, rows, spelled};
use crate::words::Words;

/// Every list of words that a row's syntax allows has a meaning, and finds
/// this row before any other that would take it otherwise.
#[test]
fn every_spelling_has_a_meaning() {
    for form in all() {
        for spelling in spelled(form) {
            let words: Vec<&str> = spelling.split('.').collect();
            let found = (form.semantics)(&Words::new(&words));
            assert!(found.is_some(), "{spelling} of {form:?}");
            let listed = rows(&words).any(|row| row.form.syntax == form.syntax);
            assert!(listed, "{spelling} is not found by its own words");
        }
    }
    let (rows, spellings) = counts();
    assert_eq!(coverage().lines().count(), rows + 2);
    assert!(spellings > 4000, "{spellings}");
}

#[test]
fn every_row_names_a_section_of_the_isa() {
    for form in all() {
        assert!(form.section.starts_with("9.7."), "{form:?}");
        // One result, sources, and no more than a warp's instruction may have.
        assert!(form.syntax.split(", ").count() <= 6, "{form:?}");
    }
}
