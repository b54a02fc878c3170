//! YAML, from the parser's events to a [`Table`].
//!
//! Built from events, and not through a library's own value type, for three
//! reasons: scalars keep the text they were written with, a key given twice is
//! seen, and what aliases copy is counted.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::{MAX_BYTES, Skipped, Table, Value};

/// How deep lists and mappings may nest.
const MAX_DEPTH: usize = 32;

/// What one front matter may hold after its aliases are copied, in bytes of
/// text plus one for each value: four times what it could hold without any.
/// It bounds the alias bomb known as "billion laughs".
const BUDGET: usize = 4 * 2 * MAX_BYTES;

/// Reads the mapping that a front matter is.
///
/// Aliases (`*a`) are copied within a budget; merge keys (`<<`) stay ordinary
/// keys. A front matter without any value is an empty mapping.
pub(super) fn table(inner: &str, first_line: usize) -> Result<Table, Skipped> {
    let mut builder = Builder::default();
    let mut line = 1;
    let built = (|| {
        for event in Parser::new_from_str(inner) {
            let (event, span) = event.map_err(|error| {
                line = error.marker().line();
                error.info().to_owned()
            })?;
            line = span.start.line();
            builder.take(event)?;
        }
        match builder.root.take() {
            None | Some(Value::Null) => Ok(Table::new()),
            Some(Value::Table(table)) => Ok(table),
            Some(_) => {
                line = 1;
                Err("it is not a list of `key: value` lines".to_owned())
            }
        }
    })();
    built.map_err(|message: String| {
        Skipped::bad_front_matter("YAML", first_line + line.saturating_sub(1), &message)
    })
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, (Value, usize)>,
    root: Option<Value>,
    spent: usize,
}

/// A list or mapping whose end has not come yet.
struct Open {
    kind: Kind,
    /// 0 is the parser's way to say that there is none.
    anchor: usize,
    spent_before: usize,
}

enum Kind {
    List(Vec<Value>),
    /// The pairs so far, and the key whose value comes next.
    Table(Table, Option<String>),
}

impl Builder {
    fn take(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
            Event::SequenceStart(anchor, _) => self.start(Kind::List(Vec::new()), anchor),
            Event::MappingStart(anchor, _) => self.start(Kind::Table(Table::new(), None), anchor),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open {
                    kind,
                    anchor,
                    spent_before,
                }) => {
                    let value = match kind {
                        Kind::List(items) => Value::List(items),
                        Kind::Table(table, _) => Value::Table(table),
                    };
                    self.put(value, anchor, self.spent - spent_before)
                }
                None => Err("a list or mapping ends that did not start".to_owned()),
            },
            Event::Scalar(text, style, anchor, tag) => {
                if let Some(Open {
                    kind: Kind::Table(table, key @ None),
                    ..
                }) = self.open.last_mut()
                {
                    if table.contains_key(text.as_ref()) {
                        return Err(format!("the key `{text}` is given twice"));
                    }
                    *key = Some(text.into_owned());
                    return Ok(());
                }
                let cost = 1 + text.len();
                self.spend(cost)?;
                let null = style == ScalarStyle::Plain && tag.is_none() && is_null(&text);
                let value = if null {
                    Value::Null
                } else {
                    Value::Text(text.into_owned())
                };
                self.put(value, anchor, cost)
            }
            Event::Alias(anchor) => {
                let Some((_, cost)) = self.anchors.get(&anchor) else {
                    return Err("an alias stands inside the value it names".to_owned());
                };
                let cost = *cost;
                self.spend(cost)?;
                let value = self.anchors.get(&anchor).map(|(value, _)| value.clone());
                self.put(value.unwrap_or(Value::Null), 0, cost)
            }
        }
    }

    fn start(&mut self, kind: Kind, anchor: usize) -> Result<(), String> {
        if self.open.len() == MAX_DEPTH {
            return Err(format!("it nests deeper than {MAX_DEPTH} levels"));
        }
        if let Some(Open {
            kind: Kind::Table(_, None),
            ..
        }) = self.open.last()
        {
            return Err("a key is a list or a mapping".to_owned());
        }
        let spent_before = self.spent;
        self.spend(1)?;
        self.open.push(Open {
            kind,
            anchor,
            spent_before,
        });
        Ok(())
    }

    fn put(&mut self, value: Value, anchor: usize, cost: usize) -> Result<(), String> {
        if anchor != 0 {
            self.spend(cost)?;
            self.anchors.insert(anchor, (value.clone(), cost));
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some(value),
            Some(Kind::List(items)) => items.push(value),
            Some(Kind::Table(table, key)) => match key.take() {
                Some(key) => {
                    table.insert(key, value);
                }
                None => return Err("a key is an alias".to_owned()),
            },
        }
        Ok(())
    }

    fn spend(&mut self, cost: usize) -> Result<(), String> {
        self.spent = self.spent.saturating_add(cost);
        if self.spent > BUDGET {
            return Err("its aliases make it too large".to_owned());
        }
        Ok(())
    }
}

