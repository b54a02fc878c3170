//! Proof 4: deletions, updates, restorations and creations race on one parent with children. The
//! end state, and every answer, is one that some serial order gives, in which nothing comes
//! before what had been answered when it was sent. What may have been carried out by an earlier
//! attempt than the one that was answered may be carried out later as well.
//!
//! A family is a category, two below it, one below those, and a post in one of them. Deleting a
//! category takes along those below it and is refused while a live post is in one of them; nothing
//! is made or restored below what is deleted.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures::future::join_all;
use rand::RngExt as _;
use serde_json::{Value, json};

use crate::{
    arena::{Arena, must},
    client::{Client, Mutation, Outcome, Sent, Token},
    findings::{Proved, refusals, uuid_of, versions},
    look::Look,
    storm::{Passed, Plan},
};

/// How many families there are at a time, and how many race on each: 32 together.
const FAMILIES: usize = 4;
const RACERS: usize = 8;

/// How many operations each racer makes one after the other.
const TURNS: usize = 2;

/// The most operations of one race, so that each is a bit of a `u32`.
const _: () = assert!(RACERS * TURNS <= 32);

/// What a member of a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Category,
    Post,
}

/// A member of a family.
#[derive(Clone, Debug)]
struct Member {
    kind: Kind,
    /// The place of its category in the family.
    parent: Option<usize>,
    /// As clients see it; none while it is to be made.
    id: Option<Value>,
}

/// What an operation does, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Update { who: usize, seen: i64 },
    Delete { who: usize, seen: i64 },
    Restore { who: usize, seen: i64 },
    Create { who: usize },
}

/// What became of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Became {
    Done,
    Refused,
    /// Either, and at any time after it began: a server that does not know yet that its client
    /// has given an attempt up carries on with it, also when the next one was refused meanwhile.
    Unclear,
}

/// An operation as the check sees it.
#[derive(Clone, Debug)]
struct Step {
    key: String,
    act: Act,
    became: Became,
    began: Duration,
    ended: Duration,
}

/// A member's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct State {
    version: i64,
    /// The deletion that took it: the member that was named, and the version it had then.
    deleted_by: Option<(usize, i64)>,
}

/// The states of a family; none for a member that is not made.
type States = Vec<Option<State>>;

/// Runs the proof.
pub(crate) async fn prove(
    arena: &Arc<Arena>,
    part: &str,
    plan: Plan,
) -> anyhow::Result<(Proved, Passed)> {
    let admin = arena.log_in().await?;
    let mut teams: Vec<Vec<Client>> = (0..FAMILIES)
        .map(|family| {
            let numbers = family * RACERS..(family + 1) * RACERS;
            numbers.map(|n| Client::new(arena, part, n)).collect()
        })
        .collect();
    let course = plan.begin(arena, part);
    let races = teams.iter_mut().enumerate().map(|(family, team)| {
        let (course, admin) = (&course, &admin);
        async move {
            let mut races = Vec::new();
            for round in 0.. {
                if course.is_over() {
                    break;
                }
                races.push(race(team, admin, &format!("{part}-{family}-{round}")).await?);
            }
            anyhow::Ok(races)
        }
    });
    let races: Vec<anyhow::Result<Vec<Race>>> = join_all(races).await;
    let races: Vec<Race> = races
        .into_iter()
        .collect::<anyhow::Result<Vec<_>>>()?
        .concat();
    let passed = course.end(&admin).await?;

    let mut look = arena.look().await?;
    let rows = read(&mut look).await?;
    let mut proved = Proved::default();
    for race in &races {
        let end = race.end(&rows)?;
        if !has_order(&race.members, &race.start, &race.steps, &end) {
            proved.findings.wrong(told(race, &end));
        }
    }
    proved.sent = races.into_iter().flat_map(|race| race.sent).collect();
    let expected = [
        "VersionConflict",
        "NotFound",
        "ValidationFailed",
        "StillReferenced",
    ];
    proved.findings.add(refusals(&proved.sent, &expected));
    let checked = versions(&mut look, &["categories", "posts"]).await?;
    proved.findings.add(checked);
    Ok((proved, passed))
}

/// One race on one family.
#[derive(Clone, Debug)]
struct Race {
    members: Vec<Member>,
    start: States,
    sent: Vec<Sent>,
    steps: Vec<Step>,
}

/// What is in the database of a category or post.
#[derive(Clone, Debug)]
struct Row {
    version: i64,
    deletion: Option<String>,
}

