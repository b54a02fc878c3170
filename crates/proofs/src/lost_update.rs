//! Proof 3: many write one record at once. Each success raises its version by one and leaves one
//! audit row, and none writes over another.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::future::join_all;
use rand::RngExt as _;
use serde_json::{Value, json};

use crate::{
    arena::{Arena, must},
    client::{Client, Mutation, Outcome, Sent, Token},
    findings::{Findings, Proved, chain, refusals, uuid_of, versions},
    look::Look,
    storm::{Course, Passed, Plan},
};

/// How many write at once.
const WRITERS: usize = 64;

/// An audit row of an update: the versions before and after, and the name after.
type Step = (i64, i64, String);

/// Runs the proof.
pub(crate) async fn prove(
    arena: &Arc<Arena>,
    part: &str,
    plan: Plan,
) -> anyhow::Result<(Proved, Passed)> {
    let admin = arena.log_in().await?;
    let mut maker = Client::new(arena, part, WRITERS);
    let tag = json!({ "name": "At the start", "slug": part });
    let tag = Mutation::new("createTag", "tag { id version }", tag);
    let tag = must(&mut maker, &admin, tag).await?["id"].clone();

    let course = plan.begin(arena, part);
    let writers = (0..WRITERS).map(|number| {
        let writer = Client::new(arena, part, number);
        write(writer, &admin, &tag, &course)
    });
    let sent = join_all(writers).await.concat();
    let passed = course.end(&admin).await?;

    let mut look = arena.look().await?;
    let mut findings = refusals(&sent, &["VersionConflict"]);
    findings.add(versions(&mut look, &["tags"]).await?);
    let (version, name, steps) = read(&mut look, &uuid_of(&tag)?).await?;
    findings.add(check(&sent, version, &name, &steps, plan.faults));
    Ok((Proved { sent, findings }, passed))
}

/// Changes the record again and again, each time from the version that was seen last.
async fn write(mut writer: Client, admin: &Token, tag: &Value, course: &Course) -> Vec<Sent> {
    let mut sent = Vec::new();
    let mut seen = json!(0);
    for nth in 0.. {
        let pause = Duration::from_millis(writer.choices.random_range(0..40));
        tokio::time::sleep(pause).await;
        if course.is_over() {
            break;
        }
        let input = json!({
            "id": tag,
            "expectedVersion": seen,
            "name": format!("By {} for the {nth}. time", writer.number),
        });
        let update = Mutation::new("updateTag", "tag { id version name }", input);
        let update = writer.send(admin, update).await;
        match &update.outcome {
            Outcome::Done(tag) => seen = tag["version"].clone(),
            Outcome::Refused { error, .. } if error["currentVersion"].is_number() => {
                seen = error["currentVersion"].clone();
            }
            _ => {}
        }
        sent.push(update);
    }
    sent
}

/// The record's version, its name, and its audit rows but the first.
async fn read(look: &mut Look, id: &str) -> anyhow::Result<(i64, String, Vec<Step>)> {
    let tag = "SELECT {id:id}, {text:lock_version}, {text:name} FROM tags";
    let mut found = (-1, String::new(), Vec::new());
    for row in look.rows(tag).await? {
        if let [Some(this), Some(version), Some(name)] = row.as_slice()
            && this == id
        {
            found.0 = version.parse()?;
            found.1.clone_from(name);
        }
    }
    let audit = "SELECT {id:record_id}, {text:from_version}, {text:to_version}, {text:changes} \
                 FROM audit_log WHERE from_version IS NOT NULL";
    for row in look.rows(audit).await? {
        if let [Some(this), Some(from), Some(to), Some(changes)] = row.as_slice()
            && this == id
        {
            let changes: Value = serde_json::from_str(changes)?;
            let name = changes["name"][1].as_str().unwrap_or_default();
            found.2.push((from.parse()?, to.parse()?, name.to_owned()));
        }
    }
    Ok(found)
}

