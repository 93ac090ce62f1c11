//! The little Markdown that reviews are made of. Cells and items are Markdown already: text from a
//! workload goes through [`super::escape`] first.

/// A table with more rows than this is folded: a reviewer reads what is around it first.
const LONG: usize = 30;

/// A document that grows by blocks, one blank line between two.
#[derive(Debug, Default)]
pub(super) struct Document {
    text: String,
}

impl Document {
    pub(super) fn heading(&mut self, level: usize, title: &str) {
        self.block(&format!("{} {title}", "#".repeat(level)));
    }

    pub(super) fn paragraph(&mut self, text: &str) {
        self.block(text);
    }

    pub(super) fn list(&mut self, items: impl IntoIterator<Item = String>) {
        let items: Vec<_> = items.into_iter().map(|item| format!("- {item}")).collect();
        if !items.is_empty() {
            self.block(&items.join("\n"));
        }
    }

    pub(super) fn table<const N: usize>(
        &mut self,
        titles: [&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) {
        let lines = lines(titles, rows);
        let rows = lines.len() - 2;
        self.folded(rows, &lines.join("\n"));
    }

    /// A table behind a line to open it by, however long it is.
    pub(super) fn folded_table<const N: usize>(
        &mut self,
        summary: &str,
        titles: [&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) {
        let table = lines(titles, rows).join("\n");
        self.details(summary, &table);
    }

    /// A table, behind a line to open it by when it has many rows. The empty lines make a renderer read what is
    /// between the tags as Markdown.
    fn folded(&mut self, rows: usize, table: &str) {
        if rows > LONG {
            self.details(&format!("{rows} rows"), table);
        } else {
            self.block(table);
        }
    }

    fn details(&mut self, summary: &str, table: &str) {
        self.block(&format!(
            "<details>\n<summary>{summary}</summary>\n\n{table}\n\n</details>"
        ));
    }

    pub(super) fn code_block(&mut self, language: &str, code: &str) {
        self.block(&format!("```{language}\n{code}\n```"));
    }

    fn block(&mut self, block: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(block);
        self.text.push('\n');
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}

/// The lines of a table.
fn lines<const N: usize>(
    titles: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> Vec<String> {
    let mut lines = vec![
        format!("| {} |", titles.join(" | ")),
        format!("| {} |", ["---"; N].join(" | ")),
    ];
    let rows = rows.into_iter();
    lines.extend(rows.map(|row| format!("| {} |", row.join(" | "))));
    lines
}

/// `1 call`, `2 calls`.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