impl Race {
    /// The states at the end, by what is in the database.
    fn end(&self, rows: &BTreeMap<String, Row>) -> anyhow::Result<End> {
        self.members
            .iter()
            .map(|member| {
                let Some(id) = &member.id else {
                    return Ok(None);
                };
                let row = rows.get(&uuid_of(id)?);
                Ok(row.map(|row| (row.version, row.deletion.clone())))
            })
            .collect()
    }
}

/// The members at the end: version and deletion; none for one that is not there.
type End = Vec<Option<(i64, Option<String>)>>;

async fn race(team: &mut [Client], admin: &Token, name: &str) -> anyhow::Result<Race> {
    let Some(first) = team.first_mut() else {
        anyhow::bail!("nobody races");
    };
    // A category, two below it, and one below the first of those.
    let mut members: Vec<Member> = Vec::new();
    for (nth, parent) in [None, Some(0), Some(0), Some(1)].into_iter().enumerate() {
        let above = parent.and_then(|parent: usize| members[parent].id.clone());
        let member = category(&format!("{name}-{nth}"), above.as_ref());
        let made = must(first, admin, member).await?;
        members.push(Member {
            kind: Kind::Category,
            parent,
            id: Some(made["id"].clone()),
        });
    }
    let live = Some(State {
        version: 0,
        deleted_by: None,
    });
    let mut start: States = vec![live; members.len()];
    if first.choices.random_bool(0.6) {
        let parent = first.choices.random_range(0..3);
        let post = post(&format!("{name}-post"), members[parent].id.as_ref());
        let made = must(first, admin, post).await?;
        members.push(Member {
            kind: Kind::Post,
            parent: Some(parent),
            id: Some(made["id"].clone()),
        });
        start.push(live);
    }
    let at_first: Vec<Seen> = start.iter().map(|_| (0, false)).collect();
    // What is made gets a place of its own behind them.
    let known = members.len();
    let runs = team.iter_mut().enumerate().map(|(racer, client)| {
        let (members, at_first) = (&members[..], &at_first[..]);
        async move {
            let mut made = Vec::new();
            let mut seen = at_first.to_vec();
            for turn in 0..TURNS {
                if turn > 0 {
                    seen = look_at(client, admin, members).await?;
                }
                let pause = client.choices.random_range(0..4);
                tokio::time::sleep(Duration::from_millis(pause)).await;
                let place = known + racer * TURNS + turn;
                let name = format!("{name}-{racer}-{turn}");
                let (act, child, mutation) = choose(client, members, &seen, place, &name);
                let sent = client.send(admin, mutation).await;
                made.push((act, child, sent));
            }
            anyhow::Ok(made)
        }
    });
    let runs: Vec<anyhow::Result<Vec<_>>> = join_all(runs).await;
    let mut race = Race {
        members,
        start,
        sent: Vec::new(),
        steps: Vec::new(),
    };
    for (act, child, sent) in runs
        .into_iter()
        .collect::<anyhow::Result<Vec<_>>>()?
        .concat()
    {
        let became = match &sent.outcome {
            Outcome::Done(_) => Became::Done,
            _ if sent.may_have_happened() => Became::Unclear,
            _ => Became::Refused,
        };
        let id = sent.done().map(|record| record["id"].clone());
        // One that was answered again is not shown when it is deleted meanwhile.
        let id = id.filter(Value::is_string);
        race.members.push(match child {
            Some(child) => Member { id, ..child },
            // A place that nobody has.
            None => Member {
                kind: Kind::Post,
                parent: None,
                id: None,
            },
        });
        race.start.push(None);
        race.steps.push(Step {
            key: sent.key.clone(),
            act,
            became,
            began: sent.began,
            ended: sent.ended,
        });
        race.sent.push(sent);
    }
    Ok(race)
}

/// A member as it was seen: its version, and whether it is deleted.
type Seen = (i64, bool);

fn category(slug: &str, parent: Option<&Value>) -> Mutation {
    let input = json!({ "name": slug, "slug": slug, "parentId": parent });
    Mutation::new("createCategory", "category { id version }", input)
}

fn post(slug: &str, category: Option<&Value>) -> Mutation {
    let input = json!({ "title": slug, "slug": slug, "content": "…", "categoryId": category });
    Mutation::new("createPost", "post { id version }", input)
}

