//! What runs on boards, under QEMU.

mod simulated;
