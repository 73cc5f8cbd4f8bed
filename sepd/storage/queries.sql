-- Every statement of the store, by name. A test prepares each one.

-- name: start_ingest
INSERT INTO ingests DEFAULT VALUES RETURNING ingest_id

-- name: finish_batch
UPDATE ingests SET last_batch = $2 WHERE ingest_id = $1

-- name: last_batch
SELECT last_batch FROM ingests WHERE ingest_id = $1

-- name: ensure_partitions
SELECT sepd_ensure_partitions($1, $2, $3, $4)

-- name: forget
SELECT sepd_forget($1, $2)

-- name: record_instrument
INSERT INTO instruments (pair, display_precision, pip_location) VALUES ($1, $2, $3)
ON CONFLICT (pair) DO UPDATE
SET display_precision = excluded.display_precision, pip_location = excluded.pip_location

-- name: stage_candles
CREATE TEMPORARY TABLE staged_candles ON COMMIT DROP AS SELECT * FROM market_data WITH NO DATA

-- name: merge_candles
INSERT INTO market_data
SELECT DISTINCT ON (pair, granularity, "timestamp") * FROM staged_candles
ORDER BY pair, granularity, "timestamp", source = 'stream', ctid
ON CONFLICT (pair, granularity, "timestamp") DO UPDATE
SET open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
    volume = excluded.volume,
    bid_open = excluded.bid_open, bid_high = excluded.bid_high, bid_low = excluded.bid_low,
    bid_close = excluded.bid_close,
    ask_open = excluded.ask_open, ask_high = excluded.ask_high, ask_low = excluded.ask_low,
    ask_close = excluded.ask_close, source = excluded.source, ingest_id = excluded.ingest_id
WHERE market_data.source = 'stream' AND excluded.source <> 'stream'

-- name: record_signal
INSERT INTO signals (signal_id, "timestamp", pair, granularity, action, confidence, coherence,
                     stability, entropy, polarity, rule, config_version, created_ns,
                     valid_until_ns, verdict)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT (signal_id) DO UPDATE SET verdict = excluded.verdict
WHERE signals.verdict <> 'accepted'

-- name: try_lead
SELECT pg_try_advisory_lock(hashtextextended('sepd leader ' || $1::text, 0))

-- name: take_epoch
INSERT INTO leaders (account_id, epoch) VALUES ($1, 1)
ON CONFLICT (account_id) DO UPDATE SET epoch = leaders.epoch + 1, taken = now()
RETURNING epoch

-- name: epoch
SELECT epoch FROM leaders WHERE account_id = $1

-- name: commit_intent
WITH intent AS (
    INSERT INTO order_intents (intent_id, account_id, signal_id, purpose, pair, units, created_ns,
                               expires_ns, checkpoint, attempt, price_bound, stop_loss,
                               take_profit, trade_id, time_in_force, snapshot, signal, epoch)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18
    WHERE coalesce((SELECT epoch FROM leaders WHERE account_id = $2 FOR SHARE), 0) = $18
    RETURNING intent_id
), state AS (
    INSERT INTO orders (intent_id, account_id, state, updated_ns, epoch)
    SELECT intent_id, $2, 'INTENT', $7, $18 FROM intent
    RETURNING intent_id
), head AS (
    UPDATE audit_head
    SET sequence = sequence + 1,
        hash = sepd_audit_hash(hash, sequence + 1, $7, $2, 'intent', $19 || $16)
    FROM state
    RETURNING sequence, hash
)
INSERT INTO audit_log (sequence, time_ns, account_id, kind, body, hash)
SELECT sequence, $7, $2, 'intent', $19 || $16, hash FROM head

-- name: signals_behind
SELECT signal FROM account_state AS known CROSS JOIN LATERAL (
    SELECT signal_id, signal FROM order_intents
    WHERE account_id = known.account_id
      AND created_ns > (SELECT max(created_ns) FROM order_intents
                        WHERE account_id = known.account_id) - 86400000000000
) AS lately
WHERE signal IS NOT NULL
  AND (SELECT verdict FROM signals WHERE signals.signal_id = lately.signal_id)
      IS DISTINCT FROM 'accepted'

-- name: intent_exists
SELECT EXISTS (SELECT FROM order_intents WHERE intent_id = $1 AND snapshot = $2)