/// The ways to write nothing (YAML 1.2.2, section 10.3.2, "Tag Resolution").
fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Value {
        Value::Text(value.to_owned())
    }

    fn message(inner: &str) -> String {
        match table(inner, 2) {
            Ok(table) => panic!("{inner:?} was read as {table:?}"),
            Err(why) => why.to_string(),
        }
    }

    #[test]
    fn scalars_keep_the_text_they_were_written_with() {
        let read = table(
            "a: 1.10\nb: 007\nc: yes\nd: 2024-05-06\ne: '~'\nf: !!str null\n",
            2,
        )
        .unwrap();
        let expected = ["1.10", "007", "yes", "2024-05-06", "~", "null"];
        assert_eq!(read.into_values().collect::<Vec<_>>(), expected.map(text));
    }

    #[test]
    fn every_way_to_write_nothing_is_null() {
        let read = table("a:\nb: ~\nc: null\nd: NULL\n", 2).unwrap();
        assert!(read.values().all(|value| *value == Value::Null), "{read:?}");
        assert_eq!(read.len(), 4);
        assert_eq!(table("", 2).unwrap(), Table::new());
        assert_eq!(table("# nothing\n", 2).unwrap(), Table::new());
    }

    #[test]
    fn an_alias_is_a_copy_of_what_it_names() {
        let read = table("a: &x [b, c]\nd: *x\n", 2).unwrap();
        assert_eq!(read["d"], Value::List(vec![text("b"), text("c")]));
        assert_eq!(read["a"], read["d"]);
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut bomb = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
        for level in 1..9 {
            let inner = vec![format!("*a{}", level - 1); 9].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
        }
        assert!(message(&bomb).contains("too large"), "{}", message(&bomb));

        let wide = format!(
            "a: &a {}\nb: [{}]\n",
            "x".repeat(30_000),
            "*a, ".repeat(1_000)
        );
        assert!(message(&wide).contains("too large"), "{}", message(&wide));

        let mut chain = "a0: &a0 x\n".to_owned();
        for level in 1..4_000 {
            chain.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
        }
        assert!(message(&chain).contains("too large"), "{}", message(&chain));
    }

    #[test]
    fn an_alias_inside_its_own_value_is_refused() {
        assert!(message("a: &a [*a]\n").contains("alias"));
    }

    #[test]
    fn a_key_given_twice_is_refused() {
        assert!(message("a: 1\nb: 2\na: 3\n").contains("line 4"));
        assert!(message("a: {b: 1, b: 2}\n").contains("`b` is given twice"));
    }

    #[test]
    fn what_is_no_mapping_of_texts_is_refused() {
        for inner in [
            "just text\n",
            "- a\n- b\n",
            "? [a]\n: b\n",
            "a: &a b\n*a : c\n",
        ] {
            message(inner);
        }
    }

    #[test]
    fn nesting_at_the_limit_is_read_and_one_level_more_is_not() {
        let nested = |levels: usize| format!("a: {}{}\n", "[".repeat(levels), "]".repeat(levels));
        assert!(table(&nested(MAX_DEPTH - 1), 2).is_ok());
        assert!(message(&nested(MAX_DEPTH)).contains("deeper"));
    }
}
