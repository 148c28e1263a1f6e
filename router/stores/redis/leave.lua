-- Out of the list of those who live.
--
-- KEYS[1]  PREFIX:members
-- ARGV     router, channel of all
-- returns  1 if it was listed, else 0
--
-- News for all when it was. Idempotent.

local count = redis.call('HDEL', KEYS[1], ARGV[1])
if count > 0 then
  redis.pcall('PUBLISH', ARGV[2], cmsgpack.pack({ARGV[1], {3}}))
end
return count