/// Draws what a client does next.
fn choose(
    client: &mut Client,
    members: &[Member],
    seen: &[Seen],
    place: usize,
    name: &str,
) -> (Act, Option<Member>, Mutation) {
    // The parent is what the race is about.
    let draw = client.choices.random_range(0..members.len() + 3);
    let who = if draw < members.len() { draw } else { 0 };
    let what = client.choices.random_range(0..10);
    let (version, deleted) = seen[who];
    let target = &members[who];
    let input = json!({ "id": target.id, "expectedVersion": version });
    let is_category = target.kind == Kind::Category;
    if what >= 8 && is_category {
        let kind = if what == 8 {
            Kind::Category
        } else {
            Kind::Post
        };
        let mutation = match kind {
            Kind::Category => category(name, target.id.as_ref()),
            Kind::Post => post(name, target.id.as_ref()),
        };
        let child = Member {
            kind,
            parent: Some(who),
            id: None,
        };
        return (Act::Create { who: place }, Some(child), mutation);
    }
    let deleting = matches!(what, 0..4);
    let (act, field, select) = match (deleted, deleting, is_category) {
        (true, _, true) => (
            Act::Restore { who, seen: version },
            "restoreCategory",
            "category { id version }",
        ),
        (true, _, false) => (
            Act::Restore { who, seen: version },
            "restorePost",
            "post { id version }",
        ),
        (false, true, true) => (
            Act::Delete { who, seen: version },
            "deleteCategory",
            "category { id version }",
        ),
        (false, true, false) => (
            Act::Delete { who, seen: version },
            "deletePost",
            "post { id version }",
        ),
        (false, false, true) => (
            Act::Update { who, seen: version },
            "updateCategory",
            "category { id version }",
        ),
        (false, false, false) => (
            Act::Update { who, seen: version },
            "updatePost",
            "post { id version }",
        ),
    };
    let mut input = input;
    if let Act::Update { .. } = act {
        let column = if is_category { "name" } else { "title" };
        input[column] = json!(name);
    }
    (act, None, Mutation::new(field, select, input))
}

/// The members as they are now.
async fn look_at(
    client: &mut Client,
    admin: &Token,
    members: &[Member],
) -> anyhow::Result<Vec<Seen>> {
    let fields = members.iter().enumerate().map(|(at, member)| {
        let (field, id) = match member.kind {
            Kind::Category => ("category", &member.id),
            Kind::Post => ("post", &member.id),
        };
        let id = id.clone().unwrap_or_default();
        format!("m{at}: {field}(id: {id}, scope: WITH_DELETED) {{ version deletedAt }}")
    });
    let query = format!("{{ {} }}", fields.collect::<Vec<_>>().join(" "));
    let data = client.ask(admin, &query, json!({})).await?;
    Ok((0..members.len())
        .map(|at| {
            let member = &data[format!("m{at}")];
            let version = member["version"].as_i64().unwrap_or(0);
            (version, member["deletedAt"].is_string())
        })
        .collect())
}

/// All categories and posts.
async fn read(look: &mut Look) -> anyhow::Result<BTreeMap<String, Row>> {
    let mut rows = BTreeMap::new();
    for table in ["categories", "posts"] {
        let query =
            format!("SELECT {{id:id}}, {{text:lock_version}}, {{id:deletion_id}} FROM {table}");
        for row in look.rows(&query).await? {
            if let [Some(id), Some(version), deletion] = row.as_slice() {
                let row = Row {
                    version: version.parse()?,
                    deletion: deletion.clone().filter(|text| !text.is_empty()),
                };
                rows.insert(id.clone(), row);
            }
        }
    }
    Ok(rows)
}

/// Whether some serial order of the steps gives every answer and this end.
fn has_order(members: &[Member], start: &States, steps: &[Step], end: &End) -> bool {
    let mut tried = HashSet::new();
    go_on(members, steps, end, 0, start, &mut tried)
}

fn go_on(
    members: &[Member],
    steps: &[Step],
    end: &End,
    done: u32,
    states: &States,
    tried: &mut HashSet<(u32, States)>,
) -> bool {
    let left: Vec<usize> = (0..steps.len())
        .filter(|at| done & (1 << at) == 0)
        .collect();
    if left.is_empty() {
        return is_end(members, states, end);
    }
    if !tried.insert((done, states.clone())) {
        return false;
    }
    left.iter().any(|&at| {
        let step = &steps[at];
        // What was answered before this was sent comes first.
        let comes_first = |&other: &usize| {
            steps[other].became != Became::Unclear && steps[other].ended < step.began
        };
        if left.iter().any(comes_first) {
            return false;
        }
        let after = apply(members, states, step.act);
        let done = done | 1 << at;
        let mut on = |states: &States| go_on(members, steps, end, done, states, tried);
        match (step.became, &after) {
            (Became::Done, Some(after)) => on(after),
            (Became::Refused, None) => on(states),
            (Became::Unclear, after) => on(states) || after.as_ref().is_some_and(on),
            _ => false,
        }
    })
}

