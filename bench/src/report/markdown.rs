//! The page that people read.

use super::Report;
use crate::marks::Verdict;
use crate::placement::NEAR_NS;
use crate::record::{Run, Series};
use crate::stats;
use std::fmt::Write;

/// The whole page.
pub fn page(report: &Report, stem: &str) -> String {
    let mut out = String::new();
    head(&mut out, report);
    let _ = writeln!(out, "![marks]({stem}.svg)\n");
    marks(&mut out, report);
    figures(&mut out, report);
    out
}

fn head(out: &mut String, report: &Report) {
    let m = report.machine;
    let _ = writeln!(out, "# {}, {}\n", report.title, report.date);
    if report.quick {
        let _ = writeln!(out, "**A smoke run (`--quick`): the figures mean nothing.**\n");
    }
    let hypervisor = if m.hypervisor { "virtual" } else { "bare" };
    let _ = writeln!(out, "| machine | |\n|---|---|");
    let _ = writeln!(out, "| processor | {} x {}, {hypervisor} |", m.cpus, m.cpu);
    let _ = writeln!(out, "| memory | {} GiB |", m.memory_gib);
    let _ = writeln!(out, "| system | Linux {}, {}, {} |", m.kernel, m.libc, m.rustc);
    let _ = writeln!(out, "| priority | {} |", m.priority);
    let _ = writeln!(out, "| load before | {} |", m.load_before);
    let _ = writeln!(out, "| placement | {} |", placement(report));
    let peers: Vec<String> = m.peers.iter().map(|(name, v)| format!("{name} {v}")).collect();
    let _ = writeln!(out, "| versions | {} |", peers.join(", "));
    let _ = writeln!(
        out,
        "| method | medians of {} rounds (A, B, C, A, B, C, ...), each run in processes of its own, parties pinned; \
         compared only between runs of the same vCPU placement (near: a cache-line round trip below {NEAR_NS} ns) |\n",
        report.rounds
    );
}

fn placement(report: &Report) -> String {
    let runs: Vec<&Run> = report.runs.series.iter().flat_map(|s| &s.runs).collect();
    let lines: Vec<f64> = runs.iter().map(|r| r.line_ns).collect();
    let near = runs.iter().filter(|r| r.placement == "near").count();
    format!(
        "cache-line round trip {:.0} ns median, {:.0}-{:.0} ns; {near} of {} runs near",
        stats::median(&lines),
        stats::min(&lines),
        stats::max(&lines),
        runs.len()
    )
}

fn marks(out: &mut String, report: &Report) {
    let count = |v: Verdict| report.marks.iter().filter(|m| m.verdict == v).count();
    let _ = writeln!(
        out,
        "## Marks: {} MET, {} MISSED, {} NOT MEASURED\n",
        count(Verdict::Met),
        count(Verdict::Missed),
        count(Verdict::NotMeasured)
    );
    let _ = writeln!(out, "| work | mark | verdict | measured |\n|---|---|---|---|");
    for mark in report.marks {
        let parts: Vec<String> = mark.checks.iter().map(|c| c.words()).collect();
        let parts = parts.join("<br>");
        let _ = writeln!(out, "| {} | {} | **{}** | {parts} |", mark.work, mark.bar, mark.verdict);
    }
    let _ = writeln!(out);
}

fn figures(out: &mut String, report: &Report) {
    let _ = writeln!(out, "## Figures\n");
    let _ = writeln!(out, "Median (lowest .. highest) over the runs; near and far apart.\n");
    let _ = writeln!(out, "| row | subject | metric | near | far |\n|---|---|---|---|---|");
    for series in &report.runs.series {
        for metric in series.metrics() {
            let _ = writeln!(
                out,
                "| {} | {} | {metric} | {} | {} |",
                series.row,
                series.subject,
                spread(series, metric, "near"),
                spread(series, metric, "far")
            );
        }
        for why in &series.failures {
            let _ = writeln!(out, "| {} | {} | failed | {why} | |", series.row, series.subject);
        }
    }
}

fn spread(series: &Series, metric: &str, placement: &str) -> String {
    let values = series.values(metric, placement);
    match values.len() {
        0 => String::new(),
        1 => number(values[0]),
        n => format!(
            "{} ({} .. {}), {n} runs",
            number(stats::median(&values)),
            number(stats::min(&values)),
            number(stats::max(&values))
        ),
    }
}

/// Three significant digits or so.
pub fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 1000.0 => format!("{value:.0}"),
        v if v >= 100.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
