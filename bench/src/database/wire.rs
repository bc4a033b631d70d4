//! Message boundaries of the Postgres protocol.

/// Counts the server's `ReadyForQuery` messages in a stream of pieces.
/// <https://www.postgresql.org/docs/current/protocol-message-formats.html>
#[derive(Debug, Default)]
pub(super) struct ReadyForQuery {
    /// Type and length of the current message.
    header: Vec<u8>,
    /// Remaining bytes of its body.
    body: usize,
}

impl ReadyForQuery {
    /// The number of messages that end in the next piece.
    pub(super) fn count(&mut self, mut piece: &[u8]) -> usize {
        let mut found = 0;
        while !piece.is_empty() {
            if self.body == 0 {
                let taken = piece.len().min(5 - self.header.len());
                self.header.extend(&piece[..taken]);
                piece = &piece[taken..];
                let &[letter, a, b, c, d] = self.header.as_slice() else {
                    continue;
                };
                // The length includes itself but not the type.
                self.body = (u32::from_be_bytes([a, b, c, d]) as usize).saturating_sub(4);
                self.header.clear();
                found += usize::from(letter == b'Z');
            } else {
                let taken = piece.len().min(self.body);
                self.body -= taken;
                piece = &piece[taken..];
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_in_pieces_of_any_size() {
        // A notice whose text looks like ReadyForQuery, an empty message, and two ReadyForQuery.
        let stream = b"N\0\0\0\x0aZ\0\0\0\x05I1\0\0\0\x04Z\0\0\0\x05IZ\0\0\0\x05T";
        for size in 1..=stream.len() {
            let mut counter = ReadyForQuery::default();
            let found: usize = stream.chunks(size).map(|piece| counter.count(piece)).sum();
            assert_eq!(found, 2, "in pieces of {size}");
        }
    }
}
