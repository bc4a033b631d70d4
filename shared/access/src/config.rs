//! The access of a function.

use database::Database;
use document_store::{Tenant, Visibility};
use settings::ConfigError;
use telemetry::Usage;
use tokens::StartError;

use crate::{
    Caller, Denied, KeyUse, Mode, Quota, Scope, bearer::Bearers, cache::KeyCache, counts::Account,
    meter::Meter, secret::Secret,
};

/// Decides who a request is from.
#[derive(Debug)]
pub struct Access {
    mode: Mode,
    bearers: Option<Bearers>,
    keys: KeyCache,
    meter: Meter,
    /// The account and name of each user and role that may act for any tenant.
    admins: Vec<(String, String)>,
}

/// What a request presents.
#[derive(Clone, Copy, Debug, Default)]
pub struct Presented<'r> {
    /// The header `Authorization`.
    pub authorization: Option<&'r str>,
    /// The header `Rappel-Tenant`.
    pub tenant: Option<&'r str>,
    /// Whether API Gateway has verified its token.
    pub token_verified: bool,
    /// The ARN of the principal whom API Gateway has let in.
    pub principal: Option<&'r str>,
    /// Whether it asks for an administrative act: a key that was revoked must not make another one within its last minute.
    pub administers: bool,
}

impl Access {
    /// Reads `AUTHORIZATION`, and what its mode needs. No I/O.
    ///
    /// # Errors
    /// Names the variable that is missing or wrong.
    pub fn from_env() -> Result<Self, StartError> {
        let mode: Mode = settings::chosen(Mode::VARIABLE)?;
        Ok(Self {
            mode,
            bearers: mode.takes_tokens().then(Bearers::from_env).transpose()?,
            keys: KeyCache::new(),
            meter: Meter::new(),
            admins: admins()?,
        })
    }

    /// The caller of a request. A round trip to the database only for an administrator's key, or one that was not looked up within
    /// the last minute.
    ///
    /// # Errors
    /// Why the request is denied.
    pub async fn caller(
        &self,
        database: &Database,
        presented: Presented<'_>,
    ) -> Result<Caller, Denied> {
        let caller = match self.mode {
            Mode::Open => Caller::anybody(),
            Mode::Iam => self.principal(presented.principal),
            Mode::Jwt | Mode::Keys | Mode::JwtAndKeys => self.bearer(database, presented).await?,
        };
        caller.acting_for(presented.tenant)
    }

    /// Counts a request of a caller, unless one of its limits is reached: its limits, and what is left of them. No I/O.
    pub fn admit(&self, caller: &Caller) -> (Vec<Quota>, Result<(), Denied>) {
        let Some(account) = self.account(caller) else {
            return (Vec::new(), Ok(()));
        };
        let limits = caller.key.as_ref().map(|key| key.0.limits);
        self.meter.admit(
            &account,
            limits.and_then(|limits| limits.requests_per_minute),
        )
    }

    /// Notes what an admitted request has used; a round trip if this was not done for some seconds.
    pub async fn settle(&self, database: &Database, caller: &Caller, used: Usage) {
        if let Some(account) = self.account(caller) {
            self.meter.settle(database, &account, used).await;
        }
    }

    /// Notes the rest of what requests have used, when the sandbox ends.
    pub async fn close(&self, database: &Database) {
        self.meter.close(database).await;
    }

    /// Whom a request is counted for: a key, the callers of a tenant, or those with a token. Nobody else is known.
    fn account(&self, caller: &Caller) -> Option<Account> {
        let tenant = &caller.visibility.tenant;
        let is_known =
            caller.key.is_some() || self.mode.takes_tokens() || *tenant != Tenant::default();
        is_known.then(|| Account {
            tenant: tenant.as_str().to_owned(),
            key: caller.key_id().to_owned(),
        })
    }

    fn principal(&self, arn: Option<&str>) -> Caller {
        let name = arn.unwrap_or_default();
        let who = principal(name);
        let operates = who.is_some_and(|who| {
            let mut admins = self.admins.iter();
            admins.any(|(account, name)| (account.as_str(), name.as_str()) == who)
        });
        Caller::principal(name.to_owned(), operates)
    }

