//! What a GraphQL request may cost before anything walks it.
//!
//! async-graphql parses by recursion, and its validation and its own limits
//! follow a fragment as often as it is spread: 25 fragments that each spread the
//! next one twice keep it busy for good. So the bounds stand in front, each found
//! in time linear in the document:
//!
//! 1. `scan` reads the characters before the parser does, and bounds length,
//!    tokens and nesting, so that the parser cannot run out of stack.
//! 2. `Scale` reads the parsed document, each fragment once, and bounds what it
//!    comes to when its fragments are spread and its variables filled in.
//!
//! [`parse`] does both, and [`check_request`] what needs no schema of a request.

use std::cell::Cell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;

use async_graphql::parser::types::{
    BaseType, Directive, DocumentOperations, ExecutableDocument, OperationDefinition,
    OperationType, Selection, SelectionSet, Type,
};
use async_graphql::parser::{self, parse_query};
use async_graphql::{ErrorExtensionValues, Name, Pos, Positioned, ServerError, Value, Variables};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// The most that one request may ask for.
///
/// Within the defaults, no document that we could think of keeps the parser and
/// validation busy for 100 ms in a debug build, with `disable_suggestions` (the
/// tests hold the worst ones), and the introspection query of graphql-js 17 passes
/// with every option on (GraphiQL, Apollo and Relay send it or less): 191 tokens,
/// 18 levels, 242 fields, 6 values, 1 root field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the document's source. Default 65,536: a document is written by
    /// people or compilers, long texts belong into variables, which this does not
    /// count, and the parser works character by character.
    pub bytes: usize,
    /// Tokens of the document, as section 2.1.6 of the GraphQL specification has
    /// them. Default 4,000, 20 introspections: some rules of validation take time
    /// by the square of what one document lists (variables by their uses, arguments
    /// by arguments).
    pub tokens: usize,
    /// Levels of nested selection sets, those of fragments and inline fragments
    /// included, and levels of lists and objects within one another in an argument
    /// or a type. Default 25: introspection takes 18, and each level holds stack
    /// while the parser, validation and the resolvers recurse.
    pub depth: usize,
    /// Fields, fragment spreads and inline fragments, counted anew wherever a
    /// fragment is spread, over all operations, and over all fragments that no
    /// operation uses. Default 1,000, four introspections.
    pub fields: usize,
    /// Values in arguments and variables: each scalar, list and object is one, a
    /// text one more for each full 4,096 bytes, a directive one; counted anew
    /// wherever a fragment is spread or a variable is used, and once for a variable
    /// itself. Default 15,000: a value in memory is many times its text, the library
    /// copies it for each use, and can find an error in each. A thousand products to
    /// import, each an object with a price, count 14,007; a text of 4 MiB counts
    /// 1,025.
    pub values: usize,
    /// Root fields of one operation. Default 20: each field of a mutation is a
    /// transaction of its own, and a hundred aliases of `login` in one request
    /// would be a hundred guesses.
    pub roots: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 65_536,
            tokens: 4_000,
            depth: 25,
            fields: 1_000,
            values: 15_000,
            roots: 20,
        }
    }
}

/// Which kind of refusal it is, as clients read it in `extensions.code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The request goes beyond one of the [`Limits`].
    TooComplex,
    /// The document is not GraphQL.
    ParseFailed,
    /// The document is GraphQL, and cannot be executed on any schema.
    ValidationFailed,
    /// Which operation to execute is not clear.
    OperationResolutionFailed,
    /// A variable is missing, or null where it must not be.
    BadUserInput,
}

impl Code {
    /// The code's text in `extensions.code`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooComplex => "QUERY_TOO_COMPLEX",
            Self::ParseFailed => "GRAPHQL_PARSE_FAILED",
            Self::ValidationFailed => "GRAPHQL_VALIDATION_FAILED",
            Self::OperationResolutionFailed => "OPERATION_RESOLUTION_FAILURE",
            Self::BadUserInput => "BAD_USER_INPUT",
        }
    }
}

/// Why a request is not executed. Becomes a [`ServerError`] without a path: a
/// request error, in the words of the specification's section 7.1.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which kind.
    pub code: Code,
    /// What is wrong, for people.
    pub message: String,
    /// Where in the document, if it is known.
    pub locations: Vec<Pos>,
}

impl Refusal {
    fn new(code: Code, message: impl Into<String>, at: Option<Pos>) -> Self {
        Self {
            code,
            message: message.into(),
            locations: at.into_iter().collect(),
        }
    }

    fn too_complex(what: &str, found: usize, limit: usize) -> Self {
        Self::new(
            Code::TooComplex,
            format!("The request has {found} {what}; at most {limit} are allowed."),
            None,
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for ServerError {
    fn from(refusal: Refusal) -> Self {
        let mut error = Self::new(refusal.message, None);
        error.locations = refusal.locations;
        error
            .extensions
            .get_or_insert_with(ErrorExtensionValues::default)
            .set("code", refusal.code.as_str());
        error
    }
}

/// The type of the operation that a request executes.
///
/// # Errors
///
/// A [`Refusal`] with [`Code::OperationResolutionFailed`] if the request does not say
/// which operation to execute (section 6.1, GetOperation), and [`Code::BadUserInput`]
/// if a variable that the operation needs is absent or null (section 6.1.2,
/// CoerceVariableValues: async-graphql looks at variables only where an argument uses
/// them).
pub fn check_request(
    operations: &DocumentOperations,
    operation_name: Option<&str>,
    variables: &Variables,
) -> Result<OperationType, Refusal> {
    let chosen = choose(operations, operation_name)?;
    check_variables(chosen, variables)?;
    Ok(chosen.node.ty)
}

/// Parses a document, unless it or its variables are beyond the limits.
///
/// # Errors
///
/// A [`Refusal`] with [`Code::TooComplex`] beyond a limit, [`Code::ParseFailed`] if
/// the document is no GraphQL, and [`Code::ValidationFailed`] if its fragments form a
/// cycle.
pub fn parse(
    source: &str,
    variables: &Variables,
    limits: &Limits,
) -> Result<ExecutableDocument, Refusal> {
    scan(source, limits)?;
    let document = parse_query(source).map_err(syntax)?;
    measure(&document, variables, limits)?;
    Ok(document)
}

/// Measures what a document comes to with these variables.
///
/// # Errors
///
/// As [`parse`], but for [`Code::ParseFailed`].
pub fn measure(
    document: &ExecutableDocument,
    variables: &Variables,
    limits: &Limits,
) -> Result<(), Refusal> {
    Scale::new(document, variables, limits).check(document, limits)
}

/// Refuses a variable whose type is unknown to the schema.
///
/// async-graphql 8.0.0-rc.5 panics on `query($v: [Nowhere] = [1])`: it looks for
/// the type of a default value only where that is no list.
///
/// # Errors
///
/// [`Code::ValidationFailed`] for the first such variable.
pub fn check_variable_types(
    document: &ExecutableDocument,
    is_type: impl Fn(&str) -> bool,
) -> Result<(), Refusal> {
    for (_, operation) in document.operations.iter() {
        for variable in &operation.node.variable_definitions {
            let name = innermost(&variable.node.var_type.node);
            if !is_type(name) {
                return Err(Refusal::new(
                    Code::ValidationFailed,
                    format!("Unknown type \"{name}\"."),
                    Some(variable.pos),
                ));
            }
        }
    }
    Ok(())
}

/// Reads variables from JSON: an object, or null for none. What holds more values
/// than the budget is refused while it is read, so that it takes no memory.
///
/// JSON nests as deep as its deserializer lets it: 128 levels in serde_json.
#[derive(Debug)]
pub struct VariablesWithin<'a>(pub &'a Budget);

/// How many values may still be read; see [`Limits::values`].
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    left: Cell<usize>,
    exceeded: Cell<bool>,
}

impl Budget {
    /// As many values as the limits allow.
    pub fn new(limits: &Limits) -> Self {
        Self {
            limit: limits.values,
            left: Cell::new(limits.values),
            exceeded: Cell::new(false),
        }
    }

