-- Somebody who gave no sign of life any more is forgotten, unless it gave one meanwhile.
--
-- KEYS[1]  PREFIX:workers
-- ARGV     worker, its last sign of life
-- returns  how many
--
-- Idempotent.

local said = redis.call('HGET', KEYS[1], ARGV[1])
if said and cmsgpack.unpack(said)[8] == tonumber(ARGV[2]) then
  return redis.call('HDEL', KEYS[1], ARGV[1])
end
return 0
