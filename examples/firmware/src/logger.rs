//! A `defmt` logger that writes frames to the debugger's standard output.
//!
//! `defmt-semihosting` does the same, but byte by byte and with assertions, which would be the only panics of an
//! image.
#![expect(unsafe_code, reason = "a global logger implements an unsafe trait")]

use crate::semihosting::{Output, exit};
use core::cell::UnsafeCell;
use critical_section::RestoreState;

/// The exit code of a program that logs while it logs.
const REENTERED: u8 = 103;

/// The size of the buffer in bytes: a call of the debugger costs more than the bytes.
const BUFFER: usize = 64;

#[defmt::global_logger]
struct Logger;

/// The state of the logger between calls.
struct State {
    encoder: defmt::Encoder,
    output: Option<Output>,
    buffer: [u8; BUFFER],
    len: usize,
    /// The interrupt state before the current frame; `None` outside of frames.
    restore: Option<RestoreState>,
}

impl State {
    /// Encodes, and buffers the encoded bytes.
    fn encode(&mut self, with: impl FnOnce(&mut defmt::Encoder, &mut dyn FnMut(&[u8]))) {
        let Self {
            encoder,
            output,
            buffer,
            len,
            ..
        } = self;
        let output = *output.get_or_insert_with(Output::open);
        with(encoder, &mut |bytes: &[u8]| {
            for byte in bytes {
                if *len == BUFFER {
                    output.write(buffer);
                    *len = 0;
                }
                if let Some(place) = buffer.get_mut(*len) {
                    *place = *byte;
                    *len += 1;
                }
            }
        });
    }

    fn flush(&mut self) {
        if let (Some(output), Some(bytes)) = (self.output, self.buffer.get(..self.len)) {
            output.write(bytes);
        }
        self.len = 0;
    }
}

/// The state, which only the holder of the lock may access.
struct Shared(UnsafeCell<State>);

// SAFETY: there is one core, and the state is accessed only between `acquire` and `release`, with interrupts masked.
unsafe impl Sync for Shared {}

static STATE: Shared = Shared(UnsafeCell::new(State {
    encoder: defmt::Encoder::new(),
    output: None,
    buffer: [0; BUFFER],
    len: 0,
    restore: None,
}));

// SAFETY: `acquire` masks interrupts until `release`, and a second `acquire` in between ends the program.
unsafe impl defmt::Logger for Logger {
    fn acquire() {
        // SAFETY: `release` restores the returned state.
        let restore = unsafe { critical_section::acquire() };
        // SAFETY: interrupts are masked, and no reference from an earlier call is alive.
        let state = unsafe { &mut *STATE.0.get() };
        if state.restore.is_some() {
            exit(REENTERED);
        }
        state.restore = Some(restore);
        state.encode(|encoder, write| encoder.start_frame(write));
    }

    unsafe fn flush() {
        // SAFETY: `defmt` calls this between `acquire` and `release`.
        let state = unsafe { &mut *STATE.0.get() };
        state.flush();
    }

    unsafe fn release() {
        // SAFETY: `defmt` calls this after `acquire`.
        let state = unsafe { &mut *STATE.0.get() };
        state.encode(|encoder, write| encoder.end_frame(write));
        state.flush();
        if let Some(restore) = state.restore.take() {
            // SAFETY: the state that `acquire` returned.
            unsafe { critical_section::release(restore) };
        }
    }

    unsafe fn write(bytes: &[u8]) {
        // SAFETY: `defmt` calls this between `acquire` and `release`.
        let state = unsafe { &mut *STATE.0.get() };
        state.encode(|encoder, write| encoder.write(bytes, write));
    }
}
