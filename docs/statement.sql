-- The lines of a month's statements, from the exported journal and the published prices alone.
-- Plain SQL: runs as it is in SQLite and in DuckDB. Whole numbers only; fen are rounded once a line.
--
--   usage      one row per `usage` object of `sluice audit export`, of every journal
--   asked      begins, ends: the month in UTC, as in 2025-05-31T16:00:00 and 2025-06-30T16:00:00
--   price      service, ref, kind, price_micro, size, minimum_micro, cap_micro: the price list
--   tier       service, ref, above, up_to, price_micro: its tiers; up_to is null in the last one
--   committed  tenant, grant, service, unit, price_ref, price_micro: minimums owed without any use
--
-- A price in micro-yuan is its fen times 10 000. Where several gateways served, an event that lies
-- in two journals counts once; cells that two of them charged for both come off by hand: `charged`
-- of the export says which cells of a place (as bits) an event charged.
WITH once AS (
  SELECT DISTINCT event_id, tenant, "grant", service, unit, price_ref, price_micro, billable_qty
  FROM usage, asked WHERE time >= begins AND time < ends
),
used AS (
  SELECT tenant, "grant", service, unit, price_ref, price_micro,
    CAST(sum(billable_qty) AS BIGINT) AS cells
  FROM once GROUP BY tenant, "grant", service, unit, price_ref, price_micro
),
owed AS (
  SELECT * FROM used
  UNION ALL
  SELECT tenant, "grant", service, unit, price_ref, price_micro, 0 FROM committed c
  WHERE NOT EXISTS (
    SELECT 1 FROM used u WHERE u.tenant = c.tenant AND u."grant" = c."grant"
    AND u.service = c.service AND u.unit = c.unit AND u.price_ref = c.price_ref
    AND u.price_micro = c.price_micro
  )
),
line AS (
  SELECT owed.*, CASE unit
    WHEN 'per_1000_cells' THEN CAST((cells + 999 - (cells + 999) % 1000) / 1000 AS BIGINT)
    ELSE cells END AS units
  FROM owed
),
charge AS (
  SELECT line.*, p.minimum_micro, p.cap_micro, CASE
    WHEN line.unit = 'free' THEN 0
    WHEN p.kind = 'package' THEN
      CAST((units + p.size - 1 - (units + p.size - 1) % p.size) / p.size AS BIGINT) * p.price_micro
    WHEN p.kind = 'graduated' THEN coalesce((
      SELECT CAST(sum((CASE WHEN units < coalesce(t.up_to, units) THEN units
        ELSE coalesce(t.up_to, units) END - t.above) * t.price_micro) AS BIGINT)
      FROM tier t WHERE t.service = line.service AND t.ref = line.price_ref AND t.above < units), 0)
    WHEN p.kind = 'volume' THEN units * coalesce((
      SELECT t.price_micro FROM tier t WHERE t.service = line.service AND t.ref = line.price_ref
      AND t.above < units AND units <= coalesce(t.up_to, units)), 0)
    ELSE units * coalesce(p.price_micro, line.price_micro) END AS micro
  FROM line LEFT JOIN price p
  ON p.service = line.service AND p.ref = line.price_ref AND line.unit <> 'free'
),
bounded AS (
  SELECT charge.*, CASE
    WHEN micro < minimum_micro THEN minimum_micro
    WHEN micro > cap_micro THEN cap_micro
    ELSE micro END AS owed_micro
  FROM charge
)
SELECT tenant, "grant", service, price_ref, cells, units,
  CAST((2 * owed_micro + 10000 - (2 * owed_micro + 10000) % 20000) / 20000 AS BIGINT) AS fen
FROM bounded ORDER BY tenant, "grant", service, price_ref, price_micro;