    /// The refusal to answer with, if reading failed because of this budget.
    pub fn refusal(&self) -> Option<Refusal> {
        self.exceeded.get().then(|| {
            Refusal::new(
                Code::TooComplex,
                format!(
                    "The variables have more than {} values; at most {} are allowed.",
                    self.limit, self.limit
                ),
                None,
            )
        })
    }

    fn spend<E: serde::de::Error>(&self, values: usize) -> Result<(), E> {
        match self.left.get().checked_sub(values) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => {
                self.exceeded.set(true);
                Err(E::custom("too many values"))
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for VariablesWithin<'_> {
    type Value = Variables;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Variables, D::Error> {
        match ValueWithin(self.0).deserialize(deserializer)? {
            Value::Null => Ok(Variables::default()),
            object @ Value::Object(_) => Ok(Variables::from_value(object)),
            _ => Err(D::Error::custom("variables are not a map")),
        }
    }
}

struct ValueWithin<'a>(&'a Budget);

impl<'de> DeserializeSeed<'de> for ValueWithin<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueWithin<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        self.0.spend(1)?;
        Ok(Value::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Value, E> {
        self.0.spend(1)?;
        Ok(Value::Boolean(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        self.0.spend(1)?;
        Ok(Value::from(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        self.0.spend(1)?;
        Ok(Value::from(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        self.0.spend(1)?;
        Ok(Value::from(value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.0.spend(text_values(value))?;
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: serde::de::Error>(self, value: String) -> Result<Value, E> {
        self.0.spend(text_values(&value))?;
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.0.spend(1)?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(ValueWithin(self.0))? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.0.spend(1)?;
        let mut object = async_graphql::indexmap::IndexMap::new();
        while let Some(key) = entries.next_key::<String>()? {
            self.0.spend(further_values(&key))?;
            let value = entries.next_value_seed(ValueWithin(self.0))?;
            object.insert(Name::new(key), value);
        }
        Ok(Value::Object(object))
    }
}

/// The operation to execute (section 6.1, GetOperation).
fn choose<'a>(
    operations: &'a DocumentOperations,
    name: Option<&str>,
) -> Result<&'a Positioned<OperationDefinition>, Refusal> {
    let refuse = |message: String| Refusal::new(Code::OperationResolutionFailed, message, None);
    match (operations, name) {
        (DocumentOperations::Single(operation), None) => Ok(operation),
        (DocumentOperations::Single(_), Some(name)) => {
            Err(refuse(format!("Unknown operation named \"{name}\".")))
        }
        (DocumentOperations::Multiple(operations), Some(name)) => operations
            .get(name)
            .ok_or_else(|| refuse(format!("Unknown operation named \"{name}\"."))),
        (DocumentOperations::Multiple(operations), None) => {
            let mut all = operations.values();
            match (all.next(), all.next()) {
                (Some(only), None) => Ok(only),
                _ => Err(refuse(
                    "The document has several operations; \"operationName\" must say which one."
                        .to_owned(),
                )),
            }
        }
    }
}

/// The part of CoerceVariableValues (section 6.1.2) that needs no schema.
fn check_variables(
    operation: &Positioned<OperationDefinition>,
    variables: &Variables,
) -> Result<(), Refusal> {
    for definition in &operation.node.variable_definitions {
        let name = &definition.node.name.node;
        let wanted = &definition.node.var_type.node;
        if wanted.nullable {
            continue;
        }
        let problem = match variables.get(name) {
            None if definition.node.default_value.is_none() => "was not provided",
            Some(Value::Null) => "must not be null",
            _ => continue,
        };
        return Err(Refusal::new(
            Code::BadUserInput,
            format!("Variable \"${name}\" of required type \"{wanted}\" {problem}."),
            Some(definition.pos),
        ));
    }
    Ok(())
}

fn innermost(ty: &Type) -> &str {
    let mut ty = ty;
    loop {
        match &ty.base {
            BaseType::Named(name) => return name,
            BaseType::List(inner) => ty = inner,
        }
    }
}

/// The parser's error, without the source lines that it draws: those can be as
/// long as the document.
fn syntax(error: parser::Error) -> Refusal {
    let text = error.to_string();
    let reason = text.rsplit("\n  = ").next().unwrap_or(&text).trim();
    Refusal {
        code: Code::ParseFailed,
        message: format!("Syntax error: {reason}."),
        locations: error.positions().collect(),
    }
}

/// Refuses what is too long, has too many tokens or nests too deep, and what is no
/// sequence of tokens.
///
/// The tokens must end where the parser ends them, or brackets could hide from one
/// of the two: that is why this follows section 2.1 to the letter, and leaves
/// nothing that is malformed for the parser to read in its own way (it takes `00`
/// for two numbers, and an unfinished block string for two strings).
fn scan(source: &str, limits: &Limits) -> Result<(), Refusal> {
    if source.len() > limits.bytes {
        return Err(Refusal::new(
            Code::TooComplex,
            format!(
                "The document has {} bytes; at most {} are allowed. Long texts belong into variables.",
                source.len(),
                limits.bytes
            ),
            None,
        ));
    }

    let bytes = source.as_bytes();
    let malformed = |what: &str, at: usize| {
        Refusal::new(
            Code::ParseFailed,
            format!("Syntax error: {what}."),
            Some(position(source, at)),
        )
    };
    let mut tokens = 0_usize;
    let mut open = 0_usize;
    // The brackets that were open before the parenthesis that is open now.
    let mut before_arguments = None;
    let mut deepest = (0_usize, 0_usize);
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = &source[at..];
        let length = match byte {
            b' ' | b'\t' | b'\n' | b'\r' | b',' => {
                at += 1;
                continue;
            }
            0xEF if rest.starts_with('\u{feff}') => {
                at += '\u{feff}'.len_utf8();
                continue;
            }
            b'#' => {
                at += rest.find(['\n', '\r']).unwrap_or(rest.len());
                continue;
            }
            b'{' | b'[' | b'(' => {
                open += 1;
                let depth = open - before_arguments.unwrap_or(0);
                if byte == b'(' {
                    before_arguments = Some(open);
                } else if depth > deepest.0 {
                    deepest = (depth, at);
                }
                1
            }
            b'}' | b']' | b')' => {
                open = open.saturating_sub(1);
                if byte == b')' {
                    before_arguments = None;
                }
                before_arguments = before_arguments.map(|before: usize| before.min(open));
                1
            }
            b'!' | b'$' | b'&' | b':' | b'=' | b'@' | b'|' => 1,
            b'.' if rest.starts_with("...") => 3,
            b'"' => string(rest).ok_or_else(|| malformed("a string does not end", at))?,
            b'-' | b'0'..=b'9' => {
                number(rest.as_bytes()).ok_or_else(|| malformed("a number is malformed", at))?
            }
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => rest
                .bytes()
                .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
                .count(),
            _ => {
                let character = rest.chars().next().unwrap_or_default();
                return Err(malformed(
                    &format!("the character {character:?} is not expected here"),
                    at,
                ));
            }
        };
        tokens += 1;
        at += length;
    }

    if tokens > limits.tokens {
        return Err(Refusal::too_complex("tokens", tokens, limits.tokens));
    }
    if deepest.0 > limits.depth {
        let mut refusal = Refusal::too_complex("levels of nesting", deepest.0, limits.depth);
        refusal.locations.push(position(source, deepest.1));
        return Err(refusal);
    }
    Ok(())
}

/// The length of the string that the text starts with, or none if it does not end
/// (section 2.9.4).
fn string(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if text.starts_with("\"\"\"") {
        let mut at = 3;
        loop {
            at += text[at..].find("\"\"\"")?;
            if bytes[at - 1] != b'\\' {
                return Some(at + 3);
            }
            at += 3;
        }
    }
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\n' | b'\r' => return None,
            // What follows is ASCII in every escape that the parser takes.
            b'\\' => match bytes.get(at + 1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' | b'u' => at += 2,
                _ => return None,
            },
            _ => at += 1,
        }
    }
}

/// The length of the number that the text starts with, or none if it is malformed
/// (sections 2.9.1 and 2.9.2).
fn number(bytes: &[u8]) -> Option<usize> {
    let digits = |from: usize| {
        let count = bytes[from..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count();
        (count > 0).then_some(from + count)
    };
    let start = usize::from(bytes.first() == Some(&b'-'));
    let mut end = digits(start)?;
    if bytes[start] == b'0' && end - start > 1 {
        return None;
    }
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(end) {
        let sign = matches!(bytes.get(end + 1), Some(b'+' | b'-'));
        end = digits(end + 1 + usize::from(sign))?;
    }
    match bytes.get(end) {
        Some(b'.' | b'_' | b'A'..=b'Z' | b'a'..=b'z') => None,
        _ => Some(end),
    }
}

/// Line and column of a byte, both from 1, the column in characters.
fn position(source: &str, at: usize) -> Pos {
    let mut position = Pos { line: 1, column: 1 };
    let mut characters = source[..at].chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\r' if characters.peek() == Some(&'\n') => {}
            '\n' | '\r' => {
                position.line += 1;
                position.column = 1;
            }
            _ => position.column += 1,
        }
    }
    position
}

/// What a selection set comes to once its fragments are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Weight {
    fields: usize,
    values: usize,
    /// Fields at its top, within fragments of the same object as well.
    roots: usize,
    /// Levels of selection sets, itself included.
    depth: usize,
}

impl Weight {
    /// Adds what stands beside the rest, at most one level below.
    fn add(&mut self, other: Self) {
        self.fields = self.fields.saturating_add(other.fields);
        self.values = self.values.saturating_add(other.values);
        self.roots = self.roots.saturating_add(other.roots);
        self.depth = self.depth.max(other.depth);
    }
}

enum Known {
    /// The fragment is being weighed: who spreads it now is inside it.
    Open,
    Weighed(Weight),
}

/// Weighs the parts of one document, each fragment once.
struct Scale<'a> {
    document: &'a ExecutableDocument,
    /// How many values stand for a variable, in the worst case: the one that was
    /// given, or the largest default.
    variables: HashMap<&'a str, usize>,
    fragments: HashMap<&'a str, Known>,
    depth: usize,
}

impl<'a> Scale<'a> {
    fn new(document: &'a ExecutableDocument, given: &'a Variables, limits: &Limits) -> Self {
        let mut variables = HashMap::new();
        for (name, value) in given.iter() {
            variables.insert(name.as_str(), values(value));
        }
        for (_, operation) in document.operations.iter() {
            for definition in &operation.node.variable_definitions {
                if let Some(default) = &definition.node.default_value {
                    let size = variables.entry(&definition.node.name.node).or_insert(0);
                    *size = values(&default.node).max(*size);
                }
            }
        }
        Self {
            document,
            variables,
            fragments: HashMap::new(),
            depth: limits.depth,
        }
    }

    fn check(mut self, document: &'a ExecutableDocument, limits: &Limits) -> Result<(), Refusal> {
        let mut total = Weight::default();
        let given = self.variables.values().copied();
        total.values = given.fold(0, usize::saturating_add);
        for (_, operation) in document.operations.iter() {
            let mut weight = self.selections(&operation.node.selection_set, 1)?;
            weight.values = weight
                .values
                .saturating_add(self.directives(&operation.node.directives));
            for definition in &operation.node.variable_definitions {
                let directives = self.directives(&definition.node.directives);
                weight.values = weight.values.saturating_add(directives);
            }
            if weight.roots > limits.roots {
                return Err(Refusal::too_complex(
                    "root fields",
                    weight.roots,
                    limits.roots,
                ));
            }
            total.add(weight);
        }
        // Validation walks the fragments that no operation reaches as well.
        let unused: Vec<&str> = document
            .fragments
            .keys()
            .map(Name::as_str)
            .filter(|name| !self.fragments.contains_key(name))
            .collect();
        for name in unused {
            total.add(self.fragment(name, None, 1)?);
        }
        if total.fields > limits.fields {
            let what = "fields after its fragments are spread";
            return Err(Refusal::too_complex(what, total.fields, limits.fields));
        }
        if total.values > limits.values {
            let what = "values in its arguments and variables";
            return Err(Refusal::too_complex(what, total.values, limits.values));
        }
        Ok(())
    }

    /// Weighs a selection set that stands on the given level, from 1.
    fn selections(
        &mut self,
        set: &'a Positioned<SelectionSet>,
        level: usize,
    ) -> Result<Weight, Refusal> {
        let mut weight = Weight::default();
        if set.node.items.is_empty() {
            return Ok(weight);
        }
        self.check_level(level, Some(set.pos))?;
        for selection in &set.node.items {
            let mut one = match &selection.node {
                Selection::Field(field) => {
                    let mut inner = self.selections(&field.node.selection_set, level + 1)?;
                    inner.roots = 1;
                    for (_, value) in &field.node.arguments {
                        let filled = self.filled(|fill| value.node.clone().into_const_with(fill));
                        inner.values = inner.values.saturating_add(filled);
                    }
                    inner
                }
                Selection::InlineFragment(fragment) => {
                    self.selections(&fragment.node.selection_set, level + 1)?
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    self.fragment(name, Some(spread.pos), level + 1)?
                }
            };
            one.fields = one.fields.saturating_add(1);
            let directives = self.directives(selection.node.directives());
            one.values = one.values.saturating_add(directives);
            weight.add(one);
        }
        weight.depth += 1;
        Ok(weight)
    }

    /// Weighs a fragment where it is spread. One that does not exist weighs
    /// nothing: validation will name it.
    fn fragment(
        &mut self,
        name: &'a str,
        at: Option<Pos>,
        level: usize,
    ) -> Result<Weight, Refusal> {
        let Some(fragment) = self.document.fragments.get(name) else {
            return Ok(Weight::default());
        };
        match self.fragments.get(name) {
            Some(Known::Weighed(weight)) => {
                let weight = *weight;
                self.check_level(level - 1 + weight.depth, at)?;
                return Ok(weight);
            }
            Some(Known::Open) => {
                return Err(Refusal::new(
                    Code::ValidationFailed,
                    format!("The fragment \"{name}\" spreads itself."),
                    at,
                ));
            }
            None => {}
        }
        self.fragments.insert(name, Known::Open);
        let mut weight = self.selections(&fragment.node.selection_set, level)?;
        let directives = self.directives(&fragment.node.directives);
        weight.values = weight.values.saturating_add(directives);
        self.fragments.insert(name, Known::Weighed(weight));
        Ok(weight)
    }

    /// Refuses at once: this bounds the recursion as well.
    fn check_level(&self, level: usize, at: Option<Pos>) -> Result<(), Refusal> {
        if level <= self.depth {
            return Ok(());
        }
        let limit = self.depth;
        Err(Refusal::new(
            Code::TooComplex,
            format!(
                "The request has {level} or more levels of nesting; at most {limit} are allowed."
            ),
            at,
        ))
    }

    fn directives(&self, directives: &[Positioned<Directive>]) -> usize {
        let mut total = directives.len();
        for directive in directives {
            for (_, value) in &directive.node.arguments {
                let filled = self.filled(|fill| value.node.clone().into_const_with(fill));
                total = total.saturating_add(filled);
            }
        }
        total
    }

    /// How many values an argument is, its variables filled in: they are handed to
    /// `fill`, which leaves a null in their place.
    fn filled(&self, resolve: impl FnOnce(Fill<'_>) -> Result<Value, Infallible>) -> usize {
        let mut filled = 0_usize;
        let Ok(literal) = resolve(&mut |name| {
            let size = self.variables.get(name.as_str()).copied().unwrap_or(0);
            filled = filled.saturating_add(size);
            Ok(Value::Null)
        });
        values(&literal).saturating_add(filled)
    }
}

type Fill<'a> = &'a mut dyn FnMut(Name) -> Result<Value, Infallible>;

/// How many values a value is; see [`Limits::values`].
fn values(value: &Value) -> usize {
    match value {
        Value::List(items) => items.iter().map(values).fold(1, usize::saturating_add),
        Value::Object(entries) => entries
            .iter()
            .map(|(key, value)| values(value).saturating_add(further_values(key)))
            .fold(1, usize::saturating_add),
        Value::String(text) => text_values(text),
        _ => 1,
    }
}

fn text_values(text: &str) -> usize {
    1 + further_values(text)
}

fn further_values(text: &str) -> usize {
    text.len() / 4_096
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use async_graphql::{EmptyMutation, EmptySubscription, InputObject, Object, Request, Schema};

    use super::*;
    use crate::documents::{Admitted, Documents};

    /// As it is executed: with the document that was parsed.
    fn admit(request: Request, limits: &Limits) -> Result<Admitted, Refusal> {
        let mut admitted = Documents::new(*limits).admit(request)?;
        let executable = admitted.document.to_executable();
        admitted.request.set_parsed_query(executable);
        Ok(admitted)
    }

    struct Root;

    #[derive(InputObject)]
    struct Filter {
        text: Option<String>,
        all: Option<Vec<Filter>>,
    }

    #[Object]
    impl Root {
        async fn child(&self) -> Root {
            Root
        }
        async fn children(&self, first: Option<i32>) -> Vec<Root> {
            (0..first.unwrap_or(1)).map(|_| Root).collect()
        }
        async fn find(
            &self,
            texts: Option<Vec<String>>,
            number: Option<i64>,
            filter: Option<Filter>,
        ) -> usize {
            let filter = filter.map_or(0, |f| {
                f.text.map_or(0, |t| t.len()) + f.all.map_or(0, |a| a.len())
            });
            texts.map_or(0, |t| t.len()) + number.map_or(0, |_| 1) + filter
        }
        async fn published_at(&self) -> i32 {
            1
        }
        async fn updated_at(&self) -> i32 {
            1
        }
        async fn created_at(&self) -> i32 {
            1
        }
        async fn deleted_at(&self) -> i32 {
            1
        }
        async fn categories(&self) -> i32 {
            1
        }
        async fn category(&self) -> i32 {
            1
        }
        async fn deletions(&self) -> i32 {
            1
        }
        async fn viewer(&self) -> i32 {
            1
        }
        async fn users(&self) -> i32 {
            1
        }
        async fn posts(&self) -> i32 {
            1
        }
        async fn post(&self) -> i32 {
            1
        }
        async fn tags(&self) -> i32 {
            1
        }
        async fn title(&self) -> i32 {
            1
        }
        async fn content(&self) -> i32 {
            1
        }
        async fn co_authors(&self) -> i32 {
            1
        }
    }

    type TestSchema = Schema<Root, EmptyMutation, EmptySubscription>;

    fn schema() -> TestSchema {
        // Looking for similar names takes 200 ms for 65 KB of unknown ones.
        Schema::build(Root, EmptyMutation, EmptySubscription)
            .disable_suggestions()
            .finish()
    }

    /// Joins what `each` makes of 0, 1, … `count`.
    fn many(count: usize, each: impl Fn(usize) -> String) -> String {
        (0..count).map(each).collect::<Vec<_>>().join(" ")
    }

    fn request(source: impl Into<String>) -> Request {
        Request::new(source)
    }

    fn with(source: impl Into<String>, variables: serde_json::Value) -> Request {
        Request::new(source).variables(Variables::from_json(variables))
    }

    /// Documents that are made to cost much, each as large as the default limits
    /// let it be.
    fn evil() -> Vec<(&'static str, Request)> {
        let inline = |levels: usize, inner: &str| {
            format!("{}{inner}{}", "...{".repeat(levels), "}".repeat(levels))
        };
        let block = format!("\"\"\"{}\"\"\"", "a\n ".repeat(21_000));
        vec![
            (
                "one long unknown name",
                request(format!("{{{}}}", "a".repeat(65_000))),
            ),
            (
                "many unknown names",
                request(format!(
                    "{{child{{{}}}}}",
                    many(990, |i| format!("published{i:055}"))
                )),
            ),
            (
                "variables by their uses",
                request(format!(
                    "query({}){{find(texts:[{}])}}",
                    many(290, |i| format!("$v{i}:String!=\"\"")),
                    "$v289 ".repeat(900)
                )),
            ),
            (
                "variables by their uses, of the wrong type",
                request(format!(
                    "query({}){{find(texts:[{}])}}",
                    many(500, |i| format!("$v{i}:Int")),
                    "$v499 ".repeat(950)
                )),
            ),
            (
                "unused variables of unknown types",
                request(format!(
                    "query({}){{tags}}",
                    many(990, |i| format!("$variable_{i:050}:T"))
                )),
            ),
            (
                "two fields with many arguments",
                request(format!(
                    "{{find({0})find({0})}}",
                    many(660, |i| format!("a{i:035}:1"))
                )),
            ),
            (
                "one field with many arguments",
                request(format!(
                    "{{find({})}}",
                    many(1_320, |i| format!("a{i:045}:1"))
                )),
            ),
            (
                "four fields with many arguments, spread often",
                request(format!(
                    "{{child{{{}}}}} fragment F on Root{{find({2}) find({2})}} fragment G on Root{{{1}}}",
                    "child{...F ...G}".repeat(20),
                    "find ".repeat(10),
                    many(80, |i| format!("a{i}:1")),
                )),
            ),
            (
                "one name for many different fields",
                request(format!(
                    "{{child{{{}}}}}",
                    many(990, |i| format!("x:{}", ["tags", "title", "post"][i % 3]))
                )),
            ),
            (
                "many fields within many inline fragments",
                request(format!("{{child{{{}}}}}", inline(22, &"tags ".repeat(970)))),
            ),
            (
                "many inline fragments with fields at each level",
                request(format!(
                    "{{child{{{}}}}}",
                    format!("{}...{{", "a:tags ".repeat(42)).repeat(22) + "tags" + &"}".repeat(22)
                )),
            ),
            (
                "operations by the undefined variables of a fragment",
                request(format!(
                    "{} fragment F on Root{{find(texts:[{}])}}",
                    many(25, |i| format!("query q{i}{{...F}}")),
                    many(190, |i| format!("$v{i}"))
                ))
                .operation_name("q0"),
            ),
            (
                "operations by the unused variables of each",
                request(many(45, |i| {
                    format!("query q{i}({}){{tags}}", many(20, |v| format!("$v{v}:Int")))
                }))
                .operation_name("q0"),
            ),
            (
                "unused fragments that spread a large one",
                request(format!(
                    "{{tags}} fragment F on Root{{{}}} {}",
                    "tags ".repeat(30),
                    many(29, |i| format!("fragment f{i} on Root{{...F}}"))
                )),
            ),
            (
                "many unused fragments",
                request(format!(
                    "{{tags}} {}",
                    many(480, |i| format!("fragment f{i} on Root{{tags}}"))
                )),
            ),
            (
                "spreads of fragments that do not exist",
                request(format!(
                    "{{child{{{}}}}}",
                    many(990, |i| format!("...f{i:050}"))
                )),
            ),
            (
                "many unknown directives",
                request(format!("{{tags {}}}", "@directive ".repeat(1_990))),
            ),
            (
                "many directives within a fragment that is spread often",
                request(format!(
                    "{{child{{{}}}}} fragment F on Root{{tags {}}}",
                    "...F ".repeat(80),
                    "@skip(if:false)".repeat(30),
                )),
            ),
            (
                "a list in a variable, used often",
                with(
                    format!(
                        "query($v:[String!]){{child{{{}}}}}",
                        many(148, |i| format!("a{i}:find(texts:$v)"))
                    ),
                    serde_json::json!({"v": vec!["x"; 100]}),
                ),
            ),
            (
                "an object in a variable, used often",
                with(
                    format!(
                        "query($v:Filter){{child{{{}}}}}",
                        many(70, |i| format!("a{i}:find(filter:$v)"))
                    ),
                    serde_json::json!({"v": {"all": vec![serde_json::json!({}); 100]}}),
                ),
            ),
            (
                "a list of the wrong type in a variable, used often",
                with(
                    format!(
                        "query($v:[String!]){{child{{{}}}}}",
                        many(148, |i| format!("a{i}:find(number:$v)"))
                    ),
                    serde_json::json!({"v": vec!["x".repeat(1_000); 100]}),
                ),
            ),
            (
                "a text of 4 MB in a variable",
                with(
                    "query($v:[String!]){find(texts:$v)}",
                    serde_json::json!({"v": "x".repeat(4 << 20)}),
                ),
            ),
            (
                "a long text within a fragment that is spread often",
                request(format!(
                    "{{child{{{}}}}} fragment F on Root{{find(texts:[\"{}\"])}}",
                    "...F ".repeat(150),
                    "x".repeat(62_000)
                )),
            ),
            (
                "a long block string",
                request(format!("{{find(texts:[{block}])}}")),
            ),
            (
                "separators",
                request(format!("{{{}tags}}", ",".repeat(65_000))),
            ),
            (
                "a comment",
                request(format!("{{#{}\ntags}}", "x".repeat(65_000))),
            ),
            (
                "values without separators",
                request(format!("{{find(texts:[{}])}}", "true".repeat(16_000))),
            ),
            (
                "a syntax error at the end",
                request(format!("{{child{{{}}}}} !", "a:tags(x:1)".repeat(490))),
            ),
            (
                "lists within lists",
                request(format!(
                    "{{find(texts:[{}])}}",
                    many(75, |_| "[".repeat(24) + &"]".repeat(24))
                )),
            ),
            (
                "types within types",
                request(format!(
                    "query({}){{tags}}",
                    many(70, |i| format!(
                        "$v{i}:{}Int{}",
                        "[".repeat(25),
                        "]".repeat(25)
                    ))
                )),
            ),
            (
                "objects within objects",
                request(format!(
                    "{{find(filter:{}{{text:1}}{})}}",
                    "{all:[".repeat(12),
                    "]}".repeat(12)
                )),
            ),
            (
                "levels",
                request(format!(
                    "{}tags{}",
                    "{child".repeat(24) + "{",
                    "}".repeat(25)
                )),
            ),
        ]
    }

    /// In a debug build on two cores of 2024, the worst of them takes 90 ms.
    #[tokio::test]
    async fn no_document_takes_long_within_the_limits() {
        let schema = schema();
        for turn in evil().into_iter().zip(evil()).zip(evil()) {
            let (((name, a), (_, b)), (_, c)) = turn;
            let mut best = Duration::MAX;
            for request in [a, b, c] {
                let start = Instant::now();
                if let Ok(admitted) = admit(request, &Limits::default()) {
                    schema.execute(admitted.request).await;
                }
                best = best.min(start.elapsed());
            }
            assert!(best < Duration::from_millis(250), "{name}: {best:?}");
        }
    }

    /// All of graphql-js 17.1.0's `getIntrospectionQuery` options on.
    const INTROSPECTION: &str = "query IntrospectionQuery{__schema{description queryType{name kind}mutationType{name kind}subscriptionType{name kind}types{...FullType}directives(includeDeprecated:true){name description isRepeatable isDeprecated deprecationReason locations args(includeDeprecated:true){...InputValue}}}}fragment FullType on __Type{kind name description specifiedByURL isOneOf fields(includeDeprecated:true){name description args(includeDeprecated:true){...InputValue}type{...TypeRef}isDeprecated deprecationReason}inputFields(includeDeprecated:true){...InputValue}interfaces{...TypeRef}enumValues(includeDeprecated:true){name description isDeprecated deprecationReason}possibleTypes{...TypeRef}}fragment InputValue on __InputValue{name description type{...TypeRef}defaultValue isDeprecated deprecationReason}fragment TypeRef on __Type{kind name ofType{name kind ofType{name kind ofType{name kind ofType{name kind ofType{name kind ofType{name kind ofType{name kind ofType{name kind ofType{name kind}}}}}}}}}}";

    const UNLIMITED: Limits = Limits {
        bytes: usize::MAX,
        tokens: usize::MAX,
        depth: usize::MAX,
        fields: usize::MAX,
        values: usize::MAX,
        roots: usize::MAX,
    };

    fn outcome(request: Request, limits: Limits) -> Result<(), (Code, String)> {
        match admit(request, &limits) {
            Ok(_) => Ok(()),
            Err(refusal) => Err((refusal.code, refusal.message)),
        }
    }

    fn code(source: &str, limits: Limits) -> Option<Code> {
        outcome(request(source), limits).err().map(|(code, _)| code)
    }

    /// Admitted at the limit, refused with both numbers at one less.
    #[track_caller]
    fn assert_counts(
        make: impl Fn() -> Request,
        count: usize,
        what: &str,
        set: impl Fn(&mut Limits, usize),
    ) {
        let request = make();
        let parsed = |limit| {
            let mut limits = UNLIMITED;
            set(&mut limits, limit);
            parse(&request.query, &request.variables, &limits).map(|_| ())
        };
        assert_eq!(parsed(count), Ok(()));
        let refusal = parsed(count - 1).unwrap_err();
        assert_eq!(refusal.code, Code::TooComplex);
        for part in [what, &count.to_string(), &(count - 1).to_string()] {
            assert!(refusal.message.contains(part), "{part}: {refusal}");
        }
    }

    #[track_caller]
    fn assert_fields(source: &str, count: usize) {
        assert_counts(|| request(source), count, "fields", |l, n| l.fields = n);
    }

    #[track_caller]
    fn assert_depth(source: &str, count: usize) {
        assert_counts(|| request(source), count, "levels", |l, n| l.depth = n);
    }

    #[track_caller]
    fn assert_values(make: impl Fn() -> Request, count: usize) {
        assert_counts(make, count, "values", |l, n| l.values = n);
    }

    #[track_caller]
    fn assert_tokens(source: &str, count: usize) {
        assert_counts(|| request(source), count, "tokens", |l, n| l.tokens = n);
    }

    #[track_caller]
    fn assert_roots(source: &str, count: usize) {
        assert_counts(|| request(source), count, "root fields", |l, n| l.roots = n);
    }

    #[test]
    fn introspection_takes_what_the_documentation_says() {
        let make = || request(INTROSPECTION);
        assert_eq!(outcome(make(), Limits::default()), Ok(()));
        assert_counts(make, INTROSPECTION.len(), "bytes", |l, n| l.bytes = n);
        assert_tokens(INTROSPECTION, 191);
        assert_depth(INTROSPECTION, 18);
        assert_fields(INTROSPECTION, 242);
        assert_values(make, 6);
        assert_roots(INTROSPECTION, 1);
    }

    #[test]
    fn every_token_counts_and_nothing_else_does() {
        assert_tokens("{a}", 3);
        assert_tokens("\u{feff}{ ,\t\r\n a # { \" {\r b }", 4);
        assert_tokens(
            "query Q($a: [Int!]! = [-1 2.5e-3]) @d { ...on T { a } ...F } fragment F on T { a }",
            36,
        );
        assert_tokens(r#"{ a(s: "{[(\"\\{", b: """ { \""" " {""", c: "") }"#, 14);
        assert_tokens("{ a(n: [1-1-1 0-0 1e9]) }", 15);
    }

    #[test]
    fn levels_count_wherever_they_come_from() {
        assert_depth("{a{b{c}}}", 3);
        assert_depth("{a{b} a{b{c}} a{b}}", 3);
        assert_depth("{...{...{a}}}", 3);
        assert_depth("{a{...F}} fragment F on T{b{c}}", 4);
        assert_depth("{a{...F} ...F} fragment F on T{b{c}}", 4);
        assert_depth("{...F a{b{...F}}} fragment F on T{b{c}}", 5);
        assert_depth("{a} fragment F on T{b{...G}} fragment G on T{a{b}}", 4);
        assert_depth("{a(x:[[[{y:[1]}]]])}", 5);
        assert_depth("query($a:[[[Int]]]){a}", 3);
        assert_depth("{a(x:[[1]]){b(x:[1]){c}}}", 3);
        assert_depth("{a @d(x:[[[1]]])}", 3);
    }

    #[test]
    fn fields_count_wherever_a_fragment_is_spread() {
        assert_fields("{a b{c}}", 3);
        assert_fields("{a a a}", 3);
        assert_fields("{...{a}}", 2);
        assert_fields("{...F ...F} fragment F on T{a b}", 6);
        assert_fields("{...Nowhere}", 1);
        assert_fields("query A{a} query B{a b}", 3);
        assert_fields("{a} fragment F on T{a ...G} fragment G on T{a b}", 7);
    }

    #[test]
    fn values_count_wherever_they_are_used() {
        let literal = |source: &'static str, count| assert_values(|| request(source), count);
        literal("{a(x:1 y:null z:E)}", 3);
        literal("{a(x:[1 {y:2 z:[]}])}", 5);
        literal("{a @d @d(x:1)}", 3);
        literal("query Q($x:Int @d) @d {a}", 2);
        literal("{...F @d ...F} fragment F on T @d {a(x:[1])}", 7);
        literal("query($x:[Int]=[1 2]){a(x:$x) b(x:[$x])}", 12);
        let filled = |source: &'static str, x, count| {
            let make = || with(source, serde_json::json!({ "x": x }));
            assert_values(make, count);
        };
        filled("{a}", serde_json::json!([1, 2]), 3);
        filled(
            "query($x:[Int]){a(x:$x) b(x:$x)}",
            serde_json::json!([1, 2]),
            11,
        );
        filled("query($x:[Int]=[1]){a(x:$x)}", serde_json::json!([1, 2]), 7);
        filled("{a}", serde_json::json!("x".repeat(4_095)), 1);
        filled("{a}", serde_json::json!("x".repeat(4_096)), 2);
        filled("{a}", serde_json::json!({ "k".repeat(8_192): 1 }), 4);
    }

    #[test]
    fn root_fields_count_through_fragments_and_by_operation() {
        assert_roots("{a b{c d} c}", 3);
        assert_roots("{a ...F ...{a ...F}} fragment F on T{a b{c}}", 6);
        assert_roots("query A{a b} query B{a b c}", 3);
    }

    #[test]
    fn brackets_by_the_hundred_thousand_do_not_reach_the_parser() {
        let limits = Limits {
            bytes: usize::MAX,
            tokens: usize::MAX,
            ..Limits::default()
        };
        for (before, bracket) in [
            ("", "{"),
            ("", "{a"),
            ("{", "...{"),
            ("", "["),
            ("", "("),
            ("{a(x:", "["),
            ("{a(x:", "{y:"),
            ("{a(x:", "[{y:"),
            ("query($x:", "["),
            ("query($x:Int=", "["),
            ("{a @d(x:", "["),
            ("{a(", "({"),
            ("{a)))", "{"),
        ] {
            let source = before.to_owned() + &bracket.repeat(100_000);
            let refused = code(&source, limits);
            // Parentheses do not nest in GraphQL, so the parser stops at the second.
            let expected = match bracket {
                "(" | "({" => Code::ParseFailed,
                _ => Code::TooComplex,
            };
            assert_eq!(refused, Some(expected), "{before}{bracket}");
        }
    }

    #[test]
    fn fragments_that_double_are_counted_without_being_walked() {
        for end in ["a", "...Nowhere"] {
            let chain = many(69, |i| {
                format!("fragment F{i} on T{{...F{0} ...F{0}}}", i + 1)
            });
            let source = format!("{{...F0}} {chain} fragment F69 on T{{{end}}}");
            let limits = Limits {
                depth: 100,
                ..Limits::default()
            };
            let (code, message) = outcome(request(source), limits).unwrap_err();
            assert_eq!(code, Code::TooComplex);
            assert!(message.contains(&usize::MAX.to_string()), "{message}");
        }
    }

    #[test]
    fn cycles_of_fragments_are_refused_used_or_not() {
        for source in [
            "{...A} fragment A on T{...A}",
            "{...A} fragment A on T{a{...B}} fragment B on T{...{...A}}",
            "{a} fragment A on T{...B} fragment B on T{...A}",
        ] {
            let refused = code(source, Limits::default());
            assert_eq!(refused, Some(Code::ValidationFailed), "{source}");
        }
    }

    #[test]
    fn a_long_chain_of_fragments_is_refused_before_the_stack_ends() {
        let chain = many(100_000, |i| format!("fragment F{i} on T{{...F{}}}", i + 1));
        let limits = Limits {
            depth: Limits::default().depth,
            ..UNLIMITED
        };
        let refused = code(&format!("{{...F0}} {chain}"), limits);
        assert_eq!(refused, Some(Code::TooComplex));
    }

    #[test]
    fn what_is_no_graphql_is_refused_with_its_place() {
        for (source, line, column) in [
            ("", 1, 1),
            ("{", 1, 2),
            ("{a}}", 1, 4),
            ("{\r\n é", 2, 2),
            ("{a\u{0}}", 1, 3),
            ("{\n\ra(s:\"ü\" \"x", 3, 9),
            ("{a(s:\"x\ny\")}", 1, 6),
            ("{a(s:\"\\q\")}", 1, 6),
            ("{a(s:[\"\"\"x\"])}", 1, 7),
            ("{a(s:\"\"\"x\\\"\"\")}", 1, 6),
            ("{a(n:[00])}", 1, 7),
            ("{a(n:1.)}", 1, 6),
            ("{a(n:1e)}", 1, 6),
            ("{a(n:1x)}", 1, 6),
            ("{a(n:-)}", 1, 6),
            ("{a(n:.5)}", 1, 6),
        ] {
            let refusal = admit(request(source), &Limits::default()).unwrap_err();
            assert_eq!(refusal.code, Code::ParseFailed, "{source}");
            assert_eq!(refusal.locations, [Pos { line, column }], "{source}");
        }
    }

    #[test]
    fn a_syntax_error_does_not_repeat_the_document() {
        let source = format!("{{{} !}}", "a ".repeat(1_000));
        let (_, message) = outcome(request(source), Limits::default()).unwrap_err();
        assert!(message.starts_with("Syntax error: expected "), "{message}");
        assert!(message.len() < 120, "{message}");
    }

    #[test]
    fn definitions_of_one_name_are_refused() {
        for source in ["{a} {a}", "query A{a} query A{a}", "fragment F on T{a}"] {
            assert_eq!(code(source, Limits::default()), Some(Code::ParseFailed));
        }
    }

    #[test]
    fn the_operation_must_be_clear() {
        let named = |source: &str, name: &str| {
            let request = request(source).operation_name(name);
            admit(request, &Limits::default())
                .map(|admitted| admitted.operation)
                .map_err(|refusal| refusal.code)
        };
        let both = "query A{a} mutation B{a}";
        assert_eq!(named(both, "A"), Ok(OperationType::Query));
        assert_eq!(named(both, "B"), Ok(OperationType::Mutation));
        let unclear = Err(Code::OperationResolutionFailed);
        assert_eq!(named(both, "C"), unclear);
        assert_eq!(named("{a}", "A"), unclear);
        assert_eq!(
            code(both, Limits::default()),
            Some(Code::OperationResolutionFailed)
        );
        assert_eq!(code("query A{a}", Limits::default()), None);
    }

    #[test]
    fn a_variable_that_must_be_there_must_be_there() {
        let given = |ty: &str, variables| {
            let source = format!("query A($x:{ty}){{a(x:$x)}} query B($y:Int!){{a(x:$y)}}");
            let request = with(source, variables).operation_name("A");
            outcome(request, Limits::default())
                .err()
                .map(|(code, _)| code)
        };
        let refused = Some(Code::BadUserInput);
        assert_eq!(given("Int!", serde_json::json!({})), refused);
        assert_eq!(given("Int!", serde_json::json!({"x": null})), refused);
        assert_eq!(given("Int!=1", serde_json::json!({"x": null})), refused);
        assert_eq!(given("Int!=1", serde_json::json!({})), None);
        assert_eq!(given("Int", serde_json::json!({})), None);
        assert_eq!(given("Int", serde_json::json!({"x": null})), None);
        assert_eq!(given("Int!", serde_json::json!({"x": 1})), None);
    }

    fn read(json: &str, values: usize) -> Result<Variables, Option<Refusal>> {
        let budget = Budget::new(&Limits {
            values,
            ..UNLIMITED
        });
        let mut deserializer = serde_json::Deserializer::from_str(json);
        VariablesWithin(&budget)
            .deserialize(&mut deserializer)
            .map_err(|_| budget.refusal())
    }

    #[test]
    fn variables_are_counted_while_they_are_read() {
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(4_096));
        for (json, count) in [
            ("{}", 1),
            (r#"{"a":[1,-2,3.5,true,null,"x",{"b":{}}]}"#, 10),
            (&long, 3),
        ] {
            let variables = read(json, count).unwrap();
            let whole: Variables = serde_json::from_str(json).unwrap();
            assert_eq!(variables, whole);
            let refusal = read(json, count - 1).unwrap_err().unwrap();
            assert_eq!(refusal.code, Code::TooComplex);
            assert!(refusal.message.contains(&(count - 1).to_string()));
        }
        assert_eq!(read("null", 1), Ok(Variables::default()));
        for json in ["[]", "1", "\"x\"", "{"] {
            assert_eq!(read(json, 10), Err(None), "{json}");
        }
    }

    #[test]
    fn variables_nest_128_levels_and_no_more() {
        let nested = |levels| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(read(&nested(126), 1_000).is_ok());
        assert_eq!(read(&nested(127), 1_000), Err(None));
        assert_eq!(read(&nested(100_000), 1_000_000), Err(None));
    }

    #[tokio::test]
    async fn the_deepest_variables_do_not_end_the_stack() {
        let nested = format!(
            "{{\"x\":{}{{}}{}}}",
            "{\"all\":[".repeat(62),
            "]}".repeat(62)
        );
        let variables = read(&nested, 1_000).unwrap();
        let request = request("query($x:Filter){find(filter:$x)}").variables(variables);
        let admitted = admit(request, &Limits::default()).unwrap();
        let response = schema().execute(admitted.request).await;
        assert!(response.is_ok(), "{:?}", response.errors);
    }

    const UNKNOWN_IN_A_LIST: &str = "query($x:[Nowhere]=[1]){tags}";

    /// When this fails, the library has mended it, and [`check_variable_types`] can go.
    #[tokio::test]
    #[should_panic = "Type `Nowhere` not defined"]
    async fn the_library_panics_at_an_unknown_type_in_a_list() {
        schema().execute(UNKNOWN_IN_A_LIST).await;
    }

    #[test]
    fn an_unknown_type_in_a_list_is_refused() {
        let check = |source: &str| {
            let document = parse(source, &Variables::default(), &Limits::default()).unwrap();
            check_variable_types(&document, |name| ["Int", "Text"].contains(&name))
                .map_err(|refusal| (refusal.code, refusal.locations))
        };
        assert_eq!(
            check(UNKNOWN_IN_A_LIST),
            Err((Code::ValidationFailed, vec![Pos { line: 1, column: 7 }]))
        );
        assert_eq!(check("query($x:[[Int!]!] $y:Text!){a}"), Ok(()));
    }

    #[test]
    fn a_refusal_becomes_an_error_with_a_code_and_without_a_path() {
        let refusal = admit(request("{a"), &Limits::default()).unwrap_err();
        let error = serde_json::to_value(ServerError::from(refusal)).unwrap();
        assert_eq!(error["extensions"]["code"], "GRAPHQL_PARSE_FAILED");
        assert_eq!(error["locations"][0]["column"], 3);
        assert!(error.get("path").is_none());
    }
}
