-- The signal that an intent follows, as JSON: its row in `signals` is written behind the order's
-- back, and from here again where the process ended before. NULL in rows older than this.
ALTER TABLE order_intents ADD COLUMN signal bytea;

DROP INDEX order_intents_entries;
CREATE INDEX order_intents_created ON order_intents (account_id, created_ns);

-- STABLE, as convert_to is: what is called IMMUTABLE and contains it is not inlined.
ALTER FUNCTION sepd_audit_hash STABLE;
