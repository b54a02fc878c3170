//! The texts of reads, each made once.
//!
//! Reads differ in their values far more often than in their text, and to build a statement and
//! write its text takes several times as long as to bind its values. So a read says first what its
//! text is made of, its [`Form`], and builds the statement where no such text was made before.
//!
//! A form that forgets something would give one read the text of another. Builds with debug
//! assertions, such as tests, therefore build each statement nevertheless, and compare.

use std::{
    any::TypeId,
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError},
};

use hashlink::{DefaultHashBuilder, LruCache};
use sea_orm::{
    DbBackend, Value,
    sea_query::{BinOper, ColumnName, ColumnRef, Expr, Keyword, TableName},
};
use uuid::Uuid;

use crate::{Beside, Columns, Note, Rows, Scope, Via, beside, dialect, record::Table};

/// How many texts are kept. Clients can choose among any number, by the fields that they select of
/// rows and of what is read beside these; most have 300 to 1,500 bytes.
const KEPT: usize = 1_000;

/// The bytes of the longest text that is kept, and the parts of its form.
const LONGEST: (usize, usize) = (16 << 10, 500);

/// What the text of a statement is made of, and the values that are bound to it, in the order in
/// which the text has them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Form {
    parts: Vec<Part>,
    values: Vec<Value>,
    /// Whether it has something that forms do not tell apart.
    vague: bool,
}

/// What tells one text from another. Each kind of thing begins with a word of its own, and says how
/// long it is if it is not always as long.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Part {
    Word(&'static str),
    Name(Cow<'static, str>),
    Number(u64),
    Table(TypeId),
}

impl Form {
    /// The form of statements of this kind.
    pub(crate) fn new(kind: &'static str) -> Self {
        let mut parts = Vec::with_capacity(32);
        parts.push(Part::Word(kind));
        Self {
            parts,
            values: Vec::with_capacity(8),
            vague: false,
        }
    }

    pub(crate) fn word(&mut self, word: &'static str) -> &mut Self {
        self.parts.push(Part::Word(word));
        self
    }

    pub(crate) fn number(&mut self, number: impl Into<u64>) -> &mut Self {
        self.parts.push(Part::Number(number.into()));
        self
    }

    fn table<E: Table>(&mut self, scope: Scope) -> &mut Self {
        self.parts.push(Part::Table(TypeId::of::<E>()));
        self.word(match scope {
            Scope::Live => "live",
            Scope::WithDeleted => "with deleted",
            Scope::OnlyDeleted => "only deleted",
        })
    }

    pub(crate) fn column<E: Table>(&mut self, column: E::Column) -> &mut Self {
        self.number(E::index(column))
    }

    pub(crate) fn columns<E: Table>(&mut self, columns: Columns<E>) -> &mut Self {
        let bits = columns.bits();
        self.number(bits as u64).number((bits >> 64) as u64)
    }

    /// What another form has, without its values.
    pub(crate) fn like(&mut self, other: &Self) -> &mut Self {
        self.parts.extend_from_slice(&other.parts);
        self.vague |= other.vague;
        self
    }

    /// The values of another form, which stand here in the text.
    pub(crate) fn bind_of(&mut self, other: &Self) -> &mut Self {
        self.values.extend_from_slice(&other.values);
        self
    }

    /// A value that stands here in the text.
    pub(crate) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        self
    }

    /// Values that stand here in the text.
    pub(crate) fn bind_all(&mut self, values: impl IntoIterator<Item = Value>) -> &mut Self {
        self.values.extend(values);
        self
    }

    /// Rows, with the values of their conditions.
    pub(crate) fn rows<E: Table>(&mut self, rows: &Rows<E>) -> &mut Self {
        self.of(rows).bind_of(&rows.filters)
    }

    /// Rows, without the values of their conditions.
    pub(crate) fn of<E: Table>(&mut self, rows: &Rows<E>) -> &mut Self {
        self.table::<E>(rows.scope).like(&rows.filters).word("end")
    }

    pub(crate) fn via<E: Table>(&mut self, via: Via<E>) -> &mut Self {
        match via {
            Via::Column(column) => self.word("via").column::<E>(column),
            Via::Link {
                table,
                parent,
                child,
            } => self.word("via link").word(table).word(parent).word(child),
        }
    }

    /// What [`beside::join`] joins, with its values.
    pub(crate) fn joins<E: Table>(
        &mut self,
        beside: &[Beside<E>],
        backend: DbBackend,
    ) -> &mut Self {
        beside::describe(beside, self);
        beside::bind(beside, backend, self);
        self
    }

    /// What [`dialect::is_any_of`] makes of these keys, with its values.
    pub(crate) fn any_of(&mut self, backend: DbBackend, keys: &[Uuid]) -> &mut Self {
        let values = dialect::any_of_values(backend, keys);
        self.word("any of").number(values.len() as u64);
        self.bind_all(values)
    }

    /// An expression, with its values.
    pub(crate) fn expr(&mut self, expr: &Expr) -> &mut Self {
        match expr {
            Expr::Column(ColumnRef::Column(ColumnName(table, column))) => {
                self.word("column");
                match table {
                    None => {}
                    Some(TableName(None, table)) => {
                        self.parts.push(Part::Name(table.inner()));
                        self.word(".");
                    }
                    Some(_) => self.vague = true,
                }
                self.parts.push(Part::Name(column.inner()));
            }
            Expr::Value(value) => {
                // The type of an enum stands in the text.
                self.vague |= matches!(value, Value::Enum(_) | Value::Array(..));
                self.word("value").bind(value.clone());
            }
            Expr::Constant(Value::Bool(Some(value))) => {
                self.word(if *value { "true" } else { "false" });
            }
            Expr::Keyword(Keyword::Null) => {
                self.word("null");
            }
            Expr::Keyword(Keyword::Custom(word)) => {
                self.word("keyword");
                self.parts.push(Part::Name(word.inner()));
            }
            Expr::Tuple(of) => {
                self.word("tuple").number(of.len() as u64);
                for expr in of {
                    self.expr(expr);
                }
            }
            // One of nothing is written as `1 = 2`, whatever is on the left.
            Expr::Binary(_, _, right) if matches!(&**right, Expr::Tuple(of) if of.is_empty()) => {
                self.vague = true;
            }
            Expr::Binary(left, operator, right) => match sign(operator) {
                Some(sign) => {
                    self.word(sign).expr(left).expr(right);
                }
                None => self.vague = true,
            },
            _ => self.vague = true,
        }
        self
    }

    /// The values, in the order of the text.
    pub(crate) fn into_values(self) -> Vec<Value> {
        self.values
    }
}

