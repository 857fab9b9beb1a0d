//! Tests of the boards under QEMU, and of the simulation in WebAssembly.

#[cfg(test)]
mod budget;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod host_digests;
#[cfg(test)]
mod interactive;
#[cfg(test)]
mod simulation_digests;
#[cfg(test)]
mod webassembly;
