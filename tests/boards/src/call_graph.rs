//! The call graph of an image for a Cortex-M, read from the output of `llvm-objdump`.

use crate::Failure;
use crate::elf::Elf;
use crate::stack_depth::{Function, Graph};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The effect of an instruction on calls and the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Calls the function at an address.
    Call(u64),
    /// Jumps to an address.
    Jump(u64),
    /// Calls or jumps to the address in a register.
    Indirect,
    /// Pushes bytes onto the stack.
    Push(u64),
}

/// Returns the call graph of an image.
///
/// # Errors
///
/// Returns an error if `llvm-objdump` is missing or fails.
pub fn graph(image: &Path, elf: &Elf) -> Result<Graph, Failure> {
    let output = Command::new(objdump()?)
        .args(["--disassemble", "--no-show-raw-insn"])
        .arg(image)
        .output()
        .map_err(|error| Failure::new(format!("llvm-objdump did not start: {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::new(format!("llvm-objdump failed: {said}")));
    }
    let listing = String::from_utf8_lossy(&output.stdout);
    Ok(join(elf, &effects(&listing)))
}

/// Returns the path of the disassembler that comes with the compiler.
fn objdump() -> Result<PathBuf, Failure> {
    let rustc = std::env::var_os("RUSTC").unwrap_or("rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir"])
        .output();
    let output = output.map_err(|error| Failure::new(format!("rustc did not start: {error}")))?;
    let libraries = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let tool = libraries.with_file_name("bin").join("llvm-objdump");
    if tool.is_file() {
        Ok(tool)
    } else {
        Err(Failure::new(
            "llvm-objdump is missing: rustup component add llvm-tools",
        ))
    }
}

/// Returns the effects in a listing, with their addresses.
fn effects(listing: &str) -> Vec<(u64, Effect)> {
    listing.lines().filter_map(effect).collect()
}

fn effect(line: &str) -> Option<(u64, Effect)> {
    let (address, rest) = line.trim_start().split_once(':')?;
    let address = u64::from_str_radix(address, 16).ok()?;
    let rest = rest.split('@').next().unwrap_or_default().trim();
    let (name, operands) = rest.split_once(char::is_whitespace)?;
    let name = name.trim_end_matches(".w").trim_end_matches(".n");
    let operands = operands.trim();
    let effect = match name {
        "bl" | "blx" => target(operands).map_or(Effect::Indirect, Effect::Call),
        "push" => Effect::Push(4 * registers(operands)),
        "stmdb" if operands.starts_with("sp!") => Effect::Push(4 * registers(operands)),
        "vpush" => Effect::Push(8 * registers(operands)),
        "sub" | "subw" if operands.starts_with("sp") => Effect::Push(immediate(operands)?),
        "str" | "strd" if operands.contains("[sp, #-") && operands.ends_with('!') => {
            Effect::Push(immediate(operands)?)
        }
        _ if name.starts_with("bx") && operands != "lr" => Effect::Indirect,
        _ if name.starts_with("ldr") && operands.starts_with("pc,") => Effect::Indirect,
        _ if is_branch(name) => Effect::Jump(target(operands)?),
        _ => return None,
    };
    Some((address, effect))
}

/// True for `b`, with or without a condition.
fn is_branch(name: &str) -> bool {
    const CONDITIONS: [&str; 15] = [
        "", "eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le",
    ];
    name.strip_prefix('b')
        .is_some_and(|condition| CONDITIONS.contains(&condition))
}

/// Parses `0xa1da <name>`.
fn target(operands: &str) -> Option<u64> {
    let digits = operands.strip_prefix("0x")?;
    let end = digits.find(|digit: char| !digit.is_ascii_hexdigit());
    u64::from_str_radix(digits.get(..end.unwrap_or(digits.len()))?, 16).ok()
}

/// Counts the registers in `{r4, r5, lr}`. Double registers could be written as a range such as `d8-d11`, but LLVM
/// lists each.
fn registers(operands: &str) -> u64 {
    let list = operands.split('{').nth(1).unwrap_or_default();
    u64::try_from(list.split(',').count()).unwrap_or(u64::MAX)
}

/// Parses the last operand, such as `#0x10` or `#-0x8`.
fn immediate(operands: &str) -> Option<u64> {
    let (_, number) = operands.rsplit_once('#')?;
    let number = number.trim_end_matches(['!', ']']).trim_start_matches('-');
    match number.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => number.parse().ok(),
    }
}

