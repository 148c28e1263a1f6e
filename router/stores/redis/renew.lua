-- Keep partitions, unless they have changed hands, were released, or this server is not the one that gave them.
--
-- KEYS     {PREFIX:pN}:meta of each
-- ARGV     router, ttl in ms, token of each
-- returns  1 for each that is kept, 0 for the others
--
-- Idempotent. A lease that lapsed while nobody took it is as good as one that did not: its token shows that nothing
-- happened. Where the life of the server is not known it is lost.

local router, ttl = ARGV[1], tonumber(ARGV[2])
local now, run = now_ms(), life()
local till = string.format('%.0f', now + ttl)
local kept = {}
for at, key in ipairs(KEYS) do
  local meta = redis.call('HMGET', key, 'router', 'token', 'until', 'life')
  kept[at] = 0
  if meta[1] == router and meta[2] == ARGV[at + 2] and (meta[4] or '') == run and (run ~= '' or tonumber(meta[3]) > now) then
    redis.call('HSET', key, 'until', till)
    kept[at] = 1
  end
end
return kept
