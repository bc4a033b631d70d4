-- Documents are listed in the order of their times, and filtered by them; of one moment in the order of their ids.
CREATE INDEX documents_created_at ON rappel.documents (created_at, id);
CREATE INDEX documents_updated_at ON rappel.documents (updated_at, id);
