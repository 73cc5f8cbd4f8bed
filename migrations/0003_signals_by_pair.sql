-- sepd: outside a transaction
-- Built while others write; what an interrupted build left behind is dropped first.
DROP INDEX CONCURRENTLY IF EXISTS signals_pair;
CREATE INDEX CONCURRENTLY signals_pair ON signals (pair, "timestamp");
