CREATE FUNCTION public.sepd_audit_hash(previous bytea, sequence bigint, time_ns bigint, account_id text, kind text, body bytea) RETURNS bytea
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    SELECT sha256(previous || int8send(sequence) || int8send(time_ns)
                  || sha256(convert_to(account_id, 'UTF8')) || sha256(convert_to(kind, 'UTF8'))
                  || body)
$$;
CREATE FUNCTION public.sepd_candles_changed() RETURNS trigger
    LANGUAGE plpgsql
    SET "TimeZone" TO 'UTC'
    AS $$
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
CREATE FUNCTION public.sepd_candles_lock() RETURNS bigint
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT 6817294035521::bigint
$$;
CREATE FUNCTION public.sepd_create_series(name text, columns text, step interval) RETURNS void
    LANGUAGE plpgsql
    AS $$
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
CREATE FUNCTION public.sepd_ensure_partitions(parent text, step text, first timestamp with time zone, last timestamp with time zone) RETURNS integer
    LANGUAGE plpgsql
    SET "TimeZone" TO 'UTC'
    AS $$
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
CREATE FUNCTION public.sepd_forget(parent text, before timestamp with time zone) RETURNS integer
    LANGUAGE plpgsql
    SET "TimeZone" TO 'UTC'
    AS $$
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
CREATE FUNCTION public.sepd_has_timescaledb() RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
    SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb')
$$;
CREATE FUNCTION public.sepd_refresh_rollups(days integer) RETURNS integer
    LANGUAGE plpgsql
    SET "TimeZone" TO 'UTC'
    AS $$
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
CREATE FUNCTION public.sepd_refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '% is insert-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TABLE public.account_state (
    account_id text NOT NULL COLLATE pg_catalog."C",
    last_transaction_id bigint DEFAULT 0 NOT NULL,
    newest_transaction_id bigint DEFAULT 0 NOT NULL,
    balance numeric,
    day text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    opening_balance numeric DEFAULT 0 NOT NULL,
    day_realized_pl numeric DEFAULT 0 NOT NULL,
    high_water numeric DEFAULT 0 NOT NULL,
    killed text DEFAULT ''::text NOT NULL,
    released_transaction_id bigint DEFAULT 0 NOT NULL
);
CREATE TABLE public.api_keys (
    key_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    digest bytea NOT NULL,
    role text NOT NULL COLLATE pg_catalog."C",
    created timestamp with time zone DEFAULT now() NOT NULL,
    expires timestamp with time zone,
    revoked timestamp with time zone
);
CREATE TABLE public.audit_head (
    one boolean DEFAULT true NOT NULL,
    sequence bigint NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT audit_head_one_check CHECK (one)
);
CREATE TABLE public.audit_log (
    sequence bigint NOT NULL,
    time_ns bigint NOT NULL,
    account_id text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    body bytea NOT NULL,
    hash bytea NOT NULL
);
CREATE TABLE public.candle_blocks (
    pair text NOT NULL COLLATE pg_catalog."C",
    granularity text NOT NULL COLLATE pg_catalog."C",
    month timestamp with time zone NOT NULL,
    count integer NOT NULL,
    body bytea NOT NULL
);
ALTER TABLE ONLY public.candle_blocks ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE TABLE public.candle_days_changed (
    pair text NOT NULL COLLATE pg_catalog."C",
    day timestamp with time zone NOT NULL
);
CREATE TABLE public.candle_rollups (
    pair text NOT NULL COLLATE pg_catalog."C",
    granularity text NOT NULL COLLATE pg_catalog."C",
    "timestamp" timestamp with time zone NOT NULL,
    bid_open bigint NOT NULL,
    bid_high bigint NOT NULL,
    bid_low bigint NOT NULL,
    bid_close bigint NOT NULL,
    ask_open bigint NOT NULL,
    ask_high bigint NOT NULL,
    ask_low bigint NOT NULL,
    ask_close bigint NOT NULL,
    volume bigint NOT NULL,
    minutes integer NOT NULL
);
CREATE VIEW public.candles_d AS
 SELECT pair,
    granularity,
    "timestamp",
    bid_open,
    bid_high,
    bid_low,
    bid_close,
    ask_open,
    ask_high,
    ask_low,
    ask_close,
    volume,
    minutes
   FROM public.candle_rollups
  WHERE (granularity = 'D'::text);
CREATE VIEW public.candles_h1 AS
 SELECT pair,
    granularity,
    "timestamp",
    bid_open,
    bid_high,
    bid_low,
    bid_close,
    ask_open,
    ask_high,
    ask_low,
    ask_close,
    volume,
    minutes
   FROM public.candle_rollups
  WHERE (granularity = 'H1'::text);
