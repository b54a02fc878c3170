//! Proof 5: many make a record with the same e-mail address or slug at once. One wins; again
//! when it is deleted, over and over, and also against those who restore an earlier one.

use std::{collections::HashMap, sync::Arc};

use futures::future::join_all;
use rand::RngExt as _;
use serde_json::{Value, json};

use crate::{
    arena::Arena,
    client::{Client, Mutation, Outcome, Sent, Token},
    findings::{Findings, Proved, encode, refusals, uuid_of, versions},
    look::Look,
    storm::{Passed, Plan},
};

/// How many try at once.
const CREATORS: usize = 32;

/// What is unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Email,
    Slug,
}

use Kind::{Email, Slug};

impl Kind {
    fn value(self, part: &str) -> String {
        match self {
            Email => format!("{part}@proofs.invalid"),
            Slug => format!("one-{part}"),
        }
    }

    /// Makes one. In any case it is the same.
    fn create(self, value: &str, loud: bool, name: &str) -> Mutation {
        let value = if loud {
            value.to_uppercase()
        } else {
            value.to_owned()
        };
        match self {
            Email => {
                let input = json!({ "email": value, "name": name });
                Mutation::new("createUser", "user { id version }", input)
            }
            Slug => {
                // A slug is given as it is kept.
                let input = json!({ "slug": value.to_lowercase(), "name": name });
                Mutation::new("createTag", "tag { id version }", input)
            }
        }
    }

    fn delete(self, holder: &Holder) -> Mutation {
        let input = json!({ "id": holder.id, "expectedVersion": holder.version });
        match self {
            Email => Mutation::new("deleteUser", "user { id version }", input),
            Slug => Mutation::new("deleteTag", "tag { id version }", input),
        }
    }

    fn restore(self, holder: &Holder) -> Mutation {
        let input = json!({ "id": holder.id, "expectedVersion": holder.version });
        match self {
            Email => Mutation::new("restoreUser", "user { id version }", input),
            Slug => Mutation::new("restoreTag", "tag { id version }", input),
        }
    }
}

/// A record with the value, as it was seen last.
#[derive(Clone, Debug)]
struct Holder {
    id: Value,
    version: Value,
}

impl Holder {
    fn of(sent: &Sent) -> Option<Self> {
        // One that was answered again is not shown when it is deleted meanwhile.
        let record = sent.done().filter(|record| record["id"].is_string())?;
        Some(Self {
            id: record["id"].clone(),
            version: record["version"].clone(),
        })
    }
}

/// A record with the value, in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    id: String,
    live: bool,
}