-- name: record_order_state
WITH leader AS MATERIALIZED (
    SELECT coalesce((SELECT epoch FROM leaders WHERE account_id = known.account_id FOR SHARE), 0)
           AS epoch
    FROM (SELECT account_id FROM orders WHERE intent_id = $1) AS known
), moved AS (
    UPDATE orders
    SET state = $2, order_id = coalesce($3, order_id), reason = $4, updated_ns = $5, epoch = $6
    FROM leader
    WHERE leader.epoch = $6 AND intent_id = $1
      AND state NOT IN ('REJECTED', 'CANCELLED', 'EXPIRED', 'CLOSED')
      AND (state <> 'FILLED' OR $2 = 'CLOSED')
    RETURNING account_id
), head AS (
    UPDATE audit_head
    SET sequence = sequence + 1,
        hash = sepd_audit_hash(hash, sequence + 1, $5, account_id, 'order_state', $7)
    FROM moved
    RETURNING sequence, account_id, hash
), audited AS (
    INSERT INTO audit_log (sequence, time_ns, account_id, kind, body, hash)
    SELECT sequence, $5, account_id, 'order_state', $7, hash FROM head
)
SELECT epoch FROM leader

-- name: record_kill
WITH leader AS MATERIALIZED (
    SELECT coalesce((SELECT epoch FROM leaders WHERE account_id = $1 FOR SHARE), 0) AS epoch
), latched AS (
    INSERT INTO account_state AS known (account_id, killed)
    SELECT $1, $2 FROM leader WHERE epoch = $4
    ON CONFLICT (account_id) DO UPDATE
    SET killed = excluded.killed,
        released_transaction_id = CASE WHEN excluded.killed = '' THEN known.newest_transaction_id
                                       ELSE known.released_transaction_id END
    RETURNING account_id
), head AS (
    UPDATE audit_head
    SET sequence = sequence + 1,
        hash = sepd_audit_hash(hash, sequence + 1, $3, $1, 'kill', $5)
    FROM latched
    RETURNING sequence, hash
), audited AS (
    INSERT INTO audit_log (sequence, time_ns, account_id, kind, body, hash)
    SELECT sequence, $3, $1, 'kill', $5, hash FROM head
)
SELECT epoch FROM leader

-- name: read_books
WITH held AS (
    SELECT trade_id, intent_id, signal_id, pair AS instrument, initial_units, units, price,
           opened_ns, exit_value, realized_pl, financing, commission
    FROM positions
    WHERE account_id = $1 AND trade_id = ANY($2::bigint[])
), named AS (
    SELECT unnest($3::text[]) COLLATE "C" AS intent_id
    UNION SELECT intent_id FROM held
    UNION SELECT intent_id FROM orders WHERE account_id = $1 AND order_id = ANY($4::bigint[])
), touched AS (
    SELECT o.intent_id, i.signal_id, i.purpose, i.pair AS instrument, i.units, o.state,
           o.order_id, o.filled, o.reason, i.trade_id, o.xmin::text AS version
    FROM named JOIN orders o USING (intent_id) JOIN order_intents i USING (intent_id)
    WHERE o.account_id = $1
)
SELECT coalesce(leaders.epoch, 0) AS epoch, books.xmin::text AS version, last_transaction_id,
       newest_transaction_id, balance, day, opening_balance, day_realized_pl, high_water, killed,
       (SELECT coalesce(json_agg(held), '[]') FROM held) AS trades,
       (SELECT coalesce(json_agg(touched), '[]') FROM touched) AS orders,
       ARRAY(SELECT transaction_id FROM transactions AS known
             WHERE known.account_id = $1 AND transaction_id > last_transaction_id) AS applied
FROM (VALUES ($1)) AS asked (account_id)
LEFT JOIN leaders USING (account_id)
LEFT JOIN account_state AS books USING (account_id)

