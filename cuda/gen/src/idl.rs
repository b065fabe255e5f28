//! The description, as data.

use std::fs;
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use syn::spanned::Spanned;
use syn::{Attribute, FnArg, Item, LitInt, Pat, ReturnType, TraitItem, TraitItemFn, Type};

/// The whole interface.
#[derive(Clone, Debug)]
pub struct Idl {
    /// What programs can call.
    pub functions: Vec<Function>,
    /// What travels.
    pub messages: Vec<Message>,
    /// The error codes: name and value.
    pub errors: Vec<(String, u32)>,
    /// Names that resolve, and whose functions say that they are not supported;
    /// with the CUDA version that brought them, where that matters.
    pub unsupported: Vec<(String, u32)>,
    /// All operations that ever were: number and name.
    pub recorded: Vec<(u16, String)>,
    /// The groups of functions, in the order of their names, with what each is for.
    pub groups: Vec<(String, String)>,
    /// What programs need.
    pub needs: Vec<Needs>,
}

/// What a program needs of the driver.
#[derive(Clone, Debug)]
pub struct Needs {
    /// The program.
    pub program: String,
    /// Whether it was seen to call these functions, or its sources name them.
    pub called: bool,
    /// The functions.
    pub names: Vec<String>,
}

/// What a call costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Sends nothing.
    Local,
    /// Sends, and does not wait.
    Asynchronous,
    /// Makes a handle in the program, and does not wait.
    Shadow,
    /// Waits for the answer.
    Sync,
}

/// A function of the driver API.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its group: the file in `driver/` that describes it, such as `memory`.
    pub group: String,
    /// Its symbol.
    pub name: String,
    /// What it costs.
    pub class: Class,
    /// The CUDA version that brought it, as 1000 times the major number plus 10
    /// times the minor one.
    pub since: u32,
    /// The CUDA version that brought its first name, the one without a number, where
    /// that means the same.
    pub first: Option<u32>,
    /// The suffix of its variant for per-thread default streams.
    pub per_thread: Option<String>,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
}

/// A name that `libcuda.so.1` exports.
#[derive(Clone, Debug)]
pub struct Symbol<'a> {
    /// The name.
    pub name: String,
    /// The CUDA version that brought it, as [`Function::since`].
    pub since: u32,
    /// Whether it takes the stream 0 for the thread's own.
    pub per_thread: bool,
    /// What it calls; `None` where it only resolves.
    pub function: Option<&'a Function>,
}

/// A parameter of a function.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// Whether the function writes what it points to.
    pub written: bool,
    /// Its type, as cudarc has it.
    pub ty: Type,
}

/// What a parameter is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A value, or a pointer that the function looks at itself.
    Value,
    /// Is written.
    Out,
    /// Is written where it is not null.
    OptionalOut,
    /// Is read.
    Input,
    /// What a function of that name in `crate::pointers` makes of it.
    By(String),
    /// Text that ends with 0.
    Text,
    /// As many bytes as another parameter says.
    Bytes(String),
    /// As many values as another parameter says.
    List(String),
}

/// A message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its number.
    pub op: u16,
    /// Its name.
    pub name: String,
    /// Its documentation.
    pub about: String,
    /// Its fields: numbers of 64 bits or fewer.
    pub fields: Vec<(String, Type)>,
    /// Whether bytes of any number follow.
    pub data: bool,
    /// The words of its answer; `None` where nobody waits.
    pub result: Option<usize>,
}

impl Idl {
    /// Reads a folder.
    ///
    /// # Errors
    /// It does not describe an interface; the error names file and line.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let text = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).with_context(|| path.display().to_string())
        };
        let (mut functions, mut groups) = (Vec::new(), Vec::new());
        for group in self::groups(folder)? {
            let name = format!("driver/{group}.rs");
            groups.push((group.clone(), about(&name, &text(&name)?)?));
            let parse = |method: &_| Function::parse(&group, method);
            functions.extend(methods(&name, &text(&name)?, parse)?);
        }
        let messages = methods("messages.rs", &text("messages.rs")?, Message::parse)?;
        let errors = errors("results.rs", &text("results.rs")?)?;
        let (unsupported, recorded) = (text("unsupported.txt")?, text("operations.txt")?);
        let unsupported = unsupported.lines().map(|line| {
            let (name, since) = line.split_once(' ').unwrap_or((line, "0"));
            Ok((name.to_owned(), since.parse()?))
        });
        let recorded = recorded.lines().map(|line| {
            let (op, name) = line.split_once(' ').with_context(|| line.to_owned())?;
            Ok((
                u16::from_str_radix(op.trim_start_matches("0x"), 16)?,
                name.to_owned(),
            ))
        });
        Ok(Self {
            functions,
            messages,
            errors,
            unsupported: unsupported.collect::<anyhow::Result<_>>()?,
            recorded: recorded.collect::<anyhow::Result<_>>()?,
            groups,
            needs: needs(&text("programs.txt")?)?,
        })
    }
}

