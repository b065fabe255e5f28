//! Generates the symbols of `libcuda.so.1`, and the table by which
//! `cuGetProcAddress` finds them.

use crate::idl::{Function, Idl, Kind, Parameter, base};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};

/// The code of the crate vgpu-libcuda: each symbol turns pointers into
/// references, and calls the function of its name in `crate::calls`.
#[must_use]
pub fn exports(idl: &Idl) -> TokenStream {
    let functions = idl.functions.iter().map(|function| export(function, None));
    let variants = idl.functions.iter().filter_map(|function| {
        let suffix = function.per_thread.as_deref()?;
        Some(export(function, Some(suffix)))
    });
    let unsupported = idl.unsupported.iter().map(|(name, _)| {
        let symbol = format_ident!("{name}");
        quote! {
            #[unsafe(no_mangle)]
            pub extern "C" fn #symbol() -> CUresult {
                crate::unsupported(#name)
            }
        }
    });
    let rows = idl.functions.iter().flat_map(|function| {
        let (base, since) = (function.base(), function.since);
        let own = row(base, &function.name, since, false);
        let variant = function
            .per_thread
            .iter()
            .map(move |suffix| row(base, &format!("{}_{suffix}", function.name), since, true));
        std::iter::once(own).chain(variant)
    });
    let refused = idl
        .unsupported
        .iter()
        .map(|(name, since)| row(base(name), name, *since, false));
    quote! {
        #(#functions)*
        #(#variants)*
        #(#unsupported)*

        /// All symbols.
        pub(crate) fn symbols() -> impl Iterator<Item = Symbol> {
            [#(#rows,)* #(#refused,)*].into_iter()
        }
    }
}

fn row(base: &str, symbol: &str, since: u32, per_thread: bool) -> TokenStream {
    let address = format_ident!("{symbol}");
    quote! {
        Symbol {
            base: #base,
            name: #symbol,
            since: #since,
            per_thread: #per_thread,
            address: #address as *mut ::core::ffi::c_void,
        }
    }
}

fn export(function: &Function, suffix: Option<&str>) -> TokenStream {
    let call = format_ident!("{}", function.name);
    let symbol = match suffix {
        Some(suffix) => format_ident!("{call}_{suffix}"),
        None => call.clone(),
    };
    let parameters = function
        .parameters
        .iter()
        .map(|Parameter { name, ty, .. }| {
            let name = format_ident!("{name}");
            quote!(#name: #ty)
        });
    let conversions = function
        .parameters
        .iter()
        .map(|parameter| convert(parameter, suffix.is_some()));
    let arguments = function
        .parameters
        .iter()
        .map(|parameter| format_ident!("{}", parameter.name));
    let name = symbol.to_string();
    quote! {
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn #symbol(#(#parameters),*) -> CUresult {
            crate::answer(#name, || {
                #(#conversions)*
                crate::calls::#call(#(#arguments),*)
            })
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
