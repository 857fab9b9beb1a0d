//! Tables in Markdown, whose columns stand below each other in a terminal too.

use core::fmt;

/// A table: a heading, and rows of as many cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// What its columns are.
    pub heading: Vec<String>,
    /// Its rows.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// Without rows.
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

    /// The first column begins on the left, as it has names; the others end on the right.
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

/// A number with its thousands set apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
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
