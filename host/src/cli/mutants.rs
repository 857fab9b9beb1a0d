//! Options about mutants. A program built without the feature `mutants` explains how to build one with it.

#[cfg(feature = "mutants")]
pub(super) use with::{MuseumArgs, Mutant, help, mutant};
#[cfg(not(feature = "mutants"))]
pub(super) use without::{MuseumArgs, Mutant, help, mutant};

#[cfg(feature = "mutants")]
mod with {
    use crate::commands::museum::MuseumCommand;
    use crate::commands::run::OutputFormat;
    pub(in crate::cli) use crate::mutant::Mutant;
    use crate::values::listed;

    /// Parses the name of a mutant.
    pub(in crate::cli) fn mutant(name: &str) -> Result<Mutant, String> {
        name.parse().map_err(|_| format!("one of {}", names()))
    }

    /// Returns the names of all mutants.
    fn names() -> String {
        listed(Mutant::ALL, Mutant::name)
    }

    /// Returns the help of an option that takes a mutant.
    pub(in crate::cli) fn help() -> String {
        let names = names();
        format!("Plant this mistake in every node: see 'synod museum'\n\nThe names: {names}")
    }

    /// Returns the help of the names of mutants.
    fn museum_help() -> String {
        format!(
            "Only these mutants [default: all]\n\nThe names: {}",
            names()
        )
    }

    #[derive(Debug, clap::Args)]
    pub(in crate::cli) struct MuseumArgs {
        /// Only these mutants [default: all]
        #[arg(value_name = "NAME", value_parser = mutant, long_help = museum_help())]
        names: Vec<Mutant>,
        /// Greatest number of seeds to sweep for each mutant
        #[arg(long, value_name = "N", default_value_t = 1_000)]
        seeds: u64,
        /// Greatest number of walks through a world of 'synod check' for each mutant
        #[arg(long, value_name = "N", default_value_t = 500)]
        worlds: u64,
        /// Greatest number of random walks for each mutant
        #[arg(long, value_name = "N", default_value_t = 20_000)]
        walks: u64,
        /// Shrink the failure that the sweep found, and show the length of its explanation in lines
        #[arg(long)]
        shrink: bool,
        /// Output format: text for people, or JSON, one object a line
        #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
        format: OutputFormat,
    }

    impl MuseumArgs {
        /// Returns the command; without names it is about all mutants.
        pub(in crate::cli) fn command(self) -> MuseumCommand {
            let all = self.names.is_empty();
            let mutants = if all {
                Mutant::ALL.to_vec()
            } else {
                self.names
            };
            MuseumCommand {
                mutants,
                seeds: self.seeds,
                worlds: self.worlds,
                walks: self.walks,
                shrink: self.shrink,
                form: self.format,
            }
        }
    }
}

#[cfg(not(feature = "mutants"))]
mod without {
    pub(in crate::cli) use crate::mutant::Mutant;

    /// Refuses every name.
    pub(in crate::cli) fn mutant(_name: &str) -> Result<Mutant, &'static str> {
        Err("a name only in a program built with mutants: cargo run --release --features mutants")
    }

    /// Help of an option that is never shown.
    pub(in crate::cli) const fn help() -> &'static str {
        "Plant a mistake in every node"
    }

    #[derive(Debug, clap::Args)]
    pub(in crate::cli) struct MuseumArgs {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        // Everything is accepted here, so that the error is about the missing feature and not about
        // an option.
        _rest: Vec<String>,
    }
}
