-- Limits of keys and tenants, and what they have used. As of keys, the rows are the administrators'.

ALTER TABLE rappel.keys
    ADD COLUMN requests_per_minute bigint, -- null for no limit
    ADD COLUMN max_documents       bigint; -- that its tenant may have when it stores one
ALTER TABLE rappel.imports
    ADD COLUMN max_documents bigint, -- of the key that asked for it
    ADD COLUMN key text COLLATE "C" NOT NULL DEFAULT ''; -- its id; '' without one
CREATE INDEX keys_tenant ON rappel.keys (tenant);

CREATE TABLE rappel.tenant_limits (
    tenant              text COLLATE "C" PRIMARY KEY,
    requests_per_minute bigint, -- of all its callers
    max_documents       bigint
);

CREATE TABLE rappel.usage (
    tenant            text COLLATE "C" NOT NULL,
    day               date NOT NULL, -- in UTC
    key               text COLLATE "C" NOT NULL, -- '' for callers without one
    requests          bigint NOT NULL,
    documents         bigint NOT NULL, -- created or changed
    embedded_tokens   bigint NOT NULL,
    prompt_tokens     bigint NOT NULL, -- of the language model
    completion_tokens bigint NOT NULL,
    minute            bigint NOT NULL, -- since 1970, the last one with requests
    minute_requests   bigint NOT NULL, -- requests in that minute
    PRIMARY KEY (tenant, day, key)
);
CREATE INDEX usage_day ON rappel.usage (day, tenant, key);
