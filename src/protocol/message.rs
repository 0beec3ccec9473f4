//! A message in flight: slices of the buffer it came in.

/// What is published or delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Message<'a> {
    /// Where it was published, or the subject that the receiver is shown.
    pub subject: &'a [u8],
    /// Where answers go; empty if none are wanted.
    pub reply: &'a [u8],
    /// The whole header block from `NATS/1.0` through the empty line; empty if there is none.
    pub headers: &'a [u8],
    /// The bytes after the headers.
    pub payload: &'a [u8],
}

impl Message<'_> {
    /// Returns the bytes of headers and payload together, which is what limits count.
    #[must_use]
    pub fn body_len(&self) -> usize {
        self.headers.len() + self.payload.len()
    }
}
