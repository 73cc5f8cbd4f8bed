-- Published tables (market_data, quantum_patterns, trading_results) hold decimal prices; the
-- others hold integer points, 10^-display_precision of the instrument. Instants that decisions
-- depend on are integer nanoseconds; `timestamp` is the same instant for people and partitions.

-- Time series: hypertables where TimescaleDB is loaded, native range partitions elsewhere.
CREATE FUNCTION sepd_has_timescaledb() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb')
$$;

DO $$
BEGIN
    IF current_setting('shared_preload_libraries') LIKE '%timescaledb%'
       AND EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb') THEN
        CREATE EXTENSION IF NOT EXISTS timescaledb;
    END IF;
END $$;

CREATE FUNCTION sepd_create_series(name text, columns text, step interval) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF sepd_has_timescaledb() THEN
        EXECUTE format('CREATE TABLE %I (%s)', name, columns);
        EXECUTE format(
            'SELECT create_hypertable(%L, %L, chunk_time_interval => interval %L)',
            name, 'timestamp', CASE WHEN step >= interval '1 year' THEN '90 days' ELSE '7 days' END
        );
    ELSE
        EXECUTE format('CREATE TABLE %I (%s) PARTITION BY RANGE ("timestamp")', name, columns);
    END IF;
END $$;

-- Makes the partitions of `parent` that hold [first, last]; `step` is 'month' or 'year'. They are
-- built apart and attached, which does not lock readers out.
CREATE FUNCTION sepd_ensure_partitions(
    parent text, step text, first timestamptz, last timestamptz
) RETURNS integer LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
    lower_bound timestamptz := date_trunc(step, first);
    upper_bound timestamptz;
    partition text;
    made integer := 0;
BEGIN
    IF sepd_has_timescaledb() THEN
        RETURN 0;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('sepd partitions'), hashtext(parent));
    WHILE lower_bound <= last LOOP
        upper_bound := lower_bound + ('1 ' || step)::interval;
        partition := parent || to_char(lower_bound, CASE step WHEN 'year' THEN '_YYYY'
                                                    ELSE '_YYYY_MM' END);
        IF to_regclass(quote_ident(partition)) IS NULL THEN
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
                           partition, parent);
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                           parent, partition, lower_bound, upper_bound);
            made := made + 1;
        END IF;
        lower_bound := upper_bound;
    END LOOP;
    RETURN made;
END $$;

-- Drops whole partitions (or chunks) of `parent` that end at or before `before`.
CREATE FUNCTION sepd_forget(parent text, before timestamptz) RETURNS integer
LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
    child record;
    dropped integer := 0;
BEGIN
    IF sepd_has_timescaledb() THEN
        EXECUTE format('SELECT count(*) FROM drop_chunks(%L, older_than => %L::timestamptz)',
                       parent, before) INTO dropped;
        RETURN dropped;
    END IF;
    FOR child IN
        SELECT c.relname,
               (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''([^'']+)''\)'))[1]
                   ::timestamptz AS upper_bound
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = parent::regclass
    LOOP
        IF child.upper_bound <= before THEN
            EXECUTE format('DROP TABLE %I', child.relname);
            dropped := dropped + 1;
        END IF;
    END LOOP;
    RETURN dropped;
END $$;

-- One row per opened store; last_batch makes a repeated write recognisable.
CREATE TABLE ingests (
    ingest_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    started    timestamptz NOT NULL DEFAULT now(),
    last_batch bigint NOT NULL DEFAULT 0
);

CREATE TABLE instruments (
    pair              text COLLATE "C" PRIMARY KEY,
    display_precision smallint NOT NULL,
    pip_location      smallint NOT NULL
);

-- Mid prices in decimals; bid and ask in points. A candle's timestamp is its start.
SELECT sepd_create_series('market_data', $$
    "timestamp" timestamptz NOT NULL,
    pair        text COLLATE "C" NOT NULL,
    granularity text COLLATE "C" NOT NULL DEFAULT 'M1',
    open        numeric NOT NULL,
    high        numeric NOT NULL,
    low         numeric NOT NULL,
    close       numeric NOT NULL,
    volume      bigint NOT NULL DEFAULT 0,
    bid_open    bigint,
    bid_high    bigint,
    bid_low     bigint,
    bid_close   bigint,
    ask_open    bigint,
    ask_high    bigint,
    ask_low     bigint,
    ask_close   bigint,
    source      text COLLATE "C" NOT NULL DEFAULT '',
    ingest_id   bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (pair, granularity, "timestamp")
$$, '1 year');

-- Quotes in points; `nanos` are the nanoseconds below the microsecond of `timestamp`.
SELECT sepd_create_series('ticks', $$
    "timestamp" timestamptz NOT NULL,
    nanos       smallint NOT NULL DEFAULT 0,
    pair        text COLLATE "C" NOT NULL,
    bid         bigint NOT NULL,
    ask         bigint NOT NULL,
    tradeable   boolean NOT NULL DEFAULT true,
    ingest_id   bigint NOT NULL DEFAULT 0
$$, '1 month');
CREATE INDEX ticks_time ON ticks USING brin ("timestamp") WITH (pages_per_range = 32);

