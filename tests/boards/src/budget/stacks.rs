//! Stack depth of each program: the worst case from the call graph, and the depth observed.

use super::{Costs, PROGRAMS, core, firmware, read, stack_painting};
use crate::Failure;
use crate::call_graph;
use crate::elf::{Elf, HANDLER};
use crate::image::Board;
use crate::stack_depth::Walk;
use crate::table::{Table, grouped};

pub(super) fn measure(progress: &mut dyn FnMut(&str)) -> Result<Costs, Failure> {
    let mut costs = Costs::default();
    let heading = [
        "program",
        "core",
        "worst",
        "given",
        "statics",
        "statics and worst",
    ];
    let mut table = Table::new(&heading);
    let mut observed = Table::new(&["program", "core", "seen"]);
    progress("observed stacks of a running cluster");
    let nodes = stack_painting::node()?;
    for program in PROGRAMS {
        for (board, node) in Board::ALL.into_iter().zip(nodes) {
            progress(&format!("stack of {program} on {}", core(board)));
            let walk = walk(board, program)?;
            let seen = match program {
                "simulate" => Some(stack_painting::simulate(board)?),
                "node" => Some(node),
                _ => None,
            };
            let (_, elf) = read(board, program)?;
            let given = elf.stack.1 - elf.stack.0;
            let name = format!("{program}/{}", core(board));
            check(&name, &walk, seen, given)?;
            let statics = elf.data + elf.bss;
            costs.add(format!("{name}/stack"), walk.deepest);
            costs.add(format!("{name}/statics"), statics);
            costs.add(format!("{name}/ram"), statics + walk.deepest);
            table.rows.push(vec![
                format!("`{program}`"),
                core(board).into(),
                grouped(walk.deepest),
                grouped(given),
                grouped(statics),
                grouped(statics + walk.deepest),
            ]);
            let row = |seen| vec![format!("`{program}`"), core(board).into(), grouped(seen)];
            observed.rows.extend(seen.map(row));
        }
    }
    let title = "Their RAM, bytes: the deepest stack that calls can lead to, what the linker gives it, and the statics:";
    costs.tables.push((title.into(), table));
    let title = "The deepest stack that was seen under QEMU, in simulations and in a cluster of three boards, bytes:";
    costs.observed.push((title.into(), observed));
    Ok(costs)
}

fn walk(board: Board, program: &str) -> Result<Walk, Failure> {
    let path = firmware(board, true)?.join(program);
    let elf = Elf::read(&path)?;
    let graph = call_graph::graph(&path, &elf)?;
    Walk::from(&graph, "Reset", &HANDLER)
        .ok_or_else(|| Failure::new(format!("{} has no entry function", path.display())))
}

/// Checks that the call graph is complete, that the observed depth does not exceed the worst case, and that the worst
/// case fits.
fn check(name: &str, walk: &Walk, seen: Option<u64>, given: u64) -> Result<(), Failure> {
    let deepest = walk.deepest;
    let fail = |sentence: String| Err(Failure::new(format!("{name}: {sentence}")));
    if let Some(circle) = walk.recursive.first() {
        return fail(format!(
            "recursion has no bounded stack depth, use a loop instead: {circle}"
        ));
    }
    if !walk.indirect.is_empty() {
        let names: Vec<&str> = walk.indirect.iter().map(String::as_str).collect();
        return fail(format!(
            "these functions call through a pointer: {}: call a function by name, or have it inlined",
            names.join(", ")
        ));
    }
    if seen.is_some_and(|seen| seen > deepest) {
        return fail(format!(
            "the observed stack depth of {seen:?} bytes exceeds the worst case of {deepest}: the call graph is incomplete (call_graph.rs)"
        ));
    }
    if deepest > given {
        let path: Vec<String> = walk
            .path
            .iter()
            .map(|(name, frame)| format!("{frame:>6} {name}"))
            .collect();
        return fail(format!(
            "the stack can grow to {deepest} bytes and has {given}: raise it in examples/firmware/build.rs, or make these frames smaller:\n{}",
            path.join("\n")
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(walk: &Walk, seen: Option<u64>) -> String {
        check("node/M0", walk, seen, 200).unwrap_err().to_string()
    }

    #[test]
    fn an_incomplete_call_graph_is_refused() {
        let mut walk = Walk {
            deepest: 200,
            path: vec![("main".into(), 200)],
            ..Walk::default()
        };
        assert_eq!(check("node/M0", &walk, Some(200), 200), Ok(()));
        assert!(refused(&walk, Some(204)).contains("exceeds the worst case"));
        walk.deepest = 204;
        assert!(refused(&walk, None).contains("   200 main"));
        walk.indirect.insert("dispatch".into());
        assert!(refused(&walk, None).contains("dispatch"));
        walk.recursive.insert("again > again".into());
        assert!(refused(&walk, None).contains("recursion has no bounded stack depth"));
    }
}