/// The states after an operation that succeeds; none if it must be refused.
fn apply(members: &[Member], states: &States, act: Act) -> Option<States> {
    let is_live = |at: usize| {
        matches!(
            states[at],
            Some(State {
                deleted_by: None,
                ..
            })
        )
    };
    let parent_is_live = |at: usize| members[at].parent.is_none_or(is_live);
    let mut after = states.clone();
    match act {
        Act::Create { who } => {
            if states[who].is_some() || !parent_is_live(who) {
                return None;
            }
            after[who] = Some(State {
                version: 0,
                deleted_by: None,
            });
        }
        Act::Update { who, seen } => {
            let state = after[who].as_mut().filter(|_| is_live(who))?;
            if state.version != seen {
                return None;
            }
            state.version += 1;
        }
        Act::Delete { who, seen } => {
            if !is_live(who) || states[who]?.version != seen {
                return None;
            }
            let mut taken = vec![who];
            let mut next = 0;
            while let Some(&parent) = taken.get(next) {
                next += 1;
                for (child, member) in members.iter().enumerate() {
                    if member.parent != Some(parent) || !is_live(child) {
                        continue;
                    }
                    match member.kind {
                        Kind::Category => taken.push(child),
                        Kind::Post => return None,
                    }
                }
            }
            for at in taken {
                let state = after[at].as_mut()?;
                state.version += 1;
                state.deleted_by = Some((who, seen));
            }
        }
        Act::Restore { who, seen } => {
            let state = states[who]?;
            let deletion = state.deleted_by?;
            if state.version != seen || deletion.0 != who {
                return None;
            }
            for state in after.iter_mut().flatten() {
                if state.deleted_by == Some(deletion) {
                    state.version += 1;
                    state.deleted_by = None;
                }
            }
            // Nothing comes back below what is deleted.
            let is_live = |at: usize| after[at].is_some_and(|state| state.deleted_by.is_none());
            let below_deleted = (0..members.len()).any(|at| {
                let back = states[at].is_some_and(|state| state.deleted_by == Some(deletion));
                back && members[at].parent.is_some_and(|parent| !is_live(parent))
            });
            if below_deleted {
                return None;
            }
        }
    }
    Some(after)
}

/// Whether these states are what is in the database. What was made without an answer is not
/// looked for.
fn is_end(members: &[Member], states: &States, end: &End) -> bool {
    let mut deletions: BTreeMap<(usize, i64), &String> = BTreeMap::new();
    let alike = members
        .iter()
        .zip(states)
        .zip(end)
        .all(|((member, state), row)| match (state, row) {
            (None, None) => true,
            (Some(_), None) => member.id.is_none(),
            (None, Some(_)) => false,
            (Some(state), Some((version, deletion))) => {
                let same_deletion = match (state.deleted_by, deletion) {
                    (None, None) => true,
                    (Some(by), Some(id)) => *deletions.entry(by).or_insert(id) == id,
                    _ => false,
                };
                state.version == *version && same_deletion
            }
        });
    let distinct: HashSet<_> = deletions.values().collect();
    alike && distinct.len() == deletions.len()
}

