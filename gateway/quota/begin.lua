-- Join the count that is open: its name, then each counter of the holder with what it held and the
-- number of its last word. KEYS: the count, the holder's counters. ARGV: the holder, and what the
-- keys of counters begin with. Counters whose window is over are forgotten on the way.
local count = redis.call('HMGET', KEYS[1], 'id', 'run', 'evicted')
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
if not count[1] or count[2] ~= run then return {} end

-- A server that may drop single keys could drop a counter and keep the count; one that dropped any
-- since then may have done so.
local memory = redis.call('INFO', 'memory')
if not string.find(memory, '\nmaxmemory:0\r', 1, true)
  and not string.find(memory, '\nmaxmemory_policy:noeviction\r', 1, true) then return {'evicts'} end
local dropped = string.match(redis.call('INFO', 'stats'), '\nevicted_keys:(%d+)')
if count[3] ~= dropped then return {} end

local told = {count[1]}
for _, name in ipairs(redis.call('SMEMBERS', KEYS[2])) do
  local was = redis.call('HMGET', ARGV[2] .. name, 'held:' .. ARGV[1], 'seq:' .. ARGV[1])
  if was[1] then
    told[#told + 1] = name
    told[#told + 1] = was[1]
    told[#told + 1] = was[2]
  else
    redis.call('SREM', KEYS[2], name)
  end
end
return told