CREATE VIEW public.candles_h4 AS
 SELECT pair,
    granularity,
    "timestamp",
    bid_open,
    bid_high,
    bid_low,
    bid_close,
    ask_open,
    ask_high,
    ask_low,
    ask_close,
    volume,
    minutes
   FROM public.candle_rollups
  WHERE (granularity = 'H4'::text);
CREATE VIEW public.candles_m15 AS
 SELECT pair,
    granularity,
    "timestamp",
    bid_open,
    bid_high,
    bid_low,
    bid_close,
    ask_open,
    ask_high,
    ask_low,
    ask_close,
    volume,
    minutes
   FROM public.candle_rollups
  WHERE (granularity = 'M15'::text);
CREATE VIEW public.candles_m5 AS
 SELECT pair,
    granularity,
    "timestamp",
    bid_open,
    bid_high,
    bid_low,
    bid_close,
    ask_open,
    ask_high,
    ask_low,
    ask_close,
    volume,
    minutes
   FROM public.candle_rollups
  WHERE (granularity = 'M5'::text);
CREATE TABLE public.config_versions (
    version text NOT NULL COLLATE pg_catalog."C",
    applied timestamp with time zone DEFAULT now() NOT NULL,
    body jsonb NOT NULL
);
CREATE TABLE public.trading_results (
    trade_id bigint NOT NULL,
    pair text NOT NULL COLLATE pg_catalog."C",
    direction text NOT NULL COLLATE pg_catalog."C",
    entry_price numeric NOT NULL,
    exit_price numeric,
    profit_loss numeric DEFAULT 0 NOT NULL,
    pattern_id text COLLATE pg_catalog."C",
    account_id text NOT NULL COLLATE pg_catalog."C",
    units numeric NOT NULL,
    realized_pl numeric DEFAULT 0 NOT NULL,
    financing numeric DEFAULT 0 NOT NULL,
    commission numeric DEFAULT 0 NOT NULL,
    opened timestamp with time zone NOT NULL,
    closed timestamp with time zone,
    intent_id text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    signal_id text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    exit_reason text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C"
);
CREATE MATERIALIZED VIEW public.daily_performance AS
 SELECT account_id,
    pair,
    date_trunc('day'::text, closed, 'UTC'::text) AS day,
    count(*) AS trades,
    count(*) FILTER (WHERE (profit_loss > (0)::numeric)) AS winners,
    sum(profit_loss) AS profit_loss,
    sum(financing) AS financing,
    max(profit_loss) AS best,
    min(profit_loss) AS worst
   FROM public.trading_results
  WHERE (closed IS NOT NULL)
  GROUP BY account_id, pair, (date_trunc('day'::text, closed, 'UTC'::text))
  WITH NO DATA;
