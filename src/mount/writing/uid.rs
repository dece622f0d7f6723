//! Fresh uids for events that have none (RFC 9562, version 4: 122 random bits).

use std::fmt::Write;

/// A new one, in the usual text.
pub fn new_uid() -> String {
    let mut bytes = [0_u8; 16];
    // Sixteen bytes come whole or not at all (getrandom(2)), and not at all only before the machine has any randomness.
    if let Err(error) = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()) {
        tracing::error!(%error, "no random numbers: a uid is made of the time");
        bytes = i128::from(crate::mount::now_ns()).to_be_bytes();
    }
    text_of(u128::from_be_bytes(bytes))
}

fn text_of(random: u128) -> String {
    let version = 0x4 << 76;
    let variant = 0x2 << 62;
    let number = random & !(0xf << 76) & !(0x3 << 62) | version | variant;
    let digits = format!("{number:032x}");
    let mut text = String::with_capacity(36);
    for (at, digit) in digits.chars().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        // Writing to a string cannot fail.
        let _ = text.write_char(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_says_its_version_and_variant() {
        assert_eq!(text_of(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(text_of(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_ne!(new_uid(), new_uid());
    }
}
