-- Give partitions back.
--
-- KEYS     {PREFIX:pN}:meta of each
-- ARGV     router, channel of all, token of each
-- returns  how many were the router's under these tokens
--
-- News for all when any was. Idempotent: what is not its any more is left alone.

local count = 0
for at, key in ipairs(KEYS) do
  local meta = redis.call('HMGET', key, 'router', 'token')
  if meta[1] == ARGV[1] and meta[2] == ARGV[at + 2] then
    redis.call('HSET', key, 'router', '', 'until', '0')
    count = count + 1
  end
end
if count > 0 then
  redis.pcall('PUBLISH', ARGV[2], cmsgpack.pack({ARGV[1], {3}}))
end
return count
