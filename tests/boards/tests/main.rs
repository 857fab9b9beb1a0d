//! What runs on boards, under QEMU, and in JavaScript.

#[cfg(test)]
mod budget;
#[cfg(test)]
mod by_hand;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod expected;
#[cfg(test)]
mod javascript;
#[cfg(test)]
mod simulated;
