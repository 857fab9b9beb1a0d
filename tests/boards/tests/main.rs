//! What runs on boards, under QEMU.