/// A race without an order, in lines.
fn told(race: &Race, end: &End) -> String {
    let mut lines = vec!["no serial order gives the end of this family:".to_owned()];
    let mut steps: Vec<&Step> = race.steps.iter().collect();
    steps.sort_unstable_by_key(|step| step.began);
    for step in steps {
        let Step { key, act, .. } = step;
        let (began, ended) = (step.began.as_micros(), step.ended.as_micros());
        lines.push(format!(
            "{began} to {ended} µs  {key}  {act:?}: {:?}",
            step.became
        ));
    }
    for (at, (member, row)) in race.members.iter().zip(end).enumerate() {
        if let Some(id) = &member.id {
            lines.push(format!("{at}  {id}  below {:?}: {row:?}", member.parent));
        }
    }
    lines.join("\n           ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A category, one below it, and a post to be made in that one.
    fn family() -> (Vec<Member>, States) {
        let member = |kind, parent| Member {
            kind,
            parent,
            id: Some(json!("…")),
        };
        let members = vec![
            member(Kind::Category, None),
            member(Kind::Category, Some(0)),
            member(Kind::Post, Some(1)),
        ];
        let live = Some(State {
            version: 0,
            deleted_by: None,
        });
        (members, vec![live, live, None])
    }

    fn step(act: Act, became: Became, began: u64, ended: u64) -> Step {
        Step {
            key: String::new(),
            act,
            became,
            began: Duration::from_millis(began),
            ended: Duration::from_millis(ended),
        }
    }

    fn row(version: i64, deletion: Option<&str>) -> Option<(i64, Option<String>)> {
        Some((version, deletion.map(str::to_owned)))
    }

    const DELETE: Act = Act::Delete { who: 0, seen: 0 };
    const CREATE: Act = Act::Create { who: 2 };

    #[test]
    fn a_child_below_a_deleted_parent_has_no_order() {
        let (members, start) = family();
        let both = [
            step(DELETE, Became::Done, 0, 9),
            step(CREATE, Became::Done, 0, 9),
        ];
        let end = vec![row(1, Some("d")), row(1, Some("d")), row(0, None)];
        assert!(!has_order(&members, &start, &both, &end));
        // Either alone is fine.
        let one = [
            step(DELETE, Became::Done, 0, 9),
            step(CREATE, Became::Refused, 0, 9),
        ];
        let end = vec![row(1, Some("d")), row(1, Some("d")), None];
        assert!(has_order(&members, &start, &one, &end));
        let other = [
            step(DELETE, Became::Refused, 0, 9),
            step(CREATE, Became::Done, 0, 9),
        ];
        let end = vec![row(0, None), row(0, None), row(0, None)];
        assert!(has_order(&members, &start, &other, &end));
    }

    #[test]
    fn what_was_answered_first_comes_first() {
        let (members, start) = family();
        let end = vec![row(1, Some("d")), row(1, Some("d")), None];
        let together = [
            step(CREATE, Became::Refused, 0, 9),
            step(DELETE, Became::Done, 5, 9),
        ];
        assert!(has_order(&members, &start, &together, &end));
        let after = [
            step(CREATE, Became::Refused, 0, 4),
            step(DELETE, Became::Done, 5, 9),
        ];
        assert!(!has_order(&members, &start, &after, &end));
        let unclear = [
            step(CREATE, Became::Unclear, 0, 4),
            step(DELETE, Became::Done, 5, 9),
        ];
        assert!(has_order(&members, &start, &unclear, &end));
    }

    #[test]
    fn what_was_refused_after_another_attempt_may_come_later() {
        let (members, start) = family();
        // The second attempt was refused because of the post; the first one comes when it is gone.
        let start: States = start.iter().map(|_| start[0]).collect();
        let late = |became| {
            [
                step(DELETE, became, 0, 4),
                step(Act::Delete { who: 2, seen: 0 }, Became::Done, 5, 9),
            ]
        };
        let end = vec![
            row(1, Some("d")),
            row(1, Some("d")),
            row(1, Some("the post's")),
        ];
        assert!(has_order(&members, &start, &late(Became::Unclear), &end));
        assert!(!has_order(&members, &start, &late(Became::Refused), &end));
        assert!(!has_order(&members, &start, &late(Became::Done), &end));
        // Never before it was sent.
        let before = [
            step(Act::Create { who: 2 }, Became::Refused, 0, 4),
            step(DELETE, Became::Unclear, 5, 9),
        ];
        let (_, start) = family();
        let end = vec![row(1, Some("d")), row(1, Some("d")), None];
        assert!(!has_order(&members, &start, &before, &end));
    }

    #[test]
    fn what_a_deletion_took_comes_back_together() {
        let (members, start) = family();
        let restore = Act::Restore { who: 0, seen: 1 };
        let steps = [
            step(DELETE, Became::Done, 0, 4),
            step(restore, Became::Done, 5, 9),
        ];
        let whole = vec![row(2, None), row(2, None), None];
        assert!(has_order(&members, &start, &steps, &whole));
        // The child was forgotten.
        let half = vec![row(2, None), row(1, Some("d")), None];
        assert!(!has_order(&members, &start, &steps, &half));
        // An update was written over.
        let update = Act::Update { who: 1, seen: 0 };
        let steps = [
            step(DELETE, Became::Done, 0, 9),
            step(update, Became::Done, 0, 9),
        ];
        let end = vec![row(1, Some("d")), row(1, Some("d")), None];
        assert!(!has_order(&members, &start, &steps, &end));
        let end = vec![row(1, Some("d")), row(2, Some("d")), None];
        assert!(has_order(&members, &start, &steps, &end));
        // They are not of one deletion.
        let end = vec![row(1, Some("d")), row(2, Some("e")), None];
        assert!(!has_order(&members, &start, &steps, &end));
    }
}