-- name: save_books
WITH RECURSIVE leader AS MATERIALIZED (
    SELECT coalesce((SELECT epoch FROM leaders WHERE account_id = $1 FOR SHARE), 0) AS epoch
), unmoved AS MATERIALIZED (
    SELECT count(*) AS count FROM (
        SELECT FROM jsonb_to_recordset($4) AS read (intent_id text, version text)
        JOIN orders USING (intent_id)
        WHERE orders.xmin::text = version
        FOR UPDATE OF orders
    ) AS locked
), books AS (
    INSERT INTO account_state (account_id, last_transaction_id, newest_transaction_id, balance,
                               day, opening_balance, day_realized_pl, high_water, killed)
    SELECT $1, last_transaction_id, newest_transaction_id, balance, day, opening_balance,
           day_realized_pl, high_water, killed
    FROM leader, unmoved, jsonb_populate_record(NULL::account_state, $5)
    WHERE leader.epoch = $2 AND unmoved.count = jsonb_array_length($4)
    ON CONFLICT (account_id) DO UPDATE
    SET last_transaction_id = excluded.last_transaction_id,
        newest_transaction_id = excluded.newest_transaction_id,
        balance = excluded.balance,
        day = excluded.day,
        opening_balance = excluded.opening_balance,
        day_realized_pl = excluded.day_realized_pl,
        high_water = excluded.high_water
    WHERE account_state.xmin::text = $3
    RETURNING account_id
), known AS (
    INSERT INTO transactions (account_id, transaction_id, kind, time_ns, body, epoch)
    SELECT account_id, event.id, event.kind, event.time_ns,
           convert_from(event.body, 'UTF8')::jsonb, $2
    FROM books, unnest($6::bigint[], $7::text[], $8::bigint[], $9::bytea[])
         AS event (id, kind, time_ns, body)
    RETURNING true
), moved AS (
    UPDATE orders
    SET state = new.state, order_id = new.order_id, filled = new.filled, reason = new.reason,
        updated_ns = new.updated_ns, epoch = $2
    FROM books, jsonb_populate_recordset(NULL::orders, $10) AS new
    WHERE orders.intent_id = new.intent_id
    RETURNING true
), filled AS (
    INSERT INTO fills (account_id, transaction_id, order_id, intent_id, pair, units, price, reason,
                       pl, financing, commission, balance, time_ns)
    SELECT books.account_id, transaction_id, order_id, intent_id, pair, units, price, reason,
           pl, financing, commission, balance, time_ns
    FROM books, jsonb_populate_recordset(NULL::fills, $11)
    RETURNING true
), held AS (
    INSERT INTO positions (account_id, trade_id, intent_id, signal_id, pair, initial_units, units,
                           price, opened_ns, exit_value, realized_pl, financing, commission)
    SELECT books.account_id, trade_id, intent_id, signal_id, pair, initial_units, units,
           price, opened_ns, exit_value, realized_pl, financing, commission
    FROM books, jsonb_populate_recordset(NULL::positions, $12)
    ON CONFLICT (account_id, trade_id) DO UPDATE
    SET units = excluded.units,
        exit_value = excluded.exit_value,
        realized_pl = excluded.realized_pl,
        financing = excluded.financing,
        commission = excluded.commission
    RETURNING true
), closed AS (
    DELETE FROM positions USING books
    WHERE positions.account_id = books.account_id AND trade_id = ANY($13::bigint[])
    RETURNING true
), earned AS (
    INSERT INTO trading_results (account_id, trade_id, pair, direction, entry_price, exit_price,
                                 profit_loss, units, realized_pl, financing, commission, opened,
                                 closed, intent_id, signal_id, exit_reason)
    SELECT books.account_id, trade_id, pair, direction, entry_price, exit_price, profit_loss, units,
           realized_pl, financing, commission, opened, closed, intent_id, signal_id, exit_reason
    FROM books, jsonb_populate_recordset(NULL::trading_results, $14)
    ON CONFLICT (account_id, trade_id) DO UPDATE
    SET exit_price = excluded.exit_price,
        profit_loss = excluded.profit_loss,
        realized_pl = excluded.realized_pl,
        financing = excluded.financing,
        commission = excluded.commission,
        closed = excluded.closed,
        exit_reason = excluded.exit_reason
    RETURNING true
), written AS MATERIALIZED (
    SELECT (SELECT count(*) FROM known) + (SELECT count(*) FROM moved)
           + (SELECT count(*) FROM filled) + (SELECT count(*) FROM held)
           + (SELECT count(*) FROM closed) + (SELECT count(*) FROM earned) AS rows
    FROM books
), head AS MATERIALIZED (
    SELECT sequence, hash FROM written, audit_head WHERE one FOR UPDATE OF audit_head
), chain AS (
    SELECT 0 AS place, sequence, hash FROM head
    UNION ALL
    SELECT place + 1, sequence + 1,
           sepd_audit_hash(hash, sequence + 1, ($8::bigint[])[place + 1], $1, 'transaction',
                           ($9::bytea[])[place + 1])
    FROM chain WHERE place < cardinality($6::bigint[])
), audited AS (
    INSERT INTO audit_log (sequence, time_ns, account_id, kind, body, hash)
    SELECT sequence, ($8::bigint[])[place], $1, 'transaction', ($9::bytea[])[place], hash
    FROM chain WHERE place > 0
), advanced AS (
    UPDATE audit_head SET sequence = chain.sequence, hash = chain.hash
    FROM chain WHERE one AND place = cardinality($6::bigint[])
)
SELECT epoch, EXISTS (SELECT FROM books) AS saved FROM leader

