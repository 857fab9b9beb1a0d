//! The worst-case stack depth of an image: a traversal of its call graph.

use std::collections::{BTreeMap, BTreeSet};

/// The functions of an image, by start address.
pub type Graph = BTreeMap<u64, Function>;

/// A function and its calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Function {
    /// The demangled name.
    pub name: String,
    /// The bytes of its stack frame.
    pub frame: u64,
    /// The functions called while the frame is in use.
    pub calls: BTreeSet<u64>,
    /// The functions called at the end, when the frame is free again.
    pub tail_calls: BTreeSet<u64>,
    /// True if it calls a function through a pointer.
    pub is_indirect: bool,
}

/// The result of a traversal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// The bytes of the deepest path.
    pub deepest: u64,
    /// The functions on that path with their frames, the outermost first.
    pub path: Vec<(String, u64)>,
    /// The functions that call through a pointer; such calls are not counted.
    pub indirect: BTreeSet<String>,
    /// The recursive calls, each as a path; they are counted once.
    pub recursive: BTreeSet<String>,
}

impl Walk {
    /// Traverses the calls of a function, but not those of the panic handlers, from which the program does not
    /// return.
    ///
    /// Returns `None` if there is no function of that name.
    pub fn from(graph: &Graph, entry: &str, handlers: &[&str]) -> Option<Self> {
        let start = graph.iter().find(|found| found.1.name == entry)?;
        let mut walker = Walker {
            graph,
            handlers,
            known: BTreeMap::new(),
            under_way: Vec::new(),
            walk: Self::default(),
        };
        walker.walk.deepest = walker.depth(*start.0);
        walker.walk.path = walker.path(*start.0);
        Some(walker.walk)
    }
}

struct Walker<'a> {
    graph: &'a Graph,
    handlers: &'a [&'a str],
    /// The depths computed so far; `None` while a function is being traversed.
    known: BTreeMap<u64, Option<u64>>,
    /// The functions being traversed, the outermost first.
    under_way: Vec<u64>,
    walk: Walk,
}

impl Walker<'_> {
    /// Returns the bytes of stack of a function with everything that it calls.
    fn depth(&mut self, address: u64) -> u64 {
        let Some(function) = self.graph.get(&address) else {
            return 0;
        };
        match self.known.get(&address) {
            Some(Some(depth)) => return *depth,
            Some(None) => {
                let cycle = self.cycle(address);
                self.walk.recursive.insert(cycle);
                return 0;
            }
            None => {}
        }
        if self.handlers.contains(&function.name.as_str()) {
            return 0;
        }
        if function.is_indirect {
            self.walk.indirect.insert(function.name.clone());
        }
        self.known.insert(address, None);
        self.under_way.push(address);
        let below = function.calls.iter().map(|call| self.depth(*call)).max();
        let instead = function
            .tail_calls
            .iter()
            .map(|call| self.depth(*call))
            .max();
        let depth = (function.frame + below.unwrap_or(0)).max(instead.unwrap_or(0));
        self.known.insert(address, Some(depth));
        self.under_way.pop();
        depth
    }

    /// Returns the path of calls from a function to itself.
    fn cycle(&self, address: u64) -> String {
        let inside = self
            .under_way
            .iter()
            .skip_while(|inside| **inside != address);
        let functions = inside
            .chain([&address])
            .filter_map(|inside| self.graph.get(inside));
        let names: Vec<&str> = functions.map(|function| function.name.as_str()).collect();
        names.join(" > ")
    }

    /// Returns the path with the computed depth.
    fn path(&self, mut address: u64) -> Vec<(String, u64)> {
        let mut path = Vec::new();
        let mut seen = BTreeSet::new();
        while let Some(function) = self.graph.get(&address).filter(|_| seen.insert(address)) {
            let depth = |address: &&u64| self.known.get(address).copied().flatten().unwrap_or(0);
            let all = depth(&&address);
            let below = function.calls.iter().max_by_key(depth);
            let instead = function.tail_calls.iter().max_by_key(depth);
            let (frame, next) = match instead {
                Some(instead) if depth(&instead) == all => (0, Some(instead)),
                _ => (function.frame, below),
            };
            path.push((function.name.clone(), frame));
            match next.filter(|next| depth(next) > 0) {
                Some(next) => address = *next,
                None => break,
            }
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a graph of functions with a name, a frame, calls and tail calls; the position in the list is the
    /// address.
    fn graph(functions: &[(&str, u64, &[u64], &[u64])]) -> Graph {
        let functions = functions
            .iter()
            .map(|(name, frame, calls, tail_calls)| Function {
                name: (*name).into(),
                frame: *frame,
                calls: calls.iter().copied().collect(),
                tail_calls: tail_calls.iter().copied().collect(),
                is_indirect: false,
            });
        (0..).zip(functions).collect()
    }

    fn walk(graph: &Graph) -> Walk {
        Walk::from(graph, "Reset", &["panic"]).unwrap()
    }

    #[test]
    fn the_deepest_path_is_not_the_longest_one() {
        let graph = graph(&[
            ("Reset", 8, &[1], &[]),
            ("main", 100, &[2, 4], &[]),
            ("long", 10, &[3], &[]),
            ("longer", 20, &[], &[]),
            ("deep", 40, &[], &[]),
            ("never called", 1000, &[1], &[]),
        ]);
        let walk = walk(&graph);
        assert_eq!(walk.deepest, 148);
        let path: Vec<_> = walk.path.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(path, ["Reset", "main", "deep"]);
        assert!(walk.indirect.is_empty() && walk.recursive.is_empty());
    }

    #[test]
    fn a_tail_call_replaces_the_frame_of_its_caller() {
        let shallow = graph(&[("Reset", 50, &[], &[1]), ("main", 20, &[], &[])]);
        assert_eq!(walk(&shallow).deepest, 50);
        let deep = graph(&[("Reset", 50, &[], &[1]), ("main", 80, &[], &[])]);
        assert_eq!(walk(&deep).deepest, 80);
        assert_eq!(walk(&deep).path, [("Reset".into(), 0), ("main".into(), 80)]);
    }

    #[test]
    fn recursion_is_counted_once_and_reported() {
        let graph = graph(&[
            ("Reset", 8, &[1], &[]),
            ("even", 16, &[2], &[]),
            ("odd", 32, &[1], &[]),
        ]);
        let walk = walk(&graph);
        assert_eq!(walk.deepest, 56);
        assert!(walk.recursive.iter().eq(["even > odd > even"]));
    }

    #[test]
    fn reachable_indirect_calls_are_reported() {
        let mut graph = graph(&[
            ("Reset", 8, &[1], &[]),
            ("dispatch", 16, &[], &[]),
            ("unreachable", 0, &[], &[]),
        ]);
        for address in [1, 2] {
            graph.get_mut(&address).unwrap().is_indirect = true;
        }
        assert!(walk(&graph).indirect.iter().eq(["dispatch"]));
    }

    #[test]
    fn the_traversal_ends_at_the_panic_handler() {
        let graph = graph(&[
            ("Reset", 8, &[1, 2], &[]),
            ("main", 16, &[2], &[]),
            ("panic", 500, &[0], &[]),
        ]);
        let walk = walk(&graph);
        assert_eq!(walk.deepest, 24);
        assert!(walk.recursive.is_empty());
        assert_eq!(
            Walk::from(&graph, "main", &[]).unwrap().deepest,
            16 + 500 + 8
        );
        assert_eq!(Walk::from(&graph, "start", &[]), None);
    }
}
