-- Keep partitions, unless their leases have lapsed or changed hands.
--
-- KEYS     {PREFIX:pN}:meta of each
-- ARGV     router, ttl in ms, token of each
-- returns  1 for each that is kept, 0 for the others
--
-- Idempotent.

local router, ttl = ARGV[1], tonumber(ARGV[2])
local now = now_ms()
local kept = {}
for at, key in ipairs(KEYS) do
  local meta = redis.call('HMGET', key, 'router', 'token', 'until')
  kept[at] = 0
  if meta[1] == router and meta[2] == ARGV[at + 2] and tonumber(meta[3]) > now then
    redis.call('HSET', key, 'until', string.format('%.0f', now + ttl))
    kept[at] = 1
  end
end
return kept