-- name: account
SELECT last_transaction_id, newest_transaction_id, balance, day, opening_balance,
       day_realized_pl, high_water, killed, released_transaction_id
FROM account_state WHERE account_id = $1

-- name: recent_entries
SELECT created_ns FROM order_intents
WHERE account_id = $1 AND purpose = 'ENTRY'
  AND created_ns > (SELECT max(created_ns) FROM order_intents
                    WHERE account_id = $1 AND purpose = 'ENTRY') - 60000000000
ORDER BY created_ns

-- name: recent_fills
WITH RECURSIVE pairs AS (
    SELECT min(pair) AS pair FROM trading_results WHERE account_id = $1 AND intent_id <> ''
    UNION ALL
    SELECT (SELECT min(pair) FROM trading_results
            WHERE account_id = $1 AND intent_id <> '' AND pair > pairs.pair)
    FROM pairs WHERE pairs.pair IS NOT NULL
)
SELECT recent.pair, recent.trade_id, recent.opened
FROM pairs CROSS JOIN LATERAL (
    SELECT pair, trade_id, opened FROM trading_results
    WHERE account_id = $1 AND intent_id <> '' AND pair = pairs.pair
      AND opened > (SELECT max(opened) FROM trading_results
                    WHERE account_id = $1 AND intent_id <> '' AND pair = pairs.pair)
                   - interval '2 hours'
) AS recent
ORDER BY recent.trade_id

-- name: loss_streak
SELECT count(*) AS losses, coalesce(max(time_ns), 0) AS last_loss_ns
FROM fills
WHERE account_id = $1 AND pl + financing < 0
  AND transaction_id > coalesce(
      (SELECT max(transaction_id) FROM fills WHERE account_id = $1 AND pl + financing > 0), 0)

-- name: unfinished_orders
SELECT i.intent_id, i.account_id, i.signal_id, i.purpose, i.pair, i.units, i.created_ns,
       i.expires_ns, i.checkpoint, i.attempt, i.price_bound, i.stop_loss, i.take_profit,
       i.trade_id, i.time_in_force, o.state, o.order_id, o.reason
FROM orders o JOIN order_intents i USING (intent_id)
WHERE o.account_id = $1
  AND o.state NOT IN ('REJECTED', 'CANCELLED', 'EXPIRED', 'CLOSED')
ORDER BY i.created_ns, i.intent_id

-- name: open_positions
SELECT trade_id, intent_id, signal_id, pair, units, price, opened_ns, realized_pl, financing
FROM positions WHERE account_id = $1 AND intent_id <> '' ORDER BY trade_id

-- name: totals
SELECT (SELECT count(*) FROM market_data) AS candles,
       (SELECT count(*) FROM ticks) AS ticks,
       (SELECT count(*) FROM signals) AS signals,
       (SELECT count(*) FROM order_intents WHERE account_id = $1) AS intents,
       (SELECT coalesce(sum(profit_loss), 0) FROM trading_results WHERE account_id = $1)
           AS trading_results_pl,
       (SELECT count(*) FROM trading_results WHERE account_id = $1 AND closed IS NOT NULL)
           AS closed_trades

-- name: orders_by_state
SELECT state, count(*) AS count FROM orders WHERE account_id = $1 GROUP BY state ORDER BY state

-- name: candles
SELECT "timestamp", bid_open, bid_high, bid_low, bid_close, ask_open, ask_high, ask_low, ask_close,
       volume
FROM market_data
WHERE pair = $1 AND granularity = $2 AND "timestamp" >= $3 AND "timestamp" < $4
  AND bid_open IS NOT NULL
ORDER BY "timestamp"

-- name: server
SELECT current_setting('server_version') AS version,
       EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') AS timescaledb,
       pg_database_size(current_database()) AS size_bytes

-- name: broken_audit_row
SELECT min(place) FROM (
    SELECT row_number() OVER rows AS place,
           hash IS DISTINCT FROM sepd_audit_hash(
               lag(hash, 1, sha256('sepd')) OVER rows, row_number() OVER rows, time_ns,
               account_id, kind, body
           ) AS broken
    FROM audit_log
    WINDOW rows AS (ORDER BY sequence)
) AS chain WHERE broken

