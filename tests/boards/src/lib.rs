//! Tools for boards: building images, running them under QEMU, decoding their logs, connecting them to a cluster, and
//! measuring their costs.

pub mod board_cluster;
pub mod budget;
pub mod call_graph;
pub mod elf;
pub mod host_client;
pub mod image;
pub mod interactive;
pub mod log_decoder;
pub mod qemu;
pub mod serial_bus;
pub mod stack_depth;
pub mod table;

pub use synod_figures::Failure;
