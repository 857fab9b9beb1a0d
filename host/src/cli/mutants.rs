//! What the command line says about mutants. In a program that was built without them it says how to build one with.

#[cfg(feature = "mutants")]
pub(super) use with::{MuseumArgs, Mutant, mutant};
#[cfg(not(feature = "mutants"))]
pub(super) use without::{MuseumArgs, Mutant, mutant};

#[cfg(feature = "mutants")]
mod with {
    use crate::commands::museum::MuseumCommand;
    use crate::commands::run::Form;
    pub(in crate::cli) use synod::Mutant;

    /// A mutant by its name.
    pub(in crate::cli) fn mutant(name: &str) -> Result<Mutant, String> {
        name.parse().map_err(|_| {
            let names: Vec<_> = Mutant::ALL.iter().map(|mutant| mutant.name()).collect();
            format!("one of {}", names.join(", "))
        })
    }

    #[derive(Debug, clap::Args)]
    pub(in crate::cli) struct MuseumArgs {
        /// Only these mutants
        #[arg(value_name = "NAME", value_parser = mutant)]
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
        format: Form,
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

    #[derive(Debug, clap::Args)]
    pub(in crate::cli) struct MuseumArgs {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        _rest: Vec<String>,
    }
}