-- name: audit_head
SELECT head.sequence, head.hash,
       coalesce((SELECT max(sequence) FROM audit_log), 0) AS last_sequence,
       (SELECT hash FROM audit_log WHERE sequence = head.sequence) AS last_hash
FROM audit_head AS head

-- name: journal_runs
SELECT ingest_id FROM journal GROUP BY ingest_id ORDER BY ingest_id DESC

-- name: journal
SELECT kind, time_ns, first_sequence, count, body FROM journal WHERE ingest_id = $1 ORDER BY id

-- name: signal_of
SELECT signal_id FROM signals WHERE signal_id = $1
UNION SELECT signal_id FROM order_intents WHERE intent_id = $1
UNION SELECT i.signal_id FROM orders o JOIN order_intents i USING (intent_id)
      WHERE o.order_id::text = $1
UNION SELECT signal_id FROM trading_results WHERE trade_id::text = $1 AND signal_id <> ''
LIMIT 1

-- name: story_orders
SELECT i.intent_id, i.purpose, i.units, o.state, o.order_id, o.filled, o.reason
FROM order_intents i JOIN orders o USING (intent_id)
WHERE i.signal_id = $1 ORDER BY i.created_ns, i.attempt

-- name: story_fills
SELECT f.transaction_id, f.units, f.price, f.reason, f.pl, f.financing, f.time_ns
FROM fills f JOIN order_intents i USING (intent_id)
WHERE i.signal_id = $1 ORDER BY f.transaction_id

-- name: story_results
SELECT trade_id, direction, entry_price, exit_price, profit_loss, opened, closed, exit_reason
FROM trading_results WHERE signal_id = $1 ORDER BY trade_id

-- name: blocks
SELECT month, month + interval '1 month' AS next_month, count, body
FROM candle_blocks
WHERE pair = $1 AND granularity = $2
  AND month > $3::timestamptz - interval '1 month' AND month < $4
ORDER BY month

-- name: candle_rows
SELECT "timestamp", volume, bid_open, bid_high, bid_low, bid_close,
       ask_open, ask_high, ask_low, ask_close
FROM market_data
WHERE pair = $1 AND granularity = $2 AND "timestamp" >= $3 AND "timestamp" < $4
  AND bid_open IS NOT NULL
ORDER BY "timestamp"

-- name: months_without_block
WITH RECURSIVE series AS (
    (SELECT pair, granularity FROM market_data ORDER BY pair, granularity LIMIT 1)
    UNION ALL
    SELECT next.pair, next.granularity FROM series CROSS JOIN LATERAL (
        SELECT pair, granularity FROM market_data AS m
        WHERE (m.pair, m.granularity) > (series.pair, series.granularity)
        ORDER BY pair, granularity LIMIT 1
    ) AS next
), months AS (
    SELECT series.pair, series.granularity, month, month + interval '1 month' AS next_month
    FROM series CROSS JOIN LATERAL (
        SELECT min("timestamp") AS first, max("timestamp") AS last FROM market_data AS m
        WHERE m.pair = series.pair AND m.granularity = series.granularity
    ) AS bounds
    CROSS JOIN LATERAL generate_series(
        date_trunc('month', bounds.first), bounds.last, interval '1 month'
    ) AS month
)
SELECT pair, granularity, month, next_month FROM months
WHERE next_month <= $1
  AND NOT EXISTS (SELECT FROM candle_blocks AS b WHERE b.pair = months.pair
                  AND b.granularity = months.granularity AND b.month = months.month)
ORDER BY pair, granularity, month

-- name: lock_candles
SELECT pg_advisory_xact_lock(sepd_candles_lock())

-- name: save_block
INSERT INTO candle_blocks (pair, granularity, month, count, body) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (pair, granularity, month) DO UPDATE
SET count = excluded.count, body = excluded.body

-- name: refresh_rollups
SELECT sepd_refresh_rollups($1)

-- name: refresh_performance
REFRESH MATERIALIZED VIEW CONCURRENTLY daily_performance

-- name: mark_all_changed
INSERT INTO candle_days_changed (pair, day)
SELECT DISTINCT pair, date_trunc('day', "timestamp") FROM market_data
WHERE granularity = 'M1' AND bid_open IS NOT NULL
ON CONFLICT DO NOTHING

-- name: drop_blocks
DELETE FROM candle_blocks

-- name: record_config
INSERT INTO config_versions (version, body) VALUES ($1, $2) ON CONFLICT DO NOTHING

-- name: config
SELECT body FROM config_versions WHERE version = $1