CREATE TABLE public.fills (
    account_id text NOT NULL COLLATE pg_catalog."C",
    transaction_id bigint NOT NULL,
    order_id bigint NOT NULL,
    intent_id text NOT NULL COLLATE pg_catalog."C",
    pair text NOT NULL COLLATE pg_catalog."C",
    units numeric NOT NULL,
    price bigint NOT NULL,
    reason text NOT NULL COLLATE pg_catalog."C",
    pl numeric NOT NULL,
    financing numeric NOT NULL,
    commission numeric NOT NULL,
    balance numeric NOT NULL,
    time_ns bigint NOT NULL
);
CREATE TABLE public.ingests (
    ingest_id bigint NOT NULL,
    started timestamp with time zone DEFAULT now() NOT NULL,
    last_batch bigint DEFAULT 0 NOT NULL
);
ALTER TABLE public.ingests ALTER COLUMN ingest_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.ingests_ingest_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.instruments (
    pair text NOT NULL COLLATE pg_catalog."C",
    display_precision smallint NOT NULL,
    pip_location smallint NOT NULL
);
CREATE TABLE public.journal (
    id bigint NOT NULL,
    "timestamp" timestamp with time zone NOT NULL,
    time_ns bigint NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    first_sequence bigint NOT NULL,
    count integer NOT NULL,
    body bytea NOT NULL,
    ingest_id bigint NOT NULL
)
PARTITION BY RANGE ("timestamp");
CREATE TABLE public.leaders (
    account_id text NOT NULL COLLATE pg_catalog."C",
    epoch bigint NOT NULL,
    taken timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE public.market_data (
    "timestamp" timestamp with time zone NOT NULL,
    pair text NOT NULL COLLATE pg_catalog."C",
    granularity text DEFAULT 'M1'::text NOT NULL COLLATE pg_catalog."C",
    open numeric NOT NULL,
    high numeric NOT NULL,
    low numeric NOT NULL,
    close numeric NOT NULL,
    volume bigint DEFAULT 0 NOT NULL,
    bid_open bigint,
    bid_high bigint,
    bid_low bigint,
    bid_close bigint,
    ask_open bigint,
    ask_high bigint,
    ask_low bigint,
    ask_close bigint,
    source text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    ingest_id bigint DEFAULT 0 NOT NULL
)
PARTITION BY RANGE ("timestamp");
CREATE TABLE public.order_intents (
    intent_id text NOT NULL COLLATE pg_catalog."C",
    account_id text NOT NULL COLLATE pg_catalog."C",
    signal_id text NOT NULL COLLATE pg_catalog."C",
    purpose text NOT NULL COLLATE pg_catalog."C",
    pair text NOT NULL COLLATE pg_catalog."C",
    units numeric NOT NULL,
    created_ns bigint NOT NULL,
    expires_ns bigint NOT NULL,
    checkpoint bigint NOT NULL,
    attempt integer NOT NULL,
    price_bound bigint,
    stop_loss bigint,
    take_profit bigint,
    trade_id bigint,
    time_in_force text NOT NULL COLLATE pg_catalog."C",
    snapshot bytea NOT NULL,
    epoch bigint NOT NULL,
    signal bytea
);
CREATE TABLE public.orders (
    intent_id text NOT NULL COLLATE pg_catalog."C",
    account_id text NOT NULL COLLATE pg_catalog."C",
    state text NOT NULL COLLATE pg_catalog."C",
    order_id bigint,
    filled numeric DEFAULT 0 NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    updated_ns bigint NOT NULL,
    epoch bigint NOT NULL
);
CREATE TABLE public.positions (
    account_id text NOT NULL COLLATE pg_catalog."C",
    trade_id bigint NOT NULL,
    intent_id text NOT NULL COLLATE pg_catalog."C",
    signal_id text NOT NULL COLLATE pg_catalog."C",
    pair text NOT NULL COLLATE pg_catalog."C",
    initial_units numeric NOT NULL,
    units numeric NOT NULL,
    price bigint NOT NULL,
    opened_ns bigint NOT NULL,
    exit_value numeric DEFAULT 0 NOT NULL,
    realized_pl numeric DEFAULT 0 NOT NULL,
    financing numeric DEFAULT 0 NOT NULL,
    commission numeric DEFAULT 0 NOT NULL
);
CREATE TABLE public.provenance (
    dataset_id text NOT NULL COLLATE pg_catalog."C",
    created timestamp with time zone DEFAULT now() NOT NULL,
    manifest jsonb NOT NULL
);
CREATE TABLE public.quantum_patterns (
    pattern_id text NOT NULL COLLATE pg_catalog."C",
    pair text NOT NULL COLLATE pg_catalog."C",
    pattern_data jsonb NOT NULL,
    confidence_score numeric NOT NULL,
    granularity text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    model_id text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    created timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE public.schema_migrations (
    version integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE public.signals (
    signal_id text NOT NULL COLLATE pg_catalog."C",
    "timestamp" timestamp with time zone NOT NULL,
    pair text NOT NULL COLLATE pg_catalog."C",
    granularity text NOT NULL COLLATE pg_catalog."C",
    action text NOT NULL COLLATE pg_catalog."C",
    confidence integer NOT NULL,
    coherence integer NOT NULL,
    stability integer NOT NULL,
    entropy integer NOT NULL,
    polarity integer NOT NULL,
    rule text NOT NULL,
    config_version text NOT NULL COLLATE pg_catalog."C",
    created_ns bigint NOT NULL,
    valid_until_ns bigint NOT NULL,
    verdict text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.ticks (
    "timestamp" timestamp with time zone NOT NULL,
    nanos smallint DEFAULT 0 NOT NULL,
    pair text NOT NULL COLLATE pg_catalog."C",
    bid bigint NOT NULL,
    ask bigint NOT NULL,
    tradeable boolean DEFAULT true NOT NULL,
    ingest_id bigint DEFAULT 0 NOT NULL
)
PARTITION BY RANGE ("timestamp");
CREATE TABLE public.transactions (
    account_id text NOT NULL COLLATE pg_catalog."C",
    transaction_id bigint NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    time_ns bigint NOT NULL,
    body jsonb NOT NULL,
    epoch bigint NOT NULL
);
ALTER TABLE ONLY public.account_state
    ADD CONSTRAINT account_state_pkey PRIMARY KEY (account_id);
ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (key_id);
ALTER TABLE ONLY public.audit_head
    ADD CONSTRAINT audit_head_pkey PRIMARY KEY (one);
ALTER TABLE ONLY public.audit_log
    ADD CONSTRAINT audit_log_pkey PRIMARY KEY (sequence);
ALTER TABLE ONLY public.candle_blocks
    ADD CONSTRAINT candle_blocks_pkey PRIMARY KEY (pair, granularity, month);
ALTER TABLE ONLY public.candle_days_changed
    ADD CONSTRAINT candle_days_changed_pkey PRIMARY KEY (pair, day);
ALTER TABLE ONLY public.candle_rollups
    ADD CONSTRAINT candle_rollups_pkey PRIMARY KEY (pair, granularity, "timestamp");
ALTER TABLE ONLY public.config_versions
    ADD CONSTRAINT config_versions_pkey PRIMARY KEY (version);
ALTER TABLE ONLY public.fills
    ADD CONSTRAINT fills_pkey PRIMARY KEY (account_id, transaction_id);
ALTER TABLE ONLY public.ingests
    ADD CONSTRAINT ingests_pkey PRIMARY KEY (ingest_id);
ALTER TABLE ONLY public.instruments
    ADD CONSTRAINT instruments_pkey PRIMARY KEY (pair);
ALTER TABLE ONLY public.journal
    ADD CONSTRAINT journal_pkey PRIMARY KEY (ingest_id, id, "timestamp");
ALTER TABLE ONLY public.leaders
    ADD CONSTRAINT leaders_pkey PRIMARY KEY (account_id);
ALTER TABLE ONLY public.market_data
    ADD CONSTRAINT market_data_pkey PRIMARY KEY (pair, granularity, "timestamp");
ALTER TABLE ONLY public.order_intents
    ADD CONSTRAINT order_intents_pkey PRIMARY KEY (intent_id);
ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_pkey PRIMARY KEY (intent_id);
ALTER TABLE ONLY public.positions
    ADD CONSTRAINT positions_pkey PRIMARY KEY (account_id, trade_id);
ALTER TABLE ONLY public.provenance
    ADD CONSTRAINT provenance_pkey PRIMARY KEY (dataset_id);
ALTER TABLE ONLY public.quantum_patterns
    ADD CONSTRAINT quantum_patterns_pkey PRIMARY KEY (pattern_id);
ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (version);
ALTER TABLE ONLY public.signals
    ADD CONSTRAINT signals_pkey PRIMARY KEY (signal_id);
ALTER TABLE ONLY public.trading_results
    ADD CONSTRAINT trading_results_pkey PRIMARY KEY (account_id, trade_id);
ALTER TABLE ONLY public.transactions
    ADD CONSTRAINT transactions_pkey PRIMARY KEY (account_id, transaction_id);
CREATE UNIQUE INDEX daily_performance_key ON public.daily_performance USING btree (account_id, pair, day);
CREATE INDEX fills_gains ON public.fills USING btree (account_id, transaction_id) WHERE ((pl + financing) > (0)::numeric);
CREATE INDEX fills_intent ON public.fills USING btree (intent_id);
CREATE INDEX order_intents_created ON public.order_intents USING btree (account_id, created_ns);
CREATE INDEX order_intents_signal ON public.order_intents USING btree (signal_id);
CREATE INDEX orders_order_id ON public.orders USING btree (account_id, order_id);
CREATE INDEX orders_unfinished ON public.orders USING btree (account_id) WHERE (state <> ALL (ARRAY['REJECTED'::text, 'CANCELLED'::text, 'EXPIRED'::text, 'CLOSED'::text]));
CREATE INDEX quantum_patterns_pair ON public.quantum_patterns USING btree (pair, granularity, model_id);
CREATE INDEX signals_pair ON public.signals USING btree (pair, "timestamp");
CREATE INDEX signals_time ON public.signals USING btree ("timestamp");
CREATE INDEX ticks_time ON ONLY public.ticks USING brin ("timestamp") WITH (pages_per_range='32');
CREATE INDEX trading_results_closed ON public.trading_results USING btree (closed);
CREATE INDEX trading_results_ours ON public.trading_results USING btree (account_id, pair, opened) WHERE (intent_id <> ''::text);
CREATE TRIGGER audit_log_insert_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.audit_log FOR EACH STATEMENT EXECUTE FUNCTION public.sepd_refuse_change();
CREATE TRIGGER market_data_deleted AFTER DELETE ON public.market_data REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.sepd_candles_changed();
CREATE TRIGGER market_data_inserted AFTER INSERT ON public.market_data REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.sepd_candles_changed();
CREATE TRIGGER market_data_updated AFTER UPDATE ON public.market_data REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.sepd_candles_changed();
CREATE TRIGGER order_intents_insert_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.order_intents FOR EACH STATEMENT EXECUTE FUNCTION public.sepd_refuse_change();
