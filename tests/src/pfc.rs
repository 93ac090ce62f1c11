//! What libseccomp means by a filter, in its own words: the "pseudo filter code" that
//! `seccomp_export_pfc` writes (src/gen_pfc.c). It shows the decision tree from which the filter is
//! compiled, so a filter that does otherwise was compiled wrongly.

use anyhow::{Context, Result, bail};

/// A call: its number and its arguments.
type Data = (u32, [u64; 6]);

/// A filter as text that can be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pseudo {
    /// By libseccomp's names.
    architectures: Vec<(String, Vec<Statement>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Statement {
    If {
        condition: Condition,
        then: Vec<Statement>,
        otherwise: Vec<Statement>,
    },
    Return(u32),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Condition {
    variable: String,
    mask: u32,
    operator: String,
    value: u32,
}

impl Pseudo {
    /// Reads it.
    ///
    /// # Errors
    /// When a line is none that libseccomp writes.
    pub fn parse(text: &str) -> Result<Self> {
        let mut architectures = Vec::new();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(name) = line.strip_prefix("# filter for arch ") else {
                continue;
            };
            let name = name
                .split(' ')
                .next()
                .context("an architecture without a name")?;
            lines.next().context("an architecture without a filter")?;
            let mut body = Vec::new();
            while let Some(line) = lines.peek().filter(|line| line.starts_with(' ')) {
                if !line.trim_start().starts_with('#') {
                    body.push(*line);
                }
                lines.next();
            }
            architectures.push((name.to_owned(), statements(&mut body.as_slice(), 2)?));
        }
        Ok(Self { architectures })
    }

    /// What it says of a call in an architecture by libseccomp's name; `None` when it is not for it.
    ///
    /// # Errors
    /// When it speaks of something that no call has.
    pub fn run(&self, architecture: &str, nr: u32, args: [u64; 6]) -> Result<Option<u32>> {
        let Some((_, body)) = self
            .architectures
            .iter()
            .find(|(name, _)| name == architecture)
        else {
            return Ok(None);
        };
        let decided = decide(body, &(nr, args))?;
        Ok(Some(decided.context("a filter without a default")?))
    }
}

/// The statements that are indented by so much.
fn statements(lines: &mut &[&str], indent: usize) -> Result<Vec<Statement>> {
    let mut statements = Vec::new();
    while let Some(line) = lines.first() {
        let text = line.trim_start();
        let depth = line.len() - text.len();
        if depth < indent {
            break;
        }
        *lines = lines.get(1..).unwrap_or_default();
        if text == "else" {
            let inner = self::statements(lines, indent + 2)?;
            match statements.last_mut() {
                Some(Statement::If { otherwise, .. }) => *otherwise = inner,
                _ => bail!("an else without an if"),
            }
        } else if let Some(condition) = text.strip_prefix("if (") {
            statements.push(Statement::If {
                condition: self::condition(condition.trim_end_matches(')'))?,
                then: self::statements(lines, indent + 2)?,
                otherwise: Vec::new(),
            });
        } else if let Some(action) = text.strip_prefix("action ") {
            statements.push(Statement::Return(self::action(
                action.trim_end_matches(';'),
            )?));
        } else {
            bail!("a line that means nothing: {line}");
        }
    }
    Ok(statements)
}

fn condition(text: &str) -> Result<Condition> {
    let words: Vec<_> = text.split(' ').collect();
    let (variable, mask, operator, value) = match words.as_slice() {
        [variable, operator, value] => (variable, u32::MAX, operator, value),
        [variable, "&", mask, operator, value] => {
            let mask = u32::from_str_radix(mask.trim_start_matches("0x"), 16)?;
            (variable, mask, operator, value)
        }
        _ => bail!("a condition that means nothing: {text}"),
    };
    Ok(Condition {
        variable: (*variable).to_owned(),
        mask,
        operator: (*operator).to_owned(),
        value: value.parse()?,
    })
}

/// `SECCOMP_RET_*`.
fn action(text: &str) -> Result<u32> {
    let number = |prefix: &str| -> Option<u32> {
        text.strip_prefix(prefix)?.strip_suffix(')')?.parse().ok()
    };
    Ok(match text {
        "KILL_PROCESS" => 0x8000_0000,
        "KILL" => 0,
        "TRAP" => 0x0003_0000,
        "LOG" => 0x7ffc_0000,
        "ALLOW" => 0x7fff_0000,
        _ => {
            if let Some(number) = number("ERRNO(") {
                0x0005_0000 | number
            } else if let Some(number) = number("TRACE(") {
                0x7ff0_0000 | number
            } else if let Some(number) = text.strip_prefix("0x") {
                u32::from_str_radix(number, 16)?
            } else {
                bail!("an action that means nothing: {text}")
            }
        }
    })
}

/// Runs statements until one returns.
fn decide(statements: &[Statement], data: &Data) -> Result<Option<u32>> {
    for statement in statements {
        let decided = match statement {
            Statement::Return(action) => Some(*action),
            Statement::If {
                condition,
                then,
                otherwise,
            } => {
                let body = if condition.holds(data)? {
                    then
                } else {
                    otherwise
                };
                decide(body, data)?
            }
        };
        if decided.is_some() {
            return Ok(decided);
        }
    }
    Ok(None)
}

impl Condition {
    fn holds(&self, data: &Data) -> Result<bool> {
        let value = self.variable(data)? & self.mask;
        Ok(match self.operator.as_str() {
            "==" => value == self.value,
            ">" => value > self.value,
            ">=" => value >= self.value,
            other => bail!("an operator that means nothing: {other}"),
        })
    }

    fn variable(&self, data: &Data) -> Result<u32> {
        if self.variable == "$syscall" {
            return Ok(data.0);
        }
        let argument = self.variable.strip_prefix("$a").context("no variable")?;
        let (index, shift) = match argument.split_once('.') {
            Some((index, "hi32")) => (index, 32),
            Some((index, "lo32")) => (index, 0),
            // Of a 32-bit ABI there is no other.
            _ => (argument, 0),
        };
        let index: usize = index.parse()?;
        let value = data.1.get(index).context("no such argument")? >> shift;
        Ok(u32::try_from(value & 0xffff_ffff)?)
    }
}