/// The operators of ordinary conditions.
fn sign(operator: &BinOper) -> Option<&'static str> {
    Some(match operator {
        BinOper::And => "and",
        BinOper::Or => "or",
        BinOper::Equal => "=",
        BinOper::NotEqual => "<>",
        BinOper::SmallerThan => "<",
        BinOper::SmallerThanOrEqual => "<=",
        BinOper::GreaterThan => ">",
        BinOper::GreaterThanOrEqual => ">=",
        BinOper::Is => "is",
        BinOper::IsNot => "is not",
        BinOper::In => "in",
        BinOper::NotIn => "not in",
        _ => return None,
    })
}

/// A statement's text, and what it was made for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) sql: Arc<str>,
    pub(crate) notes: Vec<Note>,
}

/// The texts of one database's reads: those that were used last.
pub(crate) struct Texts(Mutex<Kept>);

type Kept = LruCache<Vec<Part>, Arc<Text>, DefaultHashBuilder>;

impl Default for Texts {
    fn default() -> Self {
        let kept = LruCache::with_hasher(KEPT, DefaultHashBuilder::default());
        Self(Mutex::new(kept))
    }
}

impl Texts {
    /// The text of this form, if one was made.
    pub(crate) fn get(&self, form: &Form) -> Option<Arc<Text>> {
        if form.vague {
            return None;
        }
        self.kept().get(&form.parts[..]).cloned()
    }

