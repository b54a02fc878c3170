//! Passwords: argon2id hashes, made on few threads, so that logins cannot starve the rest.

use std::sync::Arc;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::sync::Semaphore;

use crate::{Error, Result};

/// How many hashes are made at once. One takes 19 MiB and a core (argon2's defaults, which
/// follow OWASP's "Password Storage Cheat Sheet").
const AT_ONCE: usize = 2;

/// The fewest characters of a password (NIST SP 800-63B, section 5.1.1.2).
pub const MIN_CHARACTERS: usize = 8;

/// The most characters of a password.
pub const MAX_CHARACTERS: usize = 256;

/// The place where passwords are hashed.
#[derive(Debug)]
pub struct Passwords {
    places: Arc<Semaphore>,
    /// The hash of no password: compared with when there is no user, so that the time an answer
    /// takes does not tell whether there is one.
    decoy: std::sync::OnceLock<String>,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(AT_ONCE)),
            decoy: std::sync::OnceLock::new(),
        }
    }

    /// The password's hash, in PHC form.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`] if the system gives no random salt.
    pub async fn hash(&self, password: String) -> Result<String> {
        self.work(move || hash(&password)).await?
    }

    /// Whether `password` is the one that was hashed; without a hash it takes as long and is
    /// not.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`] if the hash is not one.
    pub async fn verify(&self, password: String, stored: Option<String>) -> Result<bool> {
        let known = stored.is_some();
        let stored = match (stored, self.decoy.get()) {
            (Some(stored), _) => stored,
            (None, Some(decoy)) => decoy.clone(),
            (None, None) => {
                let decoy = self.hash("nobody's password".into()).await?;
                self.decoy.get_or_init(|| decoy).clone()
            }
        };
        let matches = self
            .work(move || {
                let stored = PasswordHash::new(&stored)
                    .map_err(|e| Error::Internal(format!("a stored hash cannot be read: {e}")))?;
                Ok::<_, Error>(
                    Argon2::default()
                        .verify_password(password.as_bytes(), &stored)
                        .is_ok(),
                )
            })
            .await??;
        Ok(matches && known)
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let gone = |_| Error::Internal("the password threads are gone".into());
        let place = self.places.clone().acquire_owned().await.map_err(gone)?;
        // The thread holds the place: it works on when its client is gone.
        let work = move || {
            let _place = place;
            work()
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|e| Error::Internal(format!("hashing a password failed: {e}")))
    }
}

fn hash(password: &str) -> Result<String> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|e| Error::Internal(format!("hashing a password failed: {e}")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_client_that_leaves_does_not_free_the_place_of_its_thread() {
        let passwords = Passwords::new();
        let left = passwords.hash("somebody's password".into());
        let left = tokio::time::timeout(Duration::from_millis(1), left).await;
        assert!(left.is_err(), "a hash takes longer than a millisecond");
        assert_eq!(passwords.places.available_permits(), AT_ONCE - 1);
        let all = u32::try_from(AT_ONCE).expect("a small number");
        let freed = passwords.places.acquire_many(all);
        let freed = tokio::time::timeout(Duration::from_secs(30), freed).await;
        assert!(freed.is_ok(), "the thread gives its place back");
    }
}