-- Batches of inputs and decisions as JSON lines, in the order of `id`.
SELECT sepd_create_series('journal', $$
    id             bigint NOT NULL,
    "timestamp"    timestamptz NOT NULL,
    time_ns        bigint NOT NULL,
    kind           text COLLATE "C" NOT NULL,
    first_sequence bigint NOT NULL,
    count          integer NOT NULL,
    body           bytea NOT NULL,
    ingest_id      bigint NOT NULL,
    PRIMARY KEY (ingest_id, id, "timestamp")
$$, '1 month');

CREATE TABLE quantum_patterns (
    pattern_id       text COLLATE "C" PRIMARY KEY,
    pair             text COLLATE "C" NOT NULL,
    pattern_data     jsonb NOT NULL,
    confidence_score numeric NOT NULL,
    granularity      text COLLATE "C" NOT NULL DEFAULT '',
    model_id         text COLLATE "C" NOT NULL DEFAULT '',
    created          timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX quantum_patterns_pair ON quantum_patterns (pair, granularity, model_id);

CREATE TABLE config_versions (
    version text COLLATE "C" PRIMARY KEY,
    applied timestamptz NOT NULL DEFAULT now(),
    body    jsonb NOT NULL
);

CREATE TABLE provenance (
    dataset_id text COLLATE "C" PRIMARY KEY,
    created    timestamptz NOT NULL DEFAULT now(),
    manifest   jsonb NOT NULL
);

CREATE TABLE api_keys (
    key_id  text COLLATE "C" PRIMARY KEY,
    name    text NOT NULL,
    digest  bytea NOT NULL,
    role    text COLLATE "C" NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    expires timestamptz,
    revoked timestamptz
);

-- Ratios are Q14: 1.0 = 16384.
CREATE TABLE signals (
    signal_id      text COLLATE "C" PRIMARY KEY,
    "timestamp"    timestamptz NOT NULL,
    pair           text COLLATE "C" NOT NULL,
    granularity    text COLLATE "C" NOT NULL,
    action         text COLLATE "C" NOT NULL,
    confidence     integer NOT NULL,
    coherence      integer NOT NULL,
    stability      integer NOT NULL,
    entropy        integer NOT NULL,
    polarity       integer NOT NULL,
    rule           text NOT NULL,
    config_version text COLLATE "C" NOT NULL,
    created_ns     bigint NOT NULL,
    valid_until_ns bigint NOT NULL,
    verdict        text COLLATE "C" NOT NULL
);
CREATE INDEX signals_time ON signals ("timestamp");

-- What was meant to be sent, committed before it is sent and never changed.
CREATE TABLE order_intents (
    intent_id     text COLLATE "C" PRIMARY KEY,
    account_id    text COLLATE "C" NOT NULL,
    signal_id     text COLLATE "C" NOT NULL,
    purpose       text COLLATE "C" NOT NULL,
    pair          text COLLATE "C" NOT NULL,
    units         numeric NOT NULL,
    created_ns    bigint NOT NULL,
    expires_ns    bigint NOT NULL,
    checkpoint    bigint NOT NULL,
    attempt       integer NOT NULL,
    price_bound   bigint,
    stop_loss     bigint,
    take_profit   bigint,
    trade_id      bigint,
    time_in_force text COLLATE "C" NOT NULL,
    snapshot      bytea NOT NULL,
    epoch         bigint NOT NULL
);
CREATE INDEX order_intents_signal ON order_intents (signal_id);

-- What is known of each of them.
CREATE TABLE orders (
    intent_id  text COLLATE "C" PRIMARY KEY,
    account_id text COLLATE "C" NOT NULL,
    state      text COLLATE "C" NOT NULL,
    order_id   bigint,
    filled     numeric NOT NULL DEFAULT 0,
    reason     text NOT NULL DEFAULT '',
    updated_ns bigint NOT NULL,
    epoch      bigint NOT NULL
);
CREATE INDEX orders_order_id ON orders (account_id, order_id);
CREATE INDEX orders_unfinished ON orders (account_id)
    WHERE state NOT IN ('REJECTED', 'CANCELLED', 'EXPIRED', 'CLOSED');

-- The broker's transactions as sepd understood them.
CREATE TABLE transactions (
    account_id     text COLLATE "C" NOT NULL,
    transaction_id bigint NOT NULL,
    kind           text COLLATE "C" NOT NULL,
    time_ns        bigint NOT NULL,
    body           jsonb NOT NULL,
    epoch          bigint NOT NULL,
    PRIMARY KEY (account_id, transaction_id)
);

CREATE TABLE fills (
    account_id     text COLLATE "C" NOT NULL,
    transaction_id bigint NOT NULL,
    order_id       bigint NOT NULL,
    intent_id      text COLLATE "C" NOT NULL,
    pair           text COLLATE "C" NOT NULL,
    units          numeric NOT NULL,
    price          bigint NOT NULL,
    reason         text COLLATE "C" NOT NULL,
    pl             numeric NOT NULL,
    financing      numeric NOT NULL,
    commission     numeric NOT NULL,
    balance        numeric NOT NULL,
    time_ns        bigint NOT NULL,
    PRIMARY KEY (account_id, transaction_id)
);
CREATE INDEX fills_intent ON fills (intent_id);

-- Open trades. `units` are what is left of `initial_units`; `exit_value` is the sum of units
-- times price in points over what was closed; money in home currency.
CREATE TABLE positions (
    account_id    text COLLATE "C" NOT NULL,
    trade_id      bigint NOT NULL,
    intent_id     text COLLATE "C" NOT NULL,
    signal_id     text COLLATE "C" NOT NULL,
    pair          text COLLATE "C" NOT NULL,
    initial_units numeric NOT NULL,
    units         numeric NOT NULL,
    price         bigint NOT NULL,
    opened_ns     bigint NOT NULL,
    exit_value    numeric NOT NULL DEFAULT 0,
    realized_pl   numeric NOT NULL DEFAULT 0,
    financing     numeric NOT NULL DEFAULT 0,
    commission    numeric NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, trade_id)
);