/// Holds what was acknowledged against the record and its audit rows.
///
/// Who sends again, the client or after faults the server itself, is answered with the record as
/// it is then.
fn check(sent: &[Sent], version: i64, name: &str, steps: &[Step], faults: bool) -> Findings {
    let mut findings = Findings::default();
    let mut written: HashMap<&str, Vec<i64>> = HashMap::new();
    for (_, to, name) in steps {
        written.entry(name).or_default().push(*to);
    }
    for one in sent {
        let name = one.input["name"].as_str().unwrap_or_default();
        let at = written.remove(name).unwrap_or_default();
        match (&one.outcome, at.as_slice()) {
            (Outcome::Done(_), []) => findings.loss(format!("{} is not there", one.named())),
            (Outcome::Done(tag), [at]) => {
                let again = faults || one.attempts > 1;
                let fits = match tag["version"].as_i64() {
                    Some(told) => told == *at || (again && told > *at),
                    None => false,
                };
                if !fits {
                    let named = one.named();
                    findings.wrong(format!("{named}: answered {tag}, and is version {at}"));
                }
            }
            (_, [_, _, ..]) => findings.duplicate(format!("{} is there {at:?}", one.named())),
            (Outcome::Refused { .. }, [at]) if !one.may_have_happened() => {
                findings.wrong(format!("{} was refused, and is version {at}", one.named()));
            }
            _ => {}
        }
    }
    for (name, at) in written {
        findings.duplicate(format!("{name:?} is there at {at:?}, and nobody sent it"));
    }
    let mut pairs: Vec<(i64, i64)> = steps.iter().map(|(from, to, _)| (*from, *to)).collect();
    pairs.push((-1, 0));
    if let Some(what) = chain(version, &mut pairs) {
        findings.wrong(what);
    }
    let last = steps.iter().max_by_key(|(_, to, _)| *to);
    if let Some((_, _, last)) = last
        && last != name
    {
        findings.loss(format!(
            "the last change wrote {last:?}, and the record has {name:?}"
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::samples::{done, refused, sent};

    fn update(name: &str) -> Sent {
        sent("updateTag", json!({ "name": name }))
    }

    fn steps(names: &[&str]) -> Vec<Step> {
        (0..)
            .zip(names)
            .map(|(from, name)| (from, from + 1, (*name).to_owned()))
            .collect()
    }

    #[test]
    fn each_success_is_one_version() {
        let all = [
            done(update("a"), json!({ "version": 1 })),
            refused(update("b"), "VersionConflict"),
            done(update("c"), json!({ "version": 2 })),
        ];
        let findings = |steps: &[Step], version, name| check(&all, version, name, steps, false);
        assert!(findings(&steps(&["a", "c"]), 2, "c").is_empty());
        // One was written over.
        assert_eq!(findings(&steps(&["c"]), 1, "c").losses.len(), 1);
        assert_eq!(findings(&steps(&["a", "c"]), 2, "a").losses.len(), 1);
        // One was carried out twice.
        let twice = findings(&steps(&["a", "c", "c"]), 3, "c");
        assert_eq!(twice.duplicates.len(), 1);
        // A change has no version of its own.
        assert_eq!(findings(&steps(&["a", "c"]), 1, "c").wrong.len(), 1);
        // One was refused, and is there.
        assert_eq!(findings(&steps(&["a", "b", "c"]), 3, "c").wrong.len(), 2);
        // Nobody sent it.
        let foreign = findings(&steps(&["a", "c", "x"]), 3, "x");
        assert_eq!(foreign.duplicates.len(), 1);
    }

    #[test]
    fn one_that_was_sent_again_may_have_happened_though_it_was_refused() {
        let mut late = refused(update("a"), "VersionConflict");
        late.unsure = true;
        assert!(check(&[late], 1, "a", &steps(&["a"]), true).is_empty());
    }
}
