//! How discovery went on, as pictures: what was known by when, and how each further instance added to it.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::text::{span, thousands};
use tracer_core::recording::{
    Discovery, Recording,
    estimate::{Estimate, Incidence, Unseen, counts},
};

/// The drawing's size, and where its axes cross.
const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 200.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 408.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 168.0;

/// Most corners of a line: more are not seen.
const CORNERS: usize = 400;

/// A picture of something that grows.
struct Curve {
    id: &'static str,
    title: &'static str,
    /// What the picture says, in words.
    says: String,
    /// In order of x; y goes up at each.
    points: Vec<(f64, f64)>,
    /// The right end of the axis, and what is written there.
    last: (f64, String),
    /// What the axis along the bottom counts.
    along: &'static str,
    /// A straight line from point to point, or a step at each.
    steps: bool,
    /// How many there may be in all.
    expected: Option<Unseen>,
}

/// All that can be drawn of a recording.
pub(super) fn curves(recording: &Recording) -> Markup {
    let all = [calls(recording), files(recording), instances(recording)];
    let all: Vec<_> = all.into_iter().flatten().collect();
    html! {
        @if !all.is_empty() {
            div.curves { @for curve in &all { (draw(curve)) } }
        }
    }
}

/// For how long, in nanoseconds, the longest instance was recorded.
fn recorded(recording: &Recording) -> Option<u64> {
    let spans = recording.instances.iter().map(|instance| {
        let began: jiff::Timestamp = instance.began.parse().ok()?;
        let ended: jiff::Timestamp = instance.ended.parse().ok()?;
        u64::try_from(ended.duration_since(began).as_nanos()).ok()
    });
    spans.flatten().max()
}

fn calls(recording: &Recording) -> Option<Curve> {
    let first = recording.syscalls.iter().filter_map(|syscall| {
        let counting = syscall
            .evidence
            .iter()
            .filter(|it| counts(it.phase, it.blocked.is_some()));
        counting
            .filter_map(|it| Some(it.first.as_ref()?.after_ns))
            .min()
    });
    over_time(
        recording,
        "calls",
        "System calls known, by time",
        "calls",
        first,
    )
}

fn files(recording: &Recording) -> Option<Curve> {
    let mut first = BTreeMap::new();
    for file in &recording.files {
        let counting = file.evidence.iter().filter(|it| counts(it.phase, false));
        for after in counting.filter_map(|it| Some(it.first.as_ref()?.after_ns)) {
            let known = first.entry(&file.what.path).or_insert(after);
            *known = after.min(*known);
        }
    }
    over_time(
        recording,
        "paths",
        "Paths known, by time",
        "paths",
        first.into_values(),
    )
}

fn over_time(
    recording: &Recording,
    id: &'static str,
    title: &'static str,
    what: &str,
    first: impl Iterator<Item = u64>,
) -> Option<Curve> {
    let mut times: Vec<_> = first.collect();
    times.sort_unstable();
    let last_new = *times.last()?;
    let end = recorded(recording)?.max(last_new).max(1);
    let half = times.get((times.len() - 1) / 2)?;
    let several = if recording.runs() > 1 {
        " Time is counted from the beginning of each instance's recording."
    } else {
        ""
    };
    Some(Curve {
        id,
        title,
        says: format!(
            "{} {what} in {}: half of them after {}, the last new one after {}.{several}",
            thousands(times.len()),
            span(end),
            span(*half),
            span(last_new)
        ),
        points: times
            .iter()
            .zip(1_u32..)
            .map(|(time, known)| (float(*time), f64::from(known)))
            .collect(),
        last: (float(end), span(end)),
        along: "time since recording began",
        steps: true,
        expected: None,
    })
}

/// The mean number of calls that some of the instances show, for each number of instances (Mao Tau; the "sample-based
/// rarefaction" of Colwell, Mao and Chang, Ecology 85 (2004), 2717-2727).
fn instances(recording: &Recording) -> Option<Curve> {
    let runs = u32::try_from(recording.runs())
        .ok()
        .filter(|runs| *runs > 1)?;
    let incidence = Incidence::from_recording(recording);
    let total = u32::try_from(incidence.calls())
        .ok()
        .filter(|calls| *calls > 0)?;
    let seen_in: Vec<f64> = (1..=runs)
        .map(|many| float(incidence.seen_in(many as usize)))
        .collect();
    let m = f64::from(runs);
    // What share of the samples of n instances misses a call that `many` have, n by n.
    let mut missed = vec![1.0; seen_in.len()];
    let mut points = Vec::new();
    for taken in 0..runs {
        let left = m - f64::from(taken);
        let mut expected = f64::from(total);
        for ((share, many), calls) in missed.iter_mut().zip(1_u32..).zip(&seen_in) {
            *share *= ((left - f64::from(many)) / left).max(0.0);
            expected -= *share * calls;
        }
        points.push((f64::from(taken + 1), expected));
    }
    let expected = match Discovery::from_recording(recording).unseen {
        Estimate::Chao2(unseen) => Some(unseen),
        Estimate::Refused(_) => None,
    };
    let one = points.first().map_or(0.0, |point| point.1);
    let estimate = expected.map_or_else(String::new, |unseen| {
        format!(
            " The dashed line is the estimate of all there are: {}, between {} and {}.",
            u64::from(total) + unseen.calls,
            u64::from(total) + unseen.low,
            u64::from(total) + unseen.high
        )
    });
    Some(Curve {
        id: "instances",
        title: "System calls known, by instances",
        says: format!(
            "One instance shows {one:.0} of the {total} calls on average, all {runs} of them show all.{estimate}"
        ),
        points,
        last: (m, thousands(runs as usize)),
        along: "instances",
        steps: false,
        expected,
    })
}