/// What a file of functions says that they are for: the first line before its trait.
fn about(file: &str, text: &str) -> anyhow::Result<String> {
    let line = text.lines().find_map(|line| line.strip_prefix("/// "));
    let line = line.with_context(|| format!("{file}: nothing says what it is for"))?;
    Ok(line.to_owned())
}

/// What programs need: a line for each program, and its functions behind it.
fn needs(text: &str) -> anyhow::Result<Vec<Needs>> {
    let mut needs: Vec<Needs> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some((kind, program)) = line.split_once(": ") {
            needs.push(Needs {
                program: program.to_owned(),
                called: kind == "called",
                names: Vec::new(),
            });
        } else if !line.is_empty() {
            let last = needs.last_mut().context("a function of no program")?;
            last.names.push(line.to_owned());
        }
    }
    Ok(needs)
}

/// The names of the files in `driver/`, without their ending, in order.
fn groups(folder: &Path) -> anyhow::Result<Vec<String>> {
    let folder = folder.join("driver");
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut groups = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "rs") {
            let stem = path.file_stem().unwrap_or_default();
            groups.push(stem.to_string_lossy().into_owned());
        }
    }
    groups.sort_unstable();
    Ok(groups)
}

impl Idl {
    /// All exported symbols: functions with their variants, then what is not
    /// supported. A symbol's place here is its number in a trace.
    pub fn symbols(&self) -> impl Iterator<Item = Symbol<'_>> {
        let functions = self.functions.iter().flat_map(|function| {
            let Function { name, since, .. } = function;
            let variant = function.per_thread.iter();
            let variant = variant.map(move |suffix| (format!("{name}_{suffix}"), *since, true));
            let first = function.first.iter();
            let first = first.map(move |first| (base(name).to_owned(), *first, false));
            let names = std::iter::once((name.clone(), *since, false));
            let names = names.chain(variant).chain(first);
            names.map(move |(name, since, per_thread)| Symbol {
                name,
                since,
                per_thread,
                function: Some(function),
            })
        });
        let unsupported = self.unsupported.iter().map(|(name, since)| Symbol {
            name: name.clone(),
            since: *since,
            per_thread: false,
            function: None,
        });
        functions.chain(unsupported)
    }
}

/// An error with its place.
fn at(file: &str, error: &syn::Error) -> anyhow::Error {
    let start = error.span().start();
    anyhow!("{file}:{}:{}: {error}", start.line, start.column + 1)
}

/// The one item of a file.
fn item(file: &str, text: &str) -> anyhow::Result<Item> {
    let parsed = syn::parse_file(text).map_err(|error| at(file, &error))?;
    let [item] = <[Item; 1]>::try_from(parsed.items)
        .map_err(|items| anyhow!("{file}: {} items in place of one", items.len()))?;
    Ok(item)
}

/// The methods of a file's trait.
fn methods<T>(
    file: &str,
    text: &str,
    parse: impl Fn(&TraitItemFn) -> syn::Result<T>,
) -> anyhow::Result<Vec<T>> {
    let Item::Trait(methods) = item(file, text)? else {
        bail!("{file}: no trait");
    };
    let parse = |item| match item {
        TraitItem::Fn(method) => parse(&method),
        other => Err(syn::Error::new(other.span(), "not a function")),
    };
    let parsed: syn::Result<_> = methods.items.into_iter().map(parse).collect();
    parsed.map_err(|error| at(file, &error))
}

/// The variants of a file's enumeration.
fn errors(file: &str, text: &str) -> anyhow::Result<Vec<(String, u32)>> {
    let Item::Enum(variants) = item(file, text)? else {
        bail!("{file}: no enumeration");
    };
    let errors: syn::Result<_> = variants.variants.iter().map(error).collect();
    errors.map_err(|error| at(file, &error))
}

fn error(variant: &syn::Variant) -> syn::Result<(String, u32)> {
    let value = variant.discriminant.as_ref().map(|(_, value)| value);
    let Some(syn::Expr::Lit(syn::ExprLit {
        lit: syn::Lit::Int(value),
        ..
    })) = value
    else {
        return Err(syn::Error::new(variant.span(), "an error without a value"));
    };
    Ok((variant.ident.to_string(), value.base10_parse()?))
}

/// The arguments of a method: attributes, name, type.
fn arguments(method: &TraitItemFn) -> syn::Result<Vec<(Vec<Attribute>, String, Type)>> {
    let argument = |argument: &FnArg| match argument {
        FnArg::Typed(typed) => match &*typed.pat {
            Pat::Ident(name) => {
                let name = name.ident.to_string();
                Ok((typed.attrs.clone(), name, (*typed.ty).clone()))
            }
            other => Err(syn::Error::new(other.span(), "not a name")),
        },
        FnArg::Receiver(other) => Err(syn::Error::new(other.span(), "not a parameter")),
    };
    method.sig.inputs.iter().map(argument).collect()
}

impl Symbol<'_> {
    /// Its name without the version: as `cuGetProcAddress` wants it.
    #[must_use]
    pub fn base(&self) -> &str {
        base(self.function.map_or(&self.name, |function| &function.name))
    }
}

