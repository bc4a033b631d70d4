-- Tables that are followed: what each source is, and which of its rows are to be looked at.
--
-- Of a row only its key is noted, by the triggers of the table, in the transaction that changes the row; the worker reads the
-- row as it is then. A key is a JSON array of the values of the key columns, as `jsonb` writes it.

CREATE TABLE rappel.sources (
    id            integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          text COLLATE "C" NOT NULL UNIQUE,
    -- What was asked for.
    definition    jsonb   NOT NULL,
    -- What became of it: names as they are in the catalog, and expressions as SQL.
    schema_name   text    NOT NULL,
    table_name    text    NOT NULL,
    relation      oid     NOT NULL, -- another one under the name is another table, without the triggers
    by_row        boolean NOT NULL, -- triggers for each row, where those for each statement would not see all changes
    key_columns   text[]  NOT NULL,
    key_types     text[]  NOT NULL,
    title_sql     text    NOT NULL,
    content_sql   text    NOT NULL,
    metadata_sql  text    NOT NULL,
    where_sql     text    NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    -- The walk: over all rows, then over all documents, to note the keys of those that have no row any more. A source that was
    -- removed stays until its documents are deleted.
    phase         text CHECK (phase IN ('rows', 'documents', 'removal')), -- null when it is over
    position      text COLLATE "C",                            -- the last key of the phase; null before the first
    walked        bigint  NOT NULL DEFAULT 0,
    walk_began_at timestamptz,
    filled_at     timestamptz, -- the end of the first walk
    partitions    text,        -- by which a change of the set of partitions is noticed
    -- Why none of it is followed now.
    failure       text,
    failed_at     timestamptz, -- infinity if only a repair of the triggers mends it
    -- Changes that the triggers could not note; each was followed by a walk.
    skipped       bigint  NOT NULL DEFAULT 0,
    skipped_at    timestamptz,
    skipped_why   text     -- the SQLSTATE of the last one
);

-- The outbox. A writer waits here for nobody but another writer of the same row, for whom it has waited already, and the
-- worker, while it commits the deletion of a key.
CREATE TABLE rappel.source_changes (
    source_id  integer NOT NULL,
    key        text COLLATE "C" NOT NULL,
    version    xid8    NOT NULL, -- the last transaction that changed the row
    changed_at timestamptz NOT NULL DEFAULT now(), -- infinity if only the walk has noted it
    PRIMARY KEY (source_id, key)
) WITH (fillfactor = 70);

-- Who works on a key, or when it is tried again and why. Writers of the followed tables never touch it.
CREATE TABLE rappel.source_attempts (
    source_id integer NOT NULL REFERENCES rappel.sources (id) ON DELETE CASCADE,
    key       text COLLATE "C" NOT NULL,
    version   xid8    NOT NULL, -- of the change that is worked on: another one need not wait
    worker    text,             -- null when nobody does
    until     timestamptz NOT NULL, -- the end of the lease, or of the wait
    attempts  integer NOT NULL,
    reason    text,             -- why it failed; null before
    PRIMARY KEY (source_id, key)
);

-- The documents of the rows.
CREATE TABLE rappel.source_documents (
    source_id   integer NOT NULL REFERENCES rappel.sources (id) ON DELETE CASCADE,
    key         text COLLATE "C" NOT NULL,
    document_id text COLLATE "C" NOT NULL UNIQUE REFERENCES rappel.documents (id) ON DELETE CASCADE,
    PRIMARY KEY (source_id, key)
);

-- What calls for a walk: a truncation, and changes that a trigger could not note, with their SQLSTATE. Rows are only added
-- and deleted, so nobody waits for anybody.
CREATE TABLE rappel.source_events (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_id integer NOT NULL,
    why       text    NOT NULL
);
