//! The book's page of forms: each with the section that says what it means,
//! and what proves that it does.

mod common;

use std::path::PathBuf;

use common::places::known;
use vgpu_simt::Form;

/// What proves the rows that are not arithmetic alone: how their syntax begins,
/// the file, the test. The longest that fits is meant.
const PROOFS: &[(&str, &str, &str)] = &[
    ("add.cc", "carry", "each_form_with_the_flag"),
    ("addc", "carry", "each_form_with_the_flag"),
    ("sub.cc", "carry", "each_form_with_the_flag"),
    ("subc", "carry", "each_form_with_the_flag"),
    ("mad.[lo hi].cc", "carry", "each_form_with_the_flag"),
    ("madc", "carry", "each_form_with_the_flag"),
    ("div.[approx full]", "approximations", "quotients"),
    ("rcp.approx", "floats", "approximations_keep_their_bounds"),
    ("rcp.approx.f64", "approximations", "doubles"),
    ("rcp.approx.ftz.f64", "approximations", "doubles"),
    ("sqrt.approx", "floats", "approximations_keep_their_bounds"),
    ("sqrt.approx.f64", "approximations", "doubles"),
    ("rsqrt.approx", "floats", "approximations_keep_their_bounds"),
    ("rsqrt.approx.f64", "approximations", "doubles"),
    ("sin.approx", "floats", "approximations_keep_their_bounds"),
    ("cos.approx", "floats", "approximations_keep_their_bounds"),
    ("lg2.approx", "floats", "approximations_keep_their_bounds"),
    ("ex2.approx", "floats", "approximations_keep_their_bounds"),
    (
        "ex2.approx.[f16",
        "approximations",
        "floats_of_sixteen_bits",
    ),
    (
        "ex2.approx.ftz.[bf16",
        "approximations",
        "floats_of_sixteen_bits",
    ),
    ("tanh.approx", "floats", "approximations_keep_their_bounds"),
    (
        "tanh.approx.[f16",
        "approximations",
        "floats_of_sixteen_bits",
    ),
    ("mov.", "spaces", "moves"),
    ("cvta", "spaces", "generic_addresses"),
    ("isspacep", "spaces", "generic_addresses"),
    ("ld{", "spaces", "each_type_in_each_space"),
    ("st{", "spaces", "each_type_in_each_space"),
    ("ldu", "spaces", "parameters_and_constants"),
    ("prefetch", "spaces", "what_changes_nothing"),
    ("membar", "spaces", "what_changes_nothing"),
    ("fence", "spaces", "what_changes_nothing"),
    ("nanosleep", "spaces", "what_changes_nothing"),
    ("brkpt", "spaces", "what_changes_nothing"),
    ("bar.warp.sync", "spaces", "what_changes_nothing"),
    ("atom", "atomics", "each_operation_in_both_memories"),
    ("red{", "atomics", "halves_are_added_and_exchanged"),
    ("shfl", "warps", "shuffles"),
    ("vote", "warps", "votes_and_who_is_there"),
    ("activemask", "warps", "votes_and_who_is_there"),
    ("elect", "warps", "votes_and_who_is_there"),
    ("match.any", "warps", "votes_and_who_is_there"),
    ("match.all", "atomics", "what_lanes_find_out_together"),
    ("redux", "warps", "reductions_of_a_warp"),
    ("bra{", "warps", "branches_by_a_number"),
    ("brx", "warps", "branches_by_a_number"),
    (
        "call",
        "kernels",
        "recursion_calls_and_pointers_to_functions",
    ),
    (
        "ret",
        "kernels",
        "recursion_calls_and_pointers_to_functions",
    ),
    ("exit", "kernels", "threads_that_are_not_there_do_nothing"),
    ("trap", "faults", "each_kind_of_fault"),
    ("bar{", "warps", "barriers"),
    ("barrier", "warps", "barriers"),
    ("mma", "matrix", "products_of_floats"),
    ("mma.sync.aligned.m8n8k4", "matrix", "products_of_doubles"),
    ("mma.sync.aligned.m8n8k16", "matrix", "products_of_bytes"),
    (
        "mma.sync.aligned.m16n8k16.row.col{",
        "matrix",
        "products_of_bytes",
    ),
    ("mma.sync.aligned.m16n8k32", "matrix", "products_of_bytes"),
    ("ldmatrix", "copies", "matrices_of_shared_memory"),
    ("cp.async.c", "copies", "each_size_with_what_there_is_of_it"),
    ("cp.async.commit_group", "copies", "groups"),
    ("cp.async.wait", "copies", "groups"),
    (
        "createpolicy",
        "copies",
        "each_size_with_what_there_is_of_it",
    ),
    ("vadd.", "video", "scalar_arithmetic"),
    ("vsub.", "video", "scalar_arithmetic"),
    ("vabsdiff.", "video", "scalar_arithmetic"),
    ("vmin.", "video", "scalar_arithmetic"),
    ("vmax.", "video", "scalar_arithmetic"),
    ("vshl", "video", "scalar_shifts_and_comparisons"),
    ("vshr", "video", "scalar_shifts_and_comparisons"),
    ("vset.", "video", "scalar_shifts_and_comparisons"),
    ("vmad", "video", "products"),
    ("vadd", "video", "halves_and_bytes"),
    ("vsub", "video", "halves_and_bytes"),
    ("vavrg", "video", "halves_and_bytes"),
    ("vabsdiff", "video", "halves_and_bytes"),
    ("vmin", "video", "halves_and_bytes"),
    ("vmax", "video", "halves_and_bytes"),
    ("vset", "video", "halves_and_bytes"),
];

