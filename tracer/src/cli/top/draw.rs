//! Draws the state.

use std::time::{Duration, Instant};

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Borders, Cell, Paragraph, Row as TableRow, Table},
};

use super::state::{News, Row, State};
use crate::cli::progress_line::short;
use tracer_core::{
    audit::Severity,
    recording::plain_text::{counted, plain},
};
use tracer_report::words;

/// Messages have so many lines at most.
const MESSAGE_LINES: u16 = 5;

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State) {
    let area = frame.area();
    let workloads = u16::try_from(state.rows.len()).unwrap_or(u16::MAX).max(1);
    let messages = u16::try_from(state.messages.len())
        .unwrap_or(u16::MAX)
        .min(MESSAGE_LINES);
    let [head, table, news, said, foot] = Layout::vertical([
        Constraint::Length(2),
        // A title and a heading; half of the screen at most.
        Constraint::Length(workloads.saturating_add(2).min(area.height / 2)),
        Constraint::Min(3),
        Constraint::Length(if messages > 0 { messages + 1 } else { 0 }),
        Constraint::Length(1),
    ])
    .areas(area);
    let now = Instant::now();
    draw_head(frame, head, state, now);
    draw_workloads(frame, table, state, now);
    draw_news(frame, news, state);
    if messages > 0 {
        draw_messages(frame, said, state);
    }
    frame.render_widget(Paragraph::new(keys(state)).style(dim()), foot);
}

fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// Colours only where they are not refused (no-color.org).
fn style_of(severity: Severity) -> Style {
    let is_refused = std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty());
    match severity {
        Severity::Critical | Severity::High if is_refused => bold(),
        Severity::Critical | Severity::High => bold().fg(Color::Red),
        Severity::Medium if !is_refused => Style::new().fg(Color::Yellow),
        _ => Style::new(),
    }
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, state: &State, now: Instant) {
    let what = match (&*state.what, state.is_of_agent) {
        ("", true) => "what the agent has recorded",
        ("", false) => "waiting",
        (what, _) => what,
    };
    let verb = match (state.is_ending, state.is_of_agent) {
        (true, false) => "saving",
        (_, true) => "showing",
        (false, false) => "recording",
    };
    let first = Line::from(vec![
        Span::styled("tracer top", bold()),
        Span::raw(format!(
            "  {verb} {what} for {}",
            clock(now.duration_since(state.began))
        )),
    ]);
    let last = match state.last_new {
        Some(last) => format!("last new {} ago", short(now.duration_since(last))),
        None => "nothing new yet".to_owned(),
    };
    let mut parts = vec![counted(state.rows.len(), "workload", "workloads"), last];
    if !state.is_of_agent {
        parts.push(format!(
            "{} new in the last minute",
            counted(
                state.progress.new_in_last_minute,
                "system call",
                "system calls"
            )
        ));
    }
    let lost = words::losses(&state.progress.losses);
    let losses = match (state.is_of_agent, state.progress.losses.is_none()) {
        (true, _) => Vec::new(),
        (false, true) => vec![Span::raw(format!("  ·  {lost}"))],
        (false, false) => vec![
            Span::raw("  ·  "),
            Span::styled(lost, style_of(Severity::High)),
        ],
    };
    let mut second = vec![Span::raw(parts.join("  ·  "))];
    second.extend(losses);
    frame.render_widget(Paragraph::new(vec![first, Line::from(second)]), area);
}

