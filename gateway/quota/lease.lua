-- One word of a node on some of its counters, settled in one step; the arithmetic is that of
-- arithmetic.py. KEYS: the count, the holder's counters, then the counters. ARGV: the count's name,
-- the holder, for how many seconds a counter is kept after the last word on it, and per counter its
-- text, have, want, least, extra, limit and seq. An empty answer: the count of that name is no more,
-- or this server has been restarted since it was opened, and what it remembers may be older than what
-- was given; 'evicts' alone: it may forget counters while it runs.
local count = redis.call('HMGET', KEYS[1], 'id', 'run', 'evicted')
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
if count[1] ~= ARGV[1] or count[2] ~= run then return {} end

-- A server that may drop single keys could drop a counter and keep the count; one that dropped any
-- since then may have done so.
local memory = redis.call('INFO', 'memory')
if not string.find(memory, '\nmaxmemory:0\r', 1, true)
  and not string.find(memory, '\nmaxmemory_policy:noeviction\r', 1, true) then return {'evicts'} end
local dropped = string.match(redis.call('INFO', 'stats'), '\nevicted_keys:(%d+)')
if count[3] ~= dropped then return {} end

local SHARE = 4
local holder, kept, told = ARGV[2], ARGV[3], {}
for i = 3, #KEYS do
  local at = 4 + (i - 3) * 7
  local have, want = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local least, extra = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local limit, seq = tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6])
  local was = redis.call('HMGET', KEYS[i], 'total', 'held:' .. holder, 'seq:' .. holder)
  local total, mine = tonumber(was[1] or 0), tonumber(was[2] or 0)
  if seq > tonumber(was[3] or 0) then
    local others = total - mine
    local left = math.max(0, limit - others - have)
    local base, more = 0, 0
    if left >= least then base = math.min(want, left) end
    if base == want then more = math.min(extra, math.floor((left - base) / SHARE)) end
    mine = have + base + more
    total = others + mine
    redis.call('HSET', KEYS[i], 'total', string.format('%.0f', total),
      'held:' .. holder, string.format('%.0f', mine), 'seq:' .. holder, ARGV[at + 6])
    redis.call('EXPIRE', KEYS[i], kept)
    redis.call('SADD', KEYS[2], ARGV[at])
  end
  told[#told + 1] = mine
  told[#told + 1] = total
end
return told
