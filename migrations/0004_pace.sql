-- Where the limits of pace go on after a restart. released_transaction_id: the newest transaction
-- when an operator last released the pairs that had been filled too often.
ALTER TABLE account_state ADD COLUMN released_transaction_id bigint NOT NULL DEFAULT 0;

CREATE INDEX order_intents_entries ON order_intents (account_id, created_ns)
    WHERE purpose = 'ENTRY';
CREATE INDEX trading_results_ours ON trading_results (account_id, pair, opened)
    WHERE intent_id <> '';
CREATE INDEX fills_gains ON fills (account_id, transaction_id) WHERE pl + financing > 0;
