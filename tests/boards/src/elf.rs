//! What stands in an image: how large it is, its functions, and what it must not have.

use crate::Failure;
use object::elf::{SHF_ALLOC, SHF_WRITE, SHT_NOBITS};
use object::read::elf::{ElfFile32, SectionHeader};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind, SymbolSection};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// An image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elf {
    /// Bytes of flash that are code, and data that does not change.
    pub text: u64,
    /// Bytes of RAM that have a value at the start, and of flash for that value.
    pub data: u64,
    /// Bytes of RAM that are zero at the start, or have no value.
    pub bss: u64,
    /// By the addresses that they begin at.
    pub functions: BTreeMap<u64, Function>,
    /// The names of all that is loaded, as in the source.
    pub names: Vec<String>,
    /// The addresses between which the stack lies, the lower one first; zeros in an image that says none.
    pub stack: (u64, u64),
    /// The data that has a name.
    pub(crate) objects: Vec<(String, Vec<u8>)>,
}

/// A function of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// As in the source.
    pub name: String,
    /// The bytes of its code; 0 in some assembly. Behind them may be bytes that are nothing.
    pub size: u64,
    /// The bytes of stack that it takes, if the compiler said so.
    pub frame: Option<u64>,
}

/// The panic handler of an image, as the compiler and `example-firmware` name it: the one thing with *panic* in its name,
/// or what stands for it, that an image may have.
pub const HANDLER: [&str; 3] = [
    "rust_begin_unwind",
    "__rustc::rust_begin_unwind",
    "example_firmware::handlers::panic",
];

/// What the name of something that can panic, allocates, or formats has in it.
const FORBIDDEN: [&str; 10] = [
    "panic",
    "unwrap_failed",
    "expect_failed",
    "core::fmt",
    "__rust_alloc",
    "__rust_realloc",
    "__rg_",
    "__rdl_",
    "alloc::",
    "malloc",
];

