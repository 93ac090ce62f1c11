//! The little Markdown that reviews are made of. Cells and items are Markdown already: text from a
//! workload goes through [`super::escape`] first.

/// A table with more rows than this is folded: a reviewer reads what is around it first.
const LONG: usize = 30;

/// A document that grows by blocks, one blank line between two.
#[derive(Debug, Default)]
pub(super) struct Document {
    text: String,
    /// Inside of a folded part.
    inside: bool,
}

/// A folded part that is not ended yet.
#[must_use]
pub(super) struct Folded {
    was: bool,
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

    /// Begins a part that is folded behind a line; [`Document::end_folded`] ends it. The empty lines make a
    /// renderer read what is between the tags as Markdown.
    pub(super) fn folded(&mut self, summary: &str) -> Folded {
        self.block(&format!("<details>\n<summary>{summary}</summary>"));
        let was = self.inside;
        self.inside = true;
        Folded { was }
    }

    pub(super) fn end_folded(&mut self, folded: Folded) {
        self.inside = folded.was;
        self.block("</details>");
    }

    pub(super) fn table<const N: usize>(
        &mut self,
        titles: [&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) {
        let mut lines = vec![
            format!("| {} |", titles.join(" | ")),
            format!("| {} |", ["---"; N].join(" | ")),
        ];
        lines.extend(
            rows.into_iter()
                .map(|row| format!("| {} |", row.join(" | "))),
        );
        let rows = lines.len() - 2;
        let table = lines.join("\n");
        if rows > LONG && !self.inside {
            self.block(&format!(
                "<details>\n<summary>{rows} rows</summary>\n\n{table}\n\n</details>"
            ));
        } else {
            self.block(&table);
        }
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

/// `1 call`, `2 calls`.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
