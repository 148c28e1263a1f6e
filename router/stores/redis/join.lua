-- A sign of life; who did not give one in time is not listed any more.
--
-- KEYS[1]  PREFIX:members
-- ARGV     router, name, about, ttl in ms, channel of all
-- returns  [router, name, seen, about, router, name, seen, about, ...]
--
-- News for all when somebody came or went. Idempotent.

local now = now_ms()
local moved = redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0
local until_ = now + tonumber(ARGV[4])
redis.call('HSET', KEYS[1], ARGV[1], cmsgpack.pack({ARGV[2], now, ARGV[3], until_}))
local found = {}
local all = redis.call('HGETALL', KEYS[1])
for at = 1, #all, 2 do
  local member = cmsgpack.unpack(all[at + 1])
  if member[4] > now then
    found[#found + 1] = all[at]
    found[#found + 1] = member[1]
    found[#found + 1] = member[2]
    found[#found + 1] = member[3]
  else
    redis.call('HDEL', KEYS[1], all[at])
    moved = true
  end
end
if moved then
  redis.pcall('PUBLISH', ARGV[5], cmsgpack.pack({ARGV[1], {3}}))
end
return found