/// Runs the proof.
pub(crate) async fn prove(
    arena: &Arc<Arena>,
    part: &str,
    plan: Plan,
) -> anyhow::Result<(Proved, Passed)> {
    let admin = arena.log_in().await?;
    let mut clients: Vec<Client> = (0..CREATORS)
        .map(|number| Client::new(arena, part, number))
        .collect();
    let course = plan.begin(arena, part);
    let mut proved = Proved::default();
    let mut deleted: HashMap<&str, Vec<Holder>> = HashMap::new();
    for round in 0.. {
        if course.is_over() {
            break;
        }
        let (kind, word) = if round % 2 == 0 {
            (Email, "email")
        } else {
            (Slug, "slug")
        };
        let value = kind.value(part);
        let gone = deleted.entry(word).or_default();
        // All make one.
        let creators = clients.iter_mut().map(|client| {
            let loud = client.choices.random_bool(0.5);
            let name = format!("{word} of {}, round {round}", client.number);
            client.send(&admin, kind.create(&value, loud, &name))
        });
        let first = join_all(creators).await;
        let winner = winner(&first, true, &mut proved.findings);
        proved.sent.extend(first);
        // Four delete it, while all others make one.
        let holder = match winner {
            Some(holder) => Some(holder),
            None => live_one(arena, kind, &value).await?,
        };
        let racers = clients.iter_mut().map(|client| {
            let loud = client.choices.random_bool(0.5);
            let name = format!("{word} of {}, round {round}, again", client.number);
            let what = match &holder {
                Some(holder) if client.number % 8 == 0 => kind.delete(holder),
                _ => kind.create(&value, loud, &name),
            };
            client.send(&admin, what)
        });
        let (ends, begins): (Vec<Sent>, Vec<Sent>) = join_all(racers)
            .await
            .into_iter()
            .partition(|one| one.field.starts_with("delete"));
        once(&ends, &mut proved.findings);
        self::winner(&begins, false, &mut proved.findings);
        gone.extend(ends.iter().find_map(Holder::of));
        proved.sent.extend(ends);
        proved.sent.extend(begins);
        clear(arena, &mut clients, &admin, kind, &value, gone, &mut proved).await?;
        // Some restore an earlier one each, while the others make one.
        let racers = clients.iter_mut().map(|client| {
            let draw: usize = client.choices.random_range(0..CREATORS);
            let name = format!("{word} of {}, round {round}, at last", client.number);
            let earlier = (client.number < 8)
                .then(|| gone.get(client.number))
                .flatten();
            let what = match earlier {
                Some(earlier) if draw < CREATORS / 2 => kind.restore(earlier),
                _ => kind.create(&value, false, &name),
            };
            client.send(&admin, what)
        });
        let last = join_all(racers).await;
        self::winner(&last, true, &mut proved.findings);
        gone.retain(|holder| {
            let restored = |one: &Sent| {
                one.field.starts_with("restore")
                    && one.input["id"] == holder.id
                    && (one.done().is_some() || one.may_have_happened())
            };
            !last.iter().any(restored)
        });
        proved.sent.extend(last);
        clear(arena, &mut clients, &admin, kind, &value, gone, &mut proved).await?;
        // The newest ones are enough to restore.
        if gone.len() > 16 {
            gone.drain(..8);
        }
    }
    let passed = course.end(&admin).await?;

    let mut look = arena.look().await?;
    let expected = [
        "AlreadyExists",
        "VersionConflict",
        "NotFound",
        "ValidationFailed",
    ];
    proved.findings.add(refusals(&proved.sent, &expected));
    proved
        .findings
        .add(versions(&mut look, &["users", "tags"]).await?);
    for kind in [Email, Slug] {
        let rows = rows(&mut look, kind, &kind.value(part)).await?;
        let field = if kind == Email {
            "createUser"
        } else {
            "createTag"
        };
        let creations: Vec<&Sent> = proved
            .sent
            .iter()
            .filter(|one| one.field == field)
            .collect();
        proved.findings.add(check(&creations, &rows)?);
    }
    Ok((proved, passed))
}

/// The one that got the value; there must be one if `sure`, unless it may have got it without
/// being told.
fn winner(sent: &[Sent], sure: bool, findings: &mut Findings) -> Option<Holder> {
    let mut winners = sent.iter().filter(|one| one.done().is_some());
    let first = winners.next();
    for other in winners {
        let both = (first.map(Sent::named), other.named());
        findings.duplicate(format!("two have the same value: {both:?}"));
    }
    if first.is_none() && sure && !sent.iter().any(Sent::may_have_happened) {
        findings.wrong(format!(
            "nobody got a value that nobody had: {} tried",
            sent.len()
        ));
    }
    first.and_then(Holder::of)
}

/// One record is deleted once from one version.
fn once(deletions: &[Sent], findings: &mut Findings) {
    let mut done = deletions.iter().filter(|one| one.done().is_some());
    if let (Some(one), Some(other)) = (done.next(), done.next()) {
        let both = (one.named(), other.named());
        findings.duplicate(format!("one was deleted twice from one version: {both:?}"));
    }
}

/// Deletes whoever has the value, so that nobody has.
async fn clear(
    arena: &Arc<Arena>,
    clients: &mut [Client],
    admin: &Token,
    kind: Kind,
    value: &str,
    gone: &mut Vec<Holder>,
    proved: &mut Proved,
) -> anyhow::Result<()> {
    let Some(client) = clients.first_mut() else {
        return Ok(());
    };
    while let Some(holder) = live_one(arena, kind, value).await? {
        let deleted = client.send(admin, kind.delete(&holder)).await;
        gone.extend(Holder::of(&deleted));
        let unclear = matches!(deleted.outcome, Outcome::Unclear(_));
        proved.sent.push(deleted);
        if unclear {
            break;
        }
    }
    Ok(())
}

/// Who has the value, if anybody has.
async fn live_one(arena: &Arc<Arena>, kind: Kind, value: &str) -> anyhow::Result<Option<Holder>> {
    // The database may be away for a while.
    let mut tries = 0;
    let rows = loop {
        let asked = async {
            let mut look = arena.look().await?;
            rows(&mut look, kind, value).await
        };
        match asked.await {
            Ok(rows) => break rows,
            Err(error) if tries > 600 => return Err(error),
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
        }
        tries += 1;
    };
    let live = rows.into_iter().find(|(row, _)| row.live);
    live.map(|(row, version)| {
        Ok(Holder {
            id: json!(public_id(kind, &row.id)?),
            version: json!(version),
        })
    })
    .transpose()
}