/// Assigns the calls to the functions. The frame of a function that the compiler does not report, because it is
/// precompiled or assembly, is the sum of its pushes.
fn join(elf: &Elf, effects: &[(u64, Effect)]) -> Graph {
    let named = elf.functions.iter().map(|(start, function)| {
        let function = Function {
            name: function.name.clone(),
            frame: function.frame.unwrap_or(0),
            ..Function::default()
        };
        (*start, function)
    });
    let mut graph: Graph = named.collect();
    let start_of = |address| {
        elf.functions
            .range(..=address)
            .next_back()
            .map(|found| *found.0)
    };
    for (address, effect) in effects {
        let Some((start, about)) = elf.functions.range(..=address).next_back() else {
            continue;
        };
        let (start, has_frame) = (*start, about.frame.is_some());
        let is_code = about.size == 0 || *address < start + about.size;
        let Some(function) = graph.get_mut(&start).filter(|_| is_code) else {
            continue;
        };
        match *effect {
            Effect::Push(bytes) if !has_frame => function.frame += bytes,
            Effect::Push(_) => {}
            Effect::Indirect => function.is_indirect = true,
            // A call into the function itself: a Cortex-M0 has no other instruction for a far jump within a long
            // function.
            Effect::Call(to) if to != start && start_of(to) == Some(start) => {}
            Effect::Call(to) => function.calls.extend(start_of(to)),
            // A jump to the beginning of another function is a tail call: the stack is as its caller left it.
            Effect::Jump(to) if elf.functions.contains_key(&to) && to != start => {
                function.tail_calls.insert(to);
            }
            Effect::Jump(to) => {
                let into = start_of(to).filter(|into| *into != start);
                function.calls.extend(into);
            }
        }
    }
    graph
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf;
    use std::collections::BTreeMap;

    const LISTING: &str = "
image:\tfile format elf32-littlearm

00000100 <top>:
     100:      \tpush\t{r4, r5, r7, lr}
     102:      \tsub\tsp, #0x18
     104:      \tbl\t0x200 <middle> @ imm = #0xf8
     108:      \tbeq.w\t0x112 <top+0x12> @ imm = #0x6
     10c:      \tblx\tr3
     10e:      \tb\t0x300 <low>      @ imm = #0x1ee
     112:      \tldr\tr6, [pc, #0xb4] @ 0x80d8 <middle+0xc4>
     114:      \tbl\t0x102 <top+0x2> @ imm = #-0x16
     118:      \tpop\t{r4, r5, r7, pc}
     11a:      \tbmi\t0x200 <middle>
00000200 <middle>:
     200:      \tstr\tlr, [sp, #-0x8]!
     204:      \tvpush\t{d8, d9}
     208:      \tcbz\tr0, 0x20c <middle+0xc> @ imm = #0x0
     20a:      \tbne\t0x304 <low+0x4> @ imm = #0xf6
     20c:      \tbx\tlr
00000300 <low>:
     300:      \tbic\tr0, r1
     304:      \tbx\tr2
";

    fn image() -> Elf {
        let function = |name: &str, size, frame| {
            let name = name.into();
            elf::Function { name, size, frame }
        };
        Elf {
            text: 0,
            data: 0,
            bss: 0,
            functions: BTreeMap::from([
                (0x100, function("top", 0x1A, Some(48))),
                (0x200, function("middle", 0, None)),
                (0x300, function("low", 6, None)),
            ]),
            names: Vec::new(),
            stack: (0, 0),
            objects: Vec::new(),
        }
    }

    #[test]
    fn the_effects_of_a_listing_are_parsed() {
        let effects = effects(LISTING);
        assert_eq!(
            effects,
            [
                (0x100, Effect::Push(16)),
                (0x102, Effect::Push(0x18)),
                (0x104, Effect::Call(0x200)),
                (0x108, Effect::Jump(0x112)),
                (0x10C, Effect::Indirect),
                (0x10E, Effect::Jump(0x300)),
                (0x114, Effect::Call(0x102)),
                (0x11A, Effect::Jump(0x200)),
                (0x200, Effect::Push(8)),
                (0x204, Effect::Push(16)),
                (0x20A, Effect::Jump(0x304)),
                (0x304, Effect::Indirect),
            ]
        );
    }

    #[test]
    fn frames_come_from_the_compiler_or_else_from_pushes() {
        let graph = join(&image(), &effects(LISTING));
        let [top, middle, low] = [&graph[&0x100], &graph[&0x200], &graph[&0x300]];
        assert_eq!((top.frame, middle.frame, low.frame), (48, 24, 0));
        // An instruction after the end of a function is no jump, and a call to its middle is no call.
        assert!(top.calls.iter().eq([&0x200]) && top.tail_calls.iter().eq([&0x300]));
        // A jump into the middle of another function: the frame may still be in use.
        assert!(middle.calls.iter().eq([&0x300]) && middle.tail_calls.is_empty());
        assert_eq!(
            (top.is_indirect, middle.is_indirect, low.is_indirect),
            (true, false, true)
        );
    }
}