-- One row per trade from its opening on: profit_loss is what it has added to the balance so far,
-- realized_pl + financing - commission; exit_price, closed and exit_reason come with its close.
CREATE TABLE trading_results (
    trade_id    bigint NOT NULL,
    pair        text COLLATE "C" NOT NULL,
    direction   text COLLATE "C" NOT NULL,
    entry_price numeric NOT NULL,
    exit_price  numeric,
    profit_loss numeric NOT NULL DEFAULT 0,
    pattern_id  text COLLATE "C",
    account_id  text COLLATE "C" NOT NULL,
    units       numeric NOT NULL,
    realized_pl numeric NOT NULL DEFAULT 0,
    financing   numeric NOT NULL DEFAULT 0,
    commission  numeric NOT NULL DEFAULT 0,
    opened      timestamptz NOT NULL,
    closed      timestamptz,
    intent_id   text COLLATE "C" NOT NULL DEFAULT '',
    signal_id   text COLLATE "C" NOT NULL DEFAULT '',
    exit_reason text COLLATE "C" NOT NULL DEFAULT '',
    PRIMARY KEY (account_id, trade_id)
);
CREATE INDEX trading_results_closed ON trading_results (closed);

-- last_transaction_id: every transaction up to it is applied. newest_transaction_id: the newest
-- applied, whose balance this is. day … high_water: the ledger of the trading day.
CREATE TABLE account_state (
    account_id            text COLLATE "C" PRIMARY KEY,
    last_transaction_id   bigint NOT NULL DEFAULT 0,
    newest_transaction_id bigint NOT NULL DEFAULT 0,
    balance               numeric,
    day                   text COLLATE "C" NOT NULL DEFAULT '',
    opening_balance       numeric NOT NULL DEFAULT 0,
    day_realized_pl       numeric NOT NULL DEFAULT 0,
    high_water            numeric NOT NULL DEFAULT 0,
    killed                text NOT NULL DEFAULT ''
);

-- The fencing epoch of each account: only the newest leader may write what money depends on.
CREATE TABLE leaders (
    account_id text COLLATE "C" PRIMARY KEY,
    epoch      bigint NOT NULL,
    taken      timestamptz NOT NULL DEFAULT now()
);

-- Insert-only; each hash covers the row and the hash before it.
CREATE TABLE audit_log (
    sequence   bigint PRIMARY KEY,
    time_ns    bigint NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    kind       text COLLATE "C" NOT NULL,
    body       bytea NOT NULL,
    hash       bytea NOT NULL
);

CREATE TABLE audit_head (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    sequence bigint NOT NULL,
    hash     bytea NOT NULL
);
INSERT INTO audit_head (sequence, hash) VALUES (0, sha256('sepd'));

CREATE FUNCTION sepd_audit_hash(
    previous bytea, sequence bigint, time_ns bigint, account_id text, kind text, body bytea
) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT sha256(previous || int8send(sequence) || int8send(time_ns)
                  || sha256(convert_to(account_id, 'UTF8')) || sha256(convert_to(kind, 'UTF8'))
                  || body)
$$;

CREATE FUNCTION sepd_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is insert-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER audit_log_insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION sepd_refuse_change();
CREATE TRIGGER order_intents_insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON order_intents
    FOR EACH STATEMENT EXECUTE FUNCTION sepd_refuse_change();
