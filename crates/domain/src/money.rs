//! Amounts of money.

use std::fmt;

use crate::text::Check;

/// An amount of a currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Money {
    /// How much, in minor units of the currency: cents of a euro, yen of a yen.
    pub amount: i64,
    /// The code of ISO 4217.
    pub currency: String,
}

impl fmt::Display for Money {
    /// `12.34 EUR`: with as many decimals as ISO 4217 gives the currency.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = iso_currency::Currency::from_code(&self.currency)
            .and_then(|currency| currency.exponent())
            .unwrap_or_default();
        let unit = 10_u64.saturating_pow(decimals.into());
        let sign = if self.amount < 0 { "-" } else { "" };
        let amount = self.amount.unsigned_abs();
        write!(f, "{sign}{}", amount / unit)?;
        if decimals > 0 {
            write!(f, ".{:0width$}", amount % unit, width = decimals.into())?;
        }
        write!(f, " {}", self.currency)
    }
}

impl Check {
    /// The code of a currency of ISO 4217. It is in upper case; `eur` is none.
    pub(crate) fn currency(&mut self, field: &str, text: &str) -> String {
        let code = text.trim();
        if iso_currency::Currency::from_code(code).is_none() {
            self.refuse(
                field,
                "It must be the code of a currency in ISO 4217, such as EUR.",
            );
        }
        code.to_owned()
    }

    /// An amount of minor units that is more than nothing.
    pub(crate) fn amount(&mut self, field: &str, amount: i64) -> i64 {
        if amount <= 0 {
            self.refuse(field, "It must be more than 0.");
        }
        amount
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(amount: i64, currency: &str) -> String {
        let currency = currency.into();
        Money { amount, currency }.to_string()
    }

    #[test]
    fn money_is_shown_with_the_decimals_of_its_currency() {
        assert_eq!(shown(1_234, "EUR"), "12.34 EUR");
        assert_eq!(shown(5, "EUR"), "0.05 EUR");
        assert_eq!(shown(-1_205, "USD"), "-12.05 USD");
        assert_eq!(shown(1_234, "JPY"), "1234 JPY");
        assert_eq!(shown(1_234, "BHD"), "1.234 BHD");
        assert_eq!(shown(i64::MIN, "EUR"), "-92233720368547758.08 EUR");
    }
}
