//! Constants and structures of the ABI are rows of tables, so that Rust and C have them from one place.

/// A constant, as C has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Constant {
    pub(crate) name: &'static str,
    pub(crate) value: u64,
}

/// A structure, as C has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Structure {
    pub(crate) name: &'static str,
    /// Type in Rust and name of each field, in order and without a gap.
    pub(crate) fields: &'static [(&'static str, &'static str)],
}

/// Constants, and the table of them. In C each has the prefix before its name.
macro_rules! constants {
    ($table:ident, $prefix:literal; $($(#[$doc:meta])* $name:ident: $type:ty = $value:expr;)*) => {
        $($(#[$doc])* pub const $name: $type = $value;)*

        pub(crate) const $table: &[$crate::tables::Constant] = &[
            $($crate::tables::Constant { name: concat!($prefix, stringify!($name)), value: $name as u64 },)*
        ];
    };
}

/// Structures in shared memory, little-endian and without padding, and the table of them.
macro_rules! structures {
    ($table:ident; $($(#[$doc:meta])* $name:ident as $c:literal { $($(#[$field_doc:meta])* $field:ident: $type:tt,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(
                Clone, Copy, Debug, Default, PartialEq, Eq,
                zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout,
            )]
            #[repr(C)]
            pub struct $name {
                $($(#[$field_doc])* pub $field: $type,)*
            }
        )*

        pub(crate) const $table: &[$crate::tables::Structure] = &[
            $($crate::tables::Structure {
                name: $c,
                fields: &[$((stringify!($type), stringify!($field)),)*],
            },)*
        ];
    };
}
