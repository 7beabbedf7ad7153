-- What replicas share of a quota. `sluice quota rebuild` makes it; the gateway's role may ask and
-- lease, and cannot open a count of its own.
CREATE SCHEMA IF NOT EXISTS sluice_quota;

CREATE TABLE IF NOT EXISTS sluice_quota.count (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    id text NOT NULL,
    is_open boolean NOT NULL
);

CREATE TABLE IF NOT EXISTS sluice_quota.counter (
    key text PRIMARY KEY,
    total bigint NOT NULL CHECK (total >= 0),
    spoken timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS sluice_quota.lease (
    key text NOT NULL REFERENCES sluice_quota.counter ON DELETE CASCADE,
    holder text NOT NULL,
    held bigint NOT NULL CHECK (held >= 0),
    seq bigint NOT NULL,
    PRIMARY KEY (key, holder)
);
CREATE INDEX IF NOT EXISTS lease_of_holder ON sluice_quota.lease (holder);

-- One word of a node on some of its counters, settled in one transaction; the arithmetic is that of
-- arithmetic.py. Counters come in one order from everybody, so no two nodes wait for each other.
-- Each statement sees what was committed before it, so a lease is read behind its counter's lock.
CREATE OR REPLACE FUNCTION sluice_quota.settle(
    count_id text, by_holder text, keys text[], haves bigint[], wants bigint[], leasts bigint[],
    extras bigint[], limits bigint[], seqs bigint[]
) RETURNS TABLE (held bigint, total bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    share constant bigint := 4;
    mine bigint; last_seq bigint; all_held bigint; others bigint; remaining bigint;
    base bigint; more bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM sluice_quota.count c WHERE c.id = count_id AND c.is_open) THEN
        RETURN;
    END IF;
    FOR i IN 1 .. cardinality(keys) LOOP
        INSERT INTO sluice_quota.counter VALUES (keys[i], 0) ON CONFLICT DO NOTHING;
        SELECT c.total INTO all_held FROM sluice_quota.counter c WHERE c.key = keys[i] FOR UPDATE;
        SELECT l.held, l.seq INTO mine, last_seq
            FROM sluice_quota.lease l WHERE l.key = keys[i] AND l.holder = by_holder;
        mine := coalesce(mine, 0);
        IF seqs[i] > coalesce(last_seq, 0) THEN
            others := all_held - mine;
            remaining := greatest(0, limits[i] - others - haves[i]);
            base := CASE WHEN remaining >= leasts[i] THEN least(wants[i], remaining) ELSE 0 END;
            more := CASE WHEN base = wants[i]
                THEN least(extras[i], (remaining - base) / share) ELSE 0 END;
            mine := haves[i] + base + more;
            UPDATE sluice_quota.counter c SET total = others + mine, spoken = now()
                WHERE c.key = keys[i]
                RETURNING c.total INTO all_held;
            INSERT INTO sluice_quota.lease AS l VALUES (keys[i], by_holder, mine, seqs[i])
                ON CONFLICT (key, holder) DO UPDATE SET held = excluded.held, seq = excluded.seq;
        END IF;
        held := mine;
        total := all_held;
        RETURN NEXT;
    END LOOP;
END $$;
