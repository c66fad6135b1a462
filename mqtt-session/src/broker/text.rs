//! Text that mostly is short.

use alloc::boxed::Box;

/// How many bytes need no memory of their own.
const SHORT: usize = 14;

/// As a boxed text, but what is short lies where the box would.
#[derive(Debug)]
pub(crate) enum Text {
    /// So many bytes of these.
    Short(u8, [u8; SHORT]),
    /// One word, as there are many texts.
    Long(Box<Box<str>>),
}

impl Text {
    pub(crate) fn new(text: &str) -> Self {
        let mut bytes = [0; SHORT];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(text.as_bytes());
                Self::Short(len, bytes)
            }
            _ => Self::Long(Box::new(text.into())),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short(len, bytes) => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Self::Long(text) => text.as_bytes(),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            // They were text.
            Self::Short(..) => core::str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Self::Long(text) => text,
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::Short(0, [0; SHORT])
    }
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;

    use super::Text;

    #[test]
    fn short_or_long_a_text_is_what_it_was() {
        let long = "\u{FC}".repeat(20);
        for len in 0..=20 {
            let text = &long[..2 * len];
            for text in [text, &text[..text.len().saturating_sub(2)], &"a".repeat(len)] {
                assert_eq!(Text::new(text).as_str(), text);
                assert_eq!(Text::new(text).as_bytes(), text.as_bytes());
            }
        }
        assert!(size_of::<Text>() <= size_of::<Box<str>>());
    }
}
