//! What the command line says about mutants. In a program that was built without them it says how to build one with.

#[cfg(feature = "mutants")]
pub(super) use with::{MuseumArgs, Mutant, help, mutant};
#[cfg(not(feature = "mutants"))]
pub(super) use without::{MuseumArgs, Mutant, help, mutant};

#[cfg(feature = "mutants")]
mod with {
    use crate::commands::museum::MuseumCommand;
    use crate::commands::run::OutputFormat;
    use crate::values::listed;
    pub(in crate::cli) use synod::Mutant;

    /// A mutant by its name.
    pub(in crate::cli) fn mutant(name: &str) -> Result<Mutant, String> {
        name.parse().map_err(|_| format!("one of {}", names()))
    }

    fn names() -> String {
        listed(Mutant::ALL, Mutant::name)
    }

    /// The mutants, for an option that takes one of them.
    pub(in crate::cli) fn help() -> String {
        let names = names();
        format!(
            "Have every node make the mistake of this name: see 'synod museum'\n\nThe names: {names}"
        )
    }

    fn museum_help() -> String {
        format!("Only these mutants\n\nThe names: {}", names())
    }

    #[derive(Debug, clap::Args)]
    pub(in crate::cli) struct MuseumArgs {
        /// Only these mutants
        #[arg(value_name = "NAME", value_parser = mutant, long_help = museum_help())]
        names: Vec<Mutant>,
        /// How many seeds of a sweep a hunt may take
        #[arg(long, value_name = "N", default_value_t = 1_000)]
        seeds: u64,
        /// How many walks through a world of 'synod check' a hunt may take
        #[cfg(feature = "check")]
        #[arg(long, value_name = "N", default_value_t = 500)]
        worlds: u64,
        /// How many random walks a hunt may take
        #[arg(long, value_name = "N", default_value_t = 20_000)]
        walks: u64,
        /// Shrink what the sweep caught, and count the lines of its story
        #[arg(long)]
        stories: bool,
        /// Lines for people or JSON for programs
        #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
        format: OutputFormat,
    }

    impl MuseumArgs {
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
                #[cfg(feature = "check")]
                worlds: self.worlds,
                walks: self.walks,
                stories: self.stories,
                form: self.format,
            }
        }
    }
}

#[cfg(not(feature = "mutants"))]
mod without {
    use core::convert::Infallible;

    /// There is none.
    pub(in crate::cli) type Mutant = Infallible;

    /// Refuses every name.
    pub(in crate::cli) fn mutant(_name: &str) -> Result<Mutant, &'static str> {
        Err("a name only where mutants are: cargo run --release --features mutants")
    }

    /// Never shown.
    pub(in crate::cli) const fn help() -> &'static str {
        "Have every node make a mistake"
    }

    #[derive(Debug, clap::Args)]
    pub(in crate::cli) struct MuseumArgs {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        _rest: Vec<String>,
    }
}