impl Elf {
    /// Reads the image in a file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is no image for a 32-bit target.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let fail =
            |error: &dyn core::fmt::Display| Failure::new(format!("{}: {error}", path.display()));
        let bytes = fs::read(path).map_err(|error| fail(&error))?;
        let file = ElfFile32::parse(&*bytes).map_err(|error| fail(&error))?;
        let mut elf = Self {
            text: 0,
            data: 0,
            bss: 0,
            functions: BTreeMap::new(),
            names: Vec::new(),
            stack: (0, 0),
            objects: Vec::new(),
        };
        elf.add_sections(&file);
        elf.add_symbols(&file);
        if let Some(section) = file.section_by_name(".stack_sizes") {
            elf.add_frames(section.data().map_err(|error| fail(&error))?);
        }
        Ok(elf)
    }

    /// As `size` of the usual tools counts.
    fn add_sections(&mut self, file: &ElfFile32<'_>) {
        for section in file.sections() {
            let header = section.elf_section_header();
            let flags = header.sh_flags(file.endian());
            if flags & SHF_ALLOC == 0 {
                continue;
            }
            let sum = if header.sh_type(file.endian()) == SHT_NOBITS {
                &mut self.bss
            } else if flags & SHF_WRITE == 0 {
                &mut self.text
            } else {
                &mut self.data
            };
            *sum += section.size();
        }
    }

    fn add_symbols(&mut self, file: &ElfFile32<'_>) {
        for symbol in file.symbols() {
            let Ok(name) = symbol.name() else {
                continue;
            };
            match name {
                "_stack_end" => self.stack.0 = symbol.address(),
                "_stack_start" => self.stack.1 = symbol.address(),
                _ => {}
            }
            let SymbolSection::Section(index) = symbol.section() else {
                continue;
            };
            let Ok(section) = file.section_by_index(index) else {
                continue;
            };
            let flags = section.elf_section_header().sh_flags(file.endian());
            // Marks between code and data have no size and a name with a dollar.
            if flags & SHF_ALLOC == 0 || name.is_empty() || name.starts_with('$') {
                continue;
            }
            let name = format!("{:#}", rustc_demangle::demangle(name));
            self.names.push(name.clone());
            match symbol.kind() {
                SymbolKind::Text => {
                    let (size, frame) = (symbol.size(), None);
                    let function = Function { name, size, frame };
                    self.functions
                        .entry(symbol.address() & !1)
                        .or_insert(function);
                }
                SymbolKind::Data => {
                    let bytes = section.data_range(symbol.address(), symbol.size());
                    let bytes = bytes.ok().flatten().unwrap_or_default();
                    self.objects.push((name, bytes.to_vec()));
                }
                _ => {}
            }
        }
    }

    /// Each is an address of four bytes, and a number with seven bits in a byte, the lowest first.
    fn add_frames(&mut self, mut bytes: &[u8]) {
        while let Some((address, rest)) = bytes.split_first_chunk() {
            let (mut frame, mut shift) = (0, 0);
            bytes = rest;
            while let Some((byte, rest)) = bytes.split_first() {
                frame |= u64::from(byte & 0x7F) << shift;
                shift += 7;
                bytes = rest;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            let address = u64::from(u32::from_le_bytes(*address)) & !1;
            if let Some(function) = self.functions.get_mut(&address) {
                function.frame = Some(frame);
            }
        }
    }

    /// The words of a static, whose name in the source ends like that.
    ///
    /// # Errors
    ///
    /// There is none, or more than one.
    pub fn words(&self, name: &str) -> Result<Vec<u32>, Failure> {
        let mut found = self
            .objects
            .iter()
            .filter(|object| object.0.ends_with(name));
        let (Some((_, bytes)), None) = (found.next(), found.next()) else {
            return Err(Failure::new(format!(
                "no single static of the image is {name}"
            )));
        };
        let words = bytes.as_chunks().0;
        Ok(words.iter().map(|word| u32::from_le_bytes(*word)).collect())
    }

    /// The names of what can panic, allocates or formats; of the panic handler not.
    pub fn forbidden(&self) -> Vec<&str> {
        let names = self.names.iter().map(String::as_str);
        let mut found: Vec<&str> = names.filter(|name| is_forbidden(name)).collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

fn is_forbidden(name: &str) -> bool {
    let has_fail = || {
        // `slice_index_fail`, and not `failed_writes`.
        name.match_indices("_fail").any(|(at, word)| {
            let behind = name.get(at + word.len()..).unwrap_or_default();
            !behind.starts_with(|next: char| next.is_alphanumeric() || next == '_')
        })
    };
    !HANDLER.contains(&name) && (FORBIDDEN.iter().any(|word| name.contains(word)) || has_fail())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_panics_allocates_or_formats_is_known_by_its_name() {
        for name in [
            "core::panicking::panic_fmt",
            "core::slice::index::slice_index_fail",
            "core::option::unwrap_failed",
            "__rust_alloc",
            "<alloc::vec::Vec<u8>>::push",
            "<core::fmt::Formatter>::pad",
            "example_firmware::handlers::panic::again",
        ] {
            assert!(is_forbidden(name), "{name}");
        }
        for name in [
            "__rustc::rust_begin_unwind",
            "example_firmware::handlers::panic",
            "synod::node::fence::is_fail_safe",
            "defmt::export::fmt::<synod::ballot::Slot>",
        ] {
            assert!(!is_forbidden(name), "{name}");
        }
    }

    #[test]
    fn frames_are_found_by_their_addresses() {
        let mut elf = Elf {
            text: 0,
            data: 0,
            bss: 0,
            functions: BTreeMap::new(),
            names: Vec::new(),
            stack: (0, 0),
            objects: Vec::new(),
        };
        let name = String::from("deep");
        let (size, frame) = (2, None);
        elf.functions.insert(0x100, Function { name, size, frame });
        // With the bit that says Thumb; 456 is 0xC8 | 0x80, 0x03. Nothing lies at the second one.
        elf.add_frames(&[0x01, 1, 0, 0, 0xC8, 0x03, 0x01, 2, 0, 0, 0x08]);
        assert_eq!(elf.functions[&0x100].frame, Some(456));
        assert_eq!(elf.functions.len(), 1);
    }
}
