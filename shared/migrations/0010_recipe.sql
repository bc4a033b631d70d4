-- Passages carry what they stand under, and the index has an effort that was measured.
--
-- `name` of `rappel.model` holds a whole recipe from now on: the model, its centring and the analysis of words. Until a
-- database is converted it holds the model's name alone.

ALTER TABLE rappel.chunks
    ADD COLUMN heading text NOT NULL DEFAULT ''; -- the headings that it stands under, or the columns of its table

ALTER TABLE rappel.model
    ADD COLUMN effort          integer,          -- `hnsw.ef_search` that reaches the recall that was asked for
    ADD COLUMN recall          double precision, -- what it reached when it was measured
    ADD COLUMN recall_chunks   bigint,           -- how many chunks there were
    ADD COLUMN recall_measured timestamptz;