fn public_id(kind: Kind, id: &str) -> anyhow::Result<String> {
    let prefix = match kind {
        Email => "user",
        Slug => "tag",
    };
    encode(prefix, id)
}

/// The records with the value, live or not, each with its version.
async fn rows(look: &mut Look, kind: Kind, value: &str) -> anyhow::Result<Vec<(Row, i64)>> {
    let (table, column) = match kind {
        Email => ("users", "email_key"),
        Slug => ("tags", "slug"),
    };
    let query = format!(
        "SELECT {{id:id}}, {{text:CASE WHEN deleted_at IS NULL THEN 1 ELSE 0 END}}, \
         {{text:lock_version}} FROM {table} WHERE {column} = '{value}'"
    );
    let mut found = Vec::new();
    for row in look.rows(&query).await? {
        if let [Some(id), Some(live), Some(version)] = row.as_slice() {
            let row = Row {
                id: id.clone(),
                live: live == "1",
            };
            found.push((row, version.parse()?));
        }
    }
    Ok(found)
}

/// Holds what was made against the rows.
fn check(creations: &[&Sent], rows: &[(Row, i64)]) -> anyhow::Result<Findings> {
    let mut findings = Findings::default();
    let live: Vec<&Row> = rows
        .iter()
        .map(|(row, _)| row)
        .filter(|row| row.live)
        .collect();
    if live.len() > 1 {
        findings.duplicate(format!("several live records have one value: {live:?}"));
    }
    let mut made: HashMap<String, &Sent> = HashMap::new();
    for one in creations {
        let Some(record) = one.done().filter(|record| record["id"].is_string()) else {
            continue;
        };
        let id = uuid_of(&record["id"])?;
        if !rows.iter().any(|(row, _)| row.id == id) {
            findings.loss(format!("{} is not there: {id}", one.named()));
        }
        if let Some(other) = made.insert(id, one) {
            let both = (one.named(), other.named());
            findings.duplicate(format!("one record answers two keys: {both:?}"));
        }
    }
    let unknown = rows
        .iter()
        .filter(|(row, _)| !made.contains_key(&row.id))
        .count();
    let may_be = creations
        .iter()
        .filter(|one| one.may_have_happened() || one.done().is_some_and(|it| it["id"].is_null()))
        .count();
    if unknown > may_be {
        findings.duplicate(format!(
            "{unknown} records were acknowledged to nobody, and {may_be} may have been made so"
        ));
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::samples::{done, refused, sent};

    fn id(nth: u128) -> (String, Value) {
        let uuid = uuid::Uuid::from_u128(nth).simple().to_string();
        let public = encode("tag", &uuid).unwrap_or_default();
        (uuid, json!({ "id": public, "version": 0 }))
    }

    fn row(nth: u128, live: bool) -> (Row, i64) {
        (
            Row {
                id: id(nth).0,
                live,
            },
            0,
        )
    }

    #[test]
    fn two_of_one_value_are_found() -> anyhow::Result<()> {
        let create = |key: &str| sent("createTag", json!(key));
        let (a, b) = (done(create("a"), id(1).1), done(create("b"), id(2).1));
        let lost = refused(create("c"), "AlreadyExists");
        let all = [&a, &b, &lost];
        assert!(check(&all, &[row(1, false), row(2, true)])?.is_empty());
        let two = check(&all, &[row(1, true), row(2, true)])?;
        assert_eq!(two.duplicates.len(), 1);
        assert_eq!(check(&all, &[row(2, true)])?.losses.len(), 1);
        let third = check(&all, &[row(1, false), row(2, true), row(3, false)])?;
        assert_eq!(third.duplicates.len(), 1);
        let same = [&a, &done(create("d"), id(1).1)].map(Clone::clone);
        let same = check(&[&same[0], &same[1]], &[row(1, true)])?;
        assert_eq!(same.duplicates.len(), 1);

        let mut findings = Findings::default();
        winner(&[a.clone(), lost.clone()], true, &mut findings);
        assert!(findings.is_empty());
        winner(&[a.clone(), b.clone()], true, &mut findings);
        assert_eq!(findings.duplicates.len(), 1);
        winner(std::slice::from_ref(&lost), true, &mut findings);
        assert_eq!(findings.wrong.len(), 1);
        once(&[a, lost, b], &mut findings);
        assert_eq!(findings.duplicates.len(), 2);
        Ok(())
    }
}
