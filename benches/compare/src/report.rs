//! The figures as a table for people, and as a tab-separated file for programs.

use std::{fmt::Write, fs, path::Path, process::Command, thread::available_parallelism};

use tower::BoxError;

use crate::{REFERENCE, measure::LOADS, stats::Estimate};

/// What is known of one case. A floor's figures are its own, all others are what is added to the floor.
#[derive(Clone, Default)]
pub struct Row {
    /// Of the case.
    pub name: String,
    /// Whether it is the case that others are counted from.
    pub is_floor: bool,
    /// Instructions.
    pub ir: Option<f64>,
    /// Nanoseconds.
    pub ns: Option<Estimate>,
    /// Allocations.
    pub allocs: Option<f64>,
    /// Bytes allocated.
    pub bytes: Option<f64>,
    /// Size of the future, in bytes.
    pub future: Option<usize>,
    /// What of it is not the inner service's.
    pub future_added: Option<usize>,
    /// Requests in a second under each load, and the ratio to the reference's.
    pub throughput: Option<[(f64, f64); LOADS.len()]>,
}

/// All cases of one run, and where it ran.
pub struct Report {
    /// The compiler, the processor and the day.
    pub machine: String,
    /// One for each case.
    pub rows: Vec<Row>,
}

impl Report {
    /// Figures of this machine, as of today.
    pub fn new(rows: Vec<Row>) -> Report {
        Report { machine: machine(), rows }
    }

    fn reference(&self) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == REFERENCE)
    }

    /// A case's instructions over the reference's; of a floor, none.
    pub fn ir_ratio(&self, row: &Row) -> Option<f64> {
        if row.is_floor { None } else { Some(row.ir? / self.reference()?.ir?) }
    }

    fn ns_ratio(&self, row: &Row) -> Option<f64> {
        if row.is_floor { None } else { Some(row.ns?.median / self.reference()?.ns?.median) }
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut text = format!("{}\n", self.machine);
        if let Some(loads) = self.reference().and_then(|row| row.throughput) {
            let loads = LOADS.iter().zip(loads).map(|(load, (rate, _))| format!("{load} {:.2} M/s", rate / 1e6));
            _ = writeln!(text, "{REFERENCE}: {}", loads.collect::<Vec<_>>().join(", "));
        }
        _ = writeln!(
            text,
            "\n{:56} {:>6} {:>6}  {:>7} {:>17} {:>6}  {:>6} {:>6}  {:>6} {:>6}  {:>5} {:>5} {:>5} {:>5}",
            "case", "Ir", "x", "ns", "95 %", "x", "allocs", "bytes", "future", "+inner", "1 thr", "2 thr", "8 tsk", "64 t"
        );
        for row in &self.rows {
            let shown = |value: Option<f64>, digits: usize| value.map_or(String::from("-"), |value| format!("{value:.digits$}"));
            let interval = row.ns.map_or(String::from("-"), |ns| format!("{:.1} to {:.1}", ns.low, ns.high));
            let load = |index: usize| shown(row.throughput.map(|loads| loads[index].1), 2);
            _ = writeln!(
                text,
                "{:56} {:>6} {:>6}  {:>7} {:>17} {:>6}  {:>6} {:>6}  {:>6} {:>6}  {:>5} {:>5} {:>5} {:>5}",
                row.name,
                shown(row.ir, 0),
                shown(self.ir_ratio(row), 2),
                shown(row.ns.map(|ns| ns.median), 1),
                interval,
                shown(self.ns_ratio(row), 2),
                shown(row.allocs, 1),
                shown(row.bytes, 0),
                shown(row.future.map(|size| size as f64), 0),
                shown(row.future_added.map(|size| size as f64), 0),
                load(0),
                load(1),
                load(2),
                load(3),
            );
        }
        text + "\nA floor's own figures; of all others what they add to their floor, and x: over what `AddAuthorization` adds.\n"
    }

    /// For programs: a comment with the machine, a line with the names of the columns, a line for each case.
    pub fn tsv(&self) -> String {
        let mut text = format!("# {}\n{}\n", self.machine, COLUMNS.join("\t"));
        for row in &self.rows {
            let shown = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.3}"));
            let (ns, loads) = (row.ns, row.throughput);
            let floor = String::from(if row.is_floor { "floor" } else { "" });
            let size = |size: Option<usize>| size.map_or(String::new(), |size| size.to_string());
            let mut cells = vec![row.name.clone(), floor];
            cells.extend(
                [row.ir, self.ir_ratio(row), ns.map(|ns| ns.median), ns.map(|ns| ns.low), ns.map(|ns| ns.high)].map(shown),
            );
            cells.extend([self.ns_ratio(row), row.allocs, row.bytes].map(shown));
            cells.extend([row.future, row.future_added].map(size));
            cells.extend((0..LOADS.len()).map(|load| shown(loads.map(|loads| loads[load].1))));
            cells.extend((0..LOADS.len()).map(|load| shown(loads.map(|loads| loads[load].0))));
            text += &(cells.join("\t") + "\n");
        }
        text
    }

    /// What `tsv` wrote.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is not of that shape.
    pub fn read(path: &Path) -> Result<Report, BoxError> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut lines = text.lines();
        let machine =
            lines.next().and_then(|line| line.strip_prefix("# ")).ok_or("the first line is not the machine's")?.to_owned();
        if !lines.next().is_some_and(|line| line.split('\t').eq(COLUMNS)) {
            return Err("the columns have other names".into());
        }
        let rows = lines.map(|line| {
            let cells: Vec<_> = line.split('\t').collect();
            let number = |column: usize| cells.get(column).and_then(|cell| cell.parse::<f64>().ok());
            let size = |column: usize| cells.get(column).and_then(|cell| cell.parse::<usize>().ok());
            let ns = number(4).zip(number(5)).zip(number(6)).map(|((median, low), high)| Estimate { median, low, high });
            let loads: Option<Vec<_>> = (0..LOADS.len()).map(|load| number(16 + load).zip(number(12 + load))).collect();
            Row {
                name: cells[0].to_owned(),
                is_floor: cells.get(1) == Some(&"floor"),
                ir: number(2),
                ns,
                allocs: number(8),
                bytes: number(9),
                future: size(10),
                future_added: size(11),
                throughput: loads.and_then(|loads| loads.try_into().ok()),
            }
        });
        Ok(Report { machine, rows: rows.collect() })
    }
}

