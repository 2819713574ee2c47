//! The blocks of a page.

use anyhow::{Context as _, bail};

/// What a page asks for, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Of the block's first line in the page, counted from 1.
    pub line: usize,
    /// What is to be done.
    pub kind: Kind,
    /// The terminal of its own; `None` is the reader's shell.
    pub terminal: Option<String>,
    /// What must be given to the runner.
    pub needs: Option<String>,
    /// The text between the fences.
    pub lines: Vec<String>,
}

/// What is done with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Typed into a shell.
    Run,
    /// Compared with what was printed.
    Expect,
}

/// Reads the blocks of `text`.
///
/// # Errors
///
/// A fence that is not closed, a word behind `sh` or `text` that means nothing, what is expected
/// of nothing.
pub fn blocks(text: &str) -> anyhow::Result<Vec<Block>> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = (1..).zip(text.lines());
    while let Some((line, text)) = lines.next() {
        let indent = text.len() - text.trim_start().len();
        let Some(info) = text[indent..].strip_prefix("```") else { continue };
        let mut body = Vec::new();
        loop {
            let (_, text) = lines.next().with_context(|| format!("line {line}: not closed"))?;
            if text.trim() == "```" {
                break;
            }
            body.push(text.get(indent..).unwrap_or_default().to_owned());
        }
        let block = block(line, info, body).with_context(|| format!("line {line}"))?;
        if let Some(mut block) = block {
            if block.kind == Kind::Expect && block.terminal.is_none() {
                let before = blocks.last().context("text before any command")?;
                block.needs.clone_from(&before.needs);
                block.terminal.clone_from(&before.terminal);
            }
            blocks.push(block);
        }
    }
    Ok(blocks)
}

fn block(line: usize, info: &str, lines: Vec<String>) -> anyhow::Result<Option<Block>> {
    let mut words = info.split_whitespace();
    let kind = match words.next() {
        Some("sh") => Kind::Run,
        Some("text") => Kind::Expect,
        _ => return Ok(None),
    };
    let mut block = Block { line, kind, terminal: None, needs: None, lines };
    for word in words {
        match word.split_once('=') {
            Some(("terminal", name)) => block.terminal = Some(name.to_owned()),
            Some(("needs", name)) => block.needs = Some(name.to_owned()),
            _ => bail!("`{word}` means nothing; terminal=NAME and needs=NAME do"),
        }
    }
    Ok(Some(block))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Block> {
        blocks(text).expect("a sound page")
    }

    fn block(line: usize, kind: Kind, names: [Option<&str>; 2], lines: &[&str]) -> Block {
        let [terminal, needs] = names.map(|name| name.map(str::to_owned));
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        Block { line, kind, terminal, needs, lines }
    }

    #[test]
    fn commands_and_what_they_print_are_read_in_order_and_others_left_alone() {
        let page = "# T\n```sh\na\nb\n```\nso\n```text\nx\n```\n```json\n{}\n```\n";
        let expected = [
            block(2, Kind::Run, [None, None], &["a", "b"]),
            block(7, Kind::Expect, [None, None], &["x"]),
        ];
        assert_eq!(read(page), expected);
    }

    #[test]
    fn what_is_printed_belongs_to_the_block_before_unless_it_names_a_terminal() {
        let page = "```sh terminal=s needs=docker\na\n```\n```text\nx\n```\n```sh\nb\n```\n\
                    ```text terminal=s\ny\n```\n";
        let expected = [
            block(1, Kind::Run, [Some("s"), Some("docker")], &["a"]),
            block(4, Kind::Expect, [Some("s"), Some("docker")], &["x"]),
            block(7, Kind::Run, [None, None], &["b"]),
            block(10, Kind::Expect, [Some("s"), None], &["y"]),
        ];
        assert_eq!(read(page), expected);
    }

    #[test]
    fn the_indent_of_a_block_in_a_list_is_not_part_of_it() {
        let expected = [block(2, Kind::Run, [None, None], &["a", "  b"])];
        assert_eq!(read("1. do\n   ```sh\n   a\n     b\n   ```\n"), expected);
    }

    #[test]
    fn what_means_nothing_is_refused_with_its_line() {
        for (page, part) in [
            ("\n```sh\na\n", "line 2: not closed"),
            ("```sh terminl=x\n```\n", "`terminl=x` means nothing"),
            ("```text\nx\n```\n", "text before any command"),
        ] {
            let error = format!("{:#}", blocks(page).expect_err(part));
            assert!(error.contains(part), "{error}");
        }
    }
}