    async fn bearer(
        &self,
        database: &Database,
        presented: Presented<'_>,
    ) -> Result<Caller, Denied> {
        let header = presented.authorization.ok_or(Denied::Missing)?;
        let token = tokens::bearer(header).filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| {
            Denied::invalid("the header Authorization has to be Bearer and a key or a token")
        })?;
        match &self.bearers {
            _ if Secret::is_meant(token) && self.mode.takes_keys() => {
                let found = self.keys.find(database, token, presented.administers);
                let key = KeyUse(found.await?);
                Ok(Caller::with_key(key))
            }
            Some(bearers) if !Secret::is_meant(token) => {
                bearers.caller(token, presented.token_verified).await
            }
            Some(_) => Err(Denied::invalid("this deployment takes tokens, not keys")),
            None => Err(Denied::invalid(
                "this deployment takes keys, which begin with rpl_",
            )),
        }
    }
}

impl Caller {
    fn with_key(key: KeyUse) -> Self {
        let stored = &key.0;
        let visibility = Visibility {
            tenant: stored.tenant.clone(),
            filter: stored.filter.clone(),
            max_documents: stored.limits.max_documents,
        };
        Self {
            name: stored.id.clone(),
            // The keys of the tenant '' are the operator's.
            operates: stored.scopes.contains(&Scope::Admin)
                && visibility.filter.is_none()
                && visibility.tenant.as_str().is_empty(),
            scopes: stored.scopes.clone(),
            visibility,
            key: Some(key),
        }
    }
}

/// Reads `ADMIN_PRINCIPALS`: ARNs of users and roles, separated by commas.
fn admins() -> Result<Vec<(String, String)>, ConfigError> {
    const VARIABLE: &str = "ADMIN_PRINCIPALS";
    let value = settings::optional(VARIABLE).unwrap_or_default();
    let arns = value
        .split(',')
        .map(str::trim)
        .filter(|arn| !arn.is_empty());
    let admins = arns.map(|arn| {
        let (account, name) = principal(arn).ok_or_else(|| ConfigError::Invalid {
            variable: VARIABLE,
            value: arn.to_owned(),
            expected: "must be the ARN of a user or a role",
        })?;
        Ok((account.to_owned(), name.to_owned()))
    });
    admins.collect()
}

/// The account, and the kind and name, of a user or role. Sessions of a role have another service, and lack its path:
/// `arn:aws:sts::123456789012:assumed-role/NAME/SESSION` is of `arn:aws:iam::123456789012:role/some/path/NAME`.
fn principal(arn: &str) -> Option<(&str, &str)> {
    let mut parts = arn.splitn(6, ':');
    let ("arn", _, service, "", account, name) = (
        parts.next()?,
        parts.next()?,
        parts.next()?,
        parts.next()?,
        parts.next()?,
        parts.next()?,
    ) else {
        return None;
    };
    let (kind, name) = name.split_once('/')?;
    match (service, kind) {
        ("iam", "role") => Some((account, name.rsplit('/').next()?)),
        ("sts", "assumed-role") => Some((account, name.split('/').next()?)),
        // A user and a role may have one name.
        ("iam", "user") => Some((account, &arn[arn.len() - name.len() - "user/".len()..])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_of_its_role_and_nobody_elses() {
        let role = principal("arn:aws:iam::123456789012:role/teams/ops/Admin");
        assert_eq!(role, Some(("123456789012", "Admin")));
        assert_eq!(
            principal("arn:aws:sts::123456789012:assumed-role/Admin/ada@example.org"),
            role
        );
        for other in [
            "arn:aws:sts::999999999999:assumed-role/Admin/ada",
            "arn:aws:sts::123456789012:assumed-role/Reader/Admin",
            "arn:aws:iam::123456789012:user/Admin",
            "arn:aws:sts::123456789012:federated-user/Admin",
            "arn:aws:iam::123456789012:root",
            "Admin",
            "",
        ] {
            assert_ne!(principal(other), role, "{other}");
        }
        let user = principal("arn:aws:iam::123456789012:user/ada");
        assert_eq!(user, Some(("123456789012", "user/ada")));
    }
}