#[expect(clippy::cast_precision_loss, reason = "drawn on a few hundred points")]
const fn float(number: u64) -> f64 {
    number as f64
}

fn draw(curve: &Curve) -> Markup {
    let known = curve.points.last().map_or(0.0, |point| point.1);
    let most = curve
        .expected
        .map_or(known, |it| known + float(it.high).min(known))
        .max(1.0);
    let from = if curve.steps { 0.0 } else { 1.0 };
    let x = |at: f64| LEFT + (RIGHT - LEFT) * ((at - from) / (curve.last.0 - from)).min(1.0);
    let y = |at: f64| BOTTOM - (BOTTOM - TOP) * (at / most).min(1.0);
    let (line, area) = paths(curve, x, y);
    let middle = format!("{:.0}", (known / 2.0).floor());
    let (title, says) = (
        format!("curve-{}", curve.id),
        format!("curve-{}-says", curve.id),
    );
    html! {
        figure {
            figcaption id=(title) { (curve.title) }
            svg.curve viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-labelledby=(title) aria-describedby=(says) {
                @for (at, label) in [(0.0, "0".to_owned()), ((known / 2.0).floor(), middle), (known, format!("{known:.0}"))] {
                    line.grid x1=(LEFT) x2=(RIGHT) y1=(point(y(at))) y2=(point(y(at))) {}
                    text.tick x=(LEFT - 6.0) y=(point(y(at) + 4.0)) text-anchor="end" { (label) }
                }
                @if let Some(unseen) = curve.expected {
                    @let (low, high) = (known + float(unseen.low), known + float(unseen.high));
                    rect.band x=(LEFT) width=(RIGHT - LEFT) y=(point(y(high))) height=(point((y(low) - y(high)).max(1.0))) {}
                    line.expected x1=(LEFT) x2=(RIGHT) y1=(point(y(known + float(unseen.calls)))) y2=(point(y(known + float(unseen.calls)))) {}
                }
                path.area d=(area) {}
                path.line d=(line) {}
                @if let Some((at, number)) = curve.points.last() {
                    circle.end cx=(point(x(*at))) cy=(point(y(*number))) r="4" {}
                }
                text.tick x=(LEFT) y="184" { (if curve.steps { "0" } else { "1" }) }
                text.tick x=(RIGHT) y="184" text-anchor="end" { (curve.last.1) }
                text.axis x=((LEFT + RIGHT) / 2.0) y="184" text-anchor="middle" { (curve.along) }
            }
            p.says id=(says) { (curve.says) }
        }
    }
}

/// The line, and what is below it.
fn paths(curve: &Curve, x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) -> (String, String) {
    let every = curve.points.len().div_ceil(CORNERS).max(1);
    let last = curve.points.len().saturating_sub(1);
    let kept = curve.points.iter().enumerate();
    let kept: Vec<_> = kept
        .filter(|(at, _)| at % every == 0 || *at == last)
        .map(|(_, corner)| (x(corner.0), y(corner.1)))
        .collect();
    let start = if curve.steps {
        (LEFT, BOTTOM)
    } else {
        kept.first().copied().unwrap_or((LEFT, BOTTOM))
    };
    let mut line = format!("M{} {}", point(start.0), point(start.1));
    for (x, y) in &kept {
        if curve.steps {
            line.push_str(&format!("H{}V{}", point(*x), point(*y)));
        } else {
            line.push_str(&format!("L{} {}", point(*x), point(*y)));
        }
    }
    if curve.steps {
        line.push_str(&format!("H{RIGHT}"));
    }
    let area = format!("{line}V{BOTTOM}H{}Z", point(start.0));
    (line, area)
}

/// A coordinate, to a tenth.
fn point(at: f64) -> String {
    let text = format!("{at:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}