    /// Keeps the text that was made for a form, and binds these values: unless the form has others,
    /// or has them in another order. Builds with debug assertions panic then.
    pub(crate) fn keep(&self, form: Form, text: &Arc<Text>, values: &[Value]) {
        if form.vague {
            return;
        }
        debug_assert_eq!(form.values, values, "the values of {}", text.sql);
        let (bytes, parts) = LONGEST;
        if form.values == values && text.sql.len() <= bytes && form.parts.len() <= parts {
            self.kept().insert(form.parts, text.clone());
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        // A panic while the lock was held leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::{
        ColumnTrait as _,
        sea_query::{Condition, ExprTrait as _},
    };

    use super::*;
    use crate::deletion::entity::{Column, Entity};

    fn all() -> Rows<Entity> {
        Rows::live()
    }

    fn by_actor(actor: u128) -> Rows<Entity> {
        all().filter(Column::ActorId.eq(Uuid::from_u128(actor)))
    }

    fn form(rows: &Rows<Entity>) -> Form {
        let mut form = rows.form("one");
        form.bind_of(&rows.filters);
        form
    }

    #[test]
    fn other_values_have_the_same_form() {
        let root = Via::Column(Column::RootId);
        let rows = |n: u128| {
            let one = by_actor(n).filter(Column::RootType.is_in([format!("{n}"), "b".into()]));
            let other = all()
                .having(root, by_actor(n))
                .under(Column::RootId, by_actor(n));
            one.or(other).having_none(root, by_actor(n + 1))
        };
        let (one, other) = (form(&rows(1)), form(&rows(2)));
        assert!(!one.vague);
        assert_eq!(one.parts, other.parts);
        assert_ne!(one.values, other.values);
        let number = |n: u128| Value::from(Uuid::from_u128(n));
        let text = |text: &str| Value::from(text);
        assert_eq!(
            one.values,
            [
                number(1),
                text("1"),
                text("b"),
                number(1),
                number(1),
                Value::from(1),
                number(2)
            ]
        );
    }

    #[test]
    fn what_makes_another_text_has_another_form() {
        let id = || Expr::col((Entity, Column::Id));
        let parent = Via::Column(Column::RootId);
        let link = |child| Via::Link {
            table: "links",
            parent: "parent",
            child,
        };
        let rows = [
            all(),
            Rows::with_deleted(),
            all().with(Column::RowCount),
            by_actor(1),
            by_actor(1).filter(Column::RowCount.gt(1)),
            all().filter(Column::RowCount.gt(1)),
            all().filter(Column::RowCount.gte(1)),
            all().filter(Column::RowCount.lt(1)),
            all().filter(Column::ActorId.is_null()),
            all().filter(Column::ActorId.is_not_null()),
            all().filter(Column::RootType.is_in(["a"])),
            all().filter(Column::RootType.is_in(["a", "b"])),
            all().filter(Column::RootType.is_not_in(["a", "b"])),
            all().filter(Condition::any().add(id().eq(1)).add(id().eq(2))),
            all().filter(Condition::all().add(id().eq(1)).add(id().eq(2))),
            all().filter(Expr::col(Column::Id).eq(1)),
            all().filter(id().eq(1)),
            all().filter(id().eq(true)).filter(Expr::value(true)),
            all().filter(Expr::custom_keyword("TRUE")),
            all().filter(Expr::custom_keyword("FALSE")),
            all().filter(Condition::all()),
            all().filter(Condition::any()),
            all().or(by_actor(1)),
            by_actor(1).or(all()),
            all().or(Rows::with_deleted()),
            all().having(parent, by_actor(1)),
            all().having(link("child"), by_actor(1)),
            all().having(link("other"), by_actor(1)),
            all()
                .having(parent, all())
                .filter(Column::ActorId.eq(Uuid::nil())),
            all().having_none(parent, by_actor(1)),
            all().under(Column::RootId, by_actor(1)),
            all().under(Column::ActorId, by_actor(1)),
            all().under(Column::ActorId, Rows::<Entity>::with_deleted()),
        ];
        let forms: Vec<Form> = rows.iter().map(form).collect();
        for (at, form) in forms.iter().enumerate() {
            assert!(!form.vague, "{at}: {form:?}");
            let others = forms.iter().enumerate();
            let same = others.filter(|(_, other)| other.parts == form.parts);
            assert_eq!(same.map(|(at, _)| at).collect::<Vec<_>>(), [at]);
        }
    }

    #[test]
    fn an_expression_of_another_kind_is_not_known() {
        let vague = |condition: Expr| form(&all().filter(condition)).vague;
        assert!(vague(Expr::cust("1 = 1")));
        assert!(vague(Column::Id.is_in(Vec::<Uuid>::new())));
        assert!(vague(Expr::col(Column::Id).is_not_in(Vec::<Uuid>::new())));
        assert!(vague(Expr::col(Column::Id).like("a%")));
        assert!(vague(Expr::col(("schema", Entity, Column::Id)).eq(1)));
    }

    #[test]
    fn a_text_is_kept_for_its_form_and_no_other() {
        let texts = Texts::default();
        let text = |sql: &str| {
            Arc::new(Text {
                sql: sql.into(),
                notes: Vec::new(),
            })
        };
        let known = |rows: &Rows<Entity>| texts.get(&form(rows)).map(|text| text.sql.to_string());
        let keep = |rows: &Rows<Entity>, sql: &str| {
            let form = form(rows);
            let values = form.values.clone();
            texts.keep(form, &text(sql), &values);
        };
        keep(&by_actor(1), "of an actor");
        assert_eq!(known(&by_actor(2)).as_deref(), Some("of an actor"));
        assert_eq!(known(&all()), None);
        keep(&all(), &"long".repeat(LONGEST.0));
        assert_eq!(known(&all()), None);
        let vague = all().filter(Expr::cust("1 = 1"));
        keep(&vague, "vague");
        assert_eq!(known(&vague), None);
        // Those that were used last.
        for n in 0..KEPT {
            keep(
                &all()
                    .filter(Column::RootType.is_in(vec!["a"; 1 + n % 400]))
                    .filter(Column::RowCount.is_in(vec![1; 1 + n / 400])),
                "another",
            );
        }
        assert_eq!(known(&by_actor(1)), None);
        assert_eq!(texts.kept().len(), KEPT);
    }
}