impl Function {
    fn parse(group: &str, method: &TraitItemFn) -> syn::Result<Self> {
        let missing = |what| syn::Error::new(method.sig.ident.span(), what);
        let (mut class, mut since, mut first, mut per_thread) = (None, None, None, None);
        for attribute in &method.attrs {
            let name = attribute.path().require_ident()?.to_string();
            match name.as_str() {
                "local" => class = Some(Class::Local),
                "asynchronous" => class = Some(Class::Asynchronous),
                "shadow" => class = Some(Class::Shadow),
                "sync" => class = Some(Class::Sync),
                "since" => since = Some(attribute.parse_args::<LitInt>()?.base10_parse()?),
                "first" => first = Some(attribute.parse_args::<LitInt>()?.base10_parse()?),
                "per_thread" => {
                    per_thread = Some(attribute.parse_args::<syn::Ident>()?.to_string());
                }
                _ => return Err(syn::Error::new(attribute.span(), "unknown attribute")),
            }
        }
        let parameter = |(attributes, name, ty)| Parameter::parse(attributes, name, ty);
        let parameters = arguments(method)?.into_iter().map(parameter);
        Ok(Self {
            group: group.to_owned(),
            name: method.sig.ident.to_string(),
            class: class.ok_or_else(|| missing("a function without a class"))?,
            since: since.ok_or_else(|| missing("a function without #[since]"))?,
            first,
            per_thread,
            parameters: parameters.collect::<syn::Result<_>>()?,
        })
    }
}

/// A name without `_v` and a number at its end.
fn base(name: &str) -> &str {
    match name.rsplit_once("_v") {
        Some((base, version)) if version.bytes().all(|digit| digit.is_ascii_digit()) => base,
        _ => name,
    }
}

impl Parameter {
    fn parse(attributes: Vec<Attribute>, name: String, ty: Type) -> syn::Result<Self> {
        let mut kind = Kind::Value;
        let mut written = matches!(&ty, Type::Ptr(pointer) if pointer.mutability.is_some());
        for attribute in attributes {
            let word = attribute.path().require_ident()?.to_string();
            kind = match word.as_str() {
                "out" => Kind::Out,
                "optional" if kind == Kind::Out => Kind::OptionalOut,
                // Some types say that what is only read is written.
                "input" => {
                    written = false;
                    Kind::Input
                }
                "by" => Kind::By(attribute.parse_args::<syn::Ident>()?.to_string()),
                "text" => Kind::Text,
                "bytes" => Kind::Bytes(attribute.parse_args::<syn::Ident>()?.to_string()),
                "list" => Kind::List(attribute.parse_args::<syn::Ident>()?.to_string()),
                _ => return Err(syn::Error::new(attribute.span(), "unknown attribute")),
            };
        }
        let pointer = matches!(ty, Type::Ptr(_));
        match kind == Kind::Value || pointer {
            true => Ok(Self {
                name,
                kind,
                written,
                ty,
            }),
            false => Err(syn::Error::new(ty.span(), "not a pointer")),
        }
    }
}

/// An array's length.
fn length(written: &syn::Expr) -> syn::Result<usize> {
    match written {
        syn::Expr::Lit(syn::ExprLit {
            lit: syn::Lit::Int(number),
            ..
        }) => number.base10_parse(),
        other => Err(syn::Error::new(other.span(), "not a number")),
    }
}

impl Message {
    fn parse(method: &TraitItemFn) -> syn::Result<Self> {
        let (mut op, mut about) = (None, Vec::new());
        for attribute in &method.attrs {
            if attribute.path().is_ident("op") {
                op = Some(attribute.parse_args::<LitInt>()?.base10_parse()?);
            } else if let syn::Meta::NameValue(line) = &attribute.meta
                && let syn::Expr::Lit(syn::ExprLit {
                    lit: syn::Lit::Str(line),
                    ..
                }) = &line.value
            {
                about.push(line.value().trim().to_owned());
            } else {
                return Err(syn::Error::new(attribute.span(), "unknown attribute"));
            }
        }
        let result = match &method.sig.output {
            ReturnType::Default => None,
            ReturnType::Type(_, ty) => match &**ty {
                Type::Tuple(tuple) => Some(tuple.elems.len()),
                Type::Array(array) => Some(length(&array.len)?),
                _ => Some(1),
            },
        };
        let mut fields = Vec::new();
        let mut data = false;
        for (_, name, ty) in arguments(method)? {
            match ty {
                Type::Path(_) if !data => fields.push((name, ty)),
                Type::Reference(_) if !data => data = true,
                other => return Err(syn::Error::new(other.span(), "not a field")),
            }
        }
        let missing = || syn::Error::new(method.sig.ident.span(), "a message without #[op]");
        Ok(Self {
            op: op.ok_or_else(missing)?,
            name: method.sig.ident.to_string(),
            about: about.join(" "),
            fields,
            data,
            result,
        })
    }
}
