//! What the checks find, and the checks that every proof makes.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde_json::Value;
use type_safe_id::{DynamicType, TypeSafeId};

use crate::{client::Sent, look::Look};

/// What is wrong with a database after a proof. Each is a sentence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// What was acknowledged and is not there.
    pub(crate) losses: Vec<String>,
    /// What is there more often than it was acknowledged.
    pub(crate) duplicates: Vec<String>,
    /// Whatever else must not be.
    pub(crate) wrong: Vec<String>,
}

impl Findings {
    pub(crate) fn loss(&mut self, what: impl Into<String>) {
        self.losses.push(what.into());
    }

    pub(crate) fn duplicate(&mut self, what: impl Into<String>) {
        self.duplicates.push(what.into());
    }

    pub(crate) fn wrong(&mut self, what: impl Into<String>) {
        self.wrong.push(what.into());
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.losses.extend(other.losses);
        self.duplicates.extend(other.duplicates);
        self.wrong.extend(other.wrong);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.losses.is_empty() && self.duplicates.is_empty() && self.wrong.is_empty()
    }
}

/// What a proof came to, before its database is looked at by all.
#[derive(Debug, Default)]
pub(crate) struct Proved {
    /// Every operation that was sent.
    pub(crate) sent: Vec<Sent>,
    pub(crate) findings: Findings,
}

/// Finds refusals of kinds that are not expected, and operations without a definite answer.
pub(crate) fn refusals(sent: &[Sent], expected: &[&str]) -> Findings {
    let mut findings = Findings::default();
    for one in sent {
        match &one.outcome {
            crate::client::Outcome::Refused { kind, error }
                if !expected.contains(&kind.as_str()) =>
            {
                findings.wrong(format!("{} was refused: {error}", one.named()));
            }
            crate::client::Outcome::Unclear(why) => {
                findings.wrong(format!("{} got no definite answer: {why}", one.named()));
            }
            _ => {}
        }
    }
    findings
}

/// The UUID of an id as clients see it, in 32 hexadecimal digits.
pub(crate) fn uuid_of(id: &Value) -> anyhow::Result<String> {
    let text = id.as_str().context("there is no id")?;
    let id: TypeSafeId<DynamicType> = text.parse().with_context(|| format!("no id: {text}"))?;
    Ok(id.uuid().simple().to_string())
}

/// The id as clients see it, of a UUID in hexadecimal digits.
pub(crate) fn encode(prefix: &str, uuid: &str) -> anyhow::Result<String> {
    let kind = DynamicType::new(prefix)?;
    Ok(TypeSafeId::from_type_and_uuid(kind, uuid.parse()?).to_string())
}

/// Finds records whose version is not what their audit rows say: one for each version, each from
/// the one before.
pub(crate) async fn versions(look: &mut Look, tables: &[&str]) -> anyhow::Result<Findings> {
    let mut findings = Findings::default();
    for table in tables {
        let mut records: BTreeMap<String, (i64, Vec<(i64, i64)>)> = BTreeMap::new();
        for row in look
            .rows(&format!(
                "SELECT {{id:id}}, {{text:lock_version}} FROM {table}"
            ))
            .await?
        {
            let [Some(id), Some(version)] = row.as_slice() else {
                continue;
            };
            records.insert(id.clone(), (version.parse()?, Vec::new()));
        }
        let audit = "SELECT {id:record_id}, {text:COALESCE(from_version, -1)}, \
                     {text:COALESCE(to_version, -1)} FROM audit_log";
        for row in look.rows(audit).await? {
            let [Some(id), Some(from), Some(to)] = row.as_slice() else {
                continue;
            };
            if let Some((_, steps)) = records.get_mut(id) {
                steps.push((from.parse()?, to.parse()?));
            }
        }
        for (id, (version, mut steps)) in records {
            if let Some(what) = chain(version, &mut steps) {
                findings.wrong(format!("{table} {id}: {what}"));
            }
        }
    }
    Ok(findings)
}

/// What is wrong with the audit rows of a record at this version, as pairs of versions.
pub(crate) fn chain(version: i64, steps: &mut [(i64, i64)]) -> Option<String> {
    steps.sort_unstable();
    let expected = (0..=version).map(|to| (to - 1, to));
    (!steps.iter().copied().eq(expected)).then(|| {
        let shown: Vec<_> = steps.iter().rev().take(8).collect();
        format!(
            "it is at version {version}, and has {} audit rows, the last ones {shown:?}",
            steps.len()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_without_its_audit_row_is_found() {
        assert_eq!(chain(2, &mut [(-1, 0), (1, 2), (0, 1)]), None);
        assert!(chain(0, &mut []).is_some());
        assert!(chain(2, &mut [(-1, 0), (0, 1)]).is_some());
        assert!(chain(1, &mut [(-1, 0), (0, 1), (1, 2)]).is_some());
        assert!(chain(2, &mut [(-1, 0), (0, 1), (0, 1)]).is_some());
    }
}