fn here(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// How many spellings a row has, and its proof.
fn proof(form: &'static Form) -> (usize, String) {
    let spellings = form.spellings();
    let count = spellings.len();
    if spellings
        .iter()
        .all(|spelling| known(form.syntax, spelling))
    {
        return (count, "each, bit for bit".into());
    }
    let fits = PROOFS.iter().filter(|row| form.syntax.starts_with(row.0));
    let (_, file, test) = fits
        .max_by_key(|row| row.0.len())
        .unwrap_or_else(|| panic!("nothing proves {form:?}"));
    (count, format!("`{file}`: {}", test.replace('_', " ")))
}

fn page() -> String {
    let (mut rows, mut all, mut exact) = (String::new(), 0, 0);
    for form in vgpu_simt::forms() {
        let (count, proof) = proof(form);
        let syntax = form.syntax.replace('|', "\\|");
        rows += &format!("| `{syntax}` | {} | {count} | {proof} |\n", form.section);
        all += count;
        exact += if proof.starts_with("each") { count } else { 0 };
    }
    format!(
        "\
# Forms of PTX

What [the CPU engine](cuda.md#the-engines) executes: {} rows with {all} spellings. This page is generated from the table of forms,
`engine/simt/src/forms/`: a test holds it against that, and `UPDATE=1 cargo nextest run -p vgpu-simt --test page` writes it anew.

- **form** is written as the PTX ISA writes it: `{{.sat}}` may be left out, one of `[u32 s32]` is there, and a word after `~` is
  taken and changes nothing, such as one for a cache.
- **section** is the one of the PTX ISA 8.7 that says what it means. The tests are written from there, and share no code with the
  engine.
- **spellings** are the lists of words that a row takes, without those that change nothing.
- **proof** says which test holds it. *Each, bit for bit*: every one of the {exact} spellings is a kernel of its own, over ends of its
  types and random bits, against integers of 128 bits and LLVM's software floats (`engine/simt/tests/differential.rs`); one result that
  is no number is as good as another. The others name a file of `engine/simt/tests/` and its test. An approximation is held against the
  error that its section allows.

Whole programs are held too: 22 kernels of clang and 24 of rustc, whose Rust source also runs on the host, and those of tinygrad
(`tests/corpus/`).

| form | section | spellings | proof |
|---|---|---|---|
{rows}",
        vgpu_simt::forms().count()
    )
}

#[test]
fn the_page_is_up_to_date() {
    let file = here("../../docs/ptx-forms.md");
    let page = page();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &page).expect("written");
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    let hint = "UPDATE=1 cargo nextest run -p vgpu-simt --test page";
    assert!(found == page, "docs/ptx-forms.md is out of date: {hint}");
}

#[test]
fn every_proof_is_a_test_of_a_form() {
    for (prefix, file, test) in PROOFS {
        let text =
            std::fs::read_to_string(here(&format!("tests/{file}.rs"))).expect("a file of tests");
        assert!(
            text.contains(&format!("#[test]\nfn {test}()")),
            "{file}: {test}"
        );
        let used = vgpu_simt::forms().any(|form| form.syntax.starts_with(prefix));
        assert!(used, "no form begins with {prefix}");
    }
}
