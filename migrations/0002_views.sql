-- What is derived from market_data, and how it is known to be out of date.

-- Days whose M1 candles have changed since the roll-ups were made from them.
CREATE TABLE candle_days_changed (
    pair text COLLATE "C" NOT NULL,
    day  timestamptz NOT NULL,
    PRIMARY KEY (pair, day)
);

-- A month of candles as packed integers (sepd/storage/blocks.py): a year of M1 is twelve rows.
CREATE TABLE candle_blocks (
    pair        text COLLATE "C" NOT NULL,
    granularity text COLLATE "C" NOT NULL,
    month       timestamptz NOT NULL,
    count       integer NOT NULL,
    body        bytea NOT NULL,
    PRIMARY KEY (pair, granularity, month)
);
ALTER TABLE candle_blocks ALTER COLUMN body SET STORAGE EXTERNAL;

-- M5 … D candles made from M1, aligned to UTC, in points; `minutes` counts the M1 candles.
CREATE TABLE candle_rollups (
    pair        text COLLATE "C" NOT NULL,
    granularity text COLLATE "C" NOT NULL,
    "timestamp" timestamptz NOT NULL,
    bid_open    bigint NOT NULL,
    bid_high    bigint NOT NULL,
    bid_low     bigint NOT NULL,
    bid_close   bigint NOT NULL,
    ask_open    bigint NOT NULL,
    ask_high    bigint NOT NULL,
    ask_low     bigint NOT NULL,
    ask_close   bigint NOT NULL,
    volume      bigint NOT NULL,
    minutes     integer NOT NULL,
    PRIMARY KEY (pair, granularity, "timestamp")
);
CREATE VIEW candles_m5 AS SELECT * FROM candle_rollups WHERE granularity = 'M5';
CREATE VIEW candles_m15 AS SELECT * FROM candle_rollups WHERE granularity = 'M15';
CREATE VIEW candles_h1 AS SELECT * FROM candle_rollups WHERE granularity = 'H1';
CREATE VIEW candles_h4 AS SELECT * FROM candle_rollups WHERE granularity = 'H4';
CREATE VIEW candles_d AS SELECT * FROM candle_rollups WHERE granularity = 'D';

-- Writers of candles hold this lock shared, whoever derives from them holds it alone, so that
-- nothing is derived from candles of which some are not committed yet.
CREATE FUNCTION sepd_candles_lock() RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT 6817294035521::bigint
$$;

CREATE FUNCTION sepd_candles_changed() RETURNS trigger LANGUAGE plpgsql SET timezone = 'UTC' AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(sepd_candles_lock());
    DELETE FROM candle_blocks AS block
    USING (SELECT DISTINCT pair, granularity, date_trunc('month', "timestamp") AS month
           FROM changed) AS touched
    WHERE block.pair = touched.pair AND block.granularity = touched.granularity
      AND block.month = touched.month;
    INSERT INTO candle_days_changed (pair, day)
    SELECT DISTINCT pair, date_trunc('day', "timestamp") FROM changed
    WHERE granularity = 'M1' AND bid_open IS NOT NULL
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

-- Older TimescaleDB versions know no transition tables: there, refresh with --all.
DO $$
BEGIN
    CREATE TRIGGER market_data_inserted AFTER INSERT ON market_data
        REFERENCING NEW TABLE AS changed
        FOR EACH STATEMENT EXECUTE FUNCTION sepd_candles_changed();
    CREATE TRIGGER market_data_updated AFTER UPDATE ON market_data
        REFERENCING NEW TABLE AS changed
        FOR EACH STATEMENT EXECUTE FUNCTION sepd_candles_changed();
    CREATE TRIGGER market_data_deleted AFTER DELETE ON market_data
        REFERENCING OLD TABLE AS changed
        FOR EACH STATEMENT EXECUTE FUNCTION sepd_candles_changed();
EXCEPTION WHEN feature_not_supported THEN
    RAISE WARNING 'candle changes are not tracked on this TimescaleDB';
END $$;

-- Makes the roll-ups of up to `days` changed days again; returns how many days were done.
-- Readers are never locked out: rows are replaced in the transaction.
CREATE FUNCTION sepd_refresh_rollups(days integer) RETURNS integer
LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
    done integer;
BEGIN
    PERFORM pg_advisory_xact_lock(sepd_candles_lock());
    CREATE TEMPORARY TABLE IF NOT EXISTS refreshed_days
        (pair text COLLATE "C", day timestamptz) ON COMMIT DROP;
    TRUNCATE refreshed_days;
    WITH taken AS (
        DELETE FROM candle_days_changed
        WHERE (pair, day) IN (
            SELECT pair, day FROM candle_days_changed ORDER BY pair, day LIMIT days
        )
        RETURNING pair, day
    )
    INSERT INTO refreshed_days SELECT pair, day FROM taken;
    GET DIAGNOSTICS done = ROW_COUNT;
    DELETE FROM candle_rollups AS rollup USING refreshed_days AS d
    WHERE rollup.pair = d.pair
      AND rollup."timestamp" >= d.day AND rollup."timestamp" < d.day + interval '1 day';
    INSERT INTO candle_rollups
    SELECT m.pair, steps.granularity,
           date_bin(steps.step, m."timestamp", timestamptz '1970-01-01') AS start,
           (array_agg(m.bid_open ORDER BY m."timestamp"))[1], max(m.bid_high), min(m.bid_low),
           (array_agg(m.bid_close ORDER BY m."timestamp" DESC))[1],
           (array_agg(m.ask_open ORDER BY m."timestamp"))[1], max(m.ask_high), min(m.ask_low),
           (array_agg(m.ask_close ORDER BY m."timestamp" DESC))[1],
           sum(m.volume)::bigint, count(*)::integer
    FROM refreshed_days AS d
    JOIN market_data AS m ON m.pair = d.pair AND m.granularity = 'M1'
        AND m."timestamp" >= d.day AND m."timestamp" < d.day + interval '1 day'
    CROSS JOIN (VALUES ('M5', interval '5 minutes'), ('M15', interval '15 minutes'),
                       ('H1', interval '1 hour'), ('H4', interval '4 hours'),
                       ('D', interval '1 day')) AS steps (granularity, step)
    WHERE m.bid_open IS NOT NULL
    GROUP BY m.pair, steps.granularity, start;
    RETURN done;
END $$;

-- Results by the UTC day on which trades were closed.
CREATE MATERIALIZED VIEW daily_performance AS
SELECT account_id, pair, date_trunc('day', closed, 'UTC') AS day,
       count(*) AS trades,
       count(*) FILTER (WHERE profit_loss > 0) AS winners,
       sum(profit_loss) AS profit_loss,
       sum(financing) AS financing,
       max(profit_loss) AS best,
       min(profit_loss) AS worst
FROM trading_results
WHERE closed IS NOT NULL
GROUP BY account_id, pair, day;
CREATE UNIQUE INDEX daily_performance_key ON daily_performance (account_id, pair, day);