const COLUMNS: [&str; 20] = [
    "case",
    "kind",
    "added Ir",
    "Ir ratio",
    "added ns",
    "ns low",
    "ns high",
    "ns ratio",
    "allocs",
    "bytes",
    "future",
    "future added",
    "1 thread ratio",
    "2 threads ratio",
    "8 tasks ratio",
    "64 tasks ratio",
    "1 thread /s",
    "2 threads /s",
    "8 tasks /s",
    "64 tasks /s",
];

/// The compiler, the processor and the day.
pub fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let cores = available_parallelism().map_or(0, usize::from);
    let date = Command::new("date").args(["-u", "+%Y-%m-%d"]).output().map(|output| output.stdout).unwrap_or_default();
    format!("{}, {cpu}, {cores} cores, {}", env!("COMPARE_RUSTC"), String::from_utf8_lossy(&date).trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let ns = Estimate { median: 1.5, low: 1.0, high: 2.0 };
        let floor = Row { name: "floor: a".into(), is_floor: true, ir: Some(100.0), ..Row::default() };
        let all = Row {
            name: REFERENCE.into(),
            is_floor: false,
            ir: Some(311.0),
            ns: Some(ns),
            allocs: Some(1.0),
            bytes: Some(256.0),
            future: Some(160),
            future_added: Some(48),
            throughput: Some([(1e6, 1.0); LOADS.len()]),
        };
        let report = Report { machine: "rustc, cpu".into(), rows: vec![floor, all] };
        let path = std::env::temp_dir().join(format!("compare-{}.tsv", std::process::id()));
        fs::write(&path, report.tsv()).unwrap();
        let read = Report::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(read.tsv(), report.tsv());
    }
}
