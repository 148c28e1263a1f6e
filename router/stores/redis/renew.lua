-- Keep partitions, unless they have changed hands or were released.
--
-- KEYS     {PREFIX:pN}:meta of each
-- ARGV     router, ttl in ms, token of each
-- returns  1 for each that is kept, 0 for the others
--
-- Idempotent. A lease that lapsed while nobody took it is as good as one that did not.

local router, ttl = ARGV[1], tonumber(ARGV[2])
local till = string.format('%.0f', now_ms() + ttl)
local kept = {}
for at, key in ipairs(KEYS) do
  local meta = redis.call('HMGET', key, 'router', 'token')
  kept[at] = 0
  if meta[1] == router and meta[2] == ARGV[at + 2] then
    redis.call('HSET', key, 'until', till)
    kept[at] = 1
  end
end
return kept