/// `0:12:33`.
fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    format!(
        "{}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

fn draw_workloads(frame: &mut Frame<'_>, area: Rect, state: &State, now: Instant) {
    let ordered = state.ordered();
    // The selected one stays in sight.
    let room = usize::from(area.height.saturating_sub(2)).max(1);
    let selected = state.shows.workload.as_ref();
    let place = selected.and_then(|it| ordered.iter().position(|(name, _)| *name == it));
    let first = place.map_or(0, |place| place.saturating_sub(room - 1));
    let hidden = ordered.len().saturating_sub(room);
    let rows = ordered
        .iter()
        .skip(first)
        .take(room)
        .map(|(name, row)| workload(name, row, selected == Some(name), now));
    let title = match hidden {
        0 => format!("Workloads, by {}", state.shows.order.as_str()),
        hidden => format!(
            "Workloads, by {} ({hidden} more)",
            state.shows.order.as_str()
        ),
    };
    let table = Table::new(
        rows,
        [
            Constraint::Fill(1),
            Constraint::Length(9),
            Constraint::Length(8),
            Constraint::Length(8),
            Constraint::Length(5),
            Constraint::Length(6),
            Constraint::Length(8),
            Constraint::Fill(1),
        ],
    )
    .header(
        TableRow::new([
            "WORKLOAD",
            "INSTANCES",
            "SYSCALLS",
            "ACCESSES",
            "HIGH",
            "MEDIUM",
            "LAST NEW",
            "LOST",
        ])
        .style(dim()),
    )
    .block(Block::new().borders(Borders::TOP).title(title));
    frame.render_widget(table, area);
}

fn workload(name: &str, row: &Row, is_selected: bool, now: Instant) -> TableRow<'static> {
    let number = |count: usize| Cell::from(count.to_string());
    let risky = |count: usize, severity| match count {
        0 => Cell::from("0"),
        count => Cell::from(count.to_string()).style(style_of(severity)),
    };
    let last = row
        .last_new
        .map_or_else(|| "-".to_owned(), |last| short(now.duration_since(last)));
    let lost = match row.losses.is_none() {
        true => Cell::from("nothing"),
        false => Cell::from(words::losses(&row.losses)).style(style_of(Severity::High)),
    };
    let cells = TableRow::new([
        Cell::from(plain(name)),
        number(row.instances),
        number(row.calls),
        number(row.accesses),
        risky(row.high.len(), Severity::High),
        risky(row.medium.len(), Severity::Medium),
        Cell::from(last),
        lost,
    ]);
    match is_selected {
        true => cells.style(Style::new().add_modifier(Modifier::REVERSED)),
        false => cells,
    }
}

fn draw_news(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let kind = match state.shows.risky {
        true => "New and risky",
        false => "New",
    };
    let of = match &state.shows.workload {
        Some(name) => format!(" of {}", plain(name)),
        None => String::new(),
    };
    let skipped = match state.shows.skipped {
        0 => String::new(),
        skipped => format!(" (below the {skipped} newest)"),
    };
    let room = usize::from(area.height.saturating_sub(1));
    let lines: Vec<_> = state
        .wanted_news()
        .take(room)
        .map(|news| news_line(news, state))
        .collect();
    let paragraph = if lines.is_empty() {
        Paragraph::new(Line::from("nothing yet")).style(dim())
    } else {
        Paragraph::new(lines)
    };
    let title = format!("{kind}{of}, newest first{skipped}");
    frame.render_widget(
        paragraph.block(Block::new().borders(Borders::TOP).title(title)),
        area,
    );
}

fn news_line(news: &News, state: &State) -> Line<'static> {
    let at = clock(news.at.duration_since(state.began));
    let workload = match &state.shows.workload {
        Some(_) => String::new(),
        None => format!("{}  ", plain(&news.workload)),
    };
    Line::from(vec![
        Span::styled(format!("{at}  "), dim()),
        Span::raw(workload),
        Span::styled(news.text.clone(), style_of(news.severity)),
    ])
}

