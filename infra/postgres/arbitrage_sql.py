"""Statements over arbitrage trades on record. A stage's place in `:order` says how far it is."""

from typing import Final

from sqlalchemy import text

_OF_TRADE: Final = "set_name = :set_name AND epoch = :epoch AND trade = :trade"

ONE_AT_A_TIME: Final = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")

OPEN_SET: Final = text("""
INSERT INTO arbitrage_epochs (set_name, epoch, kind, legs, owner, run_id)
SELECT CAST(:set_name AS text),
       GREATEST(COALESCE(max(epoch), 0), CAST(:beyond AS bigint)) + 1,
       CAST(:kind AS text), CAST(:legs AS text), CAST(:owner AS text), CAST(:run_id AS text)
FROM arbitrage_epochs
WHERE set_name = :set_name
RETURNING epoch
""")

# Epochs add up over the years: time is looked at only within the newest of them.
EARLIER: Final = text("""
WITH newest AS (
    SELECT * FROM arbitrage_epochs
    WHERE set_name = :set_name AND epoch < :below
    ORDER BY epoch DESC
    LIMIT 1000
)
SELECT epoch, owner, legs, opened_at FROM newest WHERE opened_at >= CAST(:since AS timestamptz)
UNION
SELECT epoch, owner, legs, opened_at FROM arbitrage_epochs
WHERE set_name = :set_name AND epoch < :below AND epoch = ANY(CAST(:also AS bigint[]))
ORDER BY epoch
""")

STAGE_BY_IDS: Final = text("""
SELECT t.stage FROM arbitrage_legs l JOIN arbitrage_trades t USING (set_name, epoch, trade)
WHERE l.set_name = :set_name AND l.epoch = :epoch
    AND l.client_order_id = ANY(CAST(:ids AS text[]))
ORDER BY t.trade
LIMIT 1
""")

STAGE: Final = text(f"SELECT stage FROM arbitrage_trades WHERE {_OF_TRADE}")  # noqa: S608

PROGRESS: Final = text(f"""
UPDATE arbitrage_trades SET stage = :stage, rounds = :number
WHERE {_OF_TRADE} AND stage IN ('fired', 'hedging') AND rounds < :number
RETURNING 1
""")  # noqa: S608 - constants of ours

MOVE: Final = text(f"""
UPDATE arbitrage_trades SET
    stage = CAST(:stage AS text),
    payout_expected = COALESCE(CAST(:payout_expected AS numeric), payout_expected),
    payout = COALESCE(CAST(:payout AS numeric), payout),
    edge = COALESCE(CAST(:edge AS numeric), edge),
    fills = GREATEST(fills, CAST(:fills AS bigint)),
    settled_at = CASE WHEN CAST(:stage AS text) = 'settled' THEN now() END
WHERE {_OF_TRADE}
    AND array_position(CAST(:order AS text[]), stage)
        < array_position(CAST(:order AS text[]), CAST(:stage AS text))
RETURNING 1
""")  # noqa: S608

RETOLD: Final = text(f"""
UPDATE arbitrage_trades SET
    payout = CAST(:payout AS numeric), edge = CAST(:edge AS numeric),
    fills = CAST(:fills AS bigint)
WHERE {_OF_TRADE} AND stage IN ('balanced', 'handed_over', 'settled')
    AND fills <= CAST(:fills AS bigint)
RETURNING stage
""")  # noqa: S608

STEP: Final = text("""
INSERT INTO arbitrage_steps (set_name, epoch, trade, stage, decided_by, reason, at)
VALUES (:set_name, :epoch, :trade, :stage, :by, :reason, clock_timestamp())
ON CONFLICT (set_name, epoch, trade, stage) DO NOTHING
""")

LEGS: Final = text("""
UPDATE arbitrage_legs AS l SET filled = p.filled, owed = p.owed
FROM unnest(
    CAST(:client_order_id AS text[]), CAST(:filled AS bigint[]), CAST(:owed AS bigint[])
) AS p(client_order_id, filled, owed)
WHERE l.set_name = :set_name AND l.epoch = :epoch AND l.trade = :trade
    AND l.client_order_id = p.client_order_id
""")

