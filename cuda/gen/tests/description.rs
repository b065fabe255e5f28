//! The description against cudarc, and against its own past.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use syn::{FnArg, Item, ItemFn, Type, Visibility};
use vgpu_cuda_gen::{Class, Idl, Kind, coverage, exports, folder, wire};

fn idl() -> Idl {
    Idl::read(&folder()).unwrap()
}

/// The source of cudarc's bindings, where cargo keeps it.
fn cudarc() -> syn::File {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let cudarc = packages
        .iter()
        .find(|package| package["name"] == "cudarc")
        .unwrap();
    let manifest = Path::new(cudarc["manifest_path"].as_str().unwrap());
    let source = manifest.with_file_name("src/driver/sys/mod.rs");
    syn::parse_file(&std::fs::read_to_string(source).unwrap()).unwrap()
}

/// A type as text, without the paths that only one of both writes.
fn text(ty: &Type) -> String {
    quote::quote!(#ty)
        .to_string()
        .replace(":: core :: ffi :: ", "")
}

/// All variants that cudarc has of each function, for different versions.
fn functions(file: &syn::File) -> BTreeMap<String, Vec<Vec<(String, String)>>> {
    let mut functions: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let public = |item: &&ItemFn| matches!(item.vis, Visibility::Public(_));
    let items = file.items.iter().filter_map(|item| match item {
        Item::Fn(item) => Some(item),
        _ => None,
    });
    for item in items
        .filter(public)
        .filter(|item| item.sig.ident.to_string().starts_with("cu") && item.sig.ident != "culib")
    {
        let arguments = item
            .sig
            .inputs
            .iter()
            .filter_map(|argument| match argument {
                FnArg::Typed(typed) => {
                    let pattern = &typed.pat;
                    Some((quote::quote!(#pattern).to_string(), text(&typed.ty)))
                }
                FnArg::Receiver(_) => None,
            });
        functions
            .entry(item.sig.ident.to_string())
            .or_default()
            .push(arguments.collect());
    }
    functions
}

#[test]
fn each_signature_is_cudarcs() {
    let theirs = functions(&cudarc());
    assert!(theirs.len() > 500);
    for function in idl().functions {
        let own: Vec<_> = function
            .parameters
            .iter()
            .map(|parameter| (parameter.name.clone(), text(&parameter.ty)))
            .collect();
        // cuDeviceGetUuid of before 11.4 and the like: no longer in cudarc.
        let Some(variants) = theirs.get(&function.name) else {
            panic!("{}: not in cudarc", function.name);
        };
        assert!(
            variants.contains(&own),
            "{}: {own:?} is none of {variants:?}",
            function.name
        );
    }
}

#[test]
fn each_name_of_cudarc_resolves() {
    let idl = idl();
    let functions_of_idl = idl.functions.iter().map(|function| function.name.clone());
    let refused = idl.unsupported.iter().map(|(name, _)| name.clone());
    let own: BTreeSet<_> = functions_of_idl.chain(refused).collect();
    assert_eq!(
        own.len(),
        idl.functions.len() + idl.unsupported.len(),
        "a name twice"
    );
    let missing: Vec<_> = functions(&cudarc())
        .into_keys()
        .filter(|name| !own.contains(name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// What real programs call does what it is called for, rather than only resolve.
#[test]
fn what_programs_call_is_there() {
    let idl = idl();
    let there = idl.symbols().filter(|symbol| symbol.function.is_some());
    let own: BTreeSet<_> = there.map(|symbol| symbol.name).collect();
    let called = idl.needs.iter().filter(|needs| needs.called);
    let called: BTreeSet<_> = called.flat_map(|needs| &needs.names).collect();
    assert_eq!(called.len(), 69, "66 measured, 3 more of PyTorch");
    let missing: Vec<_> = called.iter().filter(|name| !own.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    // What sources name resolves at least.
    let all: BTreeSet<_> = idl.symbols().map(|symbol| symbol.name).collect();
    let named = idl.needs.iter().flat_map(|needs| &needs.names);
    let unknown: Vec<_> = named.filter(|name| !all.contains(*name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// Each function, by its own version, is called by a test of the library.
#[test]
fn each_function_is_tested() {
    fn read(folder: &Path, into: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, into);
            } else if path.extension().is_some_and(|end| end == "rs") {
                into.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut text = String::new();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest/libcuda/tests");
    read(&tests, &mut text);
    let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let called: BTreeSet<_> = text.split(|c| !name(c)).collect();
    let functions = idl().functions;
    let untested: Vec<_> = functions
        .iter()
        .filter(|function| !called.contains(&*function.name))
        .map(|function| &function.name)
        .collect();
    assert!(untested.is_empty(), "{untested:?}");
}

#[test]
fn each_error_is_cudarcs() {
    let file = cudarc();
    let enums = file.items.iter().filter_map(|item| match item {
        Item::Enum(item) if item.ident == "cudaError_enum" => Some(item),
        _ => None,
    });
    let mut theirs = BTreeSet::new();
    for item in enums {
        for variant in &item.variants {
            let (_, value) = variant.discriminant.as_ref().unwrap();
            theirs.insert((variant.ident.to_string(), quote::quote!(#value).to_string()));
        }
    }
    let own = idl().errors.into_iter();
    let own: BTreeSet<_> = own.map(|(name, value)| (name, value.to_string())).collect();
    assert_eq!(own, theirs);
}

/// `UPDATE=1` adds new operations to the record; nothing takes one off it.
#[test]
fn operations_are_never_used_again() {
    let mut idl = idl();
    let numbers: BTreeSet<_> = idl.messages.iter().map(|message| message.op).collect();
    assert_eq!(numbers.len(), idl.messages.len(), "a number twice");
    assert!(!numbers.contains(&0), "0 is the ring's pad");
    let mut recorded: BTreeMap<_, _> = idl.recorded.drain(..).collect();
    for message in idl.messages {
        match recorded.get(&message.op) {
            Some(name) => assert_eq!(*name, message.name, "{:#06x} was another", message.op),
            None if std::env::var_os("UPDATE").is_some() => {
                recorded.insert(message.op, message.name);
            }
            None => panic!(
                "{:#06x} {}: not recorded; run with UPDATE=1",
                message.op, message.name
            ),
        }
    }
    if std::env::var_os("UPDATE").is_some() {
        let lines = recorded
            .iter()
            .map(|(op, name)| format!("{op:#06x} {name}\n"));
        std::fs::write(folder().join("operations.txt"), lines.collect::<String>()).unwrap();
    }
}

#[test]
fn lengths_name_a_parameter() {
    for function in idl().functions {
        for parameter in &function.parameters {
            if let Kind::Bytes(length) | Kind::List(length) = &parameter.kind {
                let known = function
                    .parameters
                    .iter()
                    .any(|other| other.name == *length);
                assert!(known, "{}: {length}", function.name);
            }
        }
    }
}

#[test]
fn what_is_generated_is_rust() {
    let idl = idl();
    syn::parse2::<syn::File>(wire(&idl)).unwrap();
    let file = syn::parse2::<syn::File>(exports(&idl)).unwrap();
    let symbols = file.items.iter().filter(|item| match item {
        Item::Fn(item) => item.sig.abi.is_some(),
        _ => false,
    });
    assert_eq!(symbols.count(), idl.symbols().count());
    let names: BTreeSet<_> = idl.symbols().map(|symbol| symbol.name).collect();
    assert_eq!(names.len(), idl.symbols().count(), "a name twice");
    for name in ["cuEventDestroy", "cuEventDestroy_v2", "cuEventRecord_ptsz"] {
        assert!(names.contains(name), "{name}");
    }
    assert!(
        idl.functions
            .iter()
            .any(|function| function.class == Class::Shadow)
    );
}

#[test]
fn an_error_names_its_line() {
    let folder_of_test = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wrong");
    std::fs::create_dir_all(folder_of_test.join("driver")).unwrap();
    let wrong = "/// Start.\npub trait Start {\n    #[local]\n    #[since(1)]\n    #[often]\n    fn cuInit();\n}\n";
    std::fs::write(folder_of_test.join("driver/start.rs"), wrong).unwrap();
    let error = Idl::read(&folder_of_test).unwrap_err();
    assert_eq!(error.to_string(), "driver/start.rs:5:5: unknown attribute");
}

/// `UPDATE=1` writes the page anew.
#[test]
fn the_books_page_is_what_is_described() {
    let page = folder().join("../../docs/cuda-functions.md");
    let text = coverage(&idl());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&page, &text).unwrap();
    }
    let written = std::fs::read_to_string(page).unwrap_or_default();
    let hint = "run with UPDATE=1 to write it anew";
    assert!(
        written == text,
        "docs/cuda-functions.md is out of date: {hint}"
    );
}