fn draw_messages(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let room = usize::from(area.height.saturating_sub(1));
    let skipped = state.messages.len().saturating_sub(room);
    let lines: Vec<_> = state
        .messages
        .iter()
        .skip(skipped)
        .map(|it| Line::from(it.clone()))
        .collect();
    let block = Block::new().borders(Borders::TOP).title("Messages");
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// The keys, in the last line.
fn keys(state: &State) -> String {
    if state.is_ending && !state.is_of_agent {
        return "saving what was recorded…".to_owned();
    }
    let quit = match state.is_of_agent {
        true => "q quit",
        false => "q save and quit",
    };
    let risky = match state.shows.risky {
        true => "r show all",
        false => "r risky only",
    };
    format!("{quit}  ↑↓ workload  Esc all workloads  {risky}  s sort  PgUp PgDn scroll")
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};

    use super::*;
    use crate::cli::top::{keys::Key, state::Shared};

    fn news(workload: &str, severity: Severity, text: &str) -> News {
        News {
            at: Instant::now(),
            workload: workload.to_owned(),
            severity,
            text: text.to_owned(),
        }
    }

    fn row(high: &[&str], losses: u64) -> Row {
        let mut row = Row {
            instances: 3,
            calls: 84,
            accesses: 120,
            high: high.iter().map(|it| (*it).to_owned()).collect(),
            ..Row::default()
        };
        row.losses.calls = losses;
        row
    }

    fn two_workloads() -> Shared {
        let state = Shared::default();
        {
            let mut state = state.lock();
            "all containers".clone_into(&mut state.what);
            state.rows.insert("cart".to_owned(), row(&[], 0));
            state.rows.insert("web".to_owned(), row(&["mount"], 2));
            let events = [
                news("cart", Severity::Low, "read (x86_64) [low] /bin/cart"),
                news(
                    "web",
                    Severity::High,
                    "mount (x86_64) [high: takes over] /bin/web",
                ),
            ];
            state.news.extend(events);
            state.say("tracer: waiting for a moment".to_owned());
        }
        state
    }

    fn screen(state: &State, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, state)).unwrap();
        let buffer = terminal.backend().buffer();
        let lines = buffer.content().chunks(usize::from(width));
        lines
            .map(|cells| {
                let line: String = cells.iter().map(|cell| cell.symbol()).collect();
                line.trim_end().to_owned()
            })
            .collect()
    }

    #[test]
    fn shows_workloads_news_losses_messages_and_keys() {
        let state = two_workloads();
        let lines = screen(&state.lock(), 120, 20);
        let text = lines.join("\n");
        assert!(
            lines[0].starts_with("tracer top  recording all containers for 0:00:0"),
            "{text}"
        );
        assert!(
            lines[1].starts_with("2 workloads  ·  nothing new yet"),
            "{text}"
        );
        // The riskiest first.
        let place = |what: &str| lines.iter().position(|it| it.contains(what)).unwrap();
        let (web, cart) = (
            lines.iter().position(|it| it.starts_with("web ")).unwrap(),
            lines.iter().position(|it| it.starts_with("cart ")).unwrap(),
        );
        assert!(web < cart, "{text}");
        assert!(lines[web].contains("2 calls lost"), "{text}");
        assert!(lines[cart].ends_with("nothing"), "{text}");
        assert!(
            place("mount (x86_64) [high: takes over]") < place("read (x86_64)"),
            "{text}"
        );
        assert!(text.contains("tracer: waiting for a moment"), "{text}");
        assert!(lines[19].starts_with("q save and quit"), "{text}");
    }

    #[test]
    fn keys_select_filter_and_sort() {
        let state = two_workloads();
        let mut state = state.lock();
        assert!(!state.press(Key::Down));
        let text = screen(&state, 120, 20).join("\n");
        assert!(text.contains("New of web"), "{text}");
        assert!(!text.contains("read (x86_64)"), "{text}");
        state.press(Key::All);
        state.press(Key::Risky);
        let text = screen(&state, 120, 20).join("\n");
        assert!(text.contains("New and risky, newest first"), "{text}");
        assert!(!text.contains("read (x86_64)"), "{text}");
        state.press(Key::Sort);
        let text = screen(&state, 120, 20).join("\n");
        assert!(text.contains("Workloads, by name"), "{text}");
        assert!(state.press(Key::Quit));
        assert!(screen(&state, 120, 20)[0].contains("saving"), "{text}");
    }

    #[test]
    fn draws_at_every_size() {
        let state = two_workloads();
        let mut state = state.lock();
        for number in 0..100 {
            state.rows.insert(format!("workload-{number}"), row(&[], 0));
            let text = format!("open{number} [low]");
            state.news.push_back(news("web", Severity::Low, &text));
        }
        state.press(Key::Up);
        for (width, height) in [(1, 1), (10, 3), (40, 8), (80, 24), (300, 100)] {
            screen(&state, width, height);
        }
        let lines = screen(&state, 80, 24);
        assert!(lines[23].starts_with("q save and quit"), "{lines:?}");
        // The last one is selected, and in sight.
        assert!(lines.iter().any(|it| it.contains("more)")), "{lines:?}");
        let selected = state.shows.workload.clone().unwrap();
        assert!(
            lines.iter().any(|it| it.starts_with(&selected)),
            "{lines:?}"
        );
    }
}