UNLOCK: Final = text(f"UPDATE arbitrage_capital SET locked = 0 WHERE {_OF_TRADE}")  # noqa: S608

LOCK: Final = text("""
INSERT INTO arbitrage_capital (set_name, epoch, trade, venue, account, quote, claimed, locked)
SELECT CAST(:set_name AS text), CAST(:epoch AS bigint), CAST(:trade AS bigint),
       venue, account, quote, 0, sum(amount)
FROM unnest(
    CAST(:venue AS text[]), CAST(:account AS text[]), CAST(:quote AS text[]),
    CAST(:amount AS numeric[])
) AS h(venue, account, quote, amount)
GROUP BY venue, account, quote
ON CONFLICT (set_name, epoch, trade, venue, account, quote) DO UPDATE SET locked = excluded.locked
""")

OPEN_FOR: Final = text("""
SELECT * FROM arbitrage_trades
WHERE set_name = :set_name AND stage IN ('fired', 'hedging') AND stage <> 'settled'
ORDER BY epoch, trade
""")

UNSETTLED: Final = text("""
SELECT * FROM arbitrage_trades WHERE set_name = :set_name AND stage <> 'settled'
ORDER BY epoch, trade
""")

PAGE: Final = text("""
SELECT * FROM arbitrage_trades
WHERE set_name = :set_name
    AND (epoch, trade) > (CAST(:epoch AS bigint), CAST(:trade AS bigint))
ORDER BY epoch, trade
LIMIT :limit
""")

TOTALS: Final = text("""
SELECT sum(NULLIF(t.payout, 0)) AS payout, (
    SELECT COALESCE(sum(c.locked), 0)
    FROM arbitrage_trades l JOIN arbitrage_capital c USING (set_name, epoch, trade)
    WHERE l.set_name = :set_name AND l.stage <> 'settled'
) AS locked
FROM arbitrage_trades t WHERE t.set_name = :set_name
""")

LOCKED: Final = text("""
SELECT c.venue, c.account, c.quote, sum(c.locked) AS locked
FROM arbitrage_trades t JOIN arbitrage_capital c USING (set_name, epoch, trade)
WHERE t.stage <> 'settled' AND c.locked > 0
GROUP BY c.venue, c.account, c.quote
ORDER BY c.venue, c.account, c.quote
""")

STANDING: Final = text("""
SELECT t.set_name, t.epoch, t.trade, t.fired_by, t.stage IN ('fired', 'hedging') AS under_way,
       c.venue, c.account, c.quote, c.locked
FROM (
    SELECT * FROM arbitrage_trades WHERE stage <> 'settled'
    UNION ALL
    SELECT * FROM arbitrage_trades WHERE settled_at > now() - interval '1 hour'
) AS t
LEFT JOIN arbitrage_capital c
    ON c.set_name = t.set_name AND c.epoch = t.epoch AND c.trade = t.trade AND c.locked > 0
ORDER BY t.set_name, t.epoch, t.trade, c.venue, c.account, c.quote
""")

# One look at the index for each set, for epochs add up over the years.
EPOCHS: Final = text("""
WITH RECURSIVE sets AS (
    SELECT min(set_name) AS set_name FROM arbitrage_epochs
    UNION ALL
    SELECT (SELECT min(e.set_name) FROM arbitrage_epochs e WHERE e.set_name > s.set_name)
    FROM sets s WHERE s.set_name IS NOT NULL
)
SELECT s.set_name, newest.epoch
FROM sets s
CROSS JOIN LATERAL (
    SELECT max(epoch) AS epoch FROM arbitrage_epochs e WHERE e.set_name = s.set_name
) AS newest
WHERE s.set_name IS NOT NULL
""")

RECENT: Final = text("""
SELECT * FROM arbitrage_trades
ORDER BY fired_at DESC, set_name, epoch DESC, trade DESC
LIMIT :limit
""")

# Workers' clocks differ; epochs of a set only grow.
RECENT_OF: Final = text("""
SELECT * FROM arbitrage_trades WHERE set_name = :set_name
ORDER BY epoch DESC, trade DESC
LIMIT :limit
""")
