//! Sizes and durations as people type them.

use std::time::Duration;

/// `256M`, `1G`, `65536`: bytes, in powers of 1024.
pub fn size_bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text
        .get(digits.len()..)
        .unwrap_or("")
        .to_ascii_uppercase()
        .trim_end_matches("IB")
        .trim_end_matches('B')
    {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => {
            return Err(format!(
                "{text}: a size is a number with K, M, G or T behind it"
            ));
        }
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| format!("{text}: a size is a whole number with K, M, G or T behind it"))?;
    number
        .checked_shl(shift)
        .filter(|bytes| bytes >> shift == number)
        .ok_or_else(|| format!("{text}: too large"))
}

/// `5s`, `250ms`, `10m`, `1h`, `2d`; a bare number is seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_ms = match text.get(digits.len()..).unwrap_or("") {
        "ms" => 1,
        "" | "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => {
            return Err(format!(
                "{text}: a duration is a number with ms, s, m, h or d behind it"
            ));
        }
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| format!("{text}: a duration is a whole number with ms, s, m, h or d"))?;
    number
        .checked_mul(unit_ms)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("{text}: too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        let read: Vec<_> = [
            "0",
            "4k",
            "256M",
            "1GiB",
            "12MB",
            "-1",
            "1.5G",
            "x",
            "99999999T",
        ]
        .map(|t| size_bytes(t).ok())
        .into();
        let m = 1 << 20;
        assert_eq!(
            read,
            [
                Some(0),
                Some(4096),
                Some(256 * m),
                Some(1 << 30),
                Some(12 * m),
                None,
                None,
                None,
                None
            ]
        );
    }

    #[test]
    fn durations_have_units() {
        let read: Vec<_> = ["5s", "250ms", "0", "1h", "10x", ""]
            .map(|t| duration(t).ok().map(|d| d.as_millis()))
            .into();
        assert_eq!(
            read,
            [Some(5000), Some(250), Some(0), Some(3_600_000), None, None]
        );
    }
}
