//! What runs on boards, under QEMU, and in JavaScript.

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
