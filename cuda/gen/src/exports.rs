//! Generates the symbols of `libcuda.so.1`, and the table by which
//! `cuGetProcAddress` finds them.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use crate::idl::{Function, Idl, Kind, Parameter, Symbol};

/// The code of the crate vgpu-libcuda: each symbol turns pointers into
/// references, and calls the function of its name in `crate::calls`.
#[must_use]
pub fn exports(idl: &Idl) -> TokenStream {
    let functions = idl.symbols().enumerate().map(|(number, symbol)| {
        let number = u16::try_from(number).unwrap_or(u16::MAX);
        match symbol.function {
            Some(function) => export(number, &symbol, function),
            None => refuse(number, &symbol),
        }
    });
    let rows = idl.symbols().map(|symbol| row(&symbol));
    quote! {
        #(#functions)*

        /// All symbols.
        pub(crate) fn symbols() -> impl Iterator<Item = Symbol> {
            [#(#rows,)*].into_iter()
        }
    }
}

fn row(symbol: &Symbol<'_>) -> TokenStream {
    let Symbol {
        name,
        since,
        per_thread,
        ..
    } = symbol;
    let (base, address) = (symbol.base(), format_ident!("{name}"));
    quote! {
        Symbol {
            base: #base,
            name: #name,
            since: #since,
            per_thread: #per_thread,
            address: #address as *mut ::core::ffi::c_void,
        }
    }
}

fn refuse(number: u16, symbol: &Symbol<'_>) -> TokenStream {
    let name = &symbol.name;
    let symbol = format_ident!("{name}");
    quote! {
        #[unsafe(no_mangle)]
        pub extern "C" fn #symbol() -> CUresult {
            let traced = crate::trace::begin();
            crate::answer(#number, traced, Err(crate::unsupported(#name)))
        }
    }
}

fn export(number: u16, symbol: &Symbol<'_>, function: &Function) -> TokenStream {
    let call = format_ident!("{}", function.name);
    let parameters: Vec<_> = function
        .parameters
        .iter()
        .map(|Parameter { name, ty, .. }| {
            let name = format_ident!("{name}");
            quote!(#name: #ty)
        })
        .collect();
    let conversions = function
        .parameters
        .iter()
        .map(|parameter| convert(parameter, symbol.per_thread));
    let arguments = function
        .parameters
        .iter()
        .map(|parameter| format_ident!("{}", parameter.name));
    let arguments: Vec<_> = arguments.collect();
    let symbol = format_ident!("{}", symbol.name);
    quote! {
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn #symbol(#(#parameters),*) -> CUresult {
            #[inline(always)]
            unsafe fn call(#(#parameters),*) -> crate::Done {
                #(#conversions)*
                crate::calls::#call(#(#arguments),*)
            }
            let traced = crate::trace::begin();
            let done = unsafe { call(#(#arguments),*) };
            crate::answer(#number, traced, done)
        }
    }
}

/// What makes a reference of a pointer. The crate that includes this says why
/// that is sound.
fn convert(parameter: &Parameter, per_thread: bool) -> TokenStream {
    let name = format_ident!("{}", parameter.name);
    let by = |function: &str| {
        let function = format_ident!("{function}");
        quote! {
            let #name = unsafe { crate::pointers::#function(#name) }?;
        }
    };
    match &parameter.kind {
        Kind::Value => {
            let ty = &parameter.ty;
            match per_thread && quote!(#ty).to_string() == "CUstream" {
                true => quote!(let #name = crate::pointers::per_thread(#name);),
                false => quote!(),
            }
        }
        Kind::Out => by("out"),
        Kind::OptionalOut => by("optional_out"),
        Kind::Input => by("input"),
        Kind::By(function) => {
            let conversion = by(function);
            match per_thread && function == "launch_config" {
                true => quote!(#conversion let #name = #name.per_thread();),
                false => conversion,
            }
        }
        Kind::Text => by("text"),
        Kind::Bytes(length) => {
            let length = format_ident!("{length}");
            let function = match parameter.written {
                true => format_ident!("bytes_mut"),
                false => format_ident!("bytes"),
            };
            quote! {
                let #name = unsafe { crate::pointers::#function(#name.cast(), #length) }?;
            }
        }
        Kind::List(length) => {
            let length = format_ident!("{length}");
            let function = match parameter.written {
                true => format_ident!("list_mut"),
                false => format_ident!("list"),
            };
            quote! {
                let #name = unsafe { crate::pointers::#function(#name, #length) }?;
            }
        }
    }
}
