//! Generates messages, their codec, both sides' traits, and what explains them.

use std::ffi::CString;

use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};
use syn::Type;

use crate::idl::{Class, Idl, Message};

/// The code of the crate vgpu-cuda-wire.
#[must_use]
pub fn wire(idl: &Idl) -> TokenStream {
    let errors = errors(idl);
    let structs = idl.messages.iter().map(message);
    let callers = idl.messages.iter().map(caller);
    let handlers = idl.messages.iter().map(handler);
    let arms = idl.messages.iter().map(arm);
    let descriptions = idl.messages.iter().map(description);
    let operations = idl.messages.iter().map(|message| {
        let (op, name) = (message.op, &message.name);
        quote!((#op, #name))
    });
    let functions = idl.symbols().map(|symbol| {
        let class = match symbol.function.map(|function| function.class) {
            Some(Class::Local) => quote!(Some(Class::Local)),
            Some(Class::Asynchronous) => quote!(Some(Class::Asynchronous)),
            Some(Class::Shadow) => quote!(Some(Class::Shadow)),
            Some(Class::Sync) => quote!(Some(Class::Sync)),
            None => quote!(None),
        };
        let name = symbol.name;
        quote!((#name, #class))
    });
    quote! {
        #errors

        /// All symbols of `libcuda.so.1`: a name, and what a call costs; `None`
        /// where it is not supported. A symbol's place is its number in a trace.
        pub const SYMBOLS: &[(&str, Option<Class>)] = &[#(#functions),*];

        /// The messages, without the data that follows some.
        pub mod message {
            use crate::record::{Malformed, high, low, narrow, pair, split};

            #(#structs)*
        }

        /// All operations: number and name.
        pub const OPERATIONS: &[(u16, &str)] = &[#(#operations),*];

        impl<C: Caller> Client<C> {
            #(#callers)*
        }

        /// What a host does with messages, one method each. What it does not
        /// implement is not supported. All values are the program's word.
        pub trait Handler {
            #(#handlers)*
        }

        /// Decodes a message, and has it handled. `length` is that of its data.
        ///
        /// # Errors
        /// It is none: the program broke the protocol.
        pub fn dispatch(
            handler: &mut impl Handler,
            op: u16,
            length: u32,
            payload: &[u8],
        ) -> Result<Answer, Malformed> {
            match op {
                #(#arms)*
                _ => Err(Malformed::Operation(op)),
            }
        }

        /// A message as a line of a trace.
        ///
        /// # Errors
        /// It is none.
        pub fn describe(op: u16, length: u32, payload: &[u8]) -> Result<String, Malformed> {
            match op {
                #(#descriptions)*
                _ => Err(Malformed::Operation(op)),
            }
        }
    }
}

fn c_string(text: &str) -> Literal {
    let text = CString::new(text).unwrap_or_default();
    Literal::c_string(&text)
}

fn errors(idl: &Idl) -> TokenStream {
    let constants = idl.errors.iter().map(|(name, value)| {
        let name_of = format_ident!("{name}");
        let about = format!("`{name}`.");
        quote! { #[doc = #about] pub const #name_of: Self = Self(#value); }
    });
    let rows = idl.errors.iter().map(|(name, value)| {
        let words = name
            .trim_start_matches("CUDA_")
            .trim_start_matches("ERROR_");
        let text = c_string(&words.to_lowercase().replace('_', " "));
        let name = c_string(name);
        quote!((#value, #name, #text))
    });
    quote! {
        impl CUresult {
            #(#constants)*
        }

        /// Value, name and text of all errors.
        pub(crate) const ERRORS: &[(u32, &::core::ffi::CStr, &::core::ffi::CStr)] = &[#(#rows),*];
    }
}

/// How a value becomes a word.
fn to_word(ty: &Type, value: &TokenStream) -> TokenStream {
    match quote!(#ty).to_string().as_str() {
        "u64" => value.clone(),
        "i32" => quote!(u64::from(#value.cast_unsigned())),
        _ => quote!(u64::from(#value)),
    }
}

/// How a word becomes a value, where it can.
fn from_word(ty: &Type, word: &TokenStream) -> TokenStream {
    match quote!(#ty).to_string().as_str() {
        "u64" => word.clone(),
        "i32" => quote!(narrow::<u32>(op, #word)?.cast_signed()),
        _ => quote!(narrow::<#ty>(op, #word)?),
    }
}

fn idents(message: &Message) -> Vec<syn::Ident> {
    let names = message.fields.iter().map(|(name, _)| name);
    names.map(|name| format_ident!("{name}")).collect()
}

/// The fields of each word: two that follow each other and are narrower than a
/// word share one, the first in its low half.
fn fields_of_words(message: &Message) -> Vec<&[(String, Type)]> {
    let narrow = |(_, ty): &(String, Type)| quote!(#ty).to_string() != "u64";
    let mut words = Vec::new();
    let mut rest = &message.fields[..];
    while let [first, behind @ ..] = rest {
        let shared = narrow(first) && behind.first().is_some_and(narrow);
        let (word, others) = rest.split_at(if shared { 2 } else { 1 });
        words.push(word);
        rest = others;
    }
    words
}

fn message(message: &Message) -> TokenStream {
    let (name, op) = (type_name(&message.name), message.op);
    let about = format!("{} (`{}`, {op:#06x})", message.about, message.name);
    let fields = idents(message);
    let abouts = fields.iter().map(|field| format!("`{field}`."));
    let types = message.fields.iter().map(|(_, ty)| ty);
    let words = fields_of_words(message);
    let count = words.len();
    let encoded = words.iter().map(|fields| {
        let values = fields.iter().map(|(field, ty)| {
            let field = format_ident!("{field}");
            to_word(ty, &quote!(self.#field))
        });
        match fields.len() {
            1 => quote!(#(#values)*),
            _ => quote!(pair(#(#values),*)),
        }
    });
    let decoded = words.iter().enumerate().flat_map(|(n, fields)| {
        let word = quote!(words[#n]);
        let parts = match fields.len() {
            1 => vec![word],
            _ => vec![quote!(low(#word)), quote!(high(#word))],
        };
        fields.iter().zip(parts).map(|((field, ty), part)| {
            let field = format_ident!("{field}");
            let value = from_word(ty, &part);
            quote!(#field: #value,)
        })
    });
    quote! {
        #[doc = #about]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct #name {
            #(#[doc = #abouts] pub #fields: #types,)*
        }

        impl #name {
            /// The operation.
            pub const OP: u16 = #op;

            /// As it travels.
            #[inline]
            #[must_use]
            pub fn encode(self) -> [u64; #count] {
                [#(#encoded),*]
            }

            /// Out of a record's payload; gives what follows as well.
            ///
            /// # Errors
            /// The payload ends before, or a field's value is not one of its type.
            #[inline]
            pub fn decode(payload: &[u8]) -> Result<(Self, &[u8]), Malformed> {
                let op = Self::OP;
                let (words, rest) = split::<#count>(op, payload)?;
                let _ = words;
                Ok((Self { #(#decoded)* }, rest))
            }
        }
    }
}

fn signature(message: &Message) -> (TokenStream, TokenStream) {
    let fields = idents(message);
    let types = message.fields.iter().map(|(_, ty)| ty);
    let data = message.data.then(|| quote!(data: &[u8]));
    let result = match message.result {
        None | Some(0) => quote!(()),
        Some(1) => quote!(u64),
        Some(2) => quote!((u64, u64)),
        Some(count) => quote!([u64; #count]),
    };
    (quote!(#(#fields: #types,)* #data), result)
}

fn caller(message: &Message) -> TokenStream {
    let (name, method) = (type_name(&message.name), format_ident!("{}", message.name));
    let (parameters, result) = signature(message);
    let fields = idents(message);
    let data = if message.data {
        quote!(data)
    } else {
        quote!(&[])
    };
    let about = &message.about;
    let body = match message.result {
        None => quote! { self.0.send(message::#name::OP, &message.encode(), #data) },
        Some(count) => {
            let call = quote!(self.0.call(message::#name::OP, &message.encode(), #data));
            let words = (0..count).map(|n| format_ident!("word{n}"));
            let words: Vec<_> = words.collect();
            match count {
                0 => quote!(#call.map(|[]| ())),
                1 => quote!(#call.map(|[word]| word)),
                2 => quote!(#call.map(|[#(#words),*]| (#(#words),*))),
                _ => call,
            }
        }
    };
    quote! {
        #[doc = #about]
        ///
        /// # Errors
        /// What the host answers, or why it could not be asked.
        #[inline]
        pub fn #method(&self, #parameters) -> Result<#result, C::Error> {
            let message = message::#name { #(#fields),* };
            #body
        }
    }
}

fn handler(message: &Message) -> TokenStream {
    let method = format_ident!("{}", message.name);
    let (parameters, result) = signature(message);
    let fields = idents(message);
    let data = message.data.then(|| quote!(let _ = data;));
    let about = &message.about;
    quote! {
        #[doc = #about]
        ///
        /// # Errors
        /// Its status, for the program.
        fn #method(&mut self, #parameters) -> Result<#result, CUresult> {
            #(let _ = #fields;)*
            #data
            Err(CUresult::CUDA_ERROR_NOT_SUPPORTED)
        }
    }
}

/// Decodes into variables of the fields' names, and `data`.
fn decode(message: &Message) -> TokenStream {
    let name = type_name(&message.name);
    let fields = idents(message);
    let data = match message.data {
        true => quote!(let data = data(op, rest, length)?;),
        false => quote!(let _ = rest;),
    };
    quote! {
        let (message::#name { #(#fields),* }, rest) = message::#name::decode(payload)?;
        #data
    }
}

fn arm(message: &Message) -> TokenStream {
    let (op, method) = (message.op, format_ident!("{}", message.name));
    let decode = decode(message);
    let fields = idents(message);
    let data = message.data.then(|| quote!(data));
    let answer = match message.result {
        None => quote!(Answer::silent(result)),
        Some(0) => quote!(Answer::words(result.map(|()| []))),
        Some(1) => quote!(Answer::words(result.map(|word| [word]))),
        Some(_) => quote!(Answer::words(result.map(<[u64; _]>::from))),
    };
    quote! {
        #op => {
            #decode
            let result = handler.#method(#(#fields,)* #data);
            Ok(#answer)
        }
    }
}

fn description(message: &Message) -> TokenStream {
    let (op, name) = (message.op, &message.name);
    let decode = decode(message);
    let fields = idents(message);
    let names = message
        .fields
        .iter()
        .map(|(field, _)| format!("{field}={{}}"));
    let mut text: Vec<_> = names.collect();
    let data = message.data.then(|| {
        text.push("{} bytes".to_owned());
        quote!(data.len())
    });
    let text = format!("{name}({})", text.join(", "));
    quote! {
        #op => {
            #decode
            Ok(format!(#text, #(#fields,)* #data))
        }
    }
}

/// A name as Rust writes types: `memory_free` is `MemoryFree`.
fn type_name(name: &str) -> syn::Ident {
    let words = name.split('_').map(|word| {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    });
    quote::format_ident!("{}", words.collect::<String>())
}
