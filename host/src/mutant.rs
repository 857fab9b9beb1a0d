//! Mutants as values of options: a type that exists with and without the feature `mutants`.
//!
//! Without the feature the type has no values, so that code which only passes mutants on is the same in both builds.

#[cfg(feature = "mutants")]
pub use with::{Mutant, of, parse, plant};
#[cfg(not(feature = "mutants"))]
pub use without::{Mutant, of, parse, plant};

#[cfg(feature = "mutants")]
mod with {
    pub use synod::Mutant;
    use synod::simulation::Scenario;

    /// Plants a mutant in every node of a scenario, or none.
    pub const fn plant(scenario: &mut Scenario, mutant: Option<Mutant>) {
        scenario.mutant = mutant;
    }

    /// Returns the mutant of a scenario, if it has one.
    pub const fn of(scenario: &Scenario) -> Option<Mutant> {
        scenario.mutant
    }

    /// Parses the name of a mutant.
    ///
    /// # Errors
    ///
    /// There is no such mutant.
    pub fn parse(name: &str) -> Result<Mutant, String> {
        name.parse()
            .map_err(|_| format!("there is no mutant '{name}'"))
    }
}

#[cfg(not(feature = "mutants"))]
mod without {
    use core::convert::Infallible;
    use core::fmt;
    use synod::simulation::Scenario;

    /// A mutant, in a program without them: a type without values.
    ///
    /// An `Option` of it takes no room and is always `None`, so that code for mutants is compiled
    /// away.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Mutant(Infallible);

    impl Mutant {
        /// Returns the name.
        pub const fn name(self) -> &'static str {
            match self.0 {}
        }
    }

    impl fmt::Display for Mutant {
        fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self.0 {}
        }
    }

    /// Does nothing, as there are no mutants.
    pub const fn plant(_scenario: &mut Scenario, _mutant: Option<Mutant>) {}

    /// Returns `None`, as there are no mutants.
    pub const fn of(_scenario: &Scenario) -> Option<Mutant> {
        None
    }

    /// Refuses every name.
    ///
    /// # Errors
    ///
    /// The program was built without mutants.
    pub fn parse(name: &str) -> Result<Mutant, String> {
        Err(format!(
            "mutant is '{name}', which takes a program built with --features mutants"
        ))
    }
}
