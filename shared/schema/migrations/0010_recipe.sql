-- Passages carry what they stand under, and the index has an effort that was measured.
--
-- `name` of `rappel.model` holds a whole recipe from now on: the model, its centring and the analysis of words. Until a
-- database is converted it holds the model's name alone.

ALTER TABLE rappel.chunks
    ADD COLUMN heading text NOT NULL DEFAULT ''; -- the headings that it stands under, or the columns of its table

-- The last measurement of the index; null before the first, and where there are too few chunks to need one.
ALTER TABLE rappel.model
    ADD COLUMN effort        integer,          -- the least `hnsw.ef_search` that reaches the wanted recall
    ADD COLUMN recall_wanted double precision, -- the share of the ten nearest that it was to find
    ADD COLUMN recall        double precision, -- the share that it found
    ADD COLUMN recall_chunks bigint;           -- how many chunks there were
