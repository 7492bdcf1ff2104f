use std::{env, fs, path::PathBuf, process::ExitCode};

use tower::BoxError;

use crate::{
    Make, REFERENCE, gate,
    measure::{allocations, instructions, nanoseconds, throughput, under_callgrind},
    report::{Report, Row},
};

const USAGE: &str = "compare [ir|ns|allocs|throughput|all|gate] [--filter NAME] [--out FILE]";

/// What is measured.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) ir: bool,
    pub(crate) ns: bool,
    pub(crate) allocs: bool,
    pub(crate) throughput: bool,
}

pub(crate) fn run(makes: &[Make]) -> Result<ExitCode, BoxError> {
    let mut words = env::args().skip(1).peekable();
    let command = words.next_if(|word| !word.starts_with("--")).unwrap_or_else(|| String::from("all"));
    if command == "one" {
        let index: usize = words.next().ok_or(USAGE)?.parse()?;
        under_callgrind(makes.get(index).ok_or(USAGE)?());
        return Ok(ExitCode::SUCCESS);
    }
    let (mut filter, mut out) = (None, None::<PathBuf>);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--filter" => filter = Some(words.next().ok_or(USAGE)?),
            "--out" => out = Some(words.next().ok_or(USAGE)?.into()),
            _ => return Err(USAGE.into()),
        }
    }
    let none = Wanted { ir: false, ns: false, allocs: false, throughput: false };
    let wanted = match command.as_str() {
        "ir" => Wanted { ir: true, ..none },
        "ns" => Wanted { ns: true, ..none },
        "allocs" => Wanted { allocs: true, ..none },
        "throughput" => Wanted { throughput: true, ..none },
        "all" => Wanted { ir: true, ns: true, allocs: true, throughput: true },
        "gate" => Wanted { ir: true, allocs: true, ..none },
        _ => return Err(USAGE.into()),
    };
    let gated = command == "gate";
    let chosen =
        |name: &str| filter.as_ref().is_none_or(|filter| name.contains(filter.as_str())) && (!gated || gate::limits(name));
    let report = Report::new(measure(makes, wanted, chosen)?);
    if let Some(path) = out {
        fs::write(&path, report.tsv()).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    if gated {
        return Ok(gate::judge(&report));
    }
    print!("{}", report.table());
    Ok(ExitCode::SUCCESS)
}

/// The cases that are chosen, their floors and the reference.
fn measure(makes: &[Make], wanted: Wanted, chosen: impl Fn(&str) -> bool) -> Result<Vec<Row>, BoxError> {
    let all: Vec<_> = makes.iter().map(|make| make()).collect();
    let (names, floors): (Vec<_>, Vec<_>) = all.iter().map(|case| (case.name(), case.floor())).unzip();
    let index_of =
        |name: &str, of: &[&str]| of.iter().position(|other| *other == name).ok_or_else(|| format!("there is no case `{name}`"));
    let mut indices: Vec<_> = (0..all.len()).filter(|&index| chosen(names[index])).collect();
    indices.push(index_of(REFERENCE, &names)?);
    for index in indices.clone() {
        indices.push(index_of(floors[index], &names)?);
    }
    indices.sort_unstable();
    indices.dedup();

    let names: Vec<_> = indices.iter().map(|&index| names[index]).collect();
    let floors = indices.iter().map(|&index| index_of(floors[index], &names)).collect::<Result<Vec<_>, _>>()?;
    let cases: Vec<_> = all.into_iter().enumerate().filter(|(index, _)| indices.contains(index)).map(|(_, case)| case).collect();
    let fresh = || indices.iter().map(|&index| makes[index]());

    let mut rows: Vec<_> = names.iter().map(|name| Row { name: (*name).to_owned(), ..Row::default() }).collect();
    for (index, case) in cases.iter().enumerate() {
        rows[index].is_floor = floors[index] == index;
        rows[index].future = case.future_size();
        rows[index].future_added =
            case.future_size().zip(cases[floors[index]].future_size()).map(|(all, inner)| all.saturating_sub(inner));
    }
    if wanted.allocs {
        eprintln!("allocations of {} cases", cases.len());
        let counted: Vec<_> = fresh().map(allocations).collect();
        for (index, row) in rows.iter_mut().enumerate() {
            let floor = if row.is_floor { (0.0, 0.0) } else { (counted[floors[index]].count, counted[floors[index]].bytes) };
            row.allocs = Some(counted[index].count - floor.0);
            row.bytes = Some(counted[index].bytes - floor.1);
        }
    }
    if wanted.ir {
        let mut counted = Vec::new();
        for (at, &index) in indices.iter().enumerate() {
            eprintln!("instructions, {} of {}: {}", at + 1, indices.len(), names[at]);
            counted.push(instructions(index)?);
        }
        for (index, row) in rows.iter_mut().enumerate() {
            row.ir = Some(if row.is_floor { counted[index] } else { counted[index] - counted[floors[index]] });
        }
    }
    if wanted.ns {
        eprintln!("nanoseconds of {} cases, interleaved", cases.len());
        let estimates = nanoseconds(fresh().collect(), &floors);
        rows.iter_mut().zip(estimates).for_each(|(row, ns)| row.ns = Some(ns));
    }
    if wanted.throughput {
        let reference = index_of(REFERENCE, &names)?;
        let rates = throughput(&cases, reference, |left| eprintln!("throughput of {} cases, rounds left: {left}", cases.len()));
        rows.iter_mut().zip(rates).for_each(|(row, rates)| row.throughput = Some(rates));
    }
    Ok(rows)
}
