//! A test that no step of a simulation allocates. It is a binary of its own because it replaces the global allocator.

#![expect(unsafe_code, reason = "an allocator that counts has to be one")]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use std::alloc::System;
use synod::machines::Kv;
use synod::simulation::{Calm, Kill, KvScript, Scenario, Simulation, Target, Verdict};
use synod::{Digest, Duration, Instant};

/// The system allocator, with a count of the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed to the system allocator unchanged; the counter is a constant-initialised thread-local
// cell, which does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the layout is the caller's, unchanged.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above, with the same layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Returns the number of allocations of this thread so far.
fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

#[test]
fn t5_no_step_of_a_simulation_allocates() {
    let run = || {
        let mut scenario = Scenario::of(6, 5);
        let (target, at) = (Target::Leader, Instant::ZERO + Duration::from_secs(20));
        scenario.kills.push(Kill { target, at }).unwrap();
        scenario.time_max = Duration::from_secs(3_600);
        let before = allocations();
        let mut simulation = Simulation::<Calm<Kv<64>, KvScript, 5, 2048>, 16, 16, 2>::new(
            &scenario,
            KvScript::new(500),
        )
        .unwrap();
        let mut digest = Digest::new();
        let verdict = simulation.run(&mut digest);
        let (report, after) = (simulation.report(), allocations());
        assert_eq!(verdict, Verdict::Done);
        assert!(report.right == 5_500 && report.live == 4, "{report:?}");
        assert_eq!(after - before, 0, "in {} events", report.events);
    };
    let thread = std::thread::Builder::new().stack_size(64 << 20);
    thread.spawn(run).unwrap().join().unwrap();
    // Make sure that the counter counts.
    let before = allocations();
    drop(Box::new(before));
    assert_eq!(allocations(), before + 1);
}
