//! Amounts of money.

use async_graphql::{
    InputObject, InputValueError, InputValueResult, Scalar, ScalarType, SimpleObject, Value,
};
use plimsoll_domain as domain;

/// An amount in minor units of its currency, such as cents: a 64-bit integer written as a string,
/// since the numbers of many clients are exact up to 53 bits only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MinorUnits(pub(crate) i64);

/// An amount in minor units of its currency, such as cents: a 64-bit integer written as a string,
/// since the numbers of many clients are exact up to 53 bits only.
#[Scalar]
impl ScalarType for MinorUnits {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => match text.parse() {
                Ok(amount) => Ok(Self(amount)),
                Err(_) => Err(InputValueError::custom(format!(
                    "{text:?} is no 64-bit integer"
                ))),
            },
            _ => Err(InputValueError::custom(
                "amounts are written as strings: \"1250\"",
            )),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// An amount of money.
#[derive(Clone, Debug, SimpleObject)]
pub(crate) struct Money {
    /// How much, in minor units of the currency.
    amount: MinorUnits,
    /// The code of the currency in ISO 4217.
    currency: String,
}

impl From<domain::Money> for Money {
    fn from(money: domain::Money) -> Self {
        Self {
            amount: MinorUnits(money.amount),
            currency: money.currency,
        }
    }
}

impl Money {
    pub(crate) fn new(amount: i64, currency: &str) -> Self {
        Self {
            amount: MinorUnits(amount),
            currency: currency.into(),
        }
    }
}

/// An amount of money.
#[derive(Clone, Debug, InputObject)]
pub(crate) struct MoneyInput {
    /// How much, in minor units of the currency.
    amount: MinorUnits,
    /// The code of the currency in ISO 4217.
    currency: String,
}

impl From<MoneyInput> for domain::Money {
    fn from(money: MoneyInput) -> Self {
        Self {
            amount: money.amount.0,
            currency: money.currency,
        }
    }
}
