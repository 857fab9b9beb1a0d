//! A reader of ELF images: their sizes, their functions, and a check for forbidden functions.

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
    /// Code and constants in flash, in bytes.
    pub text: u64,
    /// Initialized statics, in bytes of RAM and again of flash.
    pub data: u64,
    /// Zeroed and uninitialized statics, in bytes of RAM.
    pub bss: u64,
    /// The functions by start address.
    pub functions: BTreeMap<u64, Function>,
    /// The demangled names of all loaded symbols.
    pub names: Vec<String>,
    /// The bounds of the stack, the lower address first; zeros in an image without them.
    pub stack: (u64, u64),
    /// The named data.
    pub(crate) objects: Vec<(String, Vec<u8>)>,
}

/// A function of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// The demangled name.
    pub name: String,
    /// The bytes of its code; 0 for some assembly. They may be followed by padding.
    pub size: u64,
    /// The bytes of its stack frame, if the compiler reported them.
    pub frame: Option<u64>,
}

/// The panic handler of an image, as named by the compiler and by `example-firmware`: the only symbols with *panic*
/// in their names that an image may have.
pub const HANDLER: [&str; 3] = [
    "rust_begin_unwind",
    "__rustc::rust_begin_unwind",
    "example_firmware::handlers::panic",
];

/// Parts of the names of functions that can panic, allocate, or format.
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
    /// Reads an image.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read, or is not an image for a 32-bit target.
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

    /// Adds up the sections in the way of `size`.
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
            // Mapping symbols, which separate code and data, have no size and a name that begins with a dollar sign.
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

    /// Reads the stack sizes section: for each function an address of four bytes, and its frame as a LEB128 number.
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

    /// Returns the words of the static whose demangled name ends in `name`.
    ///
    /// # Errors
    ///
    /// Returns an error if there is none, or more than one.
    pub fn words(&self, name: &str) -> Result<Vec<u32>, Failure> {
        let mut found = self
            .objects
            .iter()
            .filter(|object| object.0.ends_with(name));
        let (Some((_, bytes)), None) = (found.next(), found.next()) else {
            return Err(Failure::new(format!(
                "the image has no single static named {name}"
            )));
        };
        let words = bytes.as_chunks().0;
        Ok(words.iter().map(|word| u32::from_le_bytes(*word)).collect())
    }

    /// Returns the names of functions that can panic, allocate or format, without the panic handler.
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
        // This matches `slice_index_fail`, but not `failed_writes`.
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
    fn forbidden_functions_are_recognized_by_name() {
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
    fn frames_are_assigned_by_address() {
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
        // The address has the Thumb bit; 456 is 0xC8 | 0x80, 0x03. No function is at the second address.
        elf.add_frames(&[0x01, 1, 0, 0, 0xC8, 0x03, 0x01, 2, 0, 0, 0x08]);
        assert_eq!(elf.functions[&0x100].frame, Some(456));
        assert_eq!(elf.functions.len(), 1);
    }
}
