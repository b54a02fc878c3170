//! What a process used, as Linux counts it: proc(5).

use std::{fs, time::Duration};

use anyhow::Context as _;

/// What /proc counts processor time in: hundredths of a second (`USER_HZ`, time(7)).
const TICK: Duration = Duration::from_millis(10);

/// The processes whose processor time is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watched {
    /// The one that asks the database.
    pub(crate) asking: u32,
    /// PostgreSQL's first process; none where the database is a part of the one that asks.
    pub(crate) postmaster: Option<u32>,
}

/// Processor time, used by each side.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    pub(crate) asking: Duration,
    pub(crate) database: Duration,
}

impl Watched {
    /// What both sides have used until now.
    pub(crate) fn cpu(self) -> anyhow::Result<Cpu> {
        Ok(Cpu {
            asking: Ticks::of(self.asking)?.own,
            database: self.postmaster.map_or(Ok(Duration::ZERO), tree)?,
        })
    }
}

impl Cpu {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            asking: self.asking.saturating_sub(before.asking),
            database: self.database.saturating_sub(before.database),
        }
    }
}

/// What a process, its children, and those of its children that have ended have used.
fn tree(parent: u32) -> anyhow::Result<Duration> {
    let ticks = Ticks::of(parent)?;
    let mut sum = ticks.own + ticks.ended_children;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // One that has ended meanwhile is among its parent's ended children.
        if let Ok(ticks) = Ticks::of(id)
            && ticks.parent == parent
        {
            sum += ticks.own + ticks.ended_children;
        }
    }
    Ok(sum)
}

struct Ticks {
    parent: u32,
    own: Duration,
    ended_children: Duration,
}

impl Ticks {
    fn of(id: u32) -> anyhow::Result<Self> {
        let line = fs::read_to_string(format!("/proc/{id}/stat"))?;
        // The name in brackets may hold anything; fields are counted from the state behind it.
        let (_, rest) = line.rsplit_once(") ").context("no process has this form")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let field = |at: usize| -> anyhow::Result<u32> {
            Ok(fields.get(at).context("a field is missing")?.parse()?)
        };
        Ok(Self {
            parent: field(1)?,
            own: TICK * (field(11)? + field(12)?),
            ended_children: TICK * (field(13)? + field(14)?),
        })
    }
}

/// Begins a new count of the most memory that a process has used.
pub(crate) fn forget_peak_memory(id: u32) -> anyhow::Result<()> {
    Ok(fs::write(format!("/proc/{id}/clear_refs"), "5")?)
}

/// The most memory that a process has used, in bytes.
pub(crate) fn peak_memory(id: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.and_then(|rest| rest.trim().strip_suffix(" kB"));
    let kilobytes: u64 = kilobytes.context("the kernel says no VmHWM")?.parse()?;
    Ok(kilobytes * 1024)
}
