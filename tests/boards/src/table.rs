//! Markdown tables with aligned columns, legible in a terminal too.

use core::fmt;

/// A table with a heading and rows of the same number of cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The heading.
    pub heading: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// Creates a table without rows.
    pub fn new(heading: &[&str]) -> Self {
        Self {
            heading: heading.iter().map(|cell| (*cell).into()).collect(),
            rows: Vec::new(),
        }
    }

    fn width(&self, column: usize) -> usize {
        let rows = self.rows.iter().chain([&self.heading]);
        let cells = rows.filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    }

    /// The first column, which has names, is aligned to the left, and the others to the right.
    fn line(&self, f: &mut fmt::Formatter<'_>, row: &[String]) -> fmt::Result {
        f.write_str("|")?;
        for (column, cell) in row.iter().enumerate() {
            let width = self.width(column);
            if column == 0 {
                write!(f, " {cell:<width$} |")?;
            } else {
                write!(f, " {cell:>width$} |")?;
            }
        }
        writeln!(f)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.line(f, &self.heading)?;
        f.write_str("|")?;
        for column in 0..self.heading.len() {
            let dashes = "-".repeat(self.width(column) + 1);
            f.write_str(&dashes)?;
            f.write_str(if column == 0 { "-|" } else { ":|" })?;
        }
        writeln!(f)?;
        self.rows.iter().try_for_each(|row| self.line(f, row))
    }
}

pub use synod_figures::grouped;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(&["image", "text"]);
        table.rows.push(vec!["node".into(), grouped(1_234_567)]);
        table.rows.push(vec!["a longer name".into(), grouped(12)]);
        assert_eq!(
            table.to_string(),
            "\
| image         |      text |
|---------------|----------:|
| node          | 1,234,567 |
| a longer name |        12 |
"
        );
    }
}
