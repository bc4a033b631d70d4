//! The caller of a request.

use document_store::{Tenant, Visibility};

use crate::{Denied, Scope, Scopes, cache::KeyUse};

/// Who a request is from.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Its name in the audit: the id of a key, the subject of a token, an ARN.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// The documents that it may see and change.
    pub visibility: Visibility,
    /// The key, if it presented one.
    pub key: Option<KeyUse>,
    /// Whether it may act for any tenant.
    pub operates: bool,
}

impl Caller {
    /// Anybody, where a deployment is open: it may do anything.
    #[must_use]
    pub fn anybody() -> Self {
        Self::principal(String::new(), true)
    }

    /// A principal that API Gateway has let in.
    pub(crate) fn principal(name: String, operates: bool) -> Self {
        Self {
            name,
            // The policies of the principal decide, by route.
            scopes: Scope::ALL.into(),
            visibility: Visibility::default(),
            key: None,
            operates,
        }
    }

    /// The id of its key; empty without one.
    #[must_use]
    pub fn key_id(&self) -> &str {
        self.key.as_ref().map_or("", KeyUse::id)
    }

    /// Checks that it has a scope.
    ///
    /// # Errors
    /// [`Denied::Scope`].
    pub fn require(&self, scope: Scope) -> Result<(), Denied> {
        if self.scopes.contains(&scope) {
            return Ok(());
        }
        Err(Denied::Scope(scope))
    }

    /// The same caller acting for the tenant that the request's header names, if it may.
    pub(crate) fn acting_for(mut self, tenant: Option<&str>) -> Result<Self, Denied> {
        let Some(name) = tenant else {
            return Ok(self);
        };
        let tenant = Tenant::parse(name, "rappel-tenant")
            .map_err(|error| Denied::Tenant(error.to_string()))?;
        if tenant == self.visibility.tenant {
            return Ok(self);
        }
        if !self.operates {
            let detail = "rappel-tenant names another tenant than the caller's; only a caller with admin of all tenants may";
            return Err(Denied::Tenant(detail.to_owned()));
        }
        self.visibility.tenant = tenant;
        Ok(self)
    }
}
