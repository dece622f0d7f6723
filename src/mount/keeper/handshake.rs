//! FUSE_INIT, which the kernel sends once: kept, and offered again to every later worker.
//!
//! Layouts are those of `linux/fuse.h`: `fuse_in_header` (40 bytes) and `fuse_init_in`, `fuse_out_header` (16 bytes) and
//! `fuse_init_out`.

use std::io;
use std::os::fd::OwnedFd;

/// FUSE_NOTIFY_RESEND as a `fuse_out_header`: length 16, code 7, unique 0.
pub const RESEND: [u8; 16] = {
    let [a, b, c, d] = 16_u32.to_ne_bytes();
    let [e, f, g, h] = 7_u32.to_ne_bytes();
    [a, b, c, d, e, f, g, h, 0, 0, 0, 0, 0, 0, 0, 0]
};

/// The kernel refuses to fill less than 8 KiB.
const REQUEST_BYTES: usize = 64 << 10;
const FUSE_INIT: u32 = 26;
/// "There are more flags": without it the kernel and fuser ignore the upper 32.
const FUSE_INIT_EXT: u32 = 1 << 30;

/// See the module text.
#[derive(Debug)]
pub struct Handshake {
    request: Vec<u8>,
    reply: Option<Vec<u8>>,
}

impl Handshake {
    /// Reads the request from a device that was mounted just now.
    ///
    /// # Errors
    /// Those of read(2), or the first request is another.
    pub fn receive(device: &OwnedFd) -> io::Result<Self> {
        let mut request = vec![0; REQUEST_BYTES];
        let length = rustix::io::retry_on_intr(|| rustix::io::read(device, &mut *request))?;
        request.truncate(length);
        if number(&request, 4) != Some(FUSE_INIT) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the kernel did not begin with FUSE_INIT",
            ));
        }
        Ok(Handshake {
            request,
            reply: None,
        })
    }

    /// Whether the kernel has its answer.
    pub fn is_done(&self) -> bool {
        self.reply.is_some()
    }

    /// The answer of a worker. Only the first goes to the kernel: what it chose holds for as long as the mount.
    ///
    /// # Errors
    /// The worker refused, or the kernel refused the answer.
    pub fn answer(&mut self, device: &OwnedFd, reply: Vec<u8>) -> io::Result<()> {
        if number(&reply, 4) != Some(0) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the worker answered FUSE_INIT with an error",
            ));
        }
        if self.reply.is_none() {
            rustix::io::write(device, &reply)?;
            self.reply = Some(reply);
        }
        Ok(())
    }

    /// The request for the next worker: a kernel that offers exactly what the first worker chose.
    pub fn request(&self) -> Vec<u8> {
        let mut request = self.request.clone();
        let Some(reply) = &self.reply else {
            return request;
        };
        let flags = number(&request, 52).unwrap_or(0);
        let chosen = number(reply, 28).unwrap_or(0);
        let more = if chosen & FUSE_INIT_EXT == 0 {
            0
        } else {
            number(reply, 48).unwrap_or(0)
        };
        put(&mut request, 48, number(reply, 24).unwrap_or(0));
        put(&mut request, 52, flags & (chosen | FUSE_INIT_EXT));
        let offered = number(&request, 56).unwrap_or(0);
        put(&mut request, 56, offered & more);
        request
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*field))
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(field) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        *field = value.to_ne_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(offered: (u32, u32), chosen: (u32, u32), again: (u32, u32)) {
        let mut request = vec![0; 104];
        put(&mut request, 52, offered.0);
        put(&mut request, 56, offered.1);
        let mut reply = vec![0; 80];
        put(&mut reply, 28, chosen.0);
        put(&mut reply, 48, chosen.1);
        let handshake = Handshake {
            request,
            reply: Some(reply),
        };
        let request = handshake.request();
        assert_eq!(
            (number(&request, 52), number(&request, 56)),
            (Some(again.0), Some(again.1))
        );
    }

    #[test]
    fn a_later_worker_is_offered_what_the_first_chose() {
        check(
            (FUSE_INIT_EXT | 0b111, 0b11),
            (FUSE_INIT_EXT | 0b101, 0b10),
            (FUSE_INIT_EXT | 0b101, 0b10),
        );
        check((0b111, 0), (FUSE_INIT_EXT | 0b1000, 0), (0, 0));
    }

    #[test]
    fn upper_flags_do_not_count_without_their_mark() {
        check(
            (FUSE_INIT_EXT | 0b1, 0b11),
            (0b1, 0b11),
            (FUSE_INIT_EXT | 0b1, 0),
        );
    }

    #[test]
    fn an_answer_that_is_cut_short_harms_nothing() {
        let handshake = Handshake {
            request: vec![0; 50],
            reply: Some(vec![1; 3]),
        };
        assert_eq!(handshake.request().len(), 50);
    }
}
