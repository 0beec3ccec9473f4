//! The macros that declare a JSON object or enumeration once, for both directions.

/// How a field of a declared object behaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flags {
    /// Leave the field out when it is empty.
    pub omit: bool,
    /// The field's type is called `int` in error texts, not `int64`.
    pub int: bool,
}

impl Flags {
    /// No flag set.
    pub const NONE: Self = Self {
        omit: false,
        int: false,
    };

    /// Adds `omit`.
    #[must_use]
    pub(crate) const fn omit(self) -> Self {
        Self { omit: true, ..self }
    }

    /// Adds `int`.
    #[must_use]
    pub const fn int(self) -> Self {
        Self { int: true, ..self }
    }
}

/// Declares a struct whose fields are JSON keys, in the order they are written. After a key may stand
/// `omit` (left out when empty) and `int`. The name in brackets is the type's name in error texts.
macro_rules! json_struct {
    (
        $(#[$meta:meta])*
        pub struct $name:ident[$go:literal $(, $slice:literal)?] {
            $($(#[$field_meta:meta])* $field:ident: $ty:ty = $key:literal $($flag:ident)*,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $ty,)*
        }

        impl $crate::js::json::Record for $name {
            const GO: &'static str = $go;

            fn read_field(
                &mut self,
                key: &str,
                node: &$crate::js::json::Node<'_>,
                cx: &mut $crate::js::json::Context,
            ) -> Result<bool, $crate::js::json::DecodeError> {
                $(
                    if $crate::js::json::is_same_key(key, $key) {
                        let flags = $crate::js::json::Flags::NONE$(.$flag())*;
                        cx.read_field(key, flags, &mut self.$field, node)?;
                        return Ok(true);
                    }
                )*
                Ok(false)
            }
        }

        $crate::js::json::json_struct!(@fields $name $($field $key [$($flag)*])*);

        impl $crate::js::json::FromJson for $name {
            const GO_TYPE: &'static str = concat!("server.", $go);
            const GO_SLICE: &'static str = $crate::js::json::json_struct!(@slice $go $($slice)?);

            fn read(
                &mut self,
                node: &$crate::js::json::Node<'_>,
                cx: &mut $crate::js::json::Context,
            ) -> Result<(), $crate::js::json::DecodeError> {
                cx.read_record(self, node)
            }
        }

        impl $crate::js::json::ToJson for $name {
            fn write(&self, to: &mut $crate::js::json::Writer) {
                to.begin_object();
                $crate::js::json::Fields::write_fields(self, to);
                to.end_object();
            }

            fn is_empty(&self) -> bool {
                false
            }
        }
    };
    (@fields $name:ident $($field:ident $key:literal [$($flag:ident)*])*) => {
        impl $crate::js::json::Fields for $name {
            fn write_fields(&self, to: &mut $crate::js::json::Writer) {
                $(
                    let flags = $crate::js::json::Flags::NONE$(.$flag())*;
                    if !flags.omit || !$crate::js::json::ToJson::is_empty(&self.$field) {
                        to.field($key, &self.$field);
                    }
                )*
            }
        }
    };
    (@slice $go:literal $slice:literal) => { $slice };
    (@slice $go:literal) => { concat!("[]server.", $go) };
}

/// Declares a struct that is only written. The syntax is that of `json_struct!`, without a name in
/// brackets.
macro_rules! json_output {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$field_meta:meta])* $field:ident: $ty:ty = $key:literal $($flag:ident)*,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $ty,)*
        }

        $crate::js::json::json_struct!(@fields $name $($field $key [$($flag)*])*);

        impl $crate::js::json::ToJson for $name {
            fn write(&self, to: &mut $crate::js::json::Writer) {
                to.begin_object();
                $crate::js::json::Fields::write_fields(self, to);
                to.end_object();
            }

            fn is_empty(&self) -> bool {
                false
            }
        }
    };
}

/// Declares an enumeration that is a string in JSON. `error` makes the text for anything else from the
/// value's JSON; letters may be of either case if the enumeration says so.
macro_rules! json_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident[error: $error:path] in either case {
            $($(#[$variant_meta:meta])* $variant:ident = $text:literal $(| $alias:literal)?,)*
        }
    ) => {
        $crate::js::json::json_enum! {
            @define [to_ascii_lowercase] [$error]
            $(#[$meta])* $name { $($(#[$variant_meta])* $variant = $text $(| $alias)?,)* }
        }
    };
    (
        $(#[$meta:meta])*
        pub enum $name:ident[error: $error:path] {
            $($(#[$variant_meta:meta])* $variant:ident = $text:literal $(| $alias:literal)?,)*
        }
    ) => {
        $crate::js::json::json_enum! {
            @define [clone] [$error]
            $(#[$meta])* $name { $($(#[$variant_meta])* $variant = $text $(| $alias)?,)* }
        }
    };
    (
        @define [$known_as:ident] [$error:path]
        $(#[$meta:meta])*
        $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal $(| $alias:literal)?,)* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)*
        }

        impl $name {
            /// Returns the JSON name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            /// Returns the value of a JSON name.
            #[must_use]
            pub(crate) fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($text $(| $alias)? => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }

        impl $crate::js::json::FromJson for $name {
            const GO_TYPE: &'static str = concat!("server.", stringify!($name));
            const GO_SLICE: &'static str = concat!("[]server.", stringify!($name));

            fn read(
                &mut self,
                node: &$crate::js::json::Node<'_>,
                _: &mut $crate::js::json::Context,
            ) -> Result<(), $crate::js::json::DecodeError> {
                let known = match &node.value {
                    // Names are known as they are, not written with escapes.
                    $crate::js::json::Value::String(text) if node.raw.len() == text.len() + 2 => {
                        Self::from_name(&text.$known_as())
                    }
                    _ => None,
                };
                *self = known.ok_or_else(|| $error(node))?;
                Ok(())
            }
        }

        impl $crate::js::json::ToJson for $name {
            fn write(&self, to: &mut $crate::js::json::Writer) {
                to.string(self.as_str());
            }

            fn is_empty(&self) -> bool {
                *self == Self::default()
            }
        }
    };
}

pub(crate) use {json_enum, json_output, json_struct};
